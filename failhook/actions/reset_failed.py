# SPDX-License-Identifier: MIT
"""Clears a unit's failed state and with it the count that its start limit looks at.

systemd forgets with it how the unit ended (systemctl(1), reset-failed); the evidence is in the
bundle by then. Starts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from failhook.actions import control
from failhook.plugin import TEXT, Action, Outcome, Request, done, failed, option


@dataclass(frozen=True, slots=True)
class Options:
    """Which one."""

    unit: str = option(TEXT, "the unit; the failed one unless said", default="")


def run(request: Request[Options]) -> Outcome:
    """At once."""
    unit = request.options.unit or request.incident.unit
    sight = control.settled(unit, user=request.user, within_s=request.deadline_s / 2)
    state = sight.state
    if not state.properties:
        return failed(f"systemd does not answer about {unit}")
    if not state.found:
        return failed(f"systemd knows no unit {unit}", final=True)
    if sight.active != "failed":
        return done(f"{unit} is {sight.active}, not failed: nothing to clear")
    if request.dry_run:
        return done(f"would clear that {unit} has failed, and its start limit")
    cleared = control.reset_failed(request, unit)
    if not cleared.ok:
        return failed(cleared.why())
    return done(f"{unit} counts as not failed, and its start limit begins anew")


ACTION = Action(
    "reset-failed",
    "clears the failed state and the start limit of the unit",
    Options,
    run,
    repeatable=True,
)
