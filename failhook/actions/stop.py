# SPDX-License-Identifier: MIT
"""Stops a unit: the last step for one that only makes things worse.

It also ends the restarts that systemd has scheduled. A unit that somebody started anew since the
failure is left alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from failhook.actions import control
from failhook.plugin import TEXT, Action, Outcome, Request, done, failed, option


@dataclass(frozen=True, slots=True)
class Options:
    """Which one."""

    unit: str = option(TEXT, "the unit; the failed one unless said", default="")


def run(request: Request[Options]) -> Outcome:
    """Queue the stop and wait until the unit is down."""
    unit = request.options.unit or request.incident.unit
    until = time.monotonic() + request.deadline_s - 1.0
    sight = control.look(unit, user=request.user)
    if (no := control.may_stop(request, sight, unit)) is not None:
        return no
    if request.dry_run:
        return done(f"would stop {unit}")
    asked = control.ask(request, "stop", unit)
    if not asked.ok:
        return failed(f"{unit} could not be asked to stop: {asked.why()}")
    began = time.monotonic()
    while True:
        sight = control.look(unit, user=request.user)
        if sight.active in ("inactive", "failed"):
            return done(f"{unit} is stopped", took_s=round(time.monotonic() - began, 3))
        if sight.job is None and sight.active != "deactivating":
            return failed(f"{unit} is {sight.active} again: somebody else started it")
        if time.monotonic() >= until:
            return failed(
                f"{unit} is still {sight.active}; it stops when its TimeoutStopSec= is over"
            )
        time.sleep(control.POLL_S[0])


ACTION = Action("stop", "stops the unit", Options, run, timeout_s=120.0)
