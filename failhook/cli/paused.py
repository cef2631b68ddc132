# SPDX-License-Identifier: MIT
"""While all actions are stopped, everybody who looks is told so."""

from __future__ import annotations

import sys
import time

from failhook.cli.terminal import visible
from failhook.places import Places
from failhook.response.circumstances import paused_text
from failhook.response.ledger import Ledger


def say_if_paused(places: Places) -> None:
    """One line on standard error, if it is so."""
    reason = paused_text(Ledger(places), time.time())
    if reason is not None:
        print(f"Actions are paused: {visible(reason)} (failhook resume)", file=sys.stderr)
