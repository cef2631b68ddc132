# SPDX-License-Identifier: MIT
"""Phase, processes and last words from what systemd and the program said."""

from dataclasses import replace

import pytest

from failhook.classify import (
    classify,
    dying_words,
    dying_words_of_file,
    normalised,
    timestamp,
)
from failhook.describe import summary
from failhook.incident import Incident, Phase, State
from failhook.systemd import history
from failhook.systemd.history import Line
from failhook.systemd.journal import COREDUMP
from failhook.systemd.unit import UnitState

RUN = "a" * 32
BASE = Incident(
    id="x",
    host="h",
    boot_id="b" * 32,
    unit="u.service",
    first_seen=100.0,
    last_seen=100.0,
    invocation_id=RUN,
    result="exit-code",
    exit_code="exited",
    exit_status="3",
)


def _state(**properties: str) -> UnitState:
    known = {"LoadState": "loaded", "InvocationID": RUN, "ActiveState": "failed"} | properties
    return UnitState("u.service", known)


def _manager(message: str, at: float = 1.0, **fields: str) -> Line:
    return Line(at, message, {"_PID": "1", "MESSAGE": message} | fields)


EXITED = _manager("Main process exited", MESSAGE_ID=history.PROCESS_EXIT)
STOPPING = _manager("Stopping u.service...", MESSAGE_ID=history.STOPPING)
RESTART = _manager("Scheduled restart job", MESSAGE_ID=history.RESTART_SCHEDULED, N_RESTARTS="2")


@pytest.mark.parametrize(
    ("lines", "properties", "phase"),
    [
        ([EXITED], {}, Phase.FAILED),
        ([EXITED], {"NRestarts": "4"}, Phase.GAVE_UP),
        ([EXITED, RESTART], {}, Phase.GAVE_UP),
        ([EXITED], {"ActiveState": "activating", "SubState": "auto-restart"}, Phase.RESTARTING),
        (
            [EXITED],
            {"ActiveState": "activating", "SubState": "auto-restart-queued"},
            Phase.RESTARTING,
        ),
        ([EXITED, RESTART], {"InvocationID": "c" * 32, "ActiveState": "active"}, Phase.RESTARTING),
        ([EXITED], {"InvocationID": "c" * 32, "ActiveState": "active"}, Phase.FAILED),
        ([STOPPING, EXITED], {}, Phase.STOPPED),
        ([EXITED, STOPPING], {}, Phase.FAILED),
        ([EXITED], {"ActiveState": "deactivating", "SubState": "stop-post"}, Phase.UNKNOWN),
        (
            [_manager("Reloading", MESSAGE_ID=history.RELOADING), EXITED],
            {},
            Phase.RELOAD,
        ),
        (
            [
                _manager("Reloading", MESSAGE_ID=history.RELOADING),
                _manager("Reloaded", MESSAGE_ID=history.RELOADED),
                EXITED,
            ],
            {},
            Phase.FAILED,
        ),
    ],
)
def test_phase(lines: list[Line], properties: dict[str, str], phase: Phase) -> None:
    assert classify(BASE, _state(**properties), lines).phase is phase


def test_a_stop_that_was_asked_for_waits_for_nobody() -> None:
    assert classify(BASE, _state(), [STOPPING, EXITED]).state is State.CLOSED
    assert classify(BASE, _state(), [STOPPING], stopping=True).phase is Phase.SHUTDOWN


@pytest.mark.parametrize(
    ("result", "phase"), [("dependency", Phase.DEPENDENCY), ("timeout", Phase.JOB_TIMEOUT)]
)
def test_what_never_ran(result: str, phase: Phase) -> None:
    never = replace(BASE, invocation_id=None, result=None, exit_code=None, exit_status=None)
    state = _state(InvocationID="", ActiveState="inactive")
    lines = [_manager("Dependency failed for u", JOB_RESULT=result)]
    assert classify(never, state, lines).phase is phase


def test_only_the_manager_is_believed() -> None:
    forged = Line(1.0, "Stopping", {"_PID": "77", "MESSAGE_ID": history.STOPPING})
    assert classify(BASE, _state(), [forged, EXITED]).phase is Phase.FAILED


def test_attempts_are_counted_as_systemd_counts() -> None:
    state = _state(StartLimitIntervalUSec="10s", StartLimitBurst="5")
    known = classify(BASE, state, [EXITED, RESTART])
    assert (known.attempt, known.attempts) == (2, 5)
    unlimited = _state(StartLimitIntervalUSec="0", StartLimitBurst="5", NRestarts="7")
    assert classify(BASE, unlimited, [EXITED]).attempts is None
    assert classify(BASE, unlimited, [EXITED]).attempt == 8


