# SPDX-License-Identifier: MIT
"""How a boot ended, what ran in it, and the sentence that the next one makes of that."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from failhook import testing
from failhook.act import aftermath
from failhook.boot import ended, running
from failhook.boot.ended import Ended, Kind
from failhook.boot.endings import Ending
from failhook.boot.running import Running
from failhook.incident import Incident
from failhook.places import Places
from failhook.store import codec
from failhook.systemd import journal
from failhook.systemd.boot import boot_id
from failhook.systemd.export import Entry
from failhook.systemd.unit import UnitState

_VARIABLE = "sys/firmware/efi/efivars/LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
_AT = time.mktime((2026, 3, 4, 4, 12, 0, 0, 0, -1))


def _entry(message: str, at: float = _AT, **fields: str) -> Entry:
    return Entry(at, {"MESSAGE": message, "_UID": "0", **fields})


# -- how it ended ---------------------------------------------------------------------------------


def test_an_orderly_end_beats_everything() -> None:
    entries = [_entry("before"), _entry("x", MESSAGE_ID=journal.SHUTDOWN)]
    seen = ended.judge(entries, ["Kernel panic - not syncing: old"], watchdog=True)
    assert (seen.kind, seen.text, seen.at) == (Kind.ORDERLY, "was shut down", _AT)


def test_a_panic_says_which() -> None:
    dump = "<6>[1.0] fine\n<0>[2.0] Kernel panic - not syncing: sysrq triggered crash\n<4>more"
    seen = ended.judge([_entry("last")], [dump], watchdog=True)
    assert seen.kind is Kind.PANIC
    assert seen.text == "ended in a kernel panic: Kernel panic - not syncing: sysrq triggered crash"
    assert ended.judge([_entry("last")], ["no such line"], watchdog=False).kind is Kind.CUT


def test_the_watchdog() -> None:
    assert (
        ended.judge([_entry("last")], [], watchdog=True).text
        == "was reset by the hardware watchdog"
    )


def test_out_of_memory_just_before_the_end() -> None:
    line = "Out of memory: Killed process 812 (java) total-vm:1kB, anon-rss:1kB"
    kernel = _entry(line, _AT - 50, _TRANSPORT="kernel")
    seen = ended.judge([kernel, _entry("last")], [], watchdog=False)
    assert seen.kind is Kind.OOM
    assert "it killed java, pid 812" in seen.text
    forged = _entry(line, _AT - 50, _TRANSPORT="stdout")
    assert ended.judge([forged, _entry("last")], [], watchdog=False).kind is Kind.CUT
    long_before = _entry(line, _AT - 500, _TRANSPORT="kernel")
    assert ended.judge([long_before, _entry("last")], [], watchdog=False).kind is Kind.CUT


def test_nothing_is_known() -> None:
    seen = ended.judge([], [], watchdog=False)
    assert (seen.kind, seen.at, seen.lines) == (Kind.UNKNOWN, None, ())


def test_the_last_lines_are_kept() -> None:
    seen = ended.judge([_entry(f"line {n}\x1b[2J") for n in range(50)], [], watchdog=False)
    assert len(seen.lines) == 20
    assert seen.lines[-1].endswith("line 49\\x1b[2J")


def test_dumps_of_earlier_crashes_are_none_of_this_one(tmp_path: Path) -> None:
    for top, name in (("var/lib/systemd/pstore/1", "dmesg.txt"), ("sys/fs/pstore", "dmesg-efi-1")):
        (tmp_path / top).mkdir(parents=True)
        (tmp_path / top / name).write_text(f"from {top}")
    assert len(ended.dumps(tmp_path, since=None)) == 2
    old = tmp_path / "var/lib/systemd/pstore/1/dmesg.txt"
    os.utime(old, (1000.0, 1000.0))
    assert ended.dumps(tmp_path, since=time.time()) == ["from sys/fs/pstore"]
    link = tmp_path / "sys/fs/pstore/dmesg-efi-2"
    link.symlink_to(old)
    assert len(ended.dumps(tmp_path, since=None)) == 2


@pytest.mark.parametrize(
    ("text", "is_it"), [("32\n", True), ("0x20", True), ("0", False), ("8", False), ("?", False)]
)
def test_what_a_watchdog_says_of_the_last_reset(tmp_path: Path, text: str, is_it: bool) -> None:
    (tmp_path / "sys/class/watchdog/watchdog0").mkdir(parents=True)
    (tmp_path / "sys/class/watchdog/watchdog0/bootstatus").write_text(text)
    assert ended.reset_by_watchdog(tmp_path) is is_it


# -- what ran -------------------------------------------------------------------------------------


def test_the_entry_of_systemd_boot(tmp_path: Path) -> None:
    variable = tmp_path / _VARIABLE
    variable.parent.mkdir(parents=True)
    variable.write_bytes(b"\x06\0\0\0" + "debian-56+2-1.conf\0".encode("utf-16-le"))
    found = running.running(tmp_path)
    assert (found.entry, found.name) == ("debian-56.conf", "debian-56")
    assert found.kernel == os.uname().release
    assert found.boot_id == boot_id()


def test_the_kernel_that_grub_loaded(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text(
        "BOOT_IMAGE=/boot/vmlinuz-6.1.0-56-amd64 root=/dev/sda ro\n"
    )
    assert running.running(tmp_path).entry == "vmlinuz-6.1.0-56-amd64"
    (tmp_path / "proc/cmdline").write_text("root=/dev/sda ro quiet\n")
    assert running.running(tmp_path).entry is None


def test_what_the_next_boot_is_told(where: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    assert running.boots(where) == ()
    running.remember(where)
    running.remember(where)
    assert [one.boot_id for one in running.boots(where)] == [boot_id()]
    monkeypatch.setattr(running, "boot_id", lambda: "second")
    running.remember(where)
    assert [one.boot_id for one in running.boots(where)] == [boot_id(), "second"]
    running.forget(where)
    assert [one.boot_id for one in running.boots(where)] == [boot_id()]
    running.told(where)
    assert not where.waited_for.exists()


def test_nobody_waits_any_more(where: Places) -> None:
    running.remember(where)
    running.forget(where)
    assert not where.waited_for.exists()
    running.forget(where)


def test_a_damaged_note_is_taken_away_with_its_time(where: Places) -> None:
    running.remember(where)
    where.waited_for.write_text('{"boots": [{"boot_id": 7}]}')
    assert running.boots(where) == ()
    running.told(where)
    assert not where.waited_for.exists()


# -- the sentence ---------------------------------------------------------------------------------

_OLD = Running("b1", "6.1.0-56", "debian-56.conf")
_NEW = Running("b2", "6.1.0-55", "debian-55.conf")
_SAME = Running("b2", "6.1.0-56", "debian-56.conf")
_CUT = Ended(Kind.CUT, "just stopped: power, a reset or a hang", _AT)
_ORDERLY = Ended(Kind.ORDERLY, "was shut down", _AT)
_BY_US = Ending(
    _AT, "b1", 99.0, "reboot", "why", step="s", kernel="6.1.0-56", incident="7f3a5c1e9b20"
)
_WELL = UnitState("srv-data.mount", {"LoadState": "loaded", "ActiveState": "active"})
_FAILED = UnitState("srv-data.mount", {"LoadState": "loaded", "ActiveState": "failed"})
_GONE = UnitState("srv-data.mount", {"LoadState": "not-found", "ActiveState": "inactive"})


def _incident() -> Incident:
    found = testing.incident(unit="srv-data.mount", boot_id="b1")
    assert found.verdict is not None
    return replace(
        found, verdict=replace(found.verdict, summary="srv-data.mount failed: no device")
    )


def _say(
    ending: Ending | None,
    seen: Ended,
    boots: tuple[Running | None, Running],
    state: UnitState | None,
    *,
    is_bad: bool = False,
) -> str:
    story = aftermath.compose(_incident(), ending, seen, boots, is_bad=is_bad, state=state)
    return story.summary


def test_a_rollback_by_our_mark() -> None:
    ending = replace(_BY_US, entry="debian-56.conf", expects="debian-55.conf")
    said = _say(ending, _ORDERLY, (None, _NEW), _WELL)
    assert said == (
        "rolled back from 6.1.0-56 to 6.1.0-55 at 2026-03-04 04:12 because srv-data.mount failed: "
        "no device; srv-data.mount is well now"
    )


def test_a_rollback_by_counting() -> None:
    said = _say(None, _ORDERLY, (_OLD, _NEW), _GONE, is_bad=True)
    assert said.startswith("rolled back from 6.1.0-56 to 6.1.0-55 at 2026-03-04 04:12 because")
    assert said.endswith("; srv-data.mount does not exist now")


def test_the_same_kernel_in_another_entry_is_told_by_its_entry() -> None:
    other = replace(_NEW, kernel=_OLD.kernel)
    assert "from debian-56 to debian-55" in _say(None, _ORDERLY, (_OLD, other), None, is_bad=True)


def test_somebody_chose_another_entry() -> None:
    story = aftermath.compose(_incident(), None, _ORDERLY, (_OLD, _NEW), is_bad=False, state=_WELL)
    assert not story.rolled_back
    assert story.summary.startswith("was shut down and came up with 6.1.0-55 instead of 6.1.0-56")


def test_a_reboot_by_us() -> None:
    said = _say(_BY_US, _ORDERLY, (_SAME, _SAME), _FAILED)
    assert said == (
        "rebooted at 2026-03-04 04:12 because srv-data.mount failed: no device; "
        "srv-data.mount failed again now"
    )
    forced = replace(_BY_US, how="poweroff-force")
    assert _say(forced, _CUT, (_SAME, _SAME), _FAILED).startswith("powered off at")


def test_a_panic_on_the_way_down_is_not_hidden() -> None:
    panic = Ended(Kind.PANIC, "ended in a kernel panic: x", _AT)
    assert _say(_BY_US, panic, (_SAME, _SAME), None).startswith(
        "ended in a kernel panic: x while it was to be rebooted at"
    )


def test_the_power_was_cut() -> None:
    story = aftermath.compose(_incident(), None, _CUT, (_SAME, _SAME), is_bad=False, state=_WELL)
    assert story.summary == (
        "just stopped: power, a reset or a hang at 2026-03-04 04:12 after srv-data.mount failed: "
        "no device; srv-data.mount is well now"
    )
    assert (story.ended, story.is_well, story.rolled_back) == ("cut", True, False)


def test_it_is_kept_with_the_incident() -> None:
    seen = replace(_ORDERLY, lines=("a", "b"))
    story = aftermath.compose(_incident(), _BY_US, seen, (_OLD, _NEW), is_bad=True, state=_WELL)
    kept = replace(_incident(), aftermath=story)
    assert codec.load(codec.dump(kept)) == kept
    shown = kept.to_json()["aftermath"]
    assert isinstance(shown, dict)
    assert shown["before"] == "debian-56"
    assert shown["at"] == "2026-03-04T04:12:00.000000Z" or str(shown["at"]).endswith("Z")
    assert shown["lines"] == ["a", "b"]
