# SPDX-License-Identifier: MIT
"""What systemd itself says: protocol, start limit, signals, exit codes, mounts.

The floor of a verdict: always true, seldom the reason. Where the program named its reason, that one
is ranked above; where it was silent, this is the sentence.
"""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator
from dataclasses import replace

from failhook.diagnose.case import Case
from failhook.diagnose.config_check import check_command
from failhook.diagnose.cores import Core
from failhook.diagnose.finding import FLOOR, LIKELY, SAID, SEEN, Cause, Finding, fails, quote
from failhook.diagnose.general import is_concrete, telling, work_of
from failhook.diagnose.level import Level
from failhook.diagnose.manager import complains, of_manager, program_of, script_of
from failhook.diagnose.statuses import documented
from failhook.diagnose.subjects import INTERPRETER, started
from failhook.diagnose.text import Message
from failhook.diagnose.together import all_of_it, together
from failhook.diagnose.wording import FAILURE, FRAME, NAMES_A_THING
from failhook.incident import Control, Proof
from failhook.systemd.exit_status import status_name

_JUST_BEFORE = 3  # lines
_INNERMOST = re.compile(r"#0\s+0x[0-9a-f]+ (?P<function>\S+)")

_OF_SETUP = frozenset(str(number) for number in range(200, 247))
# Alone it says nothing about what was run.
# What a program may mean by a status (LSB and sysexits.h, systemd.exec(5)).
_MEANINGS = {
    "2": "wrong arguments, or not installed well", "3": "something is not implemented",
    "4": "not enough privileges", "5": "the program is not installed",
    "6": "the program is not configured", "7": "the program is not running",
    "64": "it was called with wrong arguments", "65": "wrong input data",
    "66": "an input file is missing or unreadable", "67": "a user that it was told does not exist",
    "68": "a host that it was told does not exist", "69": "a service that it needs is unavailable",
    "70": "an internal error of the program", "71": "an error of the operating system",
    "72": "a file of the system is missing", "73": "a file that it is to make cannot be made",
    "74": "an error of input or output", "75": "a failure that may pass: try again",
    "76": "a peer did not keep to the protocol", "77": "it lacks a permission",
    "78": "a mistake in its configuration", "126": "a command that it calls cannot be executed",
    "127": "a command or a shared library that it needs was not found",
}  # fmt: skip


def _protocol(case: Case) -> Iterator[Finding]:
    if case.incident.result != "protocol":
        return
    kind = case.unit.get("Type") or "?"
    line = case.said("protocol") or (case.manager[-1] if case.manager else None)
    if kind == "forking":
        file = case.unit.get("PIDFile")
        where = f", and PIDFile={file} was not there" if file else ""
        what = (
            f"Type=forking, but its program exited and left no process behind{where}{_told(case)}"
        )
        yield of_manager(
            case, "protocol", what, "does it really go to the background? If not: Type=exec", line
        )
    else:
        code = case.incident.exit_status or "0"
        what = f"Type={kind}, but its main process exited with status {code} before it sent READY=1"
        what += _told(case)
        advice = "Type=exec, or Type=oneshot for a program that does its work and ends"
        yield of_manager(case, "protocol", what, advice, line)


def _told(case: Case) -> str:
    """Of what it wrote the line that tells most."""
    best = telling(case, case.messages)[:1]
    return f"; it said “{quote(best[0][1].text, 160)}”" if best else ""


def _start_limit(case: Case) -> Iterator[Finding]:
    line = case.said("Start request repeated too quickly")
    if line is None and case.incident.result != "start-limit-hit":
        return
    burst = case.unit.get("StartLimitBurst") or "?"
    interval = case.unit.get("StartLimitIntervalUSec") or "?"
    last = "its last run ended with status 0" if case.incident.exit_status in ("0", None) else ""
    clean = case.incident.control is None and (
        case.incident.result in ("start-limit-hit", "success") or not case.incident.exit_status
    )
    what = f"it was started more than {burst} times within {interval} (StartLimitBurst=)"
    if clean and last:
        restart = case.unit.get("Restart") or "no"
        what += (
            f"; Restart={restart} started it again each time its main process exited with success"
        )
    yield of_manager(
        case, "start-limit", what,
        "a program that goes to the background needs Type=forking; else see why it ends so soon",
        line, LIKELY if clean else FLOOR,
    )  # fmt: skip


