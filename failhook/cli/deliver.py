# SPDX-License-Identifier: MIT
"""``failhook deliver``: what failhook-deliver.service runs. Not for people."""

from __future__ import annotations

import argparse
import sys

from failhook import journal_lines


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--idle", type=float, default=None, help="seconds to stay without work")


def run(options: argparse.Namespace) -> int:
    """Deliver what is due, then leave."""
    from failhook import places
    from failhook.config import load
    from failhook.deliver.engine import IDLE_S, Deliverer
    from failhook.plugins.find import find_action

    journal_lines.prepare(sys.stderr)
    found = places.find(user=options.user)
    configuration = load.load(found)
    idle_s = IDLE_S if options.idle is None else options.idle
    Deliverer(
        found,
        configuration,
        find=lambda name: find_action(found, configuration, name),
        idle_s=idle_s,
    ).run()
    return 0
