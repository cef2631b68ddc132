# SPDX-License-Identifier: MIT
"""``failhook act``: what failhook-act.service runs. Not for people; ``failhook retry`` is."""

from __future__ import annotations

import argparse
import sys

from failhook import journal_lines, places
from failhook.act.engine import IDLE_S, Actor
from failhook.config import load
from failhook.plugins.find import find_action


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--idle", type=float, default=IDLE_S, help="seconds to stay without work")


def run(options: argparse.Namespace) -> int:
    """Carry out what is due, until idle."""
    journal_lines.prepare(sys.stderr)
    where = places.find(user=options.user)
    configuration = load.load(where)
    Actor(
        where,
        configuration,
        lambda name: find_action(where, configuration, name),
        idle_s=options.idle,
    ).run()
    return 0
