# SPDX-License-Identifier: MIT
"""One check before it is made: what it looks at, how long it may take, and how it is made."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_FIRST_S, _LONGEST_S = 0.05, 1.0  # between two looks
_LEAST_S = 0.5  # for one look


@dataclass(frozen=True, slots=True)
class Found:
    """How one look went. ``detail`` is a clause that names the thing: "db.service is failed"."""

    ok: bool
    detail: str
    output: str = ""
    final: bool = True  # looking again would change nothing


@dataclass(frozen=True, slots=True)
class Probe:
    """One check. ``look`` is given its time limit in seconds and keeps it itself."""

    name: str
    kind: str
    what: str  # what is looked at, for a dry run
    look: Callable[[float], Found]
    timeout_s: float | None = None  # where it is not what all have
    required: bool = True


def until_final(look: Callable[[float], Found], limit_s: float) -> Found:
    """Look until what is found is final, or the limit (seconds) is reached: at boot much is still
    on its way. ``look`` is given the time that is left; no look begins that has too little."""
    until = time.monotonic() + limit_s
    pause_s = _FIRST_S
    while True:
        found = look(max(_LEAST_S, until - time.monotonic()))
        left_s = until - time.monotonic() - _LEAST_S
        if found.final or left_s <= 0:
            return found
        time.sleep(min(pause_s, left_s))
        pause_s = min(_LONGEST_S, 2 * pause_s)
