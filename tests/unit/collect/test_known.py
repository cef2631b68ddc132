# SPDX-License-Identifier: MIT
"""What is found out once in a boot: kept where that is right, and asked again where it is not."""

import json
import time
from pathlib import Path

import pytest

from failhook import hook
from failhook.collect import boot, known, system
from failhook.collect.known import known as kept
from failhook.systemd import journal
from tests.unit.collect.bench import Programs, context, run


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of failhook's own in /run."""
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setattr(hook, "RUN", str(run))
    return run


class _Answers:
    """Tells one thing after the other, and how often it was asked."""

    def __init__(self, *told: str | None) -> None:
        self._told = list(told)
        self.asked = 0

    def __call__(self) -> str | None:
        self.asked += 1
        return self._told.pop(0)


def test_it_is_asked_once_for_each_subject(place: Path) -> None:
    answers = _Answers("first", "second")
    assert [kept("x", "a", answers), kept("x", "a", answers)] == ["first", "first"]
    assert kept("x", "b", answers) == "second"
    assert (place / "known-x").stat().st_mode & 0o777 == 0o600


def test_another_boot_asks_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = _Answers("first", "second")
    kept("x", "a", answers)
    monkeypatch.setattr(known, "boot_id", lambda: "0" * 32)
    assert kept("x", "a", answers) == "second"
    assert (place / "known-x").exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"no line end", b"other subject\nvalue"])
def test_a_damaged_one_is_replaced(place: Path, content: bytes) -> None:
    answers = _Answers("now")
    (place / "known-x").write_bytes(content)
    assert [kept("x", "a", answers), kept("x", "a", answers)] == ["now", "now"]


def test_a_link_is_not_followed(place: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    (place / "known-x").symlink_to(target)
    assert kept("x", "a", _Answers("now")) == "now"
    assert not target.exists()


def test_nothing_is_kept_of_nothing_or_without_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook, "RUN", str(tmp_path / "missing"))
    answers = _Answers("a", "b", None, None)
    assert [kept("x", "s", answers) for _ in range(4)] == ["a", "b", None, None]
    assert not (tmp_path / "missing").exists()


def test_the_version_of_systemd_until_the_program_is_another(
    place: Path, programs: Programs
) -> None:
    programs.add("systemctl", "echo systemd 252")
    for _ in range(2):
        told = json.loads(run(system.COLLECTOR, context()).text("system/system.json"))["systemd"]
        assert told == "systemd 252"
    assert len(programs.calls) == 1
    time.sleep(0.01)
    programs.add("systemctl", "echo systemd 257")
    told = json.loads(run(system.COLLECTOR, context()).text("system/system.json"))["systemd"]
    assert told == "systemd 257"
    assert (place / "known-systemd").exists()


def _previous(programs: Programs, script: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What three failures of this boot are told of the previous one."""
    monkeypatch.setattr(boot, "_started", lambda: time.time() - 60)
    programs.add("journalctl", script)
    gave = [run(boot.COLLECTOR, context()) for _ in range(3)]
    lines = [one.text("boot/previous.txt") for one in gave if "boot/previous.txt" in one.items]
    told = {json.loads(one.text("boot/boot.json"))["previous"] for one in gave}
    assert len(told) == 1
    return [*told, *lines]


@pytest.mark.usefixtures("place")
def test_an_orderly_end_stays_one(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = f"__REALTIME_TIMESTAMP=5000000\n_UID=0\nMESSAGE_ID={journal.JOURNAL_STOPPED}"
    (told,) = _previous(programs, f"cat <<'END'\n{entry}\n\nEND", monkeypatch)
    assert "orderly" in told
    assert len(programs.calls) == 1


@pytest.mark.usefixtures("place")
def test_the_lines_of_a_crash_are_read_each_time_and_kept_nowhere(
    programs: Programs, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = "__REALTIME_TIMESTAMP=5000000\n_UID=0\nMESSAGE=in the middle"
    told, *lines = _previous(programs, f"cat <<'END'\n{entry}\n\nEND", monkeypatch)
    assert "without a shutdown" in told
    assert len(lines) == len(programs.calls) == 3
    assert list(place.iterdir()) == []


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("flushed", "calls"), [(False, 3), (True, 1)])
def test_a_journal_that_is_not_on_disk_yet_may_tell_more_later(
    programs: Programs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    flushed: bool,
    calls: int,
) -> None:
    flag = tmp_path / "flushed"
    if flushed:
        flag.touch()
    monkeypatch.setattr(boot, "_FLUSHED", flag)
    assert _previous(programs, "exit 0", monkeypatch) == ["not in the journal"]
    assert len(programs.calls) == calls
