# SPDX-License-Identifier: MIT
"""``failhook note``: what somebody found out stays with the incident."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

from failhook.cli import terminal
from failhook.cli.access import need_store
from failhook.cli.errors import UsageError
from failhook.store.incidents import StoreError

EPILOG = """\
  failhook note last "disk was full: log rotation was off"
  failhook note 7f3a --pin        retention never removes it
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("which", metavar="ID|UNIT|last")
    parser.add_argument("text", nargs="*", help="what to write down")
    pin = parser.add_mutually_exclusive_group()
    pin.add_argument("--pin", action="store_true", help="keep this incident for ever")
    pin.add_argument("--unpin", action="store_true", help="let retention remove it again")
    parser.add_argument("--json", action="store_true", help="the incident as JSON")


def run(options: argparse.Namespace) -> int:
    """Add it."""
    text = " ".join(options.text).strip()
    if not text and not options.pin and not options.unpin:
        raise UsageError('nothing to write down; write: failhook note ID "what you found"')
    store = need_store(options)
    incident = store.find(options.which)
    with store.lock(incident) as ours:
        if not ours:
            raise StoreError(f"{incident.id} is being worked on; try again in a moment")
        stamped = f"{terminal.full_clock(time.time())}  {text[:4000]}"
        incident = store.update(
            incident,
            lambda one: replace(
                one,
                notes=(*one.notes, stamped) if text else one.notes,
                pinned=(one.pinned or options.pin) and not options.unpin,
            ),
        )
    if options.json:
        terminal.print_json("incident", incident.to_json())
    else:
        print(f"noted with {incident.id} ({incident.unit}){', pinned' if incident.pinned else ''}")
    return 0
