# SPDX-License-Identifier: MIT
"""Counts, limits, successes, mutes and the pause: kept over reboots, clock jumps and damage."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.places import Places
from failhook.response.ledger import Ledger, Mute
from failhook.response.moment import Moment, from_json
from failhook.values import Rate
from tests.unit.samples import incident

NOW = 1_790_000_000.0
RATE = Rate(3, 3600.0)


def at(seconds: float, *, boot: str = "one", wall: float | None = None) -> Moment:
    """So many seconds into a boot; the wall clock agrees unless it is said."""
    return Moment(NOW + seconds if wall is None else wall, boot, 1000 + seconds)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Places(tmp_path / "run", tmp_path / "state", ()))


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger"


# -- time ---------------------------------------------------------------------------------------


def test_within_a_boot_only_its_own_clock_counts() -> None:
    assert at(0).age(at(60, wall=NOW - 1e6)) == 60
    assert at(0, wall=NOW + 1e9).age(at(60)) == 60


def test_over_a_reboot_the_wall_clock_counts_but_never_less_than_the_boot() -> None:
    before = at(0)
    assert before.age(Moment(NOW + 500, "two", 20)) == 500
    assert before.age(Moment(NOW - 86400, "two", 20)) == 20  # set back: it was just now
    assert before.age(Moment(NOW + 1, "two", 20)) == 20


def test_a_clock_that_was_never_set_says_nothing() -> None:
    assert Moment(12.0, "one", 12.0).age(Moment(NOW, "two", 30)) == 30
    assert at(0).age(Moment(12.0, "two", 30)) == 30


def test_a_moment_comes_back() -> None:
    assert from_json(at(5).to_json()) == at(5)
    for wrong in (None, {}, {"at": "x", "boot": "b", "up": 1}, {"at": True, "boot": "b", "up": 1}):
        with pytest.raises(ValueError, match="no moment"):
            from_json(wrong)  # type: ignore[arg-type]


# -- counting -----------------------------------------------------------------------------------


def _count(ledger: Ledger, number: int, now: Moment, *, forgiven: bool = False) -> int:
    return ledger.count("acme", incident(number), 3600.0, forgiven=forgiven, now=now)


def test_failures_are_counted_in_their_window_and_once_each(ledger: Ledger) -> None:
    assert [_count(ledger, number, at(number * 60)) for number in (1, 2, 3)] == [1, 2, 3]
    assert _count(ledger, 2, at(500)) == 2
    assert _count(ledger, 3, at(500)) == 3
    assert ledger.seen("acme", incident(9), 3600.0, at(500)) == 3
    assert _count(ledger, 4, at(3600 + 90)) == 3  # the first has left the window
    assert _count(ledger, 5, at(20_000)) == 1


def test_every_rule_and_every_unit_counts_for_itself(ledger: Ledger) -> None:
    assert _count(ledger, 1, at(0)) == 1
    other = replace(incident(2), unit="b.service")
    assert ledger.count("acme", other, 3600.0, forgiven=False, now=at(1)) == 1
    assert ledger.count("else", incident(3), 3600.0, forgiven=False, now=at(2)) == 1
    assert _count(ledger, 4, at(3)) == 2


def test_a_healthy_period_begins_the_ladder_again(ledger: Ledger) -> None:
    assert [_count(ledger, number, at(number)) for number in (1, 2)] == [1, 2]
    assert _count(ledger, 3, at(3), forgiven=True) == 1
    assert _count(ledger, 4, at(4)) == 2
    assert ledger.forgive("a.service") == 1
    assert _count(ledger, 5, at(5)) == 1


def test_a_count_survives_a_reboot_with_a_clock_that_jumps(ledger: Ledger) -> None:
    assert _count(ledger, 1, at(0)) == 1
    assert _count(ledger, 2, Moment(NOW - 1e7, "two", 30)) == 2


def test_limits_are_used_up_and_come_back(ledger: Ledger) -> None:
    assert ledger.room("restarts", RATE, at(0)) == 3
    for number in range(3):
        ledger.take("restarts", f"step-{number}", RATE, at(number))
        ledger.take("restarts", f"step-{number}", RATE, at(number + 100))  # said twice
    assert ledger.room("restarts", RATE, at(200)) == 0
    assert ledger.room("reboots", RATE, at(200)) == 3
    assert ledger.room("restarts", RATE, at(3601)) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_damaged_limit_is_used_up_until_its_time_is_over(
    ledger: Ledger, where: Path, content: bytes
) -> None:
    ledger.take("reboots", "a", RATE, at(0))
    (where / "reboots.json").write_bytes(content)
    assert ledger.room("reboots", RATE, at(10)) == 0
    assert ledger.room("reboots", RATE, at(3609)) == 0
    assert ledger.room("reboots", RATE, at(3611)) == 3


def test_what_helped_is_remembered(ledger: Ledger) -> None:
    one = incident()
    for key, helped in (("1", True), ("2", False), ("2", False), ("3", False)):
        ledger.helped(one, "gently", key, helped=helped)
    assert ledger.useless(one) == {"gently": 2}
    assert ledger.successes(one)["gently"] == {
        "last": "3",
        "tries": 3,
        "helped": 1,
        "useless": 2,
    }
    ledger.helped(one, "gently", "4", helped=True)
    assert ledger.useless(one) == {"gently": 0}
    ledger.well_again(one)
    assert ledger.useless(one) == {}


# -- people -------------------------------------------------------------------------------------


def test_mutes_end_by_themselves(ledger: Ledger) -> None:
    one = replace(incident(), signature="5" * 16)
    ledger.mute(Mute("a.*", NOW + 60, "known", NOW))
    ledger.mute(Mute("5" * 16, None, "", NOW))
    first, second = ledger.mutes(NOW)
    assert first.covers(one, NOW)
    assert not first.covers(one, NOW + 60)
    assert second.covers(one, NOW + 1e9)
    assert not second.covers(replace(one, signature="6" * 16), NOW)
    assert [mute.what for mute in ledger.mutes(NOW + 61)] == ["5" * 16]
    assert ledger.unmute("5" * 16, NOW + 61)
    assert not ledger.unmute("5" * 16, NOW + 61)


def test_a_pause_ends_when_it_was_said_to(ledger: Ledger) -> None:
    assert ledger.paused(NOW) is None
    ledger.pause("moving", NOW + 60, NOW)
    assert ledger.paused(NOW + 59) == {"reason": "moving", "until": NOW + 60, "since": NOW}
    assert ledger.paused(NOW + 60) is None
    assert ledger.resume()
    assert not ledger.resume()


def test_a_damaged_pause_is_in_force(ledger: Ledger, where: Path) -> None:
    ledger.pause("moving", None, NOW)
    (where / "pause.json").write_text("{")
    pause = ledger.paused(NOW)
    assert pause is not None
    assert "is damaged" in str(pause["reason"])


@pytest.mark.parametrize(
    "table", ['{"mutes": 7}', '{"mutes": [7, {"what": 7}]}', "[]", '{"mutes": [{"what": "x"}]}']
)
def test_a_damaged_mute_mutes_no_more_than_it_says(ledger: Ledger, where: Path, table: str) -> None:
    ledger.mute(Mute("a.*", None, "", NOW))
    (where / "mutes.json").write_text(table)
    assert [one.what for one in ledger.mutes(NOW)] in ([], ["x"])


def test_it_is_nobody_elses_to_read(ledger: Ledger, where: Path) -> None:
    before = os.umask(0)
    try:
        _count(ledger, 1, at(0))
        ledger.pause("x", None, NOW)
    finally:
        os.umask(before)
    for path in (where, *where.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_several_writers_lose_nothing(ledger: Ledger, where: Path) -> None:
    children = []
    for number in range(4):
        pid = os.fork()
        if pid == 0:
            for step in range(5):
                with ledger.locked():
                    ledger.take("restarts", f"{number}-{step}", Rate(100, 3600.0), at(step))
            os._exit(0)
        children.append(pid)
    for pid in children:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    events = json.loads((where / "restarts.json").read_text())["events"]
    assert len({event["id"] for event in events}) == 20
