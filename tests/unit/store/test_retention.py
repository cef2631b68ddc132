# SPDX-License-Identifier: MIT
"""What goes and what stays: by number, size, age and free disk."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from failhook import files
from failhook.config.model import Keep
from failhook.incident import Bundle, Incident, Stage, State
from failhook.store import counts, retention
from failhook.store.incidents import BUNDLE, Store
from failhook.store.retention import prune
from tests.unit.samples import AT, incident

MANY = Keep(incidents=10**6, size=1 << 60, age_s=1e12, free_percent=0.0, grace_s=0.0)
NOW = AT + 1000 * 3600
SIZE = 1000
WEIGHT = SIZE + retention._RECORD_BYTES


class Space(NamedTuple):
    """Of os.statvfs_result what is asked for; counted in blocks."""

    f_bavail: int
    f_blocks: int
    f_frsize: int


@pytest.fixture
def disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A disk of a million bytes; what is given to it is free besides what the bundles take."""
    state = {"free": 10**6}

    def space(_: Path) -> Space:
        taken = sum(path.stat().st_size for path in store.places.incidents.glob(f"*/{BUNDLE}"))
        return Space((state["free"] - taken) // 2, 10**6 // 2, 2)

    monkeypatch.setattr(os, "statvfs", space)

    def set_free(free: int) -> None:
        state["free"] = free

    return set_free


def _add(store: Store, number: int, signature: str | None = None, **changes: object) -> Incident:
    """An incident with a bundle of `SIZE`; the first of its kind unless ``signature`` says more."""
    key = signature or f"{number:016x}"
    one = replace(incident(number), signature=key, state=State.CLOSED, **changes)  # type: ignore[arg-type]
    directory = store.directory(one)
    one = replace(one, bundle=Bundle(str(directory / BUNDLE), SIZE, "0" * 64))
    store.create(one)
    files.write(directory / BUNDLE, bytes(SIZE))
    counts.count(store, one, key)
    return one


def _ids(store: Store) -> list[str]:
    """What is in the history, newest first; the index and the files agree."""
    rows = store.rows()
    assert sorted(row.name for row in rows) == sorted(os.listdir(store.places.incidents))
    return [row.id for row in rows]


def test_within_its_limits_nothing_goes(store: Store) -> None:
    for number in range(8):
        _add(store, number)
    assert prune(store, Keep(), now=NOW) == retention.Pruned((), (), 0)
    assert len(_ids(store)) == 8


def test_number_the_oldest_go(store: Store) -> None:
    made = [_add(store, number) for number in range(8)]
    done = prune(store, replace(MANY, incidents=5), now=NOW)
    assert done.incidents == tuple(one.id for one in made[:3])
    assert done.bytes == 3 * SIZE
    assert _ids(store) == [one.id for one in made[:2:-1]]


def test_size(store: Store) -> None:
    made = [_add(store, number) for number in range(8)]
    assert len(prune(store, replace(MANY, size=8 * WEIGHT), now=NOW).incidents) == 0
    assert len(prune(store, replace(MANY, size=8 * WEIGHT - 1), now=NOW).incidents) == 1
    prune(store, replace(MANY, size=3 * WEIGHT), now=NOW)
    assert _ids(store) == [one.id for one in made[:4:-1]]


def test_age(store: Store) -> None:
    made = [_add(store, number) for number in range(8)]
    prune(store, replace(MANY, age_s=NOW - made[5].first_seen + 1), now=NOW)
    assert _ids(store) == [one.id for one in made[:4:-1]]


def test_free_disk(
    store: Store, disk: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SPARED", 2)
    for number in range(8):
        _add(store, number)
    disk(108_500)  # 100 500 are free
    keep = replace(MANY, free_percent=10.0)
    assert retention.may_grow(store, keep)
    disk(99_000 + 8 * SIZE)  # 1000 too few, which is less than one incident takes
    assert prune(store, keep, now=NOW).incidents == (incident(0).id,)
    disk(10_000)
    prune(store, keep, now=NOW)
    assert _ids(store) == [incident(7).id, incident(6).id]  # what others filled costs not all
    assert not retention.may_grow(store, keep)


def test_pruning_makes_room_for_the_next_bundle(
    store: Store, disk: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SPARED", 0)
    for number in range(3):
        _add(store, number)
    disk(102_500)
    assert retention.may_grow(store, replace(MANY, free_percent=10.0))
    assert len(_ids(store)) == 2


def test_pinned_ones_and_first_ones_outlive_repeats(store: Store) -> None:
    pinned = _add(store, 0, "a" * 16, pinned=True)
    repeats = [_add(store, number, "a" * 16) for number in range(1, 6)]
    first = _add(store, 6)
    again = [_add(store, number, first.signature) for number in range(7, 10)]
    done = prune(store, replace(MANY, incidents=4), now=NOW)
    assert set(done.incidents) == {one.id for one in (*repeats, again[0])}
    assert _ids(store) == [again[2].id, again[1].id, first.id, pinned.id]
    prune(store, replace(MANY, incidents=0, size=0, age_s=0.0), now=NOW)
    assert _ids(store) == [pinned.id]


def test_a_pin_that_the_index_does_not_know_of_holds(store: Store) -> None:
    """Killed between the record and its row: the record is what counts."""
    one = _add(store, 1)
    files.write(
        store.directory(one) / "incident.json",
        (store.directory(one) / "incident.json")
        .read_bytes()
        .replace(b'"pinned": false', b'"pinned": true'),
    )
    prune(store, replace(MANY, incidents=0), now=NOW)
    assert _ids(store) == [one.id]


def test_who_is_waited_for_goes_after_who_is_not(store: Store) -> None:
    one = _add(store, 1)
    store.save(replace(one, state=State.OPEN))
    other = _add(store, 2)
    prune(store, replace(MANY, incidents=1), now=NOW)
    assert _ids(store) == [one.id]
    assert other.id not in _ids(store)


def test_what_is_being_worked_on_stays(store: Store) -> None:
    one = _add(store, 1, stage=Stage.RECORDED)
    prune(store, replace(MANY, incidents=0, size=0), now=NOW)
    assert _ids(store) == [one.id]


def test_young_ones_go_for_want_of_space_only(store: Store) -> None:
    made = [_add(store, number) for number in range(4)]
    young = replace(MANY, grace_s=NOW)
    assert prune(store, replace(young, incidents=1, age_s=1.0), now=NOW).incidents == ()
    prune(store, replace(young, size=WEIGHT), now=NOW)
    assert _ids(store) == [made[3].id]


def test_a_clock_that_was_set_back_protects_nobody(store: Store) -> None:
    made = [_add(store, number) for number in range(4)]
    prune(store, replace(MANY, incidents=1), now=AT - 5 * 86400)
    assert _ids(store) == [made[3].id]


def test_repeats_in_the_middle_lose_their_bundle_and_keep_their_record(store: Store) -> None:
    made = [_add(store, number, "a" * 16) for number in range(10)]
    pinned = replace(made[4], pinned=True)
    store.save(pinned)
    other = _add(store, 20)
    done = prune(store, MANY, now=NOW)
    middle = [made[3], *made[5:7]]
    assert set(done.bundles) == {one.id for one in middle}
    assert done.incidents == ()
    assert done.bytes == 3 * SIZE
    for one in (*made, other):
        kept = store.by_id(one.id)
        assert kept is not None
        assert (kept.bundle is None) == (one in middle)
        assert (store.directory(one) / BUNDLE).exists() == (one not in middle)
        assert bool(kept.problems) == (one in middle)
    tally = counts.tally(store, "a" * 16)
    assert tally is not None
    assert tally.count == 10
    assert prune(store, MANY, now=NOW) == retention.Pruned((), (), 0)


def test_a_dry_run_says_the_same_and_does_nothing(store: Store) -> None:
    for number in range(8):
        _add(store, number, "a" * 16)
    _add(store, 9)
    before = sorted(path for path in store.places.state.rglob("*") if path.is_file())
    keep = replace(MANY, incidents=4)
    said = prune(store, keep, dry_run=True, now=NOW)
    assert said.incidents
    assert said.bundles
    assert sorted(path for path in store.places.state.rglob("*") if path.is_file()) == before
    assert prune(store, keep, now=NOW) == said


def test_one_that_is_gone_already_stops_nothing(store: Store) -> None:
    made = [_add(store, number, "a" * 16) for number in range(9)]
    (store.directory(made[4]) / BUNDLE).unlink()
    shutil.rmtree(store.directory(made[0]))
    prune(store, replace(MANY, incidents=3), now=NOW)
    assert len(_ids(store)) == 3
