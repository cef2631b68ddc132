# SPDX-License-Identifier: MIT
"""Triggers on their way: read, set aside, moved to disk, noticed."""

import json
import logging
import os
import select
from pathlib import Path

import pytest

from failhook.places import Places
from failhook.spool import Spool
from failhook.systemd.boot import boot_id
from failhook.trigger import MAX_BYTES
from failhook.waking import Watch
from tests.unit.samples import spooled


@pytest.fixture
def spool(where: Places) -> Spool:
    made = Spool(where)
    made.make()
    return made


def _put(where: Places, name: str, data: bytes = b"") -> Path:
    path = where.spool / name
    path.write_bytes(data or spooled())
    return path


def _unreadable(where: Places) -> list[str]:
    return sorted(path.name for path in where.set_aside.iterdir())


def test_made_once_and_private(where: Places, spool: Spool) -> None:
    spool.make()
    assert where.spool.stat().st_mode & 0o777 == 0o700
    assert where.incoming.stat().st_mode & 0o777 == 0o700
    assert where.run.stat().st_mode & 0o777 == 0o755


def test_oldest_first_and_nothing_half_written(where: Places, spool: Spool) -> None:
    for name in ("00000000000000000003-1.json", "00000000000000000001-1.json", "2.tmp"):
        _put(where, name)
    where.kept_spool.mkdir(parents=True)
    (where.kept_spool / "00000000000000000002-1-shutdown.json").write_bytes(spooled())
    assert [path.name for path in spool.waiting()] == [
        "00000000000000000001-1.json",
        "00000000000000000002-1-shutdown.json",
        "00000000000000000003-1.json",
    ]


def test_what_a_former_boot_left_is_looked_for_until_it_is_gone(
    where: Places, spool: Spool
) -> None:
    where.kept_spool.mkdir(parents=True)
    left = where.kept_spool / "00000000000000000002-1-shutdown.json"
    left.write_bytes(spooled())
    assert [spool.waiting(), spool.waiting()] == [[left], [left]]
    spool.done(left)
    assert spool.waiting() == []
    left.write_bytes(spooled())  # the machine goes down: the next boot takes it
    assert spool.waiting() == []
    assert Spool(where).waiting() == [left]


def test_read_and_done(where: Places, spool: Spool) -> None:
    path = _put(where, "1-1.json")
    read = spool.read(path)
    assert read is not None
    trigger, data = read
    assert (trigger.id, trigger.unit, data) == ("1-1", "a.service", spooled())
    spool.done(path)
    assert not path.exists()
    spool.done(path)
    assert spool.read(path) is None


def test_the_boot_is_the_managers_whatever_a_sandbox_showed(where: Places, spool: Spool) -> None:
    read = spool.read(_put(where, "1.json", spooled(boot_id="0" * 32)))
    assert read is not None
    assert read[0].boot_id == boot_id()


def test_what_waited_through_a_shutdown_keeps_its_boot(where: Places, spool: Spool) -> None:
    where.kept_spool.mkdir(parents=True)
    path = where.kept_spool / "1-shutdown.json"
    path.write_bytes(spooled(boot_id="0" * 32))
    read = spool.read(path)
    assert read is not None
    assert (read[0].boot_id, read[0].during_shutdown) == ("0" * 32, True)


@pytest.mark.parametrize(
    "data", [b"\0", b"{", b"[]", b'{"schema": 99}', b"x" * (MAX_BYTES + 1), b"[" * 200000]
)
def test_rubbish_is_set_aside_for_a_person_to_look_at(
    where: Places, spool: Spool, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = _put(where, "1-1.json", data)
    assert spool.read(path) is None
    assert spool.waiting() == []
    assert _unreadable(where) == ["1-1.json"]
    assert (where.set_aside / "1-1.json").read_bytes() == data[:MAX_BYTES]
    assert (where.set_aside / "1-1.json").stat().st_mode & 0o777 == 0o600
    assert "set aside as" in caplog.text


@pytest.mark.parametrize("what", ["fifo", "link", "directory", "full directory", "dangling link"])
def test_what_is_no_file_goes_out_of_the_way(where: Places, spool: Spool, what: str) -> None:
    """It would be tried again and again, for ever."""
    path = where.spool / "1-1.json"
    target = where.run / "precious"
    target.write_text("precious")
    if what == "fifo":
        os.mkfifo(path)
    elif what.endswith("directory"):
        path.mkdir()
        if what.startswith("full"):
            (path / "x").write_text("")
    else:
        path.symlink_to(target if what == "link" else "nowhere")
    assert spool.read(path) is None
    assert spool.waiting() == []
    assert not os.path.lexists(path)
    assert target.read_text() == "precious"


def test_a_good_trigger_is_never_thrown_away_for_want_of_space(
    where: Places, spool: Spool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = _put(where, "1-1.json")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("failhook.files.write", full)
    with pytest.raises(OSError, match="No space left"):
        spool.set_aside(path, "working on it failed 3 times")
    assert path.read_bytes() == spooled()
    assert caplog.text == ""
    monkeypatch.undo()
    spool.set_aside(path, "working on it failed 3 times")
    assert "working on it failed 3 times" in caplog.text
    assert _unreadable(where) == ["1-1.json"]


def test_a_shutdown_moves_what_waits_to_disk(where: Places, spool: Spool) -> None:
    assert spool.keep_for_next_boot() == 0
    assert not where.kept_spool.exists()
    _put(where, "1-1.json", spooled(boot_id="0" * 32))
    _put(where, "2-1.json", b"rubbish stays what it is")
    _put(where, "3.tmp")
    assert spool.keep_for_next_boot() == 2
    assert sorted(path.name for path in where.spool.iterdir()) == ["3.tmp"]
    kept = where.kept_spool / "1-1-shutdown.json"
    assert json.loads(kept.read_bytes())["boot_id"] == boot_id()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert (where.kept_spool / "2-1-shutdown.json").read_bytes() == b"rubbish stays what it is"
    assert spool.keep_for_next_boot() == 0


def test_one_that_cannot_be_kept_does_not_lose_the_others(
    where: Places, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkfifo(where.spool / "1-1.json")
    (where.spool / "2-1.json").mkdir()
    _put(where, "3-1.json")
    assert spool.keep_for_next_boot() == 1
    assert (where.kept_spool / "3-1-shutdown.json").exists()
    assert caplog.records[0].levelno == logging.ERROR


def test_a_rename_into_the_spool_is_noticed_at_once(where: Places, spool: Spool) -> None:
    watch = Watch(where.spool)
    try:
        assert select.select([watch], [], [], 0)[0] == []
        for number in range(3):
            fresh = where.incoming / f"{number}.json"
            fresh.write_bytes(spooled())
            fresh.rename(where.spool / fresh.name)
        assert select.select([watch], [], [], 1)[0] == [watch]
        watch.drain()
        assert select.select([watch], [], [], 0)[0] == []
    finally:
        watch.close()


def test_watching_what_is_not_there(where: Places) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        Watch(where.run / "nowhere")
    assert len(os.listdir("/proc/self/fd")) <= before
