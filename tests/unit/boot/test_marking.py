# SPDX-License-Identifier: MIT
"""New or proven: the whole table, and that no machine goes in a circle."""

import itertools
import math

import pytest

from failhook.boot.marking import Decision, Do, History, decide, fallbacks, is_new
from failhook.boot.model import Entry, Mark, Standing

WEEK = 7 * 86400.0
NEW = Entry("new.conf", left=2, is_current=True)
OLD = Entry("old.conf")


def standing(
    mark: Mark,
    *entries: Entry,
    can_mark: bool | None = None,
    loader: str = "systemd-boot",
    reason: str = "as the loader says",
) -> Standing:
    """Of a loader; it can mark where a real one could."""
    shown = entries or (NEW, OLD)
    possible = mark in (Mark.INDETERMINATE, Mark.GOOD) and any(
        not one.is_current and not one.is_bad for one in shown
    )
    return Standing(loader, mark, reason, shown, possible if can_mark is None else can_mark)


@pytest.mark.parametrize(
    ("mark", "history", "do"),
    [
        # on trial: new, whatever is written down
        (Mark.INDETERMINATE, History(), Do.MARK_BAD),
        (Mark.INDETERMINATE, History(proven_for_s=10 * WEEK), Do.MARK_BAD),
        # blessed in this boot: new until the probation is over
        (Mark.GOOD, History(), Do.MARK_BAD),
        (Mark.GOOD, History(proven_for_s=60.0), Do.MARK_BAD),
        (Mark.GOOD, History(proven_for_s=WEEK - 1), Do.MARK_BAD),
        (Mark.GOOD, History(proven_for_s=WEEK), Do.REBOOT_ONCE),
        (Mark.GOOD, History(proven_for_s=WEEK, rebooted_before=True), Do.LEAVE),
        (Mark.GOOD, History(proven_for_s=math.inf), Do.REBOOT_ONCE),
        # blessed long ago: cannot be marked by systemd-bless-boot
        (Mark.CLEAN, History(), Do.REBOOT_ONCE),
        (Mark.CLEAN, History(rebooted_before=True), Do.LEAVE),
        (Mark.CLEAN, History(proven_for_s=60.0), Do.REBOOT_ONCE),
        (Mark.CLEAN, History(proven_for_s=60.0, rebooted_before=True), Do.LEAVE),
        # booted although it was bad: a reboot brings it up again
        (Mark.DIRTY, History(), Do.LEAVE),
        # marked already, and the reboot has not come about
        (Mark.BAD, History(), Do.MARK_BAD),
        (Mark.BAD, History(rebooted_before=True), Do.MARK_BAD),
        (Mark.UNKNOWN, History(proven_for_s=WEEK), Do.REFUSE),
    ],
)
def test_the_table(mark: Mark, history: History, do: Do) -> None:
    decision = decide(standing(mark), history, WEEK)
    assert decision.do is do
    assert decision.reason


@pytest.mark.parametrize(
    ("history", "do"),
    [
        (History(), Do.REBOOT_ONCE),  # nothing is known: not guessed to be new
        (History(keeps_records=True), Do.MARK_BAD),  # others are written down, this one is not
        (History(proven_for_s=5.0), Do.MARK_BAD),
        (History(proven_for_s=WEEK, keeps_records=True), Do.REBOOT_ONCE),
        (History(proven_for_s=WEEK, keeps_records=True, rebooted_before=True), Do.LEAVE),
    ],
)
def test_where_the_loader_counts_nothing_the_record_decides(history: History, do: Do) -> None:
    """ostree, and GRUB without a counter."""
    clean = standing(Mark.CLEAN, can_mark=True, loader="ostree")
    assert decide(clean, history, WEEK).do is do


def test_what_should_come_up_is_told() -> None:
    marked = decide(standing(Mark.INDETERMINATE), History(), WEEK)
    assert marked == Decision(Do.MARK_BAD, "new.conf is new, and still on trial", "old.conf")
    again = decide(standing(Mark.CLEAN), History(), WEEK)
    assert again.expects == "new.conf"
    assert again.reason == "new.conf has proven itself; it is rebooted once"


