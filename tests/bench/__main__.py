# SPDX-License-Identifier: MIT
"""`python3 -m tests.bench [a b c d e f g] [--smoke] [--tree bookworm]`: prints one table."""

import argparse
import os
import sys
import time
from collections.abc import Iterator

from tests.bed import BedError, Machine, Tree, failhook_tree, trees, unavailable
from tests.bench import bundles, listing, responses, stops, storms
from tests.bench.beds import FULL, SMOKE, Scale, say
from tests.bench.table import Row, printed

_WHAT = """\
a  clean stop           against sh -c : and bare python3 -I
b  failing stop         against bare python3 -I
c  failure to bundle    against a shell script with the same calls, and sos report
d  a large journal      5 million entries against 50 thousand
e  storms               1,000 units at once; one that fails without pause
f  failhook list        100,000 incidents
g  rules and messages   a thousand rules; from the failure to a receiver's first byte"""


def _measured(letters: str, base: Tree, scale: Scale) -> Iterator[Row]:
    if "a" in letters or "b" in letters:
        with Machine(failhook_tree(base)) as machine:
            if "a" in letters:
                yield from stops.clean(machine, scale)
            if "b" in letters:
                yield from stops.failing(machine, scale)
    if "c" in letters:
        with_sos = trees.install(base, "sosreport") if scale.sos else base
        with Machine(failhook_tree(with_sos)) as machine:
            yield from bundles.against_others(machine, scale)
    if "d" in letters:
        tree = failhook_tree(trees.install(base, "systemd-journal-remote"))
        with Machine(tree) as small, Machine(tree) as large:
            yield from bundles.with_large_journal(small, large, scale)
    if "e" in letters:
        with Machine(failhook_tree(base)) as machine:
            yield from storms.many(machine, scale)
        with Machine(failhook_tree(base)) as machine:
            yield from storms.loop(machine, scale)
    if "f" in letters:
        with Machine(failhook_tree(base)) as machine:
            yield from listing.long_history(machine, scale)
    if "g" in letters:
        yield from responses.planning(scale)
        with Machine(failhook_tree(base)) as machine:
            yield from responses.first_byte(machine, scale)


def main() -> int:
    """Measure what was asked for and print the table."""
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.bench",
        description=_WHAT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("letter", nargs="*", help="which of them (default: all)")
    parser.add_argument("--smoke", action="store_true", help="small numbers: only that it works")
    parser.add_argument("--tree", default="bookworm", help="the release (default: bookworm)")
    options = parser.parse_args()
    letters = "".join(options.letter) or "abcdefg"
    if unknown := set(letters) - set("abcdefg"):
        parser.error(f"not one of a to g: {' '.join(sorted(unknown))}")
    if reason := unavailable():
        print(reason, file=sys.stderr)
        return 1
    start, load = time.monotonic(), os.getloadavg()[0]
    rows: list[Row] = []
    try:
        for row in _measured(letters, trees.ensure(options.tree), SMOKE if options.smoke else FULL):
            rows.append(row)
            say(f"{row.letter}: {row.what}: {row.value}")
    except BedError as error:
        print(f"stopped: {error}", file=sys.stderr)
        return 1
    finally:
        print(printed(rows))
        took = time.monotonic() - start
        print(f"\nmeasured on {options.tree} in {took:.0f} s; load before: {load:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
