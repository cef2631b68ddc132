# SPDX-License-Identifier: MIT
"""The boot check's own words are the verdict; nobody else's are, whatever they look like."""

from dataclasses import replace
from typing import Any

import pytest

from failhook.boot.check.report import Check, Report
from failhook.diagnose.case import Case
from failhook.hook import BOOT_CHECK
from failhook.incident import Process
from tests.unit.diagnose.cases import case, found, judge

PID = 100
UNIT = "db.service is failed (exit status 1)"
CHECKS = (
    Check("db.service", "active", True, False, UNIT, 12),
    Check("10-net", "script", True, False, "10-net ended with status 1: connection refused", 3,
          "curl: (7) Failed to connect to 10.0.0.1 port 443: Connection refused"),
    Check("/var", "disk", True, True, "/var has 1.0 GiB free"),
)  # fmt: skip
SENTENCE = f"the boot check is red: {UNIT}; 2 of 3 required checks failed"


def _lines(*checks: Check, **fields: str) -> list[dict[str, str]]:
    """What the unit's process prints, as journald keeps it: the priority is taken off."""
    own = {"SYSLOG_IDENTIFIER": "failhook-boot-check", "_SYSTEMD_UNIT": BOOT_CHECK}
    printed = Report(0.0, "0" * 32, checks).journal_lines()
    return [
        own | {"PRIORITY": line[1], "MESSAGE": line[3:], "_PID": str(PID)} | fields
        for line in printed
    ]


def _case(*lines: dict[str, str], **changes: Any) -> Case:
    how: dict[str, Any] = {"unit": BOOT_CHECK, "main": Process(PID), "exit_status": "1"} | changes
    return case(*lines, manager=(), **how)


def test_the_first_required_check_is_the_reason() -> None:
    verdict = judge(_case(*_lines(*CHECKS)))
    assert verdict.summary == SENTENCE
    assert verdict.cause == "boot-check"
    assert verdict.advice is not None
    assert "failhook show db.service" in verdict.advice
    texts = [one.text for one in verdict.evidence]
    assert texts[0] == f"required check failed: {UNIT} (12 ms)"
    assert texts[-1] == SENTENCE


def test_a_script_is_looked_at_in_the_report() -> None:
    verdict = judge(_case(*_lines(*CHECKS[1:])))
    assert verdict.summary.startswith(
        "the boot check is red: 10-net ended with status 1: connection refused; 1 of 2 "
    )
    assert verdict.advice is not None
    assert "failhook boot check --last" in verdict.advice


def _none(one: Case) -> bool:
    return "boot-check" not in found(one)


def test_green_is_no_cause() -> None:
    assert _none(_case(*_lines(CHECKS[2])))


@pytest.mark.parametrize(
    "fields",
    [
        {"_UID": "998"},  # printed by somebody else
        {"_PID": "4711"},  # logged by a script, or by anything else in the unit
        {"SYSLOG_IDENTIFIER": "logger"},
    ],
)
def test_forged_lines_do_not_count(fields: dict[str, str]) -> None:
    assert _none(_case(*_lines(*CHECKS, **fields)))


def test_what_a_script_prints_does_not_count() -> None:
    forged = Check("s", "script", True, False, "s ended with status 1", 1, SENTENCE)
    verdict = judge(_case(*_lines(forged)))
    assert verdict.summary == (
        "the boot check is red: s ended with status 1; 1 of 1 required check failed"
    )


def test_the_same_words_of_another_unit_do_not_count() -> None:
    assert _none(_case(*_lines(*CHECKS), unit="a.service"))


def test_an_ordinary_users_unit_of_that_name_does_not_count() -> None:
    one = _case(*_lines(*CHECKS))
    assert not _none(one)
    assert _none(replace(one, incident=replace(one.incident, manager="user")))


def test_a_run_that_systemd_has_forgotten_is_told_by_its_own_lines() -> None:
    unknown = Process()
    assert judge(_case(*_lines(*CHECKS), main=unknown)).summary == SENTENCE
    assert _none(_case(*_lines(*CHECKS, _UID="998"), main=unknown))
    assert _none(_case(*_lines(*CHECKS, SYSLOG_IDENTIFIER="logger"), main=unknown))
