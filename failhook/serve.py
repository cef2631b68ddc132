# SPDX-License-Identifier: MIT
"""A runner from its first worker to its end, without the command line: a failure waits for it."""

from __future__ import annotations

import gc
import os
import sys

from failhook import journal_lines, places
from failhook.intake import listeners
from failhook.recruit import Recruit
from failhook.runner import Runner

IDLE_S = 15.0  # warm for the next failure of a storm or of a restart, then gone


def serve(first: Recruit | None, *, user: bool, idle_s: float = IDLE_S) -> None:
    """Work until idle, with ``first`` as the first worker."""
    gc.enable()
    journal_lines.prepare(sys.stderr)
    given = listeners(dict(os.environ))
    Runner(places.find(user=user), given, idle_s=idle_s, recruit=first).run()
