# SPDX-License-Identifier: MIT
"""``type = "apprise"``: tells it through Apprise, which knows some hundred services.

https://github.com/caronc/apprise. An optional extra: it is imported when it is used, for its import
alone costs half a second. Retries, order and time limits are failhook's own as everywhere.
"""

from __future__ import annotations

import importlib
import logging
from dataclasses import dataclass
from typing import Any

from failhook.action import Action, Outcome, Request, done, failed, option
from failhook.actions.http_options import SECRETS
from failhook.formats import words
from failhook.message import Event
from failhook.secret import Secret, SecretError

_TYPES = {
    Event.OPENED: "failure",
    Event.ESCALATED: "failure",
    Event.GAVE_UP: "failure",
    Event.REBOOTED: "warning",
    Event.RECOVERED: "success",
    Event.DIGEST: "warning",
    Event.TEST: "info",
}
_MISSING = "Apprise is not installed: pip install 'failhook[apprise]'"


@dataclass(frozen=True)
class Options:
    """What ``[action.NAME]`` takes."""

    url: tuple[Secret, ...] = option(SECRETS, "Apprise URLs, such as tgram://TOKEN/CHAT")


def run(request: Request[Options]) -> Outcome:
    """Tell it once to all URLs."""
    message = request.message
    if message is None:
        return failed("there is no message to send", final=True)
    title = words.headline(message, 200)
    if request.dry_run:
        return done(f"would tell {len(request.options.url)} URLs: {title}")
    try:
        apprise = importlib.import_module("apprise")
    except ImportError:
        return failed(_MISSING)
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it names URLs, which are secrets
    try:
        urls = [one.read().strip() for one in request.options.url]
    except SecretError as error:
        return failed(str(error))
    return _told(apprise, urls, title, words.plain(message, title=False), _TYPES[message.event])


def _told(apprise: Any, urls: list[str], title: str, body: str, kind: str) -> Outcome:
    teller = apprise.Apprise()
    for number, url in enumerate(urls, 1):
        if not teller.add(url):
            return failed(f"URL {number} is none that Apprise knows")
    # Apprise turns this into what each service takes; as text nothing in it is markup.
    if teller.notify(body=body, title=title, notify_type=kind, body_format="text"):
        return done(f"told {len(urls)} URLs" if len(urls) > 1 else "told")
    return failed("Apprise could not tell it; its own log is silent, for it names the URLs")


ACTION = Action(
    "apprise",
    "tells it through Apprise (an extra: failhook[apprise])",
    Options,
    run,
    delivers=True,
    repeatable=True,
    timeout_s=60.0,
)