def _signal(case: Case) -> Iterator[Finding]:
    incident = case.incident
    if incident.exit_code not in ("killed", "dumped") or incident.result in (
        "timeout", "watchdog", "oom-kill",
    ):  # fmt: skip
        return
    if _ended_badly(incident.control):
        return  # systemd itself ended the main process, because that command had failed
    signal = incident.exit_status or "?"
    program = program_of(case)
    if signal == "SYS":
        yield _system_call(case, program)
        return
    if incident.exit_code == "dumped" or signal in ("SEGV", "ABRT", "BUS", "FPE", "ILL", "TRAP"):
        yield _crashed(case, program, signal)
        return
    who = {
        "KILL": "somebody (not the kernel for memory, not systemd) killed it",
        "PIPE": "it wrote to a pipe or socket that nobody reads any more",
    }.get(signal, "somebody ended it")
    what = f"{program} was ended by SIG{signal}: {who}"
    advice = (
        "auditctl -a always,exit -S kill tells who sends signals"
        if signal != "PIPE"
        else ("see who closed the other end; IgnoreSIGPIPE=yes is the default")
    )
    yield of_manager(case, "signal", what, advice, case.said("Main process exited"), LIKELY - 0.05)


def _ended_badly(control: Control | None) -> bool:
    return control is not None and (control.exit_code, control.exit_status) not in (
        ("exited", "0"), (None, None),
    )  # fmt: skip


def _system_call(case: Case, program: str) -> Finding:
    allowed = case.unit.get("SystemCallFilter")
    shown = (
        f"SystemCallFilter={quote(allowed, 60)}" if allowed else "a system call filter (seccomp)"
    )
    audit = next((line for line in case.kernel if "type=1326" in line or "seccomp" in line), None)
    number = re.search(r"syscall=(\d+)", audit or "")
    which = f" (number {number[1]})" if number else ""
    what = f"{program} made a system call{which} that {shown} forbids, and was killed by SIGSYS"
    proof = (Proof("kernel", audit, "kernel/kernel.txt"),) if audit else ()
    return Finding(
        "sandbox", fails(case, what),
        "SystemCallErrorNumber=EPERM shows which; systemd-analyze syscall-filter lists the groups",
        SEEN, proof,
    )  # fmt: skip


def _crashed(case: Case, program: str, signal: str) -> Finding:
    core = " and left a core" if case.incident.exit_code == "dumped" else ""
    names = {
        "SEGV": "a segmentation fault (SIGSEGV)", "ABRT": "its own abort (SIGABRT)",
        "BUS": "a bus error (SIGBUS)", "FPE": "an arithmetic error (SIGFPE)",
        "ILL": "an illegal instruction (SIGILL)",
    }  # fmt: skip
    own = _core_of_main(case)
    frame = _INNERMOST.search(own.text) if own is not None else None
    where = f" in {frame['function']}" if frame is not None and frame["function"] != "n/a" else ""
    fault = next(
        (line for line in case.kernel if "segfault at" in line and _names(case, line)), None
    )
    program = (own.program if own is not None else "") or program
    what = f"{program} crashed with {names.get(signal, f'SIG{signal}')}{where}{core}"
    if not where and (said := _complaint(case)):
        what += f", after “{quote(said, 160)}”"
    proof = [case.proof_of(line.message) for line in (case.said("Main process exited"),) if line]
    if fault is not None:
        proof.append(Proof("kernel", fault, "kernel/kernel.txt"))
    advice = (
        "coredumpctl info shows the stack"
        if core
        else "LimitCORE=infinity and systemd-coredump keep a core"
    )
    return Finding("crash", fails(case, what), advice, LIKELY + 0.1, tuple(proof))


def _complaint(case: Case) -> str:
    """What it complained of just before."""
    last = [one for one in case.messages if not FRAME.match(one.raw)][-_JUST_BEFORE:]
    for one in reversed(last):
        if FAILURE.search(one.text) and NAMES_A_THING.search(one.text):
            return one.text
    best = telling(case, last)
    grave = [pair for pair in telling(case, case.messages) if pair[1].level >= Level.ERROR]
    return next((one.text for _, one in (*best, *grave)), "")


def _core_of_main(case: Case) -> Core | None:
    """That of the main process; by the collector's rule the last one where nobody knows its pid."""
    pid = case.incident.main.pid
    found = [core for core in case.cores if pid is None or core.pid in ("", str(pid))]
    return found[-1] if found else None


def _names(case: Case, line: str) -> bool:
    return any(f"[{pid}]" in line for pid in case.pids)


