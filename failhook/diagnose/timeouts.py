# SPDX-License-Identifier: MIT
"""A time limit of systemd: of the start and its phases, the stop, the whole run, the watchdog, a job."""

from __future__ import annotations

import re
from collections.abc import Iterator

from failhook.diagnose.case import Case
from failhook.diagnose.finding import SAID, SEEN, Cause, Finding, quote
from failhook.diagnose.manager import of_manager, program_of
from failhook.diagnose.subjects import commands
from failhook.diagnose.wording import FAILURE
from failhook.incident import Phase
from failhook.systemd.history import Line

_START_TIMED_OUT = re.compile(
    r"(?P<phase>condition|start-pre|start|start-post) operation timed out|(?P<other>Starting|Mounting|Activation) timed out"
)
_STOP_TIMED_OUT = re.compile(
    r"State '(?P<state>[\w-]+)' timed out|(?P<phase>Stopping|Unmounting|Deactivation) timed out|stop operation timed out"
)
_PID_FILE = re.compile(r"Can't open PID file (?P<path>\S+)")


def _timeout(case: Case) -> Iterator[Finding]:
    if case.incident.result != "timeout":
        return
    line = next((one for one in case.manager if _START_TIMED_OUT.search(one.message)), None)
    if case.said("reached runtime time limit") is not None:
        limit = case.unit.get("RuntimeMaxUSec") or "?"
        what = f"it ran longer than RuntimeMaxSec={limit} allows"
        found = case.said("reached runtime time limit")
        yield of_manager(
            case, "runtime-max", what, "raise RuntimeMaxSec= if it may run longer", found
        )
    elif line is not None:
        yield from _start_timeout(case, line)
    else:
        yield from _stop_timeout(case)


def _start_timeout(case: Case, line: object) -> Iterator[Finding]:
    limit = case.unit.get("TimeoutStartUSec") or case.unit.get("TimeoutUSec") or "?"
    kind = case.unit.get("Type") or ""
    pid_file = next((m for one in case.manager if (m := _PID_FILE.search(one.message))), None)
    within = f"within TimeoutStartSec={limit}"
    phase = _START_TIMED_OUT.search(getattr(line, "message", ""))
    during = phase["phase"] if phase is not None else None
    if pid_file is not None or (
        kind == "forking" and case.unit.get("PIDFile") and during == "start"
    ):
        path = pid_file["path"] if pid_file is not None else case.unit.get("PIDFile")
        told = _last_words(case) if any(FAILURE.search(m.text[:600]) for m in case.messages) else ""
        what = f"the PID file {path} did not appear {within}: Type=forking waits for it{told}"
        advice = "let the program write that file, or set PIDFile= to the one that it writes"
        yield of_manager(case, "pid-file", what, advice, line, SAID + 0.05)
    elif during in ("start-pre", "start-post", "condition"):
        name = {"start-pre": "ExecStartPre", "start-post": "ExecStartPost"}.get(
            during, "ExecCondition"
        )
        what = f"{name}={program_of(case, name)} did not end {within}{_last_words(case)}"
        yield of_manager(
            case, "timeout-start", what, "see why it hangs, or raise TimeoutStartSec=", line
        )
    elif kind in ("notify", "notify-reload") and (refused := _refused(case)) is not None:
        yield _not_heard(case, f"Type={kind} waits for READY=1, and none came {within}", refused)
    elif kind in ("notify", "notify-reload"):
        what = f"Type={kind}, but its program did not send READY=1 {within}{_last_words(case)}"
        advice = "does the program support sd_notify(3)? If not: Type=exec; if it is slow: TimeoutStartSec="
        if case.unit.get("NotifyAccess") != "all":  # systemd 257 refuses without a word
            advice += "; if a child of it sends READY=1: NotifyAccess=all"
        yield of_manager(case, "timeout-start", what, advice, line)
    elif kind == "dbus":
        what = f"its program did not take the bus name {case.unit.get('BusName')} {within}"
        yield of_manager(
            case, "timeout-start", what, "compare BusName= with what the program asks for", line
        )
    elif kind == "forking":
        what = f"Type=forking, but its program stayed in the foreground and did not exit {within}"
        yield of_manager(
            case,
            "timeout-start",
            what,
            "Type=exec (or notify) for a program in the foreground",
            line,
        )
    else:
        up = f"it was not up {within}"
        ended = f"{_called(case)} did not end {within} (Type=oneshot)"
        what = f"{ended if kind == 'oneshot' else up}{_last_words(case)}"
        yield of_manager(
            case, "timeout-start", what, "see what it waits for, or raise TimeoutStartSec=", line
        )


