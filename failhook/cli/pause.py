# SPDX-License-Identifier: MIT
"""``failhook pause``: failures are recorded, and nothing is done about them."""

from __future__ import annotations

import argparse
import time

from failhook import places
from failhook.cli import terminal, until
from failhook.cli.terminal import visible
from failhook.incident import rfc3339
from failhook.response.ledger import Ledger

EPILOG = """\
For maintenance: no action and no message until `failhook resume`, or until the
time that is given. What is planned already and not begun is left out as well.

  failhook pause "moving the database" --until 2h"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("reason", nargs="*", help="said wherever somebody looks")
    until.add(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(options: argparse.Namespace) -> int:
    """Pause."""
    now = time.time()
    end = until.moment(options.until, now)
    reason = " ".join(options.reason).strip()[:500] or "by hand"
    ledger = Ledger(places.find(user=options.user))
    with ledger.locked():
        ledger.pause(reason, end, now)
    if options.json:
        terminal.print_json("pause", {"reason": reason, "until": rfc3339(end)})
        return 0
    when = f" until {terminal.full_clock(end)}" if end is not None else " until: failhook resume"
    print(f"all actions are paused{when} ({visible(reason)})")
    return 0
