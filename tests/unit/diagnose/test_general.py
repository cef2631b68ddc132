# SPDX-License-Identifier: MIT
"""A program that nobody knows: which line matters; the rank of findings; the engine; own causes."""
# ruff: noqa: E501 - a row of a table is one line

from dataclasses import replace
from pathlib import Path

import pytest

from failhook import pattern
from failhook.config.custom_cause import CustomCause
from failhook.diagnose import custom
from failhook.diagnose.case import Case
from failhook.diagnose.engine import CAUSES, diagnose
from failhook.diagnose.facts import Facts
from failhook.diagnose.finding import Cause, Finding, quote, verb
from failhook.diagnose.rank import last_words, rank
from failhook.incident import Phase
from tests.unit.diagnose.cases import STARTED, case, control, gone, judge, process

TELLING = [
    (("starting", "cannot open the store: it is locked", "exiting"), "cannot open the store"),
    (("INFO reading /srv/x", "ERROR no key in /srv/x", "ERROR giving up"), "no key in /srv/x"),
    (("warning: x is deprecated", "fatal: no interface eth9", "bye"), "no interface eth9"),
    (("0 errors, no errors", "loaded 12 modules", "unable to map 'pool'"), "unable to map 'pool'"),
    (("error: peer 'b' is unknown", "Traceback follows", "aborted"), "peer 'b' is unknown"),
    (("it may fail later", "the schema 12 is too new"), "the schema 12 is too new"),
    (("*** ERROR ***", "zone 'x' has no serial"), "zone 'x' has no serial"),
    (("no /srv/y, using defaults", "ERROR SECRET is not set"), "SECRET is not set"),
    (("WARN open /srv/y: no such file or directory", "ERROR SECRET is not set"), "SECRET is not"),
    (("failed to start", "reason: disk 'b' is offline: not found"), "disk 'b' is offline"),
    (("there are problems with the following", "zone 'x' is broken"), "zone 'x' is broken"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "said"), TELLING)
def test_the_line_that_tells(lines: tuple[str, ...], said: str) -> None:
    assert said in judge(case(*lines)).summary


def test_what_it_does_not_know_it_calls_unclear() -> None:
    verdict = judge(case("at work", "still at work"))
    assert verdict.cause == "unclear"
    assert verdict.confidence is not None
    assert verdict.confidence < 0.5
    assert "still at work" in verdict.summary


def test_what_healthy_runs_say_too_counts_less() -> None:
    before = b"2026-11-21T21:49:37 a[9]: error: cannot reach 'mirror'\n"
    one = case(
        "error: cannot reach 'mirror'", "error: cannot reach 'master'",
        items={"journal/before.txt": before},
    )  # fmt: skip
    assert "'master'" in judge(one).summary


def test_what_was_said_long_before_the_end_counts_less() -> None:
    early = {"__REALTIME_TIMESTAMP": "1795301000000000", "MESSAGE": "error: cannot reach 'mirror'"}
    assert "'master'" in judge(case(early, "error: cannot reach 'master'")).summary


# -- the rank -------------------------------------------------------------------------------------


def _finding(sentence: str, confidence: float, at: int | None = None, cause: str = "x") -> Finding:
    return Finding(cause, sentence, "do", confidence, (), at)


def test_the_first_of_equals_and_each_sentence_once() -> None:
    one = case("a", "b")
    found = rank(one, [_finding("b", 0.8, 1), _finding("a", 0.8, 0), _finding("a", 0.3, 1)])
    assert [finding.sentence for finding in found] == ["a", "b"]


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        (("warning: a", "error: b"), "b"),
        (("error: a", "error: b, exiting"), "a"),
        (("error: b", "error: a"), "b"),
        (("a, ignored", "b"), "b"),
        (("info: a", "b"), "b"),
    ],
)
def test_weights_of_lines(lines: tuple[str, ...], first: str) -> None:
    one = case(*lines)
    found = rank(one, [_finding(message.text[0], 0.8, message.number) for message in one.messages])
    assert found[0].sentence == first


def test_confidence_stays_a_probability() -> None:
    found = rank(case("error: a"), [_finding("a", 5.0, 0), _finding("b", -3.0)])
    assert [finding.confidence for finding in found] == [0.99, 0.05]