def test_the_reasons() -> None:
    since = decide(standing(Mark.GOOD), History(proven_for_s=3 * 86400.0), WEEK)
    assert since.reason == "new.conf is new, good only since 3 d"
    proven = decide(standing(Mark.GOOD), History(proven_for_s=9 * 86400.0), WEEK)
    assert proven.reason == "new.conf has proven itself, good for 9 d; it is rebooted once"
    left = decide(standing(Mark.GOOD), History(WEEK, rebooted_before=True), WEEK)
    assert left.reason.endswith("it was rebooted for this failure before, without help")
    unknown = decide(standing(Mark.UNKNOWN, reason="this is a container"), History(), WEEK)
    assert unknown.reason == "this is a container"


def test_the_last_good_entry_is_not_left() -> None:
    """Rebooted once (that uses up a try), then left running."""
    alone = standing(Mark.INDETERMINATE, NEW, Entry("old.conf", left=0, is_bad=True))
    first = decide(alone, History(), WEEK)
    assert first.do is Do.REBOOT_ONCE
    assert "cannot be left" in first.reason
    assert decide(alone, History(rebooted_before=True), WEEK).do is Do.LEAVE
    marked = standing(Mark.BAD, NEW)
    assert decide(marked, History(), WEEK).do is Do.LEAVE


def test_what_was_given_up_is_nothing_to_fall_back_to() -> None:
    """ostree has no marks: without this it would go from one to the other and back."""
    clean = standing(Mark.CLEAN, can_mark=True, loader="ostree")
    history = History(keeps_records=True, given_up=frozenset({"old.conf"}))
    assert fallbacks(clean, history.given_up) == ()
    assert decide(clean, history, WEEK).do is Do.REBOOT_ONCE
    assert "all others were given up" in decide(clean, history, WEEK).reason
    installed_anew = standing(Mark.INDETERMINATE, NEW, Entry("old.conf", left=3))
    decision = decide(installed_anew, history, WEEK)
    assert (decision.do, decision.expects) == (Do.MARK_BAD, "old.conf")


def test_nothing_is_done_where_it_is_not_known_which_entry_runs() -> None:
    for mark in Mark:
        lost = standing(mark, Entry("a"), Entry("b"), can_mark=True)
        assert decide(lost, History(), WEEK).do is Do.REFUSE


@pytest.mark.parametrize("mark", list(Mark))
def test_no_decision_marks_what_cannot_be_left(mark: Mark) -> None:
    """For everything that can be known: MARK_BAD needs another entry, and ends at some time."""
    known = itertools.product(
        (None, 0.0, WEEK, math.inf), (False, True), (False, True), (frozenset(), {"old.conf"})
    )
    for proven, keeps, before, given_up in known:
        history = History(proven, keeps, before, frozenset(given_up))
        for can_mark, bad in itertools.product((False, True), repeat=2):
            seen = standing(mark, NEW, Entry("old.conf", is_bad=bad), can_mark=can_mark)
            decision = decide(seen, history, WEEK)
            if decision.do is Do.MARK_BAD:
                assert fallbacks(seen, history.given_up)
                assert can_mark or mark is Mark.BAD
            if decision.do is Do.REBOOT_ONCE:
                assert not before
                assert mark is not Mark.DIRTY


@pytest.mark.parametrize(
    ("mark", "loader", "history", "new"),
    [
        (Mark.INDETERMINATE, "rauc", History(WEEK), True),
        (Mark.GOOD, "systemd-boot", History(), True),
        (Mark.GOOD, "rauc", History(), False),  # RAUC's mark may be from any boot
        (Mark.GOOD, "rauc", History(keeps_records=True), True),
        (Mark.CLEAN, "systemd-boot", History(), False),
    ],
)
def test_what_is_new(mark: Mark, loader: str, history: History, new: bool) -> None:
    assert is_new(standing(mark, loader=loader), history, WEEK) is new