# systemd's manager.c and service.c: "… but reception only permitted for main PID 120", "… is disabled".
_NOT_LET = re.compile(r"otification message from PID (?P<pid>\d{1,10}), but reception ")
# What the end of the time did to it, and not what it waited for.
_WAS_STOPPED = re.compile(
    r"(?:received|caught|got|by|on)\b.{0,20}\b(?:termination signal|SIGTERM|signal 15|TERM signal)"
    r"|\bterminated$|\binterrupted\b",
    re.IGNORECASE,
)


def _called(case: Case) -> str:
    """The command line that hung, as somebody would type it."""
    lines = (argv for setting, _, argv in commands(case.unit) if setting == case.failing)
    argv = next(lines, "")
    return f"“{quote(argv, 120)}”" if argv else program_of(case)


def _last_words(case: Case) -> str:
    """What it was at when the time ran out, mostly what it waits for."""
    if not case.messages:
        return ""
    own = (one for one in reversed(case.messages) if not _WAS_STOPPED.search(one.text))
    last = next(own, case.messages[-1])
    return f"; its last words: “{quote(last.text, 160)}”"


def _stop_timeout(case: Case) -> Iterator[Finding]:
    line = next((one for one in case.manager if _STOP_TIMED_OUT.search(one.message)), None)
    limit = case.unit.get("TimeoutStopUSec") or case.unit.get("TimeoutUSec") or "?"
    match = _STOP_TIMED_OUT.search(line.message) if line is not None else None
    state = (match["state"] or "") if match is not None else ""
    stopping = line is not None and re.search(r"Stopping timed out|stop operation", line.message)
    if state == "stop" or (stopping and case.unit.get("ExecStop")):
        what = f"ExecStop={program_of(case, 'ExecStop')} did not end within TimeoutStopSec={limit}"
    else:
        what = f"it did not end within TimeoutStopSec={limit} of SIGTERM and was killed"
    yield of_manager(
        case, "timeout-stop", what, "let it end on SIGTERM, or raise TimeoutStopSec=", line
    )


def _refused(case: Case) -> Line | None:
    """Where it told systemd something and was not let (systemd.service(5), NotifyAccess=)."""
    return next((one for one in case.manager if _NOT_LET.search(one.message)), None)


def _not_heard(case: Case, what: str, line: Line) -> Finding:
    match = _NOT_LET.search(line.message)
    pid = match["pid"] if match is not None else "?"
    access = case.unit.get("NotifyAccess") or "main"
    return of_manager(
        case, "notify-access",
        f"its process {pid} told systemd what NotifyAccess={access} does not let through: {what}",
        "NotifyAccess=all, or have the main process send it (systemd-notify is a process of its own)",
        line, SEEN,
    )  # fmt: skip


def _watchdog(case: Case) -> Iterator[Finding]:
    if case.incident.result == "watchdog" and (refused := _refused(case)) is not None:
        limit = case.unit.get("WatchdogUSec") or "?"
        what = f"WatchdogSec={limit} waits for WATCHDOG=1, and none came in time"
        yield _not_heard(case, what, refused)
    elif case.incident.result == "watchdog":
        limit = case.unit.get("WatchdogUSec") or "?"
        what = f"it sent no keep-alive (WATCHDOG=1) within WatchdogSec={limit}: it hung, and was killed"
        advice = "a core or a stack of the hanging process tells where; or raise WatchdogSec="
        yield of_manager(case, "watchdog", what, advice, case.said("Watchdog timeout"), SEEN)


def _job(case: Case) -> Iterator[Finding]:
    if case.incident.phase is Phase.JOB_TIMEOUT:
        waiting = [one for one in case.neighbours if one.active in ("activating", "reloading")]
        names = ", ".join(one.name for one in waiting[:3])
        for_ = f" for {names}, which is still starting" if waiting else ""
        limit = case.unit.get("JobTimeoutUSec") or "?"
        what = f"its start job waited longer than JobTimeoutSec={limit}{for_}"
        yield of_manager(
            case,
            "job-timeout",
            what,
            "see why that one takes so long",
            case.said("timed out"),
            SEEN,
        )


CAUSES = (
    Cause("timeout", "a time limit of systemd", _timeout),
    Cause("watchdog", "no keep-alive", _watchdog),
    Cause("job-timeout", "its job waited too long", _job),
)
