# SPDX-License-Identifier: MIT
"""How much history stays: by number, size, age and free disk; first and pinned ones go last.

What goes first: bundles of repeats between the first and the last few of a signature, then whole
repeats from the oldest, then, only where space demands it, first occurrences. Pinned incidents go
never. Removing works on a full disk, because nothing has to be written for it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from failhook.config.model import Keep
from failhook.incident import State
from failhook.store import counts
from failhook.store.incidents import BUNDLE, Store
from failhook.store.index import Row

KEPT_FIRST = 3
KEPT_LAST = 3
# A disk that others filled must not cost us the evidence of why: these stay for want of free space.
SPARED = 50
_RECORD_BYTES = 12 << 10


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed, or would be."""

    incidents: tuple[str, ...]
    bundles: tuple[str, ...]
    bytes: int


def _space(store: Store) -> tuple[int, int]:
    """Bytes of the history's file system that an ordinary user could take, and all (statvfs(3))."""
    state = os.statvfs(store.places.state)
    return state.f_bavail * state.f_frsize, state.f_blocks * state.f_frsize


def free_percent(store: Store) -> float:
    """Free space of the history's file system, as an ordinary user would have it."""
    free, total = _space(store)
    return 100.0 * free / total


def may_grow(store: Store, keep: Keep) -> bool:
    """May a whole bundle be written without taking the last of the disk? Prunes first if not."""
    if free_percent(store) > keep.free_percent:
        return True
    prune(store, keep)
    return free_percent(store) > keep.free_percent


def prune(store: Store, keep: Keep, *, dry_run: bool = False, now: float | None = None) -> Pruned:
    """Bring the history within its limits. Raises OSError where a directory cannot be removed."""
    store.ask(lambda index: index.catch_up())
    rows = store.rows()
    now = time.time() if now is None else now
    bundles = [row for row in _middle_repeats(rows) if row.bytes and not _pinned(store, row)]
    for row in bundles if not dry_run else ():
        _drop_bundle(store, row)
    thin = {row.name for row in bundles}
    rows = [replace(row, bytes=0) if row.name in thin else row for row in rows]
    gone = list(_surplus(store, rows, keep, now))
    for row in gone if not dry_run else ():
        store.remove(row.name)
    freed = sum(row.bytes for row in (*bundles, *gone))
    return Pruned(tuple(row.id for row in gone), tuple(row.id for row in bundles), freed)


def _middle_repeats(rows: Iterable[Row]) -> Iterator[Row]:
    """Repeats that are neither among the first nor the last few of their signature."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:  # newest first
        if row.signature and row.stage == "done":
            groups[row.signature].append(row)
    for group in groups.values():
        for row in group[KEPT_LAST:-KEPT_FIRST]:
            if not row.pinned:
                yield row


def _drop_bundle(store: Store, row: Row) -> None:
    incident = store.load(row.name)
    if incident is None or incident.bundle is None:
        return
    with contextlib.suppress(FileNotFoundError):
        (store.places.incidents / row.name / BUNDLE).unlink()
    reason = "its bundle was removed: a repeat between the first and the last few"
    with contextlib.suppress(OSError):  # on a full disk the unlink alone is what matters
        store.update(
            incident, lambda one: replace(one, bundle=None, problems=(*one.problems, reason))
        )


def _surplus(store: Store, rows: list[Row], keep: Keep, now: float) -> Iterator[Row]:
    """What has to go, in the order of going."""
    free, size = _space(store)
    wanted_free = size * keep.free_percent / 100
    number, total = len(rows), sum(_weight(row) for row in rows)
    spared = {row.name for row in rows[:SPARED]}
    for row in _by_worth(store, rows):
        too_many = number > keep.incidents or now - row.at > keep.age_s
        too_large = total > keep.size or (free < wanted_free and row.name not in spared)
        young = abs(now - row.at) < keep.grace_s  # the clock may have been set back
        if not (too_large or (too_many and not young)):
            continue
        if row.stage != "done" or _pinned(store, row):
            continue
        number, total, free = number - 1, total - _weight(row), free + _weight(row)
        yield row


def _pinned(store: Store, row: Row) -> bool:
    """Asked of the record itself, because what is removed cannot be had again."""
    incident = store.load(row.name)
    return incident is not None and incident.pinned


def _weight(row: Row) -> int:
    """What an incident takes on disk: its bundle, and a directory and a record of a few blocks."""
    return row.bytes + _RECORD_BYTES


def _by_worth(store: Store, rows: list[Row]) -> list[Row]:
    """Least worth first: old repeats, then old first occurrences; open and pinned ones stay."""
    first: set[str] = set()
    for signature in {row.signature for row in rows if row.signature}:
        tally = counts.tally(store, signature)
        if tally is not None:
            first.add(tally.first_id)
    candidates = [row for row in rows if not row.pinned]
    return sorted(
        candidates, key=lambda row: (row.id in first, row.state == State.OPEN.value, row.at)
    )
