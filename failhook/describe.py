# SPDX-License-Identifier: MIT
"""One sentence on what failed and how, from what systemd itself says.

This is the floor that a verdict stands on: it names the unit, the process and the way it ended,
and claims nothing about the cause.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from failhook.incident import Control, Incident, Phase
from failhook.systemd.exit_status import status_name
from failhook.systemd.history import Line
from failhook.systemd.unit import UnitState

# The manager's own words, the same from 252 to 262 (service.c, mount.c, socket.c, swap.c).
_START_TIMED_OUT = re.compile(
    r"(condition|start-pre|start|start-post) operation timed out"
    r"|(Starting|Mounting|Activation) timed out"
)
_STOP_TIMED_OUT = re.compile(
    r"State '(stop|final)-?\w*' timed out|(Stopping|Unmounting|Deactivation) timed out"
)
_RAN_TOO_LONG = re.compile(r"reached runtime time limit")
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


# How a sentence begins, here and in `failhook.diagnose.finding.verb`.
_OPENING = re.compile(
    r"^(?:failed to start|failed while it reloaded|failed|was stopped on request and ended badly"
    r"|ended badly while the machine went down): "
)

_AT_WORK = " was at work)"
_SINCE = "; since it last ran well, "


def reason(unit: str, sentence: str) -> str:
    """A sentence without the unit and that it failed: what is new in it."""
    return _OPENING.sub("", sentence.removeprefix(unit).lstrip(": "))


def with_circumstance(sentence: str, who: str) -> str:
    """A sentence and who changed the machine meanwhile, such as ``dpkg (pid 7)``."""
    return f"{sentence} (while {who}{_AT_WORK}"


def with_changes(sentence: str, what: str) -> str:
    """A sentence and what is not as it was before, such as ``/etc/a.conf was changed``."""
    return f"{sentence}{_SINCE}{what}"


def essence(unit: str, sentence: str) -> str:
    """What makes it the same failure when it happens again: the reason without a circumstance."""
    head, _, circumstance = sentence.rpartition(" (while ")
    head = head if circumstance.endswith(_AT_WORK) else sentence
    return reason(unit, head.partition(_SINCE)[0])


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
    if never_ran or _matches(about, _START_TIMED_OUT) or status in _SETUP:
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
    if incident.exit_code is None:
        return f"result {incident.result}" if incident.result else "no result is known"
    status = incident.exit_status
    ended = _ended(incident.exit_code, status, incident.exit_status_name)
    why = f", {_SETUP[status]}" if incident.exit_code == "exited" and status in _SETUP else ""
    return f"main process {ended}{why}"


def _control(control: Control) -> str:
    name = status_name(control.exit_code, control.exit_status)
    return f"{control.command}= {_ended(control.exit_code, control.exit_status, name)}"


def _ended(code: str | None, status: str | None, name: str | None) -> str:
    """As siginfo(2) has it; what is not known is left out."""
    if code == "exited":
        if status is None:
            return "exited with an unknown status"
        return f"exited with status {status}/{name}" if name else f"exited with status {status}"
    if code == "killed":
        return f"was killed by SIG{status}" if status else "was killed by a signal"
    if code == "dumped":
        return f"crashed with SIG{status} and dumped core" if status else "crashed and dumped core"
    return "failed"


def _timeout(state: UnitState, about: Sequence[Line]) -> str:
    # A stop that takes too long may follow each of the others: it comes last.
    if _matches(about, _RAN_TOO_LONG):
        return f"it ran longer than RuntimeMaxSec={state.get('RuntimeMaxUSec') or '?'}"
    if _matches(about, _START_TIMED_OUT):
        return f"it was not up within {_setting(state, 'TimeoutStart')}"
    if _matches(about, _STOP_TIMED_OUT):
        return f"it did not stop within {_setting(state, 'TimeoutStop')}"
    return "a time limit was reached"


def _setting(state: UnitState, name: str) -> str:
    """Services have two of them; mounts, sockets and swaps one for both."""
    both = state.get("TimeoutUSec")
    return f"TimeoutSec={both}" if both else f"{name}Sec={state.get(f'{name}USec') or '?'}"


def _dependency(about: Sequence[Line]) -> str:
    for line in reversed(about):
        if line.get("JOB_RESULT") == "dependency":
            return "something it requires failed (see unit/dependencies.txt in the bundle)"
    return "a dependency failed"


def _matches(about: Sequence[Line], words: re.Pattern[str]) -> bool:
    return any(words.search(line.message) for line in about)
