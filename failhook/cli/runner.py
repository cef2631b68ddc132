# SPDX-License-Identifier: MIT
"""``failhook runner``: what failhook.service runs. Not for people; ``failhook run UNIT`` is."""

from __future__ import annotations

import argparse

from failhook.recruit import recruit
from failhook.serve import IDLE_S, serve


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--idle", type=float, default=IDLE_S, help="seconds to stay without work")


def run(options: argparse.Namespace) -> int:
    """Work until idle."""
    serve(recruit(user=options.user), user=options.user, idle_s=options.idle)
    return 0