def _control(case: Case) -> Iterator[Finding]:
    """A command beside the main process failed, and said nothing that explains it."""
    control = case.incident.control
    if control is None or (control.exit_status in _OF_SETUP and case.setup):
        return
    program = program_of(case)
    found = _exited(case, f"{control.command}={program}", control.exit_code, control.exit_status)
    found = _with_own_words(case, control, program, found)
    clean = (case.incident.exit_code, case.incident.exit_status) == ("exited", "0")
    if clean and control.command in ("ExecStop", "ExecStopPost"):
        words = found.sentence.removeprefix(fails(case, ""))
        found = replace(found, sentence=fails(case, f"the run itself was clean, but {words}"))
    yield found


def _with_own_words(case: Case, control: Control, program: str, found: Finding) -> Finding:
    """What that command itself said, beside a main process that may have said much more."""
    pids = {str(one.pid) for one in case.unit.commands if one.property == control.command}
    name = program.rpartition("/")[2]
    own = [one for one in case.messages if one.identifier == name or one.pid in pids - {"0"}]
    if not own:
        return found
    told = telling(case, own)
    best = telling(case, case.messages)
    last = told[0][1] if told else own[-1]
    if best and best[0][1] not in own and (not told or best[0][0] > told[0][0]):
        return found  # another program that it started says more
    _, _, how = found.sentence.partition(f"{program} ")
    ended = how.partition(";")[0]
    words = f"{control.command}={program} {ended}: “{quote(last.text, 200)}”"
    sure = LIKELY + 0.03 if told else LIKELY - 0.05
    proof = (case.proof(last), *found.proof)
    return replace(found, sentence=fails(case, words), confidence=sure, proof=proof)


_LEAVES = re.compile(r"\++ (?:exit|return)\b")  # of `set -x`: what stands above it is why


def _exit_status(case: Case) -> Iterator[Finding]:
    incident = case.incident
    if (
        incident.control is None
        and incident.exit_code == "exited"
        and incident.exit_status not in (None, "0")
    ):
        yield _exited(case, program_of(case), incident.exit_code, incident.exit_status)


def _exited(case: Case, program: str, code: str | None, status: str | None) -> Finding:
    name = status_name(code, status)
    ended = f"ended with status {status}" + (f"/{name}" if name and name != "FAILURE" else "")
    if code in ("killed", "dumped"):
        ended = f"was ended by SIG{status}"
    if case.silent and (known := documented(program.rpartition("=")[2], status)):
        return _as_documented(case, program, ended, known)
    meaning = f" (by convention: {_MEANINGS[status]})" if status in _MEANINGS else ""
    meaning = meaning if case.silent else ""
    silent = ""
    if case.silent:  # without a word of the manager either, a power cut or journald lost them
        wrote = " and wrote nothing" if case.manager else "; the journal has nothing of this run"
        silent = f"{wrote}, it is unclear why"
    own = [one for one in case.messages if one.identifier == program.rpartition("/")[2]]
    own = [
        one for one in own if not _LEAVES.match(one.raw) and not case.course.is_usage(one)
    ] or own
    if own and not complains(case):
        said = _last_words(case, own[-1])
        silent = f"; its last words: “{quote(said, 220)}”"
        silent += "" if is_concrete(said) else work_of(case)
    line = case.said("rocess exited")
    sure = LIKELY - 0.1 if case.silent else FLOOR if complains(case) else LIKELY - 0.15
    path = program.rpartition("=")[2]
    by_signal = _signal_in(status) if INTERPRETER.search(path) else ""
    if (case.silent or by_signal) and (script := script_of(case)):
        program = f"{program} -c “{quote(script, 140)}”"
    ended += f" (a command of it was ended by {by_signal})" if by_signal else ""
    unit = case.incident.unit
    by_hand = f"what systemctl cat {unit} has" if INTERPRETER.search(path) else path
    advice = f"run it by hand as the unit's user: {by_hand}"
    if (command := check_command(case)) is not None:
        advice = f"check its configuration: {command}; or {advice}"
    return of_manager(case, "unclear", f"{program} {ended}{silent}{meaning}", advice, line, sure)


def _last_words(case: Case, last: Message) -> str:
    """What it ended with, or all that it said where that is little."""
    said = together(case, last)
    whole = said == last.text and last is case.messages[-1]
    return (all_of_it(case) if whole else "") or said


