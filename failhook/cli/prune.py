# SPDX-License-Identifier: MIT
"""``failhook prune``: bring the history within its limits now, or within tighter ones."""

from __future__ import annotations

import argparse
from dataclasses import replace

from failhook import places, values
from failhook.cli import terminal
from failhook.cli.access import need_store
from failhook.cli.errors import UsageError
from failhook.config import load
from failhook.store import retention

EPILOG = """\
The limits are those of [keep] in the configuration. Pinned incidents never go;
the first of its kind goes after its repeats. Works on a full disk as well.

  failhook prune --dry-run
  failhook prune --incidents 100"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--incidents", type=int, metavar="N", help="keep at most N")
    parser.add_argument("--age", metavar="TIME", help='keep nothing older, such as "7d"')
    parser.add_argument("--size", metavar="SIZE", help='keep at most this much, such as "500M"')
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    parser.add_argument("--json", action="store_true", help="what was removed, as JSON")


def run(options: argparse.Namespace) -> int:
    """Prune and say what went."""
    keep = load.load(places.find(user=options.user)).keep
    try:
        if options.incidents is not None:
            keep = replace(keep, incidents=max(0, options.incidents), grace_s=0.0)
        if options.age is not None:
            keep = replace(keep, age_s=values.duration(options.age), grace_s=0.0)
        if options.size is not None:
            keep = replace(keep, size=values.size(options.size))
    except ValueError as error:
        raise UsageError(str(error)) from None
    done = retention.prune(need_store(options), keep, dry_run=options.dry_run)
    if options.json:
        terminal.print_json(
            "pruned",
            {"incidents": list(done.incidents), "bundles": list(done.bundles), "bytes": done.bytes},
        )
        return 0
    verb = "would go" if options.dry_run else "removed"
    print(
        f"{verb}: {len(done.incidents)} incidents, {len(done.bundles)} bundles of repeats, "
        f"{terminal.size(done.bytes)}"
    )
    return 0
