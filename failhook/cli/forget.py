# SPDX-License-Identifier: MIT
"""``failhook forget``: remove incidents and their bundles, or deliveries that wait."""

from __future__ import annotations

import argparse

from failhook import places
from failhook.cli import retry, terminal
from failhook.cli.access import need_store
from failhook.cli.errors import UsageError
from failhook.cli.terminal import visible
from failhook.queue import Queue, name_of
from failhook.store.incidents import NotFound, StoreError

EPILOG = """\
Counts of repeats stay exact: they are kept apart from the incidents.

  failhook forget 7f3a
  failhook forget --unit test.service
  failhook forget --deliveries tell-ops     what waits for this action, unsent"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("which", metavar="ID", nargs="*", help="ids, or beginnings of them")
    parser.add_argument("--unit", help="every incident of this unit that is not pinned")
    parser.add_argument(
        "--deliveries",
        metavar="ACTION|ID",
        help="deliveries that wait or were given up instead of incidents",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    parser.add_argument("--json", action="store_true", help="what was removed, as JSON")


def run(options: argparse.Namespace) -> int:
    """Remove them."""
    if options.deliveries is not None:
        return _deliveries(options)
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


def _deliveries(options: argparse.Namespace) -> int:
    where = places.find(user=options.user)
    queue = Queue(where.outbox)
    everything = (*queue.waiting(), *queue.later(), *queue.dead())
    chosen = [path for path in everything if retry.fits(path, options.deliveries)]
    if not chosen:
        raise NotFound(f"nothing waits for {options.deliveries!r}; see: failhook status")
    for path in chosen if not options.dry_run else ():
        queue.done(path)
    names = [name.id for path in chosen if (name := name_of(path))]
    if options.json:
        terminal.print_json("forgotten", list(names))
        return 0
    verb = "would go" if options.dry_run else "removed"
    for one in names:
        print(f"{verb}: {visible(one)}")
    return 0
