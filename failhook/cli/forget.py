# SPDX-License-Identifier: MIT
"""``failhook forget``: remove incidents and their bundles."""

from __future__ import annotations

import argparse

from failhook.cli import terminal
from failhook.cli.access import need_store
from failhook.cli.errors import UsageError
from failhook.store.incidents import StoreError

EPILOG = """\
Counts of repeats stay exact: they are kept apart from the incidents.

  failhook forget 7f3a
  failhook forget --unit test.service"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("which", metavar="ID", nargs="*", help="ids, or beginnings of them")
    parser.add_argument("--unit", help="every incident of this unit that is not pinned")
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    parser.add_argument("--json", action="store_true", help="what was removed, as JSON")


def run(options: argparse.Namespace) -> int:
    """Remove them."""
    if not options.which and not options.unit:
        raise UsageError("which? write: failhook forget ID, or --unit UNIT")
    store = need_store(options)
    incidents = [store.find(word) for word in options.which]
    if options.unit:
        rows = store.rows("unit = ? AND pinned = 0", (options.unit,))
        incidents += [one for row in rows if (one := store.load(row.name)) is not None]
    incidents = list({incident.id: incident for incident in incidents}.values())
    for incident in incidents if not options.dry_run else ():
        with store.lock(incident) as ours:
            if not ours:
                raise StoreError(f"{incident.id} is being worked on; try again in a moment")
            store.remove(store.directory(incident).name)
    if options.json:
        terminal.print_json("forgotten", [incident.id for incident in incidents])
        return 0
    verb = "would go" if options.dry_run else "removed"
    for incident in incidents:
        print(f"{verb}: {incident.id} {incident.unit} {terminal.full_clock(incident.first_seen)}")
    return 0
