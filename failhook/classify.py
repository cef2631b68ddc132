# SPDX-License-Identifier: MIT
"""In which phase of its life did the run fail, which process failed, what were its last words?

Pure: takes what systemd shows of the unit and what the manager and the program logged about the
run, and returns the incident with those fields filled: systemd.exec(5), $SERVICE_RESULT, $EXIT_CODE
and $EXIT_STATUS; systemd.unit(5), OnFailure=, for which failures it is called.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from failhook.ascii import without_escapes
from failhook.incident import Control, Incident, Phase, Process, State
from failhook.systemd import history
from failhook.systemd.exit_status import signal_name, status_name, status_text
from failhook.systemd.history import Line
from failhook.systemd.journal import COREDUMP
from failhook.systemd.unit import Command, UnitState

_MAX_WORDS = 8
_MAX_WORD_CHARS = 500
_MAIN_CODES = {"1": "exited", "2": "killed", "3": "dumped"}  # CLD_* of siginfo (waitid(2))
_VARIABLE = re.compile(
    r"0x[0-9a-fA-F]+|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9a-f]{12,}"
    r"|\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?|\d+"
)


def classify(
    incident: Incident, state: UnitState, lines: Sequence[Line], *, stopping: bool = False
) -> Incident:
    """The incident with phase, processes, exit status and dying words as far as they are known.

    ``lines`` is the run's journal, oldest first, the manager's own lines among them; ``stopping``
    says that the machine goes down.
    """
    about = [line for line in lines if _is_managers(line)]
    current = incident.invocation_id is not None and state.get("InvocationID") == (
        incident.invocation_id
    )
    known = _with_main(incident, state if current else None, about)
    known = replace(known, control=_control(known, state if current else None, about))
    name = status_name(known.exit_code, known.exit_status)
    known = replace(known, exit_status_name=name, dying_words=dying_words(lines))
    return with_phase(known, state, about, stopping=stopping)


def with_phase(
    incident: Incident, state: UnitState, about: Sequence[Line], *, stopping: bool = False
) -> Incident:
    """The incident with its phase, and how many starts of how many that makes."""
    phase = _phase(incident, state, about, stopping)
    attempt, attempts = None, None
    if phase in (Phase.RESTARTING, Phase.GAVE_UP):
        attempt = _attempt(incident, state, about)
        attempts = _start_limit(state)
    over = phase in (Phase.STOPPED, Phase.SHUTDOWN)
    return replace(
        incident,
        phase=phase,
        attempt=attempt or incident.attempt,
        attempts=attempts or incident.attempts,
        state=State.CLOSED if over and incident.state is State.OPEN else incident.state,
    )


def _phase(incident: Incident, state: UnitState, about: Sequence[Line], stopping: bool) -> Phase:
    if incident.phase is Phase.SHUTDOWN:
        return Phase.SHUTDOWN
    if _stop_asked(about):
        return Phase.SHUTDOWN if stopping else Phase.STOPPED
    if incident.invocation_id is None and incident.result is None:
        return _job_phase(about)
    if incident.control is not None and incident.control.command == "ExecCondition":
        return Phase.CONDITION
    if _reloading(about):
        return Phase.RELOAD
    return _restart_phase(incident, state, about)


def _restart_phase(incident: Incident, state: UnitState, about: Sequence[Line]) -> Phase:
    """Does systemd try again? A later run is proof; a failed unit is final; else wait and see."""
    ours = state.get("InvocationID") in (None, incident.invocation_id)
    active, sub = state.get("ActiveState"), state.get("SubState") or ""
    if state.found and not ours:
        return Phase.RESTARTING if _was_rescheduled(about) else Phase.FAILED
    if active == "failed":
        tried = _was_rescheduled(about) or (state.number("NRestarts") or 0) > 0
        return Phase.GAVE_UP if tried else Phase.FAILED
    if sub.startswith("auto-restart") or _was_rescheduled(about):
        return Phase.RESTARTING
    return Phase.UNKNOWN


def _job_phase(about: Sequence[Line]) -> Phase:
    """Nothing ran: the newest failed job of the unit says why."""
    for line in reversed(about):
        if line.get("JOB_RESULT") == "dependency":
            return Phase.DEPENDENCY
        if line.get("JOB_RESULT") == "timeout":
            return Phase.JOB_TIMEOUT
    return Phase.UNKNOWN


def _is_managers(line: Line) -> bool:
    """Said by the manager itself, not by something that calls itself so."""
    return line.get("_PID") == "1" or (
        line.get("_SYSTEMD_USER_UNIT") == "init.scope" or line.get("_SYSTEMD_UNIT") == "init.scope"
    )


def _stop_asked(about: Sequence[Line]) -> bool:
    """A stop job was under way before anything went wrong."""
    for line in about:
        if line.get("MESSAGE_ID") == history.STOPPING:
            return True
        if _went_wrong(line):
            return False
    return False


def _went_wrong(line: Line) -> bool:
    """The first of these is where the run's end begins; a failed ExecReload= alone ends nothing."""
    if line.get("MESSAGE_ID") == history.PROCESS_EXIT:
        return line.get("COMMAND") != "ExecReload"
    return line.get("MESSAGE_ID") == history.UNIT_RESULT


def _reloading(about: Sequence[Line]) -> bool:
    """A reload was under way when it went wrong; its own end is logged after the unit's."""
    reloading = False
    for line in about:
        if line.get("MESSAGE_ID") in (history.RELOADING, history.RELOADED):
            reloading = line.get("MESSAGE_ID") == history.RELOADING
        elif _went_wrong(line):
            return reloading
    return reloading


