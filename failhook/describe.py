# SPDX-License-Identifier: MIT
"""One sentence on what failed and how, from what systemd itself says.

This is the floor that a verdict stands on: it names the unit, the process and the way it ended,
and claims nothing about the cause.
"""

from __future__ import annotations

from collections.abc import Sequence

from failhook.incident import Control, Incident, Phase
from failhook.systemd.exit_status import status_name
from failhook.systemd.history import Line
from failhook.systemd.unit import UnitState

# What systemd was doing when the process of its own set-up failed (systemd.exec(5)).
_SETUP = {
    "200": "WorkingDirectory= cannot be entered",
    "203": "the program cannot be executed",
    "208": "StandardInput= cannot be set up",
    "209": "StandardOutput= cannot be set up",
    "210": "RootDirectory= cannot be entered",
    "216": "Group= or SupplementaryGroups= is unknown",
    "217": "User= is unknown",
    "218": "the capabilities cannot be set",
    "222": "StandardError= cannot be set up",
    "225": "the network namespace cannot be set up",
    "226": "the mount namespace cannot be set up (a path of the sandbox is missing)",
    "228": "SystemCallFilter= cannot be set up",
    "233": "RuntimeDirectory= cannot be made",
    "238": "StateDirectory= cannot be made",
    "239": "CacheDirectory= cannot be made",
    "240": "LogsDirectory= cannot be made",
    "241": "ConfigurationDirectory= cannot be made",
    "243": "LoadCredential= or SetCredential= cannot be set up",
}


def summary(incident: Incident, state: UnitState, about: Sequence[Line] = ()) -> str:
    """The sentence. ``about`` is what the manager logged of the run."""
    unit = incident.unit
    if incident.result is None and incident.triggers[:1] and incident.triggers[0].kind == "manual":
        now = f"{state.get('ActiveState') or 'unknown'}/{state.get('SubState') or 'unknown'}"
        return f"{unit} is {now}; its evidence was collected on request"
    if incident.phase is Phase.DEPENDENCY:
        return f"{unit} did not start: {_dependency(about)}"
    if incident.phase is Phase.JOB_TIMEOUT:
        return f"{unit}: its start job timed out (JobTimeoutSec=)"
    how = _how(incident, state, about)
    if incident.phase is Phase.STOPPED:
        return f"{unit} was stopped on request and ended badly: {how}"
    if incident.phase is Phase.SHUTDOWN:
        return f"{unit} ended badly while the machine went down: {how}"
    return f"{unit} {_verb(incident, about)}: {how}"


def _verb(incident: Incident, about: Sequence[Line]) -> str:
    status = incident.exit_status or ""
    never_ran = incident.control is not None and incident.control.command in (
        "ExecCondition",
        "ExecStartPre",
        "ExecStart",
        "ExecStartPost",
    )
    if never_ran or _said(about, "start operation timed out") or status in _SETUP:
        return "failed to start"
    return "failed"


def _how(incident: Incident, state: UnitState, about: Sequence[Line]) -> str:
    result = incident.result
    if incident.control is not None:
        return _control(incident.control)
    special = {
        "start-limit-hit": "it was started too often in too short a time (StartLimitBurst=)",
        "resources": "systemd could not set up what it needs (resources)",
        "protocol": "the process did not follow its Type= (protocol)",
        "watchdog": "no sign of life within WatchdogSec=, killed by the watchdog",
        "oom-kill": "a process was killed by the out-of-memory killer",
    }
    if result == "timeout":
        return _timeout(state, about)
    if result in special:
        return special[result]
    return _main(incident)


def _main(incident: Incident) -> str:
    status, name = incident.exit_status, incident.exit_status_name
    if incident.exit_code == "exited":
        shown = f"{status}/{name}" if name else str(status)
        why = f", {_SETUP[status]}" if status in _SETUP else ""
        return f"main process exited with status {shown}{why}"
    if incident.exit_code == "killed":
        return f"main process was killed by SIG{status}"
    if incident.exit_code == "dumped":
        return f"main process crashed with SIG{status} and dumped core"
    return f"result {incident.result}" if incident.result else "no result is known"


def _control(control: Control) -> str:
    name = status_name(control.exit_code, control.exit_status)
    if control.exit_code == "exited":
        shown = f"{control.exit_status}/{name}" if name else str(control.exit_status)
        return f"{control.command}= exited with status {shown}"
    return f"{control.command}= was killed by SIG{control.exit_status}"


def _timeout(state: UnitState, about: Sequence[Line]) -> str:
    if _said(about, "start operation timed out"):
        return f"it was not up within TimeoutStartSec={state.get('TimeoutStartUSec') or '?'}"
    if _said(about, "stop") and _said(about, "timed out"):
        return f"it did not stop within TimeoutStopSec={state.get('TimeoutStopUSec') or '?'}"
    if _said(about, "maximum allowed runtime") or _said(about, "runtime limit"):
        return f"it ran longer than RuntimeMaxSec={state.get('RuntimeMaxUSec') or '?'}"
    return "a time limit was reached"


def _dependency(about: Sequence[Line]) -> str:
    for line in reversed(about):
        if line.get("JOB_RESULT") == "dependency":
            return "something it requires failed (see unit/dependencies.txt in the bundle)"
    return "a dependency failed"


def _said(about: Sequence[Line], words: str) -> bool:
    return any(words in line.message for line in about)
