# SPDX-License-Identifier: MIT
"""``failhook plugins``: the collectors, what they collect and what they may cost."""

from __future__ import annotations

import argparse

from failhook import places
from failhook.changes import stage as changes
from failhook.cli import terminal
from failhook.collect import table
from failhook.config import load

EPILOG = """\
Collectors of the configuration ([collector.NAME]) are listed after the
built-in ones."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(options: argparse.Namespace) -> int:
    """List them."""
    found_in = places.find(user=options.user)
    collect = load.load(found_in).collect
    found = [
        (
            one.name,
            "off" if one.name in collect.skip else "built in",
            one.timeout_s,
            one.max_bytes,
            one.summary,
        )
        for one in (*table.load(table.NAMES), changes.collector(found_in))
    ]
    found += [
        (one.name, one.type, one.timeout_s, one.max_bytes, " ".join(one.paths or one.argv))
        for one in collect.custom
    ]
    if options.json:
        keys = ("name", "origin", "timeout_s", "max_bytes", "summary")
        terminal.print_json("collectors", [dict(zip(keys, one, strict=True)) for one in found])
        return 0
    rows = [
        (name, origin, f"{timeout:.0f} s", terminal.size(limit), summary)
        for name, origin, timeout, limit, summary in found
    ]
    print(terminal.table(("COLLECTOR", "ORIGIN", "TIME", "SIZE", "WHAT"), rows, stretch=4))
    return 0
