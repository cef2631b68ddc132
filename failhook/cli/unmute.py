# SPDX-License-Identifier: MIT
"""``failhook unmute``: people are told again."""

from __future__ import annotations

import argparse
import time

from failhook import places
from failhook.cli import mute, terminal
from failhook.cli.terminal import visible
from failhook.response.ledger import Ledger
from failhook.store.incidents import NotFound


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("what", metavar="UNIT|SIGNATURE|ID", help="as `failhook mute` lists it")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(options: argparse.Namespace) -> int:
    """Take the mute away."""
    ledger = Ledger(places.find(user=options.user))
    now = time.time()
    known = {one.what for one in ledger.mutes(now)}
    what = options.what if options.what in known else mute.meant(options)
    with ledger.locked():
        was = ledger.unmute(what, now)
    if not was:
        raise NotFound(f"{what} is not muted; see: failhook mute")
    if options.json:
        terminal.print_json("unmuted", what)
    else:
        print(f"{visible(what)} is not muted any more")
    return 0