def test_a_control_process_is_named_when_the_main_one_is_not_to_blame() -> None:
    blameless = replace(BASE, exit_code=None, exit_status=None)
    line = _manager(
        "Control process exited, code=exited, status=7/NOTRUNNING",
        MESSAGE_ID=history.PROCESS_EXIT,
        COMMAND="ExecStartPre",
        EXIT_CODE="exited",
        EXIT_STATUS="7",
    )
    known = classify(blameless, _state(), [line])
    assert known.control is not None
    assert (known.control.command, known.control.exit_status) == ("ExecStartPre", "7")
    assert "ExecStartPre= exited with status 7/NOTRUNNING" in summary(known, _state(), [line])
    assert classify(BASE, _state(), [line]).control is None
    # systemd ends a sound main process for a failing ExecStartPost=
    ended = replace(BASE, exit_code="killed", exit_status="TERM")
    assert classify(ended, _state(), [line]).control == known.control
    later = _manager("Main process exited, code=killed", MESSAGE_ID=history.PROCESS_EXIT)
    assert classify(ended, _state(), [later, line]).control is None


def test_last_words_are_the_programs_own() -> None:
    lines = [
        Line(1.0, "starting up", {"_PID": "7"}),
        Line(2.0, "two\nlines", {"_PID": "7"}),
        Line(3.0, "<3>failhook: cannot report", {"_PID": "8", "SYSLOG_IDENTIFIER": "failhook"}),
        _manager("Main process exited", 4.0),
        Line(5.0, "Process 7 (a) dumped core.", {"_PID": "9", "MESSAGE_ID": COREDUMP}),
    ]
    assert dying_words(lines) == ("starting up", "two", "lines")
    assert dying_words([Line(1.0, "x" * 9999, {"_PID": "7"})]) == ("x" * 500,)
    coloured = Line(1.0, "\x1b[1;31mERROR\x1b[0m no table\n\x1b[0m\n", {"_PID": "7"})
    assert dying_words([coloured]) == ("ERROR no table",)


def test_a_remark_of_systemds_child_is_none_of_the_last_words() -> None:
    remark = (
        "a.service: Referenced but unset environment variable evaluates to an empty string: OPTIONS"
    )
    fields = {"_PID": "7", "SYSLOG_IDENTIFIER": "(a)"}
    own = Line(2.0, "no such table", {"_PID": "7", "SYSLOG_IDENTIFIER": "a"})
    assert dying_words([Line(1.0, remark, fields), own]) == ("no such table",)
    failed = "a.service: Failed at step EXEC spawning /srv/a: No such file or directory"
    assert dying_words([Line(1.0, failed, fields)]) == (failed,)
    program = {"_PID": "7", "SYSLOG_IDENTIFIER": "a"}
    assert dying_words([Line(1.0, remark, program)]) == (remark,)


def test_last_words_of_a_log_file() -> None:
    text = "".join(f"line {number}\n\n" for number in range(20)) + "\x1b[31mFATAL\x1b[0m no table\n"
    words = dying_words_of_file(text)
    assert words[0] == "line 13" and words[-1] == "FATAL no table" and len(words) == 8
    assert dying_words_of_file(" \n") == ()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("pid 812 at 0x7ffe12", "pid 9 at 0x11", True),
        ("2026-11-21T10:00:00Z no route", "2025-01-01 09:59:59.123 no route", True),
        ("port 3000 in use", "port 3000 refused", False),
        (
            "id 8b1a9953-c461-4b3a-9d3e-0c1f7b1a2d3e gone",
            "id ffffffff-c461-4b3a-9d3e-000000000000 gone",
            True,
        ),
    ],
)
def test_signature_words(one: str, other: str, same: bool) -> None:
    assert (normalised([one]) == normalised([other])) == same


def test_timestamps_as_systemctl_prints_them() -> None:
    assert timestamp("Sat 2026-11-21 21:49:37.250000 UTC") == 1795297777.25
    assert timestamp("n/a") is None
    assert timestamp(None) is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "u.service failed: main process exited with status 3/NOTIMPLEMENTED"),
        (
            {"exit_status": "203", "exit_status_name": "EXEC"},
            (
                "u.service failed to start: main process exited with status 203/EXEC, "
                "the program cannot be executed"
            ),
        ),
        (
            {"result": "signal", "exit_code": "killed", "exit_status": "KILL"},
            "u.service failed: main process was killed by SIGKILL",
        ),
        (
            {"result": "oom-kill"},
            "u.service failed: a process was killed by the out-of-memory killer",
        ),
        (
            {"phase": Phase.STOPPED},
            (
                "u.service was stopped on request and ended badly: "
                "main process exited with status 3/NOTIMPLEMENTED"
            ),
        ),
    ],
)
def test_sentences(changes: dict[str, object], sentence: str) -> None:
    incident = replace(BASE, exit_status_name="NOTIMPLEMENTED")
    incident = replace(incident, **changes)  # type: ignore[arg-type]
    assert summary(incident, _state()) == sentence
