# SPDX-License-Identifier: MIT
"""Does it answer over HTTP? Anything from 200 to 399, or the one status that is asked for.

Redirects are not followed, certificates are verified (`failhook.http_client`). Asked until it is
well: a service may still be on its way. A name that takes longer than the limit to look up is left
behind in its thread.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from failhook.boot.check.probe import Found, Probe, until_final
from failhook.config.model import BootChecks, HttpCheck

if TYPE_CHECKING:
    from failhook.http_client import Reply

_OF_TRY_S = 10.0


def probes(checks: BootChecks) -> Iterator[Probe]:
    """The checks of one table."""
    for one in checks.http:
        status = f"status {one.status}" if one.status is not None else "200 to 399"
        look = partial(until_final, partial(_look, one))
        yield Probe(one.url, "http", f"{one.url} answers with {status}", look)


def _look(check: HttpCheck, left_s: float) -> Found:
    # A server that hangs is asked again, once or twice.
    limit_s = min(_OF_TRY_S, left_s)
    said: list[Reply | str] = []
    thread = threading.Thread(target=_ask, args=(check.url, limit_s, said), daemon=True)
    thread.start()
    thread.join(limit_s + 0.5)
    answer = said[0] if said else f"no answer within {limit_s:g} s"
    if isinstance(answer, str):
        return Found(False, f"{check.url}: {answer}", final=not said)
    well = answer.status == check.status if check.status is not None else 200 <= answer.status < 400
    detail = f"{check.url} answers with status {answer.status}"
    return Found(well, detail, "" if well else answer.text[:2000], final=well)


def _ask(url: str, limit_s: float, said: list[Reply | str]) -> None:
    from failhook.http_client import Client, HttpError  # here: half a second where it is not asked

    client = Client()
    try:
        said.append(client.send("GET", url, headers={"Accept": "*/*"}, limit_s=limit_s))
    except HttpError as error:
        said.append(str(error))
    finally:
        client.close()
