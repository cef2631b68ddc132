# SPDX-License-Identifier: MIT
"""Every way to fail in which systemd behaves differently, under every wiring, on a real one.

A case says how the unit looks, how it is made to fail, and what the incident has to say.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.bed import Machine
from tests.e2e.hooked import WIRING, Hooked, service

_NOTIFY = "Type=notify\nNotifyAccess=all\n"


def _start(bed: Machine, unit: str) -> None:
    bed.systemctl("start", unit, check=False)


def _start_and_stop(bed: Machine, unit: str) -> None:
    bed.systemctl("start", unit)
    bed.wait_state(unit, "active")
    bed.run(["sh", "-c", "sleep 0.3"])
    bed.systemctl("stop", unit, check=False)


def _reload(bed: Machine, unit: str) -> None:
    bed.systemctl("start", unit)
    bed.wait_state(unit, "active")
    bed.systemctl("reload", unit, check=False)


def _oom(bed: Machine, unit: str) -> None:
    bed.systemctl("start", unit)
    bed.wait_state(unit, "active")
    bed.simulate_oom(unit)


@dataclass(frozen=True)
class Case:
    """One way to fail."""

    name: str
    body: str
    expected: dict[str, Any]
    act: Callable[[Machine, str], None] = _start
    words: str | None = None
    unit: str = ""
    only: tuple[str, ...] = field(default=tuple(WIRING))
    ends: tuple[str, ...] = ("failed",)


def _ended(result: str, code: str | None, status: str | None, **more: Any) -> dict[str, Any]:
    return {"result": result, "exit_code": code, "exit_status": status, **more}


_FAIL = "ExecStart=sh -c 'echo these are my last words; sleep 0.1; exit 3'\n"
CASES = [
    Case("simple", _FAIL, _ended("exit-code", "exited", "3", phase="failed"), words="last words"),
    Case("exec", f"Type=exec\n{_FAIL}", _ended("exit-code", "exited", "3")),
    Case("oneshot", f"Type=oneshot\n{_FAIL}", _ended("exit-code", "exited", "3")),
    Case(
        "forking",
        "Type=forking\nExecStart=sh -c 'echo starter; exit 4'\n",
        {
            "result": "exit-code",
            "control": {"command": "ExecStart", "exit_code": "exited", "exit_status": "4"},
        },
    ),
    Case("notify", f"{_NOTIFY}ExecStart=sh -c 'exit 5'\n", _ended("exit-code", "exited", "5")),
    Case("signal", "ExecStart=sh -c 'kill -KILL $$$$'\n", _ended("signal", "killed", "KILL")),
    Case(
        "core",
        "LimitCORE=infinity\nWorkingDirectory=/tmp\nExecStart=sh -c 'kill -SEGV $$$$'\n",
        _ended("core-dump", "dumped", "SEGV"),
    ),
    Case(
        "start-timeout",
        f"{_NOTIFY}TimeoutStartSec=1\nExecStart=sleep 60\n",
        _ended("timeout", "killed", "TERM"),
    ),
    Case(
        "stop-timeout",
        "TimeoutStopSec=1\nExecStart=sh -c 'trap \"\" TERM; while :; do sleep 1; done'\n",
        _ended("timeout", "killed", "KILL", phase="stopped", state="closed"),
        act=_start_and_stop,
    ),
    Case(
        "watchdog",
        f"{_NOTIFY}WatchdogSec=1\nLimitCORE=0\n"
        "ExecStart=sh -c 'systemd-notify --ready; exec sleep 60'\n",
        _ended("watchdog", "killed", "ABRT"),
    ),
    Case("oom", "ExecStart=sleep 60\n", _ended("oom-kill", "killed", "KILL"), act=_oom),
    Case(
        "missing-binary",
        "ExecStart=/usr/local/bin/not-there\n",
        _ended("exit-code", "exited", "203", exit_status_name="EXEC"),
    ),
    Case(
        "start-pre",
        "ExecStartPre=sh -c 'echo not ready; exit 7'\nExecStart=sleep 60\n",
        _ended(
            "exit-code",
            None,
            None,
            control={"command": "ExecStartPre", "exit_code": "exited", "exit_status": "7"},
        ),
    ),
    Case(
        "condition",
        "ExecCondition=sh -c 'exit 255'\nExecStart=sleep 60\n",
        {"result": "exit-code", "phase": "condition"},
    ),
    Case(
        "reload",
        "ExecStart=sleep 60\nExecReload=sh -c 'kill -KILL $MAINPID; sleep 1'\n",
        _ended("signal", "killed", "KILL", phase="reload"),
        act=_reload,
    ),
    Case("protocol", f"{_NOTIFY}ExecStart=true\n", _ended("protocol", "exited", "0")),
    Case(
        "java-143",
        "ExecStart=sh -c 'trap \"exit 143\" TERM; while :; do sleep 0.1; done'\n",
        _ended("exit-code", "exited", "143", phase="stopped", state="closed"),
        act=_start_and_stop,
    ),
    Case(
        "user-unknown",
        "User=nobody-at-all\nExecStart=sleep 60\n",
        {"result": "exit-code"},
        only=("on-failure", "both"),
    ),
    Case(
        "dependency",
        "ExecStart=sleep 60\n",
        {"result": None, "exit_code": None, "phase": "dependency", "invocation_id": None},
        unit="Requires=broken-dependency.service\nAfter=broken-dependency.service\n",
        only=("on-failure", "both"),
        ends=("inactive",),
    ),
    Case(
        "job-timeout",
        f"{_NOTIFY}ExecStart=sh -c 'sleep 3; systemd-notify --ready; sleep 60'\n",
        {"result": None, "phase": "job-timeout", "invocation_id": None},
        unit="JobTimeoutSec=1\n",
        only=("on-failure", "both"),
        ends=("activating", "active"),
    ),
]
IDS = [(wiring, case) for case in CASES for wiring in case.only]


@pytest.mark.parametrize(
    ("wiring", "case"), IDS, ids=[f"{case.name}-{wiring}" for wiring, case in IDS]
)
def test_failure_becomes_one_incident(hooked: Hooked, wiring: str, case: Case) -> None:
    name = f"m-{case.name}-{wiring}.service"
    bed = hooked.machine
    bed.units(
        {
            name: service(wiring, case.body, case.unit),
            "broken-dependency.service": "[Service]\nType=oneshot\nExecStart=false\n",
        }
    )
    case.act(bed, name)
    incidents = hooked.wait_done(name)
    state = bed.show(name, "ActiveState", "Result")
    assert len(incidents) == 1
    (incident,) = incidents
    assert {key: incident[key] for key in case.expected} == case.expected
    assert incident["unit"] == name
    assert incident["verdict"]["summary"].startswith(name)
    assert incident["bundle"]["bytes"] > 500
    assert (incident["invocation_id"] is None) == ("invocation_id" in case.expected)
    if case.words:
        assert case.words in " ".join(incident["dying_words"])
    # the hook changed nothing: the unit is in the state that its failure put it in
    assert state["ActiveState"] in case.ends


@pytest.mark.parametrize("wiring", WIRING)
def test_clean_ends_are_no_incident(hooked: Hooked, wiring: str) -> None:
    bed = hooked.machine
    names = [f"clean-{kind}-{wiring}.service" for kind in ("stop", "exit", "skipped")]
    stop, end, skipped = names
    bed.units(
        {
            stop: service(wiring, "ExecStart=sleep 60\n"),
            end: service(wiring, "ExecStart=true\n"),
            skipped: service(wiring, "ExecCondition=false\nExecStart=true\n"),
        }
    )
    for name in names:
        bed.systemctl("start", name, check=False)
    bed.systemctl("stop", *names)
    # a real failure afterwards: once that is recorded, the clean ends would have been as well
    last = f"after-clean-{wiring}.service"
    bed.units({last: service(wiring, _FAIL)})
    bed.systemctl("start", last)
    hooked.wait_done(last)
    assert [hooked.incidents(name) for name in names] == [[], [], []]
    for name in names:
        assert bed.show(name, "ActiveState")["ActiveState"] == "inactive"


@pytest.mark.parametrize("wiring", WIRING)
def test_restarts_give_the_same_incidents_in_both_models(hooked: Hooked, wiring: str) -> None:
    """systemd 252 calls OnFailure= once at the end, 257 at every run and once more."""
    name = f"restarts-{wiring}.service"
    limits = "StartLimitBurst=3\nStartLimitIntervalSec=60\n"
    body = f"Restart=on-failure\nRestartSec=300ms\n{_FAIL}"
    bed = hooked.machine
    bed.units({name: service(wiring, body, limits)})
    bed.systemctl("start", name, check=False)
    bed.wait_state(name, "failed", timeout=20)
    hooked.wait_done(name, 3)
    hooked.wait_field(name, "phase", "gave-up")
    incidents = hooked.wait_done(name, 3)
    assert [one["phase"] for one in incidents] == ["restarting", "restarting", "gave-up"]
    assert [one["attempt"] for one in incidents] == [1, 2, 3]
    assert {one["result"] for one in incidents} == {"exit-code"}
    assert len({one["invocation_id"] for one in incidents}) == 3
    assert len({one["signature"] for one in incidents}) == 1
    assert [one["count"] for one in incidents] == [1, 2, 3]
