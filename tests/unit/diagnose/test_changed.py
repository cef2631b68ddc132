# SPDX-License-Identifier: MIT
"""What changed since the unit last ran well is told where nothing else tells why it failed."""

import json
from typing import Any

import pytest

from failhook.diagnose.facts import Facts
from failhook.diagnose.stage import CHANGES
from failhook.incident import Change, Process, Verdict, rfc3339
from tests.unit import samples
from tests.unit.diagnose.cases import case, judge

_BEGAN = samples.AT + 3600
_BRIEF = Process(100, _BEGAN, _BEGAN + 1)
_EDITED = ("/etc/a.conf", "10 bytes", "12 bytes, content changed")


def _verdict(*changes: tuple[str, str, str], at: float | None = None, **how: Any) -> Verdict:
    lines = how.pop("lines", ())
    found = [
        {"what": what, "before": before, "after": after, "at": rfc3339(at)}
        for what, before, after in changes
    ]
    known = {"last_well": rfc3339(samples.AT), "changes": found}
    items = {CHANGES: json.dumps(known).encode()}
    return judge(case(*lines, items=items, **({"main": _BRIEF} | how)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_EDITED, "/etc/a.conf was changed"),
        (
            ("/etc/a.conf", "mode 0644, owner root, 10 bytes", "not there"),
            "/etc/a.conf was removed",
        ),
        (("/etc/a.d/x", "not there", "mode 0644, owner root, 9 bytes"), "/etc/a.d/x is new"),
        (
            ("/etc/a.conf", "mode 0644", "mode 0600"),
            "/etc/a.conf has mode 0600 (mode 0644 before)",
        ),
        (("acme (dpkg)", "1.0", "1.1"), "acme is 1.1 (1.0 before)"),
        (("acme (rpm)", "1.0", "not there"), "acme was removed"),
        (("mount (dpkg)", "2.38.1", "2.38.2"), "mount is 2.38.2 (2.38.1 before)"),
        (("kernel (rpm)", "5.14", "not there"), "kernel was removed"),
        (("kernel", "6.1.0-9", "6.1.0-10"), "the kernel is 6.1.0-10 (6.1.0-9 before)"),
        (("mount /srv/a", "/dev/sdb ext4 rw", "not there"), "/srv/a is no longer mounted"),
        (("mount /srv/a", "not there", "/dev/sdb ext4 rw"), "/srv/a is mounted now"),
        (
            ("mount /srv/a", "/dev/sdb ext4 rw", "/dev/sdb ext4 ro"),
            "/srv/a is mounted otherwise",
        ),
        (("user acme", "uid 998", "not there"), "the user acme was removed"),
        (("user acme", "uid 998", "uid 997"), "the user acme has uid 997 (uid 998 before)"),
    ],
)
def test_in_words(change: tuple[str, str, str], words: str) -> None:
    verdict = _verdict(change)
    assert verdict.cause == "unclear"
    assert verdict.summary.endswith(f"; since it last ran well, {words}")
    assert "it is unclear why" in verdict.summary
    assert (verdict.advice or "").startswith(f"look first at what became of {change[0]}; ")
    proof = verdict.evidence[-1]
    assert (proof.source, proof.ref) == ("changed", "changes.json")
    assert proof.text == f"{change[0]}: {change[1]} -> {change[2]}"


def test_the_newest_are_named_and_the_others_counted() -> None:
    one, two, *more = ((f"/etc/a.d/{n}", "1 bytes", "2 bytes, content changed") for n in range(4))
    both = "/etc/a.d/0 was changed and /etc/a.d/1 was changed"
    assert _verdict(one, two).summary.endswith(both)
    words = "/etc/a.d/0 was changed, /etc/a.d/1 was changed and 2 more (see Changed)"
    assert _verdict(one, two, *more).summary.endswith(words)


def test_what_is_gone_is_named_first() -> None:
    gone = ("/etc/a.key", "mode 0600, owner root, 9 bytes", "not there")
    said = _verdict(_EDITED, ("acme (dpkg)", "1.0", "1.1"), gone).summary
    assert "well, /etc/a.key was removed, /etc/a.conf was changed and 1 more" in said


def test_beside_the_last_words_that_tell_nothing() -> None:
    verdict = _verdict(_EDITED, lines=("starting", "giving up"))
    assert "giving up" in verdict.summary
    assert verdict.summary.endswith("; since it last ran well, /etc/a.conf was changed")


def test_beside_a_crash_and_what_is_true_of_nothing_that_is_named() -> None:
    crash = ("panic: runtime error: invalid memory address or nil pointer dereference", "",
             "goroutine 1 [running]:", "main.main()", "\t/src/a/main.go:5 +0x1d")  # fmt: skip
    verdict = _verdict(_EDITED, lines=crash)
    assert verdict.cause == "crash-go" and "/etc/a.conf was changed" in verdict.summary
    verdict = _verdict(_EDITED, lines=("error: Connection refused",))
    assert verdict.cause == "connection-refused" and "/etc/a.conf was changed" in verdict.summary


def test_beside_a_guess() -> None:
    facts = Facts(absent={"/etc/a/a.list": "/etc/a.conf:9"})
    verdict = _verdict(_EDITED, facts=facts)
    assert verdict.cause == "file-missing" and "/etc/a/a.list" in verdict.summary
    assert verdict.summary.endswith("; since it last ran well, /etc/a.conf was changed")


def test_not_where_the_cause_is_known() -> None:
    said = "error: cannot open /srv/a/ledger: Permission denied"
    verdict = _verdict(_EDITED, lines=(said,))
    assert verdict.cause == "permission" and "ran well" not in verdict.summary
    assert all(proof.source != "changed" for proof in verdict.evidence)


@pytest.mark.parametrize(
    ("at", "main", "is_told"),
    [
        (_BEGAN - 60, _BRIEF, True),
        (_BEGAN + 0.5, _BRIEF, False),  # it did not live long enough to read that
        (_BEGAN + 50, Process(100, _BEGAN, _BEGAN + 100), True),
        (_BEGAN + 101, Process(100, _BEGAN, _BEGAN + 100), False),
        (_BEGAN + 3600, Process(), False),
        (samples.AT - 60, Process(), True),
    ],
)
def test_what_came_too_late_is_not_why(at: float, main: Process, *, is_told: bool) -> None:
    verdict = _verdict(_EDITED, at=at, main=main)
    assert ("/etc/a.conf was changed" in verdict.summary) is is_told


def test_a_bundle_of_before_has_them_in_its_incident_alone() -> None:
    changes = (Change(*_EDITED),)
    assert "/etc/a.conf was changed" in judge(case(main=_BRIEF, changes=changes)).summary
    damaged = {CHANGES: b"{"}
    one = case(main=_BRIEF, changes=changes, items=damaged)
    assert "/etc/a.conf was changed" in judge(one).summary


def test_a_name_cannot_steer_the_sentence() -> None:
    evil = ("/etc/a.d/\x1b[2J\n" + "x" * 250, "1 bytes", "2 bytes, content changed")
    verdict = _verdict(evil)
    assert "\x1b" not in verdict.summary and "\n" not in verdict.summary
    assert len(verdict.summary) < 400
