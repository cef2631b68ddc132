# SPDX-License-Identifier: MIT
"""``failhook ack``: somebody is at it; no further message until the unit is well again."""

from __future__ import annotations

import argparse
import os
import pwd
from dataclasses import replace

from failhook.cli import terminal
from failhook.cli.access import need_store
from failhook.cli.errors import UsageError
from failhook.cli.terminal import visible
from failhook.response.ledger import Ledger
from failhook.response.threads import Threads

EPILOG = """\
Ends by itself when the unit recovers, and everybody who was told hears of that.

  failhook ack last "looking at it"
  failhook ack 7f3a --undo"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("which", metavar="ID|UNIT|last")
    parser.add_argument("text", nargs="*", help="what the others should know")
    parser.add_argument("--undo", action="store_true", help="tell people again")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(options: argparse.Namespace) -> int:
    """Acknowledge."""
    store = need_store(options)
    incident = store.find(options.which)
    ledger, threads = Ledger(store.places), Threads(store.places)
    text = " ".join(options.text).strip()[:500]
    acked = None if options.undo else f"{_who()}{f': {text}' if text else ''}"
    with ledger.locked():
        thread = threads.find(incident.unit, incident.manager)
        if thread is None or not thread.is_open:
            raise UsageError(f"nobody waits for {incident.unit}: there is nothing to acknowledge")
        threads.save(replace(thread, acked=acked))
    if options.json:
        terminal.print_json("ack", {"id": incident.id, "unit": incident.unit, "acked": acked})
        return 0
    how = "no further message until it recovers" if acked else "messages are sent again"
    print(f"{visible(incident.unit)}: {how}")
    return 0


def _who() -> str:
    """The person behind sudo, where there is one."""
    name = os.environ.get("SUDO_USER")
    if name:
        return name
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
