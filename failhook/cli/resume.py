# SPDX-License-Identifier: MIT
"""``failhook resume``: the end of ``failhook pause``."""

from __future__ import annotations

import argparse

from failhook import places
from failhook.cli import terminal
from failhook.response.ledger import Ledger


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(options: argparse.Namespace) -> int:
    """Resume."""
    ledger = Ledger(places.find(user=options.user))
    with ledger.locked():
        was = ledger.resume()
    if options.json:
        terminal.print_json("resumed", was)
    else:
        print("rules are acted upon again" if was else "actions were not paused")
    return 0
