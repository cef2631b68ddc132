# SPDX-License-Identifier: MIT
"""The history on disk: created, changed, found, and still there whatever becomes of the index."""

import os
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.incident import Incident, Stage, State, incident_id
from failhook.places import Places
from failhook.store import codec
from failhook.store.incidents import NotFound, Store, StoreError
from tests.unit.samples import AT, incident

# A process that runs; in a namespace of its own nobody need be the parent.
_LIVING = os.getppid() or 1


@pytest.fixture
def again(where: Places) -> Iterator[list[Store]]:
    """Further openings of the same history; closed in the end."""
    opened: list[Store] = []
    yield opened
    for one in opened:
        one.close()


def _names(where: Places) -> list[str]:
    store = Store(where)
    try:
        return [row.name for row in store.rows()]
    finally:
        store.close()


def _fill(store: Store, number: int = 5) -> list[Incident]:
    """Newest first, as they are listed."""
    made = [incident(n) for n in range(number)]
    for one in made:
        store.create(one)
    return made[::-1]


def test_created_saved_loaded_removed(store: Store, where: Places) -> None:
    one = incident()
    directory = store.create(one, b"what the hook saw")
    assert store.load(directory.name) == one
    assert (directory / "hook.json").read_bytes() == b"what the hook saw"
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "incident.json").stat().st_mode & 0o777 == 0o600
    changed = replace(one, state=State.RECOVERED)
    store.save(changed)
    assert store.load(directory.name) == changed
    assert [row.state for row in store.rows()] == ["recovered"]
    store.remove(directory.name)
    assert store.load(directory.name) is None
    assert store.rows() == []
    assert list(where.incidents.iterdir()) == []


def test_names_sort_by_time_and_say_what_failed(store: Store) -> None:
    assert store.directory(incident(0)).name == (f"20261121T214937Z-a.service-{incident(0).id}")


@pytest.mark.parametrize(
    "unit",
    [
        "-.mount",
        r"dev-disk-by\x2duuid-1234.device",
        "foo@bar-baz.service",
        "x" * 247 + ".service",
        "a:b_c.d-e.service",
    ],
)
def test_odd_and_long_unit_names(store: Store, unit: str) -> None:
    one = incident(unit=unit)
    directory = store.create(one)
    assert len(os.fsencode(directory.name)) < 200
    assert "\\" not in directory.name
    assert store.find(unit) == one
    assert store.load(directory.name) == one


@given(
    at=st.floats(0, 1e10, allow_nan=False) | st.integers(0, 10**10).map(lambda n: n - 1e-7),
    unit=st.sampled_from(["a.service", "ü/../x\n.service"]),
)
def test_a_record_that_was_read_back_lives_where_it_was_written(at: float, unit: str) -> None:
    one = replace(incident(), first_seen=max(at, 0.0), unit=unit)
    places = Places(Path("/x"), Path("/x"), ())
    store = Store.__new__(Store)
    store.places = places
    there = store.directory(one)
    assert there.parent == places.incidents
    assert store.directory(codec.load(codec.dump(one))) == there


def test_finding(store: Store, where: Places) -> None:
    newest, older, *_ = _fill(store)
    other = incident(1, unit="postgresql@15-main.service")
    store.create(other)
    assert store.find("last") == newest
    assert store.find(older.id) == older
    assert store.find(older.id[:8]) == older
    assert store.find("a") == newest
    assert store.find("a.service") == newest
    assert store.find("postgresql@15-main") == other
    assert store.by_id(older.id) == older
    assert store.by_id(older.id[:8]) is None


@pytest.mark.parametrize("word", ["nope", "b.service", "ffffffffffff", "a' OR 1=1", "", "0", "%"])
def test_finding_nothing(store: Store, word: str) -> None:
    _fill(store)
    with pytest.raises(NotFound, match="no incident with the id or unit"):
        store.find(word)


def test_nothing_has_failed_yet(store: Store) -> None:
    with pytest.raises(NotFound, match="nothing has failed yet"):
        store.find("last")


def test_a_beginning_that_fits_several(store: Store) -> None:
    for number, key in enumerate(["abcdef000001", "abcdef000002", "abc000000000"]):
        store.create(replace(incident(number), id=key))
    with pytest.raises(NotFound, match="several ids") as caught:
        store.find("abcdef")
    for key in ("abcdef000001", "abcdef000002"):
        assert f"{key} (a.service)" in str(caught.value)
    assert "abc000000000" not in str(caught.value)
    assert store.find("abc0").id == "abc000000000"