def _was_rescheduled(about: Sequence[Line]) -> bool:
    return any(line.get("MESSAGE_ID") == history.RESTART_SCHEDULED for line in about)


def _attempt(incident: Incident, state: UnitState, about: Sequence[Line]) -> int | None:
    """Which start in a row this was: systemd counts the restart that follows it."""
    for line in reversed(about):
        number = line.get("N_RESTARTS") or ""
        if number.isdigit():
            return int(number)
    if state.get("InvocationID") == incident.invocation_id:
        restarts = state.number("NRestarts")
        return None if restarts is None else restarts + 1
    return None


def _start_limit(state: UnitState) -> int | None:
    """StartLimitBurst=, where a limit is in force."""
    interval = state.get("StartLimitIntervalUSec")
    return None if interval in (None, "0", "infinity") else state.number("StartLimitBurst")


def _with_main(incident: Incident, state: UnitState | None, about: Sequence[Line]) -> Incident:
    """Exit code, status, pid and times of the main process; the hook's word goes first."""
    code, status, main = incident.exit_code, incident.exit_status, Process()
    if state is not None and state.number("ExecMainPID"):
        main = Process(
            state.number("ExecMainPID"),
            timestamp(state.get("ExecMainStartTimestamp")),
            timestamp(state.get("ExecMainExitTimestamp")),
        )
        if code is None and (state.get("ExecMainCode") or "0") in _MAIN_CODES:
            code = _MAIN_CODES[state.get("ExecMainCode") or ""]
            status = status_text(code, state.number("ExecMainStatus") or 0)
    for line in about:
        if line.message.find("Main process exited") >= 0 and code is None:
            code = line.get("EXIT_CODE")
            number = line.get("EXIT_STATUS") or ""
            status = status_text(code, int(number)) if number.isdigit() else None
            main = replace(main, exited=main.exited or line.at)
    return replace(incident, exit_code=code, exit_status=status, main=main)


def _control(incident: Incident, state: UnitState | None, about: Sequence[Line]) -> Control | None:
    """The command that failed where the main process is not to blame: $EXIT_CODE is of the
    main process also then (systemd.exec(5))."""
    main_failed = incident.exit_code is not None and incident.exit_status != "0"
    ended_for_it = incident.exit_code == "killed" and _control_went_first(about)
    if main_failed and not ended_for_it:
        return None
    if incident.result not in ("exit-code", "signal", "core-dump", "timeout"):
        return None
    for line in about:
        number = line.get("EXIT_STATUS") or ""
        if "ontrol process exited" in line.message and number.isdigit():
            code = line.get("EXIT_CODE")
            return Control(line.get("COMMAND") or "unknown", code, status_text(code, int(number)))
    for command in state.commands if state else ():
        if _failed(command):
            number, _, name = command.status.partition("/")
            killed = command.code in ("killed", "dumped")
            text = (name or signal_name(int(number or 0))) if killed else number
            return Control(command.property, command.code, text)
    return None


def _control_went_first(about: Sequence[Line]) -> bool:
    """A control process had failed before systemd ended the main one for it."""
    for line in about:
        if "ontrol process exited" in line.message:
            return line.get("COMMAND") not in ("ExecStop", "ExecStopPost", "ExecReload")
        if "Main process exited" in line.message:
            return False
    return False


def _failed(command: Command) -> bool:
    return command.code is not None and command.pid > 0 and not command.status.startswith("0")


def dying_words(lines: Sequence[Line]) -> tuple[str, ...]:
    """The program's own last lines, oldest first."""
    said = [line for line in lines if not _is_of_others(line) and line.message.strip()]
    return _last_rows([row for line in said[-_MAX_WORDS:] for row in line.message.splitlines()])


def dying_words_of_file(text: str) -> tuple[str, ...]:
    """The last lines of a log file, oldest first: the words of a program that writes its own."""
    return _last_rows(text.splitlines())


def _last_rows(rows: Sequence[str]) -> tuple[str, ...]:
    words = (without_escapes(row[: 2 * _MAX_WORD_CHARS]) for row in rows if row.strip())
    return tuple([row[:_MAX_WORD_CHARS] for row in words if row.strip()][-_MAX_WORDS:])


def _is_of_others(line: Line) -> bool:
    """Of systemd, of our hook, or of systemd-coredump about the program."""
    return (
        _is_managers(line)
        or line.get("SYSLOG_IDENTIFIER") == "failhook"
        or line.get("MESSAGE_ID") == COREDUMP
        or _is_remark(line)
    )


def _is_remark(line: Line) -> bool:
    """What systemd's own child remarks, from 254 on, at every start of a unit that uses a variable
    which is not set: it stands for no failure."""
    name = line.get("SYSLOG_IDENTIFIER") or ""
    return name.startswith("(") and history.UNSET in line.message


def normalised(words: Sequence[str]) -> str:
    """The last words without what differs from run to run: numbers, addresses, times, ids."""
    return _VARIABLE.sub("#", words[-1]) if words else ""


def timestamp(text: str | None) -> float | None:
    """A timestamp as ``systemctl show --timestamp=us+utc`` prints it, in Unix seconds."""
    moment_in_utc = (text or "").removesuffix(" UTC").partition(" ")[2]  # without the weekday
    try:
        moment = datetime.fromisoformat(moment_in_utc)  # strptime imports 4 ms of calendar
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC).timestamp()
