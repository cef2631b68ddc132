# SPDX-License-Identifier: MIT
"""What is remembered of entries, also where the clock or the file is wrong."""

import json
import math
from pathlib import Path

import pytest

from failhook.boot import proven
from failhook.boot.marking import History
from failhook.boot.model import Entry, Mark, Standing
from failhook.boot.proven import Record
from failhook.places import Places

NEW = Standing("systemd-boot", Mark.GOOD, "", (Entry("new", is_current=True), Entry("old")))
OLD = Standing("systemd-boot", Mark.CLEAN, "", (Entry("old", is_current=True), Entry("new")))
DAY = 86400.0


def history(places: Places, standing: Standing = NEW, *, now: float) -> History:
    """For a failure of a.service."""
    return proven.history(proven.read(places), standing, "a.service", within_s=7 * DAY, now=now)


def _file(places: Places) -> Path:
    return places.state / "boots/proven.json"


def test_nothing_is_known_at_first(where: Places) -> None:
    assert proven.read(where) == Record()
    assert history(where, now=100.0) == History()


def test_since_when_an_entry_is_good(where: Places) -> None:
    proven.note_good(where, NEW, now=1000.0)
    proven.note_good(where, NEW, now=1000.0 + DAY)
    known = proven.read(where).good["new"]
    assert (known.first, known.last, len(known.boot_id)) == (1000.0, 1000.0 + DAY, 32)
    assert history(where, now=1000.0 + 2 * DAY) == History(2 * DAY, keeps_records=True)
    assert history(where, OLD, now=1000.0) == History(None, keeps_records=True)
    assert _file(where).stat().st_mode & 0o777 == 0o600


def test_one_that_is_not_known_is_not_written_down(where: Places) -> None:
    proven.note_good(where, Standing("none", Mark.UNKNOWN, ""), now=1.0)
    assert not _file(where).exists()
    assert proven.history(Record(), Standing("none", Mark.UNKNOWN, ""), "a", within_s=1.0) == (
        History()
    )


def test_a_clock_that_was_wrong_makes_no_entry_new(where: Places) -> None:
    proven.note_good(where, NEW, now=5000.0)
    assert history(where, now=100.0).proven_for_s == math.inf
    proven.note_good(where, NEW, now=200.0)
    assert history(where, now=300.0).proven_for_s == 100.0


def test_marked_bad_it_is_neither_good_nor_a_fallback(where: Places) -> None:
    proven.note_good(where, NEW, now=1.0)
    proven.note_bad(where, "new", now=2.0)
    found = history(where, OLD, now=3.0)
    assert (found.given_up, proven.read(where).good) == (frozenset({"new"}), {})
    proven.note_good(where, NEW, now=4.0)
    assert proven.read(where).given_up == {}


def test_a_reboot_counts_from_the_next_boot_on(
    where: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven.note_reboot(where, "new", "a.service", now=1000.0)
    proven.note_reboot(
        where, "new", "a.service", now=1001.0
    )  # the step was put off, and came again
    assert len(proven.read(where).reboots) == 1
    assert not history(where, now=1002.0).rebooted_before
    monkeypatch.setattr(proven, "boot_id", lambda: "f" * 32)
    assert history(where, now=1002.0).rebooted_before
    assert history(where, now=500.0).rebooted_before  # a clock that was wrong
    assert not history(where, now=1001.0 + 7 * DAY).rebooted_before
    assert not history(where, OLD, now=1002.0).rebooted_before
    other = proven.history(proven.read(where), NEW, "b.service", within_s=DAY, now=1002.0)
    assert not other.rebooted_before


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"good": [], "given_up": {}, "reboots": []}',
        '{"good": {"a": {"first": "x"}}, "given_up": {}, "reboots": []}',
        '{"good": {}, "given_up": {"a": NaN}, "reboots": []}',
        '{"good": {}, "given_up": {"a": true}, "reboots": []}',
        '{"good": {}, "given_up": {}, "reboots": [1]}',
        "[" * 9999,
    ],
)
def test_a_damaged_file_counts_as_empty_and_is_mended(where: Places, content: str) -> None:
    path = _file(where)
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert proven.read(where) == Record()
    proven.note_good(where, NEW, now=1.0)
    assert set(proven.read(where).good) == {"new"}


def test_a_link_in_its_place_is_not_followed(where: Places, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text('{"good": {}, "given_up": {"old": 1}, "reboots": []}')
    path = _file(where)
    path.parent.mkdir(parents=True)
    path.symlink_to(elsewhere)
    assert proven.read(where) == Record()
    proven.note_good(where, NEW, now=1.0)
    assert json.loads(elsewhere.read_text())["given_up"] == {"old": 1}
    assert not path.is_symlink()


def test_it_does_not_grow_without_end(where: Places) -> None:
    for number in range(130):
        entry = Entry(f"e{number}", is_current=True)
        proven.note_good(where, Standing("grub", Mark.GOOD, "", (entry,)), now=float(number))
    assert len(proven.read(where).good) == 100
    assert "e129" in proven.read(where).good
