# SPDX-License-Identifier: MIT
"""Restarts a unit and sees whether that helped: `failhook.actions.bring_up`.

A unit that a person stopped stays stopped, and one that systemd restarts itself is left to it.
"""

from __future__ import annotations

from failhook.actions import bring_up
from failhook.actions.bring_up import Options
from failhook.plugin import Action, Outcome, Request


def run(request: Request[Options]) -> Outcome:
    """Within the deadline, the delay and the waiting included."""
    return bring_up.run(request, "restart")


ACTION = Action(
    "restart",
    "restarts the unit and waits until it is well",
    Options,
    run,
    counts_as="restarts",
    timeout_s=120.0,
)
