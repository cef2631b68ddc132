# SPDX-License-Identifier: MIT
"""The index is never the truth: whatever happens to it, the answers are those of the files."""

import json
import os
import random
import resource
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from failhook.incident import Bundle, Incident, Stage, State
from failhook.store.index import Index
from tests.unit.samples import incident


class History:
    """A directory of incidents as `Store` has it; what is in their files does not count."""

    def __init__(self, tmp_path: Path) -> None:
        self.path = tmp_path / "index.sqlite"
        self.directory = tmp_path / "incidents"
        self.directory.mkdir()
        self.truth: dict[str, Incident] = {}
        self.loaded: list[str] = []

    def add(self, number: int, **changes: object) -> str:
        name = f"{number:05d}"
        (self.directory / name).mkdir()
        self.truth[name] = incident(number)
        self.write(name, **changes)
        return name

    def write(self, name: str, **changes: Any) -> None:
        """Replace the record, as `Store` does."""
        self.truth[name] = replace(self.truth[name], **changes)
        fresh = self.directory / name / ".new"
        fresh.write_text("")
        fresh.rename(fresh.with_name("incident.json"))

    def load(self, name: str) -> Incident | None:
        self.loaded.append(name)
        return self.truth.get(name)

    def open(self) -> Index:
        return Index(self.path, self.directory, self.load)

    def names(self) -> list[str]:
        """As the index has them."""
        return self.rows("1")

    def rows(self, where: str) -> list[str]:
        index = self.open()
        try:
            return [row.name for row in index.select(where)]
        finally:
            index.close()

    def expected(self) -> list[str]:
        return sorted(self.truth, reverse=True)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


@pytest.fixture
def index(history: History) -> Iterator[Index]:
    for number in range(5):
        history.add(number)
    made = history.open()
    yield made
    made.close()


def test_rows_are_newest_first_and_say_what_the_incident_says(history: History) -> None:
    one = incident(
        7,
        unit="b.service",
        state=State.RECOVERED,
        stage=Stage.PACKED,
        signature="s" * 16,
        pinned=True,
        bundle=Bundle("/x", 41, "0" * 64),
        evidence=(),
        dying_words=("\udcff\x1b[31m", "日本"),
    )
    history.add(3)
    name = history.add(7)
    history.truth[name] = one
    index = history.open()
    newest, older = index.select()
    index.close()
    assert older.name == "00003"
    assert (newest.id, newest.unit, newest.at) == (one.id, "b.service", one.first_seen)
    assert (newest.state, newest.stage, newest.signature) == ("recovered", "packed", "s" * 16)
    assert (newest.pinned, newest.bytes) == (True, 41)
    without = ("evidence", "decision")
    assert newest.parsed() == {k: v for k, v in one.to_json().items() if k not in without}


def test_questions(index: Index) -> None:
    assert index.count() == 5
    assert index.count("unit = ?", ("b.service",)) == 0
    assert [row.name for row in index.select(limit=2)] == ["00004", "00003"]
    assert index.select("unit = ?", ("' OR 1 --",)) == []


def test_many_rows_are_sorted_where_no_file_can_be_written(history: History) -> None:
    """As in the runner's sandbox, where no directory takes temporary files."""
    for number in range(2500):
        history.add(number, dying_words=("x" * 500,))
    index = history.open()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
            rows = Index(history.path, history.directory, history.load).select("state = 'open'")
            code = 0 if len(rows) == 2500 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    index.close()


def test_the_units_of_rows(index: Index, history: History) -> None:
    found = index.units("stage = 'done'")
    assert found == sorted({one.unit for one in history.truth.values() if one.stage == "done"})
    assert index.units() == sorted({one.unit for one in history.truth.values()})


def test_only_we_may_read_it(history: History) -> None:
    history.names()
    assert history.path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_read_again_where_nothing_changed(history: History, index: Index) -> None:
    assert sorted(history.loaded) == sorted(history.truth)
    history.loaded.clear()
    assert history.names() == history.expected()
    index.catch_up()
    assert history.loaded == []


def test_what_came_and_went_behind_its_back(history: History, index: Index) -> None:
    index.close()
    history.loaded.clear()
    history.add(9)
    shutil.rmtree(history.directory / "00002")
    del history.truth["00002"]
    (history.directory / ".half-made.new").mkdir()
    assert history.names() == history.expected()
    assert history.loaded == ["00009"]


def test_a_directory_without_a_record_is_none(history: History) -> None:
    history.add(1)
    (history.directory / "00002").mkdir()
    assert history.names() == ["00001"]


def test_a_row_that_is_put_takes_the_place_of_the_old_one(history: History, index: Index) -> None:
    index.put("00003", replace(history.truth["00003"], state=State.CLOSED))
    assert index.count() == 5
    assert [row.name for row in index.select("state = 'closed'")] == ["00003"]
    index.drop("00003")
    assert index.count() == 4


def test_two_processes_at_once(history: History, index: Index) -> None:
    other = history.open()
    history.add(8)
    other.put("00008", history.truth["00008"])
    other.mark_seen()
    assert index.count() == 6
    other.close()