def test_last_words() -> None:
    one = case("a", "***", "b", "--", "c", "d", "===")
    assert [message.text for message in last_words(one.messages)] == ["b", "c", "d"]


# -- findings and the engine ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "how"),
    [
        (case(), "failed to start"),
        (case(main=process(lived=600.0), manager=()), "failed"),
        (case(phase=Phase.STOPPED), "was stopped on request and ended badly"),
        (case(phase=Phase.SHUTDOWN), "ended badly while the machine went down"),
        (case(phase=Phase.RELOAD), "failed while it reloaded"),
        (case(phase=Phase.DEPENDENCY), "failed to start"),
        (case(control=control("ExecStartPre")), "failed to start"),
        (case(control=control("ExecStop")), "failed"),
        (case(show={"Type": "oneshot"}), "failed"),
        (case(manager=(STARTED, "a.service: start operation timed out. Terminating.")), "failed to start"),
    ],
)  # fmt: skip
def test_how_far_a_run_came(one: Case, how: str) -> None:
    assert verb(one) == how


def test_quotes_are_one_line_and_short() -> None:
    assert quote("  a\n b. ") == "a b"
    assert len(quote("x" * 999)) == 260


def test_a_cause_that_crashes_costs_no_other() -> None:
    def broken(_: Case) -> list[Finding]:
        raise RuntimeError("a defect")

    verdict = diagnose(case("error: no 'x'"), [Cause("broken", "a defect", broken), *CAUSES])
    assert verdict is not None
    assert "no 'x'" in verdict.summary


def test_nothing_known_is_no_verdict() -> None:
    assert diagnose(case(), []) is None


def test_an_upgrade_is_named_and_others_are_listed() -> None:
    facts = Facts(paths={"/srv/x": gone("/srv/x")}, upgrading=("dpkg (pid 7)",))
    verdict = judge(
        case("open /srv/x: no such file or directory", "unknown option 'y'", facts=facts)
    )
    assert verdict.summary.endswith("(while dpkg (pid 7) was at work)")
    assert any("'y'" in other.summary for other in verdict.others)
    assert all(proof.text for proof in verdict.evidence)


def test_every_cause_has_a_name_and_a_summary() -> None:
    assert len({cause.name for cause in CAUSES}) == len(CAUSES)
    assert all(cause.summary for cause in CAUSES)


# -- the administrator's own ----------------------------------------------------------------------

QUEUE = CustomCause(
    "queue",
    pattern.checked("queue", r"queue (?P<name>\w{1,20}) is full"),
    "the queue {name} is full",
    advice="empty it",
    runbook="https://wiki.example.org/queue",
)


def _own(one: Case, cause: CustomCause = QUEUE) -> list[Finding]:
    [known] = custom.of_data([cause])
    return list(known.look(one))


def test_a_cause_as_data() -> None:
    [found] = _own(case("queue mail is full"))
    assert found.sentence == "a.service failed to start: the queue mail is full"
    assert found.advice == "empty it https://wiki.example.org/queue"
    assert found.at == 0


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("queue mail is empty", QUEUE),
        ("queue mail is full", replace(QUEUE, units=("b*",))),
        ("queue mail is full", replace(QUEUE, results=("timeout",))),
    ],
)
def test_where_a_cause_as_data_does_not_apply(line: str, cause: CustomCause) -> None:
    assert not _own(case(line), cause)


def test_causes_in_python_and_broken_ones(tmp_path: Path) -> None:
    good, bad, none = (tmp_path / name for name in ("good.py", "bad.py", "none.py"))
    good.write_text(
        "from failhook.diagnose.finding import Cause, Finding\n"
        "CAUSES = (Cause('mine', 'x', lambda case: [Finding('mine', 'it is mine', 'do', 0.97)]), 3)\n"
    )
    bad.write_text("raise RuntimeError('x')\n")
    none.write_text("CAUSES = ()\n")
    found = custom.of_plugins([bad, good, none, tmp_path / "missing.py"])
    assert [cause.name for cause in found] == ["mine"]
    verdict = diagnose(case("error"), [*found, *CAUSES])
    assert verdict is not None
    assert verdict.summary == "it is mine"
