# SPDX-License-Identifier: MIT
"""``failhook mute``: nobody is told of a unit or of one kind of failure; the rest goes on."""

from __future__ import annotations

import argparse
import re
import time

from failhook import places
from failhook.cli import terminal, until
from failhook.cli.errors import UsageError
from failhook.cli.terminal import visible
from failhook.incident import JsonObject, rfc3339
from failhook.response.ledger import Ledger, Mute
from failhook.store.incidents import NotFound, Store

EPILOG = """\
Failures are recorded and rules are acted upon; only messages are left out, but
those of actions with `urgent = true`. A unit may be a glob.

  failhook mute 'test-*.service' --until 1d
  failhook mute 7f3a --reason "known, ticket 4711"    this kind of failure only
  failhook mute                                       what is muted"""
_SIGNATURE = re.compile(r"[0-9a-f]{16}")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("what", metavar="UNIT|SIGNATURE|ID", nargs="?")
    until.add(parser)
    parser.add_argument("--reason", default="", help="said wherever it is shown")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(options: argparse.Namespace) -> int:
    """Mute, or list."""
    where = places.find(user=options.user)
    ledger = Ledger(where)
    now = time.time()
    if options.what is not None:
        what = meant(options)
        mute = Mute(what, until.moment(options.until, now), options.reason[:500], now)
        with ledger.locked():
            ledger.mute(mute)
    mutes = ledger.mutes(now)
    if options.json:
        terminal.print_json("mutes", [to_json(one) for one in mutes])
        return 0
    for one in mutes:
        print(line(one))
    if not mutes:
        print("nothing is muted")
    return 0


def to_json(mute: Mute) -> JsonObject:
    """As ``--json`` has it."""
    since, end = rfc3339(mute.since), rfc3339(mute.until)
    return {"what": mute.what, "reason": mute.reason, "since": since, "until": end}


def line(mute: Mute) -> str:
    """One for a person."""
    end = f"until {terminal.full_clock(mute.until)}" if mute.until else "until: failhook unmute"
    reason = f" ({mute.reason})" if mute.reason else ""
    return visible(f"{mute.what}  {end}{reason}")


def meant(options: argparse.Namespace) -> str:
    """A unit or a glob of units, a signature, or the signature of an incident."""
    what: str = options.what
    if "." in what or "*" in what or _SIGNATURE.fullmatch(what):
        return what
    try:
        store = Store(places.find(user=options.user), create=False)
        found = store.find(what)
    except NotFound:
        raise UsageError(
            f"{what!r} is neither a unit (write it with its type) nor a signature nor an id"
        ) from None
    if found.signature is None:
        raise UsageError(f"{found.id} has no signature yet; try again in a moment")
    return found.signature