def test_a_unit_called_like_the_beginning_of_an_id(store: Store) -> None:
    store.create(replace(incident(1), id="abcdef000001"))
    unit = incident(2, unit="abc.service")
    store.create(unit)
    assert store.find("abc") == unit


def test_no_history_at_all(where: Places) -> None:
    with pytest.raises(NotFound, match="ever recorded"):
        Store(where, create=False)
    assert not where.state.exists()


def test_a_history_that_is_a_file(where: Places) -> None:
    where.state.write_text("")
    with pytest.raises(StoreError):
        Store(where)


# -- the index goes wrong -----------------------------------------------------------------------


def test_index_deleted(store: Store, where: Places) -> None:
    names = [store.directory(one).name for one in _fill(store)]
    store.close()
    where.index.unlink()
    assert _names(where) == names


def test_index_deleted_or_replaced_while_it_is_open(store: Store, where: Places) -> None:
    _fill(store)
    where.index.unlink()
    assert len(store.rows()) == 5
    where.index.write_bytes(b"rubbish" * 1000)
    assert len(_names(where)) == 5


def test_index_made_anew_by_another_process_while_it_is_open(
    store: Store, where: Places, again: list[Store]
) -> None:
    """As a runner does whose own is in memory, since its disk was read-only for a while: what is
    recorded after that stands in the new one, and not in a file that has no name any more."""
    one, *_ = _fill(store)
    assert len(store.rows()) == 5
    again += [Store(where), Store(where)]
    again[0].discard_index()
    assert len(again[1].rows()) == 5
    store.save(replace(one, pinned=True))
    (row,) = [row for row in Store(where).rows() if row.id == one.id]
    assert row.pinned
    (row,) = [row for row in store.rows() if row.id == one.id]
    assert row.pinned


def test_index_damaged_in_the_middle(store: Store, where: Places) -> None:
    names = [store.directory(one).name for one in _fill(store, 30)]
    store.close()
    whole = where.index.read_bytes()
    chance = random.Random(3)
    for _ in range(25):
        place, length = chance.randrange(100, len(whole)), chance.choice([16, 1000, 8192])
        damaged = whole[:place] + chance.randbytes(length) + whole[place + length :]
        where.index.write_bytes(damaged[: len(whole)])
        assert _names(where) == names


def test_index_without_its_table(store: Store, where: Places) -> None:
    _fill(store)
    store.close()
    with sqlite3.connect(where.index) as db:
        db.execute("DROP TABLE incident")
    db.close()
    assert len(_names(where)) == 5


def test_index_damaged_while_it_is_open(store: Store, where: Places) -> None:
    _fill(store)
    store.ask(lambda index: index._db.execute("UPDATE incident SET document = '{'"))
    assert len(store.rows()) == 5
    assert store.find("last").unit == "a.service"


def test_index_with_no_place_on_the_disk(where: Places) -> None:
    """A full or read-only disk: what is there can still be asked for, and more be recorded."""
    where.index.mkdir(parents=True)
    (where.index / "in the way").write_text("")
    store = Store(where)
    assert len(_fill(store)) == 5
    assert store.find("last") == incident(4)
    assert len(store.rows()) == 5
    store.close()
    assert len(_names(where)) == 5