def _signal_in(status: str | None) -> str:
    """The signal of which a shell says 128 + its number (sh(1p), "Exit Status for Commands")."""
    number = int(status) - 128 if status is not None and status.isdecimal() else 0
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name if 0 < number < 65 else ""
    return ""


def _as_documented(case: Case, program: str, ended: str, known: str) -> Finding:
    """A program that wrote nothing, and whose manual says what its status means."""
    path = program.rpartition("=")[2]
    failed = case.failing
    given = next(
        (argv.partition(" ")[2] for name, one, argv in started(case.unit) if (name, one) == (failed, path)), ""
    )  # fmt: skip
    work = f"; it was to do: {path.rpartition('/')[2]} {quote(given, 140)}" if given else ""
    what = f"{program} {ended}: {known}{work}"
    advice = f"man {path.rpartition('/')[2]} tells what it does; run it by hand as the unit's user"
    return of_manager(case, "exit-status", what, advice, case.said("rocess exited"), LIKELY + 0.05)


def _resources(case: Case) -> Iterator[Finding]:
    if case.incident.result == "resources":
        line = case.said("Failed to")
        text = (
            line.message.partition(": ")[2]
            if line is not None
            else "it could not set up what it needs"
        )
        yield of_manager(
            case,
            "resources",
            f"systemd could not start it: {quote(text)}",
            "systemctl status",
            line,
        )


_CYCLE = re.compile(
    r"[\w.@\\:-]{1,255}: (?:Found ordering cycle on|Job \S{1,255} deleted to break ordering cycle) "
)


def _cycle(case: Case) -> Iterator[Finding]:
    said = [line.message for line in case.manager if "ordering cycle" in line.message]
    before = [text for text in case.earlier if _CYCLE.match(text)]
    for text in [*said, *sorted(before)][-1:]:
        what = f"systemd broke an ordering cycle and left a unit out: {quote(text)}"
        yield Finding(
            "ordering-cycle", fails(case, what), "take one of the After=/Before= out", SEEN + 0.02,
            (Proof("systemd said", text, "journal/before.txt"),),
        )  # fmt: skip


_UNKNOWN_TYPE = re.compile(r"unknown filesystem type '(?P<type>[\w.-]{1,30})'")
# What mount(8) leaves to a helper of its own, and Debian's package with it.
_HELPERS = {"nfs": "nfs-common", "nfs4": "nfs-common", "cifs": "cifs-utils", "smb3": "cifs-utils",
            "glusterfs": "glusterfs-client", "ceph": "ceph-common", "davfs": "davfs2",
            "fuse.sshfs": "sshfs", "ntfs": "ntfs-3g", "ocfs2": "ocfs2-tools", "gfs2": "gfs2-utils",
            "ecryptfs": "ecryptfs-utils", "zfs": "zfsutils-linux"}  # fmt: skip


def _mount(case: Case) -> Iterator[Finding]:
    """A mount or swap unit: mount(8) says why."""
    if not case.incident.unit.endswith((".mount", ".swap")):
        return
    where, source = case.unit.get("Where") or "", case.unit.get("What") or ""
    said = next(
        (m for m in case.messages if re.search(r"mount|swapon", m.raw, re.IGNORECASE)), None
    )
    text = f": “{quote(said.raw)}”" if said is not None else ""
    what = f"{source} cannot be mounted on {where}{text}" if where else f"{source}{text}"
    proof = (case.proof(said),) if said is not None else ()
    advice = f"correct its line in /etc/fstab or its unit (Options={case.unit.get('Options')})"
    unknown = _UNKNOWN_TYPE.search(said.raw) if said is not None else None
    package = _HELPERS.get(unknown["type"]) if unknown is not None else None
    if said is not None and "bad option" in said.raw and case.unit.get("Options"):
        what += f"; its options are {case.unit.get('Options')}"
    if unknown is not None and package is not None:
        what += f"; its helper mount.{unknown['type']} (package {package}) is missing, as it seems"
        advice = f"install {package}"
    yield Finding("mount", fails(case, what), advice, SAID + 0.05, proof)


CAUSES = (
    Cause("protocol", "the process did not follow its Type=", _protocol),
    Cause("start-limit", "started too often", _start_limit),
    Cause("signal", "ended by a signal", _signal),
    Cause("control", "a command beside the main process failed", _control),
    Cause("exit-status", "the main process ended with a status", _exit_status),
    Cause("resources", "systemd could not start it", _resources),
    Cause("ordering-cycle", "an ordering cycle", _cycle),
    Cause("mount", "a mount or swap failed", _mount),
)