@pytest.mark.parametrize(
    "content", [b"", b"no database", b"SQLite format 3\0" + bytes(84), os.urandom(20000)]
)
def test_rubbish_in_its_place(history: History, content: bytes) -> None:
    history.add(1)
    history.path.write_bytes(content)
    assert history.names() == ["00001"]
    assert history.names() == ["00001"]


def test_deleted(history: History, index: Index) -> None:
    index.close()
    history.path.unlink()
    assert history.names() == history.expected()


@pytest.mark.parametrize("version", [0, 99])
def test_of_another_version(history: History, index: Index, version: int) -> None:
    index.close()
    with sqlite3.connect(history.path, isolation_level=None) as db:
        db.execute("DROP TABLE incident")
        db.execute("CREATE TABLE incident (other TEXT)")
        db.execute("CREATE TABLE stranger (other TEXT)")
        db.execute(f"PRAGMA user_version = {version}")
    db.close()
    assert history.names() == history.expected()


@pytest.mark.parametrize("change", ["DROP TABLE seen", "DELETE FROM seen"])
def test_of_this_version_but_incomplete(history: History, index: Index, change: str) -> None:
    index.close()
    with sqlite3.connect(history.path, isolation_level=None) as db:
        db.execute(change)
    db.close()
    assert history.names() == history.expected()


def test_without_a_place_on_the_disk(history: History) -> None:
    history.add(1)
    index = Index(None, history.directory, history.load)
    assert [row.name for row in index.select()] == ["00001"]
    index.put("00002", incident(2))
    assert index.count() == 2
    index.close()
    assert not history.path.exists()


def test_what_was_written_without_its_row(history: History, index: Index) -> None:
    """Somebody wrote the record, was killed, and did not come to write the row."""
    history.write("00003", state=State.CLOSED)
    history.add(8)
    index.mark_seen()  # by another process, which did not know
    history.loaded.clear()
    index.catch_up(thorough=True)
    assert history.loaded == ["00003", "00008"]
    assert [row.name for row in index.select("state = 'closed'")] == ["00003"]
    assert index.count() == 6
    history.loaded.clear()
    index.catch_up(thorough=True)
    assert history.loaded == []


def test_a_power_cut_brings_back_an_older_index(
    history: History, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waited for the disk to have it; no directory came or went since."""
    older = history.path.read_bytes()
    history.write("00002", stage=Stage.PACKED)
    index.put("00002", history.truth["00002"])
    index.close()
    history.path.write_bytes(older)
    assert history.rows("stage = 'packed'") == []  # of this boot: nothing tells
    monkeypatch.setattr("failhook.store.index.boot_id", lambda: "b" * 32)
    assert history.rows("stage = 'packed'") == ["00002"]
    history.loaded.clear()
    assert history.names() == history.expected()  # once in a boot
    assert history.loaded == []


def test_a_power_cut_leaves_half_of_a_change(
    history: History, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree lacks what the table has: sound page by page, and wrong."""
    index.close()
    with sqlite3.connect(history.path, isolation_level=None) as db:
        hidden = (
            "UPDATE sqlite_master SET sql = replace(sql, 'at DESC', 'at DESC) WHERE (at > 9e99')"
        )
        db.execute("PRAGMA writable_schema = ON")
        sql = db.execute("SELECT sql FROM sqlite_master WHERE name = 'by_time'").fetchone()[0]
        db.execute(hidden + " WHERE name = 'by_time'")
    db.close()
    with sqlite3.connect(history.path, isolation_level=None) as db:
        db.execute("REINDEX by_time")  # empty now
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'by_time'", (sql,))
    db.close()
    assert history.names() == []
    monkeypatch.setattr("failhook.store.index.boot_id", lambda: "b" * 32)
    assert history.names() == history.expected()


def test_a_row_that_was_changed_by_nobody(history: History, index: Index) -> None:
    """A sector that came back wrong: valid for SQLite, and not what was written."""
    index.close()
    data = history.path.read_bytes()
    assert data.count(b'"exit-code"') >= 5
    history.path.write_bytes(data.replace(b'"exit-code"', b'"exit-c{de"'))
    opened = history.open()
    with pytest.raises(sqlite3.DatabaseError):
        opened.select()
    opened.close()


def test_random_damage_never_gives_anything_but_the_truth(history: History) -> None:
    for number in range(40):
        history.add(number)
    history.names()
    whole = history.path.read_bytes()
    chance = random.Random(7)
    noticed = 0
    for _ in range(60):
        place, length = chance.randrange(len(whole)), chance.choice([1, 16, 512, 4096, 20000])
        damaged = whole[:place] + chance.randbytes(length) + whole[place + length :]
        history.path.write_bytes(damaged[: len(whole)])
        try:
            index = history.open()
            try:
                rows = index.select()
            finally:
                index.close()
        except sqlite3.DatabaseError:  # `Store` makes it anew then
            noticed += 1
            continue
        assert {row.name: json.loads(row.document)["unit"] for row in rows} == dict.fromkeys(
            history.truth, "a.service"
        )
    assert noticed > 5
