# SPDX-License-Identifier: MIT
"""Reboots the machine, or whatever else FailureAction= can, after the evidence is safe.

`FailureAction=` in a unit file does so blindly: it keeps OnFailure= from running at all and guards
against no loop. This does it for a rule, on the record, within the limit on reboots of ``[limits]``
and the guards below; what speaks against it is the outcome.
"""

from __future__ import annotations

from dataclasses import dataclass

from failhook.actions.caution import Caution
from failhook.boot import going_down
from failhook.plugin import Action, Outcome, Request, choice, option


@dataclass(frozen=True, slots=True)
class Options(Caution):
    """What; and how careful."""

    action: str = option(
        choice(*going_down.VALUES), "as FailureAction= of a unit has it", default="reboot"
    )


def run(request: Request[Options]) -> Outcome:
    """Look, make everything safe, and ask systemd."""
    options, incident = request.options, request.incident
    reason = incident.verdict.summary if incident.verdict else f"{incident.unit} failed"
    return going_down.go_down(request, options.action, reason, careful=options.guards)


# The many tries are for what puts it off: an upgrade, an inhibitor, a machine just booted.
ACTION = Action(
    "system",
    "reboots the machine, or what else FailureAction= can",
    Options,
    run,
    counts_as="reboots",
    timeout_s=120.0,
    retries=100,
)
