# SPDX-License-Identifier: MIT
"""The one sentence: names the unit and the way it ended, and claims nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.describe import essence, summary, with_changes, with_circumstance
from failhook.incident import Control, Phase, TriggerNote
from failhook.systemd.history import Line
from failhook.systemd.unit import UnitState
from tests.unit.samples import incident

NEVER: dict[str, Any] = {
    "invocation_id": None,
    "result": None,
    "exit_code": None,
    "exit_status": None,
}


def _state(**properties: str) -> UnitState:
    return UnitState("a.service", properties)


def _about(*messages: str, **fields: str) -> list[Line]:
    return [Line(1.0, message, {"_PID": "1"} | fields) for message in messages]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"exit_status_name": "NOTIMPLEMENTED"},
            "failed: main process exited with status 3/NOTIMPL",
        ),
        ({"exit_status": "42"}, "failed: main process exited with status 42"),
        (
            {"exit_status": "203", "exit_status_name": "EXEC"},
            "failed to start: main process exited with status 203/EXEC, the program cannot be exec",
        ),
        ({"exit_status": "217", "exit_status_name": "USER"}, "217/USER, User= is unknown"),
        ({"exit_status": "226", "exit_status_name": "NAMESPACE"}, "the mount namespace cannot be"),
        (
            {"result": "signal", "exit_code": "killed", "exit_status": "KILL"},
            "failed: main process was killed by SIGKILL",
        ),
        (
            {"result": "core-dump", "exit_code": "dumped", "exit_status": "SEGV"},
            "failed: main process crashed with SIGSEGV and dumped core",
        ),
        (
            {"result": "watchdog", "exit_code": "killed", "exit_status": "ABRT"},
            "failed: no sign of life within WatchdogSec=",
        ),
        ({"result": "oom-kill"}, "failed: a process was killed by the out-of-memory killer"),
        ({"result": "start-limit-hit"}, "started too often in too short a time"),
        ({"result": "resources"}, "could not set up what it needs"),
        ({"result": "protocol"}, "did not follow its Type="),
        ({**NEVER, "result": "exit-code"}, "failed: result exit-code"),
        (NEVER, "failed: no result is known"),
        (
            {**NEVER, "result": "exit-code", "control": Control("ExecStartPre", "exited", "7")},
            "failed to start: ExecStartPre= exited with status 7/NOTRUNNING",
        ),
        (
            {**NEVER, "result": "signal", "control": Control("ExecStop", "killed", "TERM")},
            "failed: ExecStop= was killed by SIGTERM",
        ),
        ({"phase": Phase.STOPPED}, "was stopped on request and ended badly: main process exited"),
        ({"phase": Phase.SHUTDOWN}, "ended badly while the machine went down: main process"),
        ({**NEVER, "phase": Phase.JOB_TIMEOUT}, "its start job timed out (JobTimeoutSec=)"),
        ({**NEVER, "phase": Phase.DEPENDENCY}, "did not start: a dependency failed"),
    ],
)
def test_sentences(changes: dict[str, Any], sentence: str) -> None:
    said = summary(incident(**changes), _state())
    assert said.startswith("a.service")
    assert sentence in said


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (["start operation timed out. Terminating."], "failed to start: it was not up within Time"),
        (["start-pre operation timed out. Terminating."], "not up within TimeoutStartSec=1min 30s"),
        (["State 'stop-sigterm' timed out. Killing."], "did not stop within TimeoutStopSec=5s"),
        (["State 'final-sigterm' timed out. Killing."], "did not stop within TimeoutStopSec=5s"),
        (["Service reached runtime time limit. Stopping."], "it ran longer than RuntimeMaxSec=9s"),
        (
            ["Service reached runtime time limit. Stopping.", "State 'stop-sigterm' timed out."],
            "it ran longer than RuntimeMaxSec=9s",
        ),
        (
            ["start operation timed out. Terminating.", "State 'stop-sigterm' timed out."],
            "it was not up within",
        ),
        (["Stopping a thing. It timed out, says somebody."], "a time limit was reached"),
        ([], "a time limit was reached"),
    ],
)
def test_which_time_was_over(messages: list[str], words: str) -> None:
    state = _state(TimeoutStartUSec="1min 30s", TimeoutStopUSec="5s", RuntimeMaxUSec="9s")
    about = _about(*(f"a.service: {message}" for message in messages))
    assert words in summary(incident(result="timeout"), state, about)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("Mounting timed out. Terminating.", "failed to start: it was not up within TimeoutSec=2s"),
        ("Unmounting timed out. Terminating.", "did not stop within TimeoutSec=2s"),
    ],
)
def test_mounts_have_one_time_limit(message: str, words: str) -> None:
    said = summary(incident(result="timeout"), _state(TimeoutUSec="2s"), _about(message))
    assert words in said


def test_a_time_limit_that_is_not_known() -> None:
    about = _about("start operation timed out. Terminating.")
    assert "TimeoutStartSec=?" in summary(incident(result="timeout"), _state(), about)


def test_a_dependency_that_the_journal_names() -> None:
    said = summary(
        incident(**NEVER, phase=Phase.DEPENDENCY),
        _state(),
        _about("Dependency failed for A.", JOB_RESULT="dependency"),
    )
    assert said.startswith("a.service did not start: something it requires failed")


def test_by_hand_says_how_the_unit_is() -> None:
    by_hand = incident(**NEVER, triggers=(TriggerNote("1", "manual", 1.0),))
    state = _state(ActiveState="active", SubState="running")
    assert summary(by_hand, state) == (
        "a.service is active/running; its evidence was collected on request"
    )
    assert "unknown/unknown" in summary(by_hand, _state())


RESULTS = st.sampled_from(
    [
        *("exit-code", "signal", "core-dump", "timeout", "watchdog", "oom-kill", "protocol"),
        *("resources", "start-limit-hit", "exec-condition", "new-in-systemd-300", None),
    ]
)
CODES = st.sampled_from(["exited", "killed", "dumped", "trapped", None])
STATUSES = st.sampled_from(["0", "3", "203", "255", "KILL", "RTMIN+3", None])


@given(
    result=RESULTS,
    code=CODES,
    status=STATUSES,
    phase=st.sampled_from(Phase),
    control=st.none() | st.builds(Control, st.sampled_from(["ExecStart", "x"]), CODES, STATUSES),
)
def test_whatever_is_known_it_is_one_sentence(
    result: str | None,
    code: str | None,
    status: str | None,
    phase: Phase,
    control: Control | None,
) -> None:
    one = incident(result=result, exit_code=code, exit_status=status, phase=phase, control=control)
    said = summary(one, _state())
    assert said.startswith("a.service")
    assert "\n" not in said
    assert "None" not in said
    assert len(said) < 200


def test_a_circumstance_does_not_make_another_failure_of_it() -> None:
    said = "a.service failed to start: no port (while it rained)"
    circumstances = [with_circumstance(said, who) for who in ("dpkg (pid 7)", "apt-get (pid 91)")]
    assert circumstances[0].endswith("(while it rained) (while dpkg (pid 7) was at work)")
    assert {essence("a.service", one) for one in (said, *circumstances)} == {
        "no port (while it rained)"
    }
    changed = with_changes(said, "/etc/a.conf was changed")
    assert changed == f"{said}; since it last ran well, /etc/a.conf was changed"
    for one in (changed, with_circumstance(changed, "dpkg (pid 7)")):
        assert essence("a.service", one) == "no port (while it rained)"
