# SPDX-License-Identifier: MIT
"""Limits whose end is a signal, and what NotifyAccess= lets through: neither says why."""
# ruff: noqa: E501 - a sentence is one line

from typing import Any

import pytest

from failhook.diagnose.case import Case
from tests.unit.diagnose.cases import STARTED, case, control, found, judge, what

ONE_SECOND = {"LimitCPU": "1", "LimitCPUSoft": "1"}
SMALL = {"LimitFSIZE": "65536", "LimitFSIZESoft": "65536"}
REFUSED = (
    STARTED,
    "a.service: Got notification message from PID 122, but reception only permitted for main PID 100",
    "a.service: start operation timed out. Terminating.",
)


def _killed(signal: str, show: dict[str, str], code: str = "killed", **more: Any) -> Case:
    return case(exit_code=code, exit_status=signal, result="signal", show=show, **more)


@pytest.mark.parametrize("code", ["killed", "dumped"])
def test_the_signals_of_limits(code: str) -> None:
    assert what(_killed("XCPU", ONE_SECOND, code), "limit") == (
        "/usr/sbin/a used up the CPU time that LimitCPU=1 allows (seconds), and the kernel ended it "
        "with SIGXCPU"
    )
    assert what(_killed("XFSZ", SMALL, code), "limit") == (
        "/usr/sbin/a wrote a larger file than LimitFSIZE=65536 allows (bytes), and the kernel ended "
        "it with SIGXFSZ"
    )


def test_a_command_of_a_shell() -> None:
    assert "LimitFSIZE=65536" in str(what(case(exit_status="153", show=SMALL), "limit"))


def test_a_limit_that_the_unit_does_not_set() -> None:
    said = str(what(_killed("XCPU", {"LimitCPU": "infinity"}), "limit"))
    assert "its limit (LimitCPU= is not set)" in said


def test_the_hard_limit_kills() -> None:
    used = {**ONE_SECOND, "CPUUsageNSec": "865717000"}
    said = found(_killed("KILL", used))
    assert said["limit"].confidence > said["signal"].confidence
    assert "LimitCPU=1" in said["limit"].sentence


@pytest.mark.parametrize(
    "one",
    [
        _killed("KILL", {**ONE_SECOND, "CPUUsageNSec": "20000000"}),
        _killed("KILL", ONE_SECOND),  # nothing is known of what it used
        _killed("KILL", {**ONE_SECOND, "CPUUsageNSec": "7000000000"}),  # of several processes
        _killed("KILL", {"CPUUsageNSec": "865717000"}),
        _killed("TERM", {**ONE_SECOND, "CPUUsageNSec": "865717000"}),
        _killed("XCPU", ONE_SECOND, control=control("ExecStartPost", "7")),
        case("open /srv/a: File too large"),
        case("worker 153 ended", show=SMALL),
        case(exit_status="153"),
    ],
)
def test_what_is_no_limit(one: Case) -> None:
    assert "limit" not in found(one)


def test_the_words_of_a_program_that_ignores_the_signal() -> None:
    said = what(case("OSError: [Errno 27] File too large", show=SMALL), "limit")
    assert str(said).startswith("it may write no larger file than LimitFSIZE=65536 allows (bytes)")


def test_who_may_not_speak_to_systemd() -> None:
    show = {"Type": "notify", "NotifyAccess": "main", "TimeoutStartUSec": "5s"}
    said = what(case(manager=REFUSED, result="timeout", show=show), "notify-access")
    assert said == (
        "its process 122 told systemd what NotifyAccess=main does not let through: Type=notify waits "
        "for READY=1, and none came within TimeoutStartSec=5s"
    )
    late = (STARTED, REFUSED[1], "a.service: Watchdog timeout (limit 2s)!")
    show = {"NotifyAccess": "main", "WatchdogUSec": "2s"}
    said = what(case(manager=late, result="watchdog", show=show), "notify-access")
    assert "WatchdogSec=2s waits for WATCHDOG=1, and none came in time" in str(said)


def test_the_advice_where_systemd_says_nothing_of_it() -> None:
    """As 257 does, of a child that sends READY=1."""
    show = {"Type": "notify", "NotifyAccess": "main", "TimeoutStartUSec": "5s"}
    timed_out = (STARTED, REFUSED[2])
    advice = judge(case(manager=timed_out, result="timeout", show=show)).advice or ""
    assert "if a child of it sends READY=1: NotifyAccess=all" in advice
    everybody = show | {"NotifyAccess": "all"}
    advice = judge(case(manager=timed_out, result="timeout", show=everybody)).advice or ""
    assert "sd_notify(3)" in advice and "NotifyAccess" not in advice


def test_what_is_no_matter_of_access() -> None:
    show = {"Type": "notify", "TimeoutStartUSec": "5s"}
    silent = (STARTED, REFUSED[2])
    assert "notify-access" not in found(case(manager=silent, result="timeout", show=show))
    # of a program's own line it is nothing: only systemd can tell
    one = case(REFUSED[1], manager=silent, result="timeout", show=show)
    assert "notify-access" not in found(one)
    up = {"Type": "exec", "TimeoutStartUSec": "5s"}
    assert "notify-access" not in found(case(manager=REFUSED, result="timeout", show=up))