def test_index_in_memory_leaves_no_older_one_behind(
    where: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was read-only when this process looked, and is not any more when it writes."""
    before = Store(where)
    one, *_ = _fill(before)
    before.close()
    store = Store(where)
    with monkeypatch.context() as at_first:
        at_first.setattr(Store, "index", property(Store._in_memory))
        index = store.index
    store._index = index
    store.save(replace(one, pinned=True))
    store.close()
    (row,) = [row for row in Store(where).rows() if row.id == one.id]
    assert row.pinned


def test_index_that_is_behind(store: Store, where: Places) -> None:
    _fill(store)
    store.close()
    gone = store.directory(incident(2))
    kept = where.state / "backup"
    gone.rename(kept)
    assert len(_names(where)) == 4
    kept.rename(gone)
    assert gone.name in _names(where)


def test_killed_between_the_record_and_its_row(store: Store, where: Places) -> None:
    one, *_ = _fill(store)
    path = store.directory(one) / "incident.json"
    since = path.stat().st_mtime
    path.write_bytes(codec.dump(replace(one, stage=Stage.RECORDED)))
    half = path.with_name(".incident.json.4194305.new")
    half.write_text("{")
    assert store.rows("stage != 'done'") == []
    store.recheck(since)
    assert [row.id for row in store.rows("stage != 'done'")] == [one.id]
    assert not half.exists()


def test_recorded_already_and_the_index_did_not_know(store: Store) -> None:
    """Somebody was killed between the rename and his row, and another said that he has seen all."""
    one = incident()
    store.create(one)
    store.index.drop(store.directory(one).name)
    store.index.mark_seen()
    assert store.by_id(one.id) is None
    with pytest.raises(FileExistsError):
        store.create(one)
    assert store.by_id(one.id) == one
    assert [path.name for path in store.places.incidents.iterdir()] == [store.directory(one).name]


# -- damaged and half made ----------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 500, b'{"schema":1,"incident":[]}'])
def test_a_damaged_record(store: Store, where: Places, content: bytes) -> None:
    newest, *_ = _fill(store)
    (store.directory(newest) / "incident.json").write_bytes(content)
    assert store.load(store.directory(newest).name) is None
    with pytest.raises(NotFound, match="cannot be read") as caught:
        store.find("last")
    assert str(store.directory(newest)) in str(caught.value)
    store.close()
    where.index.unlink()
    assert len(_names(where)) == 4
    assert store.find("last") == incident(3)


def test_a_damaged_record_does_not_keep_its_failure_from_being_recorded(
    store: Store, where: Places
) -> None:
    one = incident()
    directory = store.create(one)
    (directory / "incident.json").write_text("{")
    (directory / "bundle.tar.gz").write_text("evidence")
    store.discard_index()
    store.create(one)
    assert store.find("last") == one
    assert (where.set_aside / directory.name / "bundle.tar.gz").read_text() == "evidence"


def test_a_record_that_is_a_link_or_a_fifo(store: Store) -> None:
    one, other, *_ = _fill(store)
    for which in (one, other):
        (store.directory(which) / "incident.json").unlink()
    (store.directory(one) / "incident.json").symlink_to("/etc/hostname")
    os.mkfifo(store.directory(other) / "incident.json")
    assert store.load(store.directory(one).name) is None
    assert store.load(store.directory(other).name) is None


def test_a_full_disk_leaves_nothing_half_made(
    store: Store, where: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = incident()
    store.rows()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("failhook.files.write", full)
    with pytest.raises(OSError, match="No space"):
        store.create(one, b"x")
    assert list(where.incidents.iterdir()) == []
    assert store.rows() == []
    monkeypatch.undo()
    store.create(one)
    assert store.rows()[0].id == one.id


def test_sweeping_takes_what_the_dead_left(store: Store, where: Places) -> None:
    _fill(store, 2)
    living = where.incidents / f".x.{_LIVING}.new"
    dead = where.incidents / ".x.4194305.new"
    for directory in (living, dead):
        directory.mkdir()
    (where.signatures / ".s.json.4194305.new").write_text("")
    (where.state / ".reserve.4194305.new").write_text("")
    store.sweep()
    assert living.exists()
    assert not dead.exists()
    assert list(where.signatures.iterdir()) == []
    assert sorted(path.name for path in where.state.iterdir()) == [
        "incidents",
        "index.sqlite",
        "signatures",
    ]
    assert len(store.rows()) == 2


def test_only_one_works_on_an_incident(store: Store, where: Places, again: list[Store]) -> None:
    one, other, *_ = _fill(store)
    again.append(Store(where))
    with store.lock(one) as first, again[0].lock(one) as second, again[0].lock(other) as third:
        assert (first, second, third) == (True, False, True)
    with again[0].lock(one) as free:
        assert free
    store.remove(store.directory(one).name)
    with store.lock(one) as gone:
        assert not gone


def test_a_reserve_for_the_day_the_disk_is_full(store: Store, where: Places) -> None:
    store.keep_reserve()
    before = (where.state / "reserve").stat()
    assert before.st_blocks * 512 >= 1 << 20
    store.keep_reserve()
    assert (where.state / "reserve").stat().st_ino == before.st_ino
    store.release_reserve()
    store.release_reserve()
    assert not (where.state / "reserve").exists()


def test_what_is_no_text_is_kept(store: Store) -> None:
    one = replace(
        incident(), dying_words=("\udcff\x00\x1b]0;x\x07",), notes=("\udcfe",), host="\udcfd"
    )
    store.create(one)
    assert store.find("last") == one
    assert store.rows()[0].parsed()["notes"] == ["\udcfe"]


def test_ids_are_those_of_the_run(store: Store) -> None:
    one = incident(first_seen=AT)
    assert one.id == incident_id(one.boot_id, one.unit, one.invocation_id or "")
