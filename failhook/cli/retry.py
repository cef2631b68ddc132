# SPDX-License-Identifier: MIT
"""``failhook retry``: deliveries that wait or were given up are tried now."""

from __future__ import annotations

import argparse
from pathlib import Path

from failhook import places
from failhook.cli import terminal
from failhook.cli.terminal import visible
from failhook.deliver import destination
from failhook.places import Places
from failhook.queue import Queue, name_of
from failhook.store.incidents import NotFound

EPILOG = """\
A delivery is tried for about three days and then given up; `failhook status`
shows both. Without NAME or ID everything is tried.

  failhook retry
  failhook retry tell-ops        all that waits for this action
  failhook retry 7f3a            all that is about this incident"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("what", metavar="ACTION|ID", nargs="?", help="only these")
    parser.add_argument("--json", action="store_true", help="what is tried, as JSON")


def run(options: argparse.Namespace) -> int:
    """Make them due."""
    where = places.find(user=options.user)
    queue = Queue(where.outbox)
    chosen = [path for path in [*queue.dead(), *queue.later()] if fits(path, options.what)]
    for name in _destinations(where, options.what, chosen):
        destination.release(where, name)
    for path in queue.dead():
        if fits(path, options.what):
            queue.exhume(path)
    names = sorted({found.id for path in chosen if (found := name_of(path))})
    if options.what is not None and not names:
        raise NotFound(f"nothing waits for {options.what!r}; see: failhook status")
    if options.json:
        terminal.print_json("retried", list(names))
        return 0
    print(f"{len(names)} deliveries are tried now" if names else "nothing waits")
    for one in names[:20]:
        print(f"  {visible(one)}")
    return 0


def fits(path: Path, what: str | None) -> bool:
    """It is a delivery of that action, or about the incident whose id begins so."""
    name = name_of(path)
    if name is None:
        return False
    return what is None or name.action == what or name.id.removeprefix("msg_").startswith(what)


def _destinations(where: Places, what: str | None, chosen: list[Path]) -> list[str]:
    """Whose pause ends with this: one that is tried is tried with all that waits before it."""
    names = {name.action for path in chosen if (name := name_of(path))}
    known = {one.name for one in destination.waiting(where)}
    return sorted(names | {one for one in known if what in (None, one)})
