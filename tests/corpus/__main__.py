# SPDX-License-Identifier: MIT
"""`python3 -m tests.corpus record|score`: see the package's docstring."""

import argparse
import sys

from tests.bed import unavailable
from tests.corpus.failures import PARTS, Failure, chosen
from tests.corpus.record import record
from tests.corpus.score import details, score, table


def main() -> int:
    """Do what was asked for."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.corpus")
    parser.add_argument("what", choices=("record", "score"))
    parser.add_argument("name", nargs="*", help="of a failure or of a program (default: all)")
    parser.add_argument("--details", action="store_true", help="score: what is not named (known)")
    options = parser.parse_args()
    if options.what == "score":
        return _score(chosen(options.name), show=options.details)
    if reason := unavailable():
        print(reason, file=sys.stderr)
        return 1
    problems = record(chosen(options.name))
    print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0


def _score(failures: list[Failure], *, show: bool) -> int:
    """Of what is held out only the totals: its sentences are for nobody who writes causes."""
    for number, part in enumerate(PARTS):
        scores = [
            score(each)
            for each in failures
            if each.held_out == bool(number) and each.bundle.exists()
        ]
        if not scores:
            continue
        if show and part == "known":
            print(details(scores))
        print(table(part, scores))
    return 0


if __name__ == "__main__":
    sys.exit(main())
