# SPDX-License-Identifier: MIT
"""``failhook runner``: what failhook.service runs. Not for people; ``failhook run UNIT`` is."""

from __future__ import annotations

import argparse
import gc
import os
import sys

from failhook import journal_lines
from failhook.recruit import Recruit, recruit

IDLE_S = 15.0  # warm for the next failure of a storm or of a restart, then gone


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--idle", type=float, default=IDLE_S, help="seconds to stay without work")


def run(options: argparse.Namespace) -> int:
    """Work until idle."""
    return start(recruit(user=options.user), user=options.user, idle_s=options.idle)


def start(first: Recruit | None, *, user: bool, idle_s: float = IDLE_S) -> int:
    """Work until idle, with ``first`` as the first worker."""
    from failhook import places
    from failhook.intake import listeners
    from failhook.runner import Runner

    gc.enable()
    journal_lines.prepare(sys.stderr)
    given = listeners(dict(os.environ))
    Runner(places.find(user=user), given, idle_s=idle_s, recruit=first).run()
    return 0
