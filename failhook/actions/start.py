# SPDX-License-Identifier: MIT
"""Starts a unit that is down and sees whether it gets well: `failhook.actions.bring_up`.

Also another one than the one that failed: a spare, a page that says sorry.
"""

from __future__ import annotations

from failhook.actions import bring_up
from failhook.actions.bring_up import Options
from failhook.plugin import Action, Outcome, Request


def run(request: Request[Options]) -> Outcome:
    """Within the deadline, the delay and the waiting included."""
    return bring_up.run(request, "start")


ACTION = Action(
    "start",
    "starts a unit and waits until it is well",
    Options,
    run,
    counts_as="restarts",
    timeout_s=120.0,
)
