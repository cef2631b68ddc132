# SPDX-License-Identifier: MIT
"""``failhook list``: incidents, newest first; repeats of the same failure in one line."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator
from datetime import datetime

from failhook.cli import terminal
from failhook.cli.access import open_store
from failhook.cli.errors import UsageError
from failhook.cli.paused import say_if_paused
from failhook.describe import reason
from failhook.incident import SCHEMA, State, unix_time
from failhook.store.incidents import Store
from failhook.store.index import Row

EPILOG = """\
Repeats of the same failure share one line; TIMES counts them, also those that
retention removed.

  failhook list --since yesterday
  failhook list --unit 'acme-*' --state open
  failhook list --json | jq '.incidents[].verdict.summary'"""
_PAGE = 500
_AGO = re.compile(r"([0-9]{1,9})\s*(s|min|m|h|d|w)(?:\s+ago)?")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--unit", metavar="GLOB", help="only units that match, such as 'acme-*'")
    parser.add_argument(
        "--since", metavar="TIME", help='"2h", "3d", "today", "yesterday", or an ISO date and time'
    )
    parser.add_argument("--state", choices=[state.value for state in State], help="only these")
    parser.add_argument("--every", action="store_true", help="a line for every single run")
    parser.add_argument(
        "-n", "--limit", type=int, metavar="N", help="at most N (default 50; with --json all)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(options: argparse.Namespace) -> int:
    """Print them."""
    if options.limit is not None and options.limit < 1:
        raise UsageError(f"--limit takes a number from 1, not {options.limit}")
    where, values = _filter(options)
    store = open_store(options, missing_is_empty=True)
    if store is None:
        return _nothing(options)
    if options.json:
        return _print_json(store, where, values, options.limit or -1)
    say_if_paused(store.places)
    limit = options.limit or 50
    rows: list[Row] = []
    for row in _folded(store, where, values, every=options.every):
        rows.append(row)
        if len(rows) > limit:
            break
    if not rows:
        return _nothing(options)
    lines = [cells(row) for row in rows[:limit]]
    print(terminal.table(("WHEN", "UNIT", "WHY", "TIMES", "STATE", "ID"), lines, stretch=2))
    if len(rows) > limit:
        print(f"… and older ones: failhook list --limit {limit * 10}", file=sys.stderr)
    return 0


def _nothing(options: argparse.Namespace) -> int:
    if options.json:
        terminal.print_json("incidents", [])
    elif options.unit or options.since or options.state:
        print("Nothing matches.", file=sys.stderr)
    else:
        print("Nothing has failed, as far as failhook knows.", file=sys.stderr)
    return 0


def _filter(options: argparse.Namespace) -> tuple[str, tuple[object, ...]]:
    parts: list[str] = []
    values: list[object] = []
    if options.unit:
        glob = options.unit if "." in options.unit or "*" in options.unit else f"{options.unit}.*"
        parts, values = [*parts, "unit GLOB ?"], [*values, glob]
    if options.state:
        parts, values = [*parts, "state = ?"], [*values, options.state]
    if options.since is not None:
        parts, values = [*parts, "at >= ?"], [*values, moment(options.since, time.time())]
    return " AND ".join(parts) or "1", tuple(values)


def moment(text: str, now: float) -> float:
    """What a person means by a time, in Unix seconds. Raises UsageError."""
    word = text.strip().lower()
    match = _AGO.fullmatch(word)
    if match:
        return now - int(match[1]) * _SECONDS[match[2]]
    if word in ("today", "yesterday"):
        today = time.localtime(now)
        day = today.tm_mday - (word == "yesterday")  # mktime(3) takes a day 0
        return time.mktime((today.tm_year, today.tm_mon, day, 0, 0, 0, 0, 0, -1))
    try:
        return unix_time(text.strip()) if "T" in text else datetime.fromisoformat(word).timestamp()
    except (ValueError, OverflowError):
        raise UsageError(
            f"{text[:40]!r} is no time; write "
            '"2h", "3d", "today", "yesterday" or "2026-11-21 18:00"'
        ) from None


def _folded(store: Store, where: str, values: tuple[object, ...], *, every: bool) -> Iterator[Row]:
    """Rows newest first; of each signature only the newest."""
    seen: set[str] = set()
    last: tuple[object, ...] = ()
    while True:
        after = "AND (at, name) < (?, ?)" if last else ""
        rows = store.rows(f"({where}) {after}", (*values, *last), _PAGE)
        for row in rows:
            key = row.name if every or row.signature is None else row.signature
            if key not in seen:
                yield row
            seen.add(key)
        if len(rows) < _PAGE:
            return
        last = (rows[-1].at, rows[-1].name)


def cells(row: Row) -> list[str]:
    document = row.parsed()
    return [
        terminal.clock(row.at),
        row.unit,
        why(document, row.unit),
        str(document.get("count", 1)),
        state_word(document),
        row.id[:6],
    ]


def why(document: dict, unit: str) -> str:  # type: ignore[type-arg]
    """The verdict without the unit's name, which has a column of its own; a rollback first."""
    aftermath = document.get("aftermath")
    if isinstance(aftermath, dict) and aftermath.get("rolled_back"):
        said = str(aftermath.get("summary"))
        return said[:1].upper() + said[1:]
    summary = str((document.get("verdict") or {}).get("summary") or "being looked at …")
    return reason(unit, summary)


def state_word(document: dict) -> str:  # type: ignore[type-arg]
    """What became of it, in a word or two."""
    if document.get("state") == State.RECOVERED:
        return "recovered"
    phase = str(document.get("phase"))
    if phase == "restarting" and document.get("attempt") and document.get("attempts"):
        return f"restart {document['attempt']}/{document['attempts']}"
    return phase.replace("-", " ")


def _print_json(store: Store, where: str, values: tuple[object, ...], limit: int) -> int:
    """Streamed: the documents are in the index as text already."""
    out = sys.stdout
    out.write(f'{{"schema": {SCHEMA}, "incidents": [')
    for number, row in enumerate(store.rows(where, values, limit)):
        document = terminal.ascii_json(row.parsed())
        out.write(",\n" if number else "\n")
        out.write(document)
    out.write("\n]}\n")
    return 0
