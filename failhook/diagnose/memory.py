# SPDX-License-Identifier: MIT
"""Memory, descriptors, processes: what the kernel or a limit did not give."""

from __future__ import annotations

import re
from collections.abc import Iterator

from failhook.diagnose.case import Case
from failhook.diagnose.finding import SAID, SEEN, Cause, Finding, each, from_message, quote
from failhook.diagnose.text import Message
from failhook.incident import Proof

_KILLED = re.compile(
    r"(?P<kind>Memory cgroup out of memory|Out of memory)[^\n]{0,40}: Killed process (?P<pid>\d+)"
    r" \((?P<name>[^)]{1,40})\)(?:[^\n]{0,200}?anon-rss:(?P<rss>\d+)kB)?"
)
_CGROUP = re.compile(
    r"oom-kill:constraint=(?P<constraint>\w+)[^\n]{0,400}?task_memcg=(?P<memcg>[^,\s]+)"
)
_NO_MEMORY = re.compile(
    r"cannot allocate memory|\bENOMEM\b|out of memory|\bMemoryError\b|std::bad_alloc|memory exhausted"
    r"|(?:failed to|unable to|could not) (?:allocate|reserve|mmap)\b.{0,60}(?:memory|bytes|buffer|heap|page|[kmg]i?b\b)|OutOfMemoryError|heap out of memory|errno[ =:]*12\b"
    r"|virtual memory (?:is |was )?exhausted|(?:no|insufficient|not enough) virtual memory|(?:memory|malloc|heap|buffer).{0,20}allocation fail|mmap failed",
    re.IGNORECASE,
)
_HEAP = re.compile(
    r"OutOfMemoryError:? ?(?P<what>[\w ]{0,40})|(?P<v8>JavaScript heap out of memory)"
    r"|Allowed memory size of (?P<php>\d+) bytes exhausted",
)
_FILES = re.compile(
    r"too many open files|\bEMFILE\b|errno[ =:]*24\b|os error 24\b|file descriptors?.{0,40}(?:insufficient"
    r"|exhaust|too (?:low|small|few))|(?:raise|increase).{0,40}ulimit|setrlimit.{0,40}(?:nofile|files)",
    re.IGNORECASE,
)
# Programs tell their limit also where it is enough.
_FILE_LIMIT = re.compile(
    r"open files? limit|file descriptors?.{0,40}limit|\bFD limit", re.IGNORECASE
)
_NOT_ENOUGH = re.compile(
    r"too (?:low|small|few)|insufficient|exceed|reached|cannot|can't|unable|could not|fail|not enough"
    r"|exhaust|raise|increase|at least",
    re.IGNORECASE,
)
WATCHES = re.compile(
    r"inotify|fsnotify|file ?watch(?:er|es)|max_user_(?:watches|instances)", re.IGNORECASE
)
_SPENT = re.compile(
    r"no space left|ENOSPC|too many open files|EMFILE|limit|errno[ =:]*(?:24|28)\b", re.IGNORECASE
)
_FORK = re.compile(
    r"(?:fork|clone|thread|process).{0,80}(?:resource temporarily unavailable|EAGAIN|errno[ =:]*11\b)"
    r"|resource temporarily unavailable.{0,40}(?:fork|thread)|can't start new thread|cannot fork"
    r"|unable to create (?:new )?native thread|pthread_create failed|fork: retry|BlockingIOError",
    re.IGNORECASE,
)
_PERHAPS_FORK = re.compile(r"\bresource (?:temporarily )?unavailable\b", re.IGNORECASE)
_NOT_PERMITTED = re.compile(
    r"operation not permitted|permission denied|EPERM|EACCES|cannot (?:enable|allocate)|failed",
    re.IGNORECASE,
)
_ENGINE = re.compile(
    r"\b(?:V8_Fatal|libnode|libv8|v8::internal|JavaScriptCore|libjvm|libcoreclr|libmono\w*|libluajit"
    r"|libpypy[\d.]*|wasmtime|wasmer)\b"
)
_CHECK = re.compile(r"\b(?:fatal|internal error|failed|assert\w*)\b.{4,}", re.IGNORECASE)
_CHECKED = re.compile(r"\b(?:check failed|assert\w*)\b.{4,}", re.IGNORECASE)
_BY_CRASH = ("132", "133", "134", "135", "139")  # 128 + SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGSEGV
_EXECUTABLE = re.compile(
    r"mprotect|mmap|PROT_EXEC|executable (?:memory|page|code)|\bjit\b|(?:runtime )?code generation|VirtualAlloc|trampoline"
    r"|code[ _](?:cache|range|space|buffer)",
    re.IGNORECASE,
)


def _size(number: int) -> str:
    for unit, factor in (("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)):
        if number >= factor:
            return f"{number / factor:.3g}{unit}"
    return str(number)


def _limits(case: Case) -> str | None:
    """The limit of the cgroup that is in force: ``512M limit (MemoryMax=)``."""
    top = case.memory.get("memory.max") or case.unit.number("MemoryMax")
    return f"{_size(top)} limit (MemoryMax=)" if top else None


def _by_kernel(case: Case) -> Iterator[Finding]:
    """The kernel's own report, if it killed a process of this unit."""
    unit = case.incident.unit
    kill, memcg = None, ""
    for line in case.kernel:
        group = _CGROUP.search(line)
        if group is not None:
            memcg = group["memcg"]
        match = _KILLED.search(line)
        if match is not None and _is_ours(case, match["pid"], memcg):
            kill = (match, line)
    if kill is None:
        return
    match, line = kill
    who, rss = f"{match['name']} {match['pid']}", _size(int(match["rss"] or 0) * 1024)
    limit = _limits(case)
    own = match["kind"].startswith("Memory cgroup") and limit is not None
    if own:
        reason = f"{limit} reached" + (f", {rss} of it in {who}" if match["rss"] else f" by {who}")
    else:
        held = f"held {rss} of it" if match["rss"] else "was chosen"
        reason = f"the machine had none left, {who} {held}"
    sentence = f"{unit} was killed by the kernel for memory: {reason}"
    advice = (
        "raise MemoryMax= or find what grows"
        if own
        else "more memory or swap, or MemoryMax= for what grows"
    )
    yield Finding(
        "oom-kernel", sentence, advice, SEEN, (Proof("kernel", line, "kernel/kernel.txt"),)
    )


def _is_ours(case: Case, pid: str, memcg: str) -> bool:
    return case.incident.unit in memcg.split("/") or pid in case.pids


def _by_result(case: Case) -> Iterator[Finding]:
    """systemd's word for it, or the cgroup's counters that the hook saved."""
    kills = case.memory.get("memory.oom_kill", 0)
    if case.incident.result != "oom-kill" and not kills:
        return
    limit, peak = _limits(case), case.memory.get("memory.peak")
    used = f", {_size(peak)} at its peak" if peak else ""
    how = f": {limit}{used}" if limit else f"{used}"
    who = "by the out-of-memory killer (the kernel or systemd-oomd)"
    sentence = f"{case.incident.unit} was killed for memory {who}{how}"
    line = case.said("oom-kill") or case.said("OOM")
    proof = (case.proof_of(line.message),) if line is not None else ()
    advice = "raise MemoryMax= (or MemoryHigh=) or find what grows; journalctl -k has the kernel's report"
    yield Finding("oom-kill", sentence, advice, SAID + 0.1, proof)


def _heap(case: Case, message: Message) -> Finding | None:
    match = _HEAP.search(message.raw)
    if match is None:
        return None
    size = re.search(r"-Xmx(\w+)|--max-old-space-size=(\d+)", case.unit.get("ExecStart") or "")
    limit = f" ({size.group()})" if size else ""
    kind = match["what"].strip() if match["what"] else "heap"
    if match["php"]:
        limit = f" (memory_limit, {_size(int(match['php']))})"
    return from_message(
        case, message, "heap",
        what=f"its {kind or 'heap'} is used up{limit}: “{quote(message.text, 180)}”",
        advice="give the runtime a larger heap, or find what grows", confidence=SAID + 0.08,
    )  # fmt: skip


def _no_memory(case: Case, message: Message) -> Finding | None:
    if not _NO_MEMORY.search(message.text):
        return None
    for setting in ("LimitAS", "LimitDATA", "LimitMEMLOCK"):
        limit = case.unit.number(setting)
        if limit is not None and (setting != "LimitMEMLOCK" or "lock" in message.lower):
            return from_message(
                case, message, "memory-limit",
                what=f"{setting}={_size(limit)} does not let it have more memory: "
                f"“{quote(message.text, 150)}”",
                advice=f"raise {setting}=, or take it out", confidence=SEEN,
                more=[case.checked(f"{setting}={limit}", "unit/show.txt")],
            )  # fmt: skip
    return from_message(
        case, message, "no-memory", what=f"it got no more memory: “{quote(message.text, 200)}”",
        advice="free memory, or raise MemoryMax=; see system/summary.txt in the bundle",
        confidence=SAID - 0.05,
    )  # fmt: skip


def _watches(case: Case, message: Message) -> Finding | None:
    """inotify(7) says ENOSPC and EMFILE for limits of its own."""
    if not (WATCHES.search(message.text) and _SPENT.search(message.text)):
        return None
    return from_message(
        case, message, "watches",
        what="it watches more files than fs.inotify.max_user_watches or max_user_instances allow: "
        f"“{quote(message.text, 150)}”",
        advice="raise them in /etc/sysctl.d, or watch less", confidence=SAID + 0.1,
    )  # fmt: skip


def _files(case: Case, message: Message) -> Finding | None:
    text = message.text
    if not _FILES.search(text) and not (_FILE_LIMIT.search(text) and _NOT_ENOUGH.search(text)):
        return None
    limit = case.unit.number("LimitNOFILESoft") or case.unit.number("LimitNOFILE")
    shown = f"LimitNOFILE={limit}" if limit else "its limit"
    return from_message(
        case, message, "open-files",
        what=f"it needs more open files than {shown} allows: “{quote(text, 170)}”",
        advice="raise LimitNOFILE= in the unit, or find what does not close its files",
        confidence=SAID + 0.1, more=[case.checked(shown, "unit/show.txt")],
    )  # fmt: skip


def _processes(case: Case, message: Message) -> Finding | None:
    if not _FORK.search(message.text) and not _PERHAPS_FORK.search(message.text):
        return None
    processes = case.unit.number("LimitNPROC")
    tasks = case.memory.get("pids.max") or case.unit.number("TasksMax")
    hit = case.memory.get("pids.events.max", 0)
    named = []
    if processes is not None and processes < 5000:
        named.append(f"LimitNPROC={processes}")
    if tasks and (not named or hit):
        named.append(f"TasksMax={tasks}")
    if not _FORK.search(message.text) and not (hit or processes in range(5000)):
        return None
    limit = " or ".join(named) or "a limit"
    return from_message(
        case, message, "processes",
        what=f"it needs more processes or threads than {limit} allows: “{quote(message.text, 160)}”",
        advice="raise the limit in the unit, or find what starts so many",
        confidence=SAID + 0.1, more=[case.checked(limit, "unit/show.txt")],
    )  # fmt: skip


def _write_execute(case: Case, message: Message) -> Finding | None:
    if case.unit.get("MemoryDenyWriteExecute") != "yes" or not _NOT_PERMITTED.search(message.text):
        return None
    near = case.messages[max(0, message.number - 8) : message.number + 1]
    if not any(_EXECUTABLE.search(one.raw) for one in near):
        return None
    return from_message(
        case, message, "sandbox",
        what="MemoryDenyWriteExecute=yes denies it memory that is writable and executable: "
        f"“{quote(message.text, 130)}”",
        advice="MemoryDenyWriteExecute=no for programs that compile while they run", confidence=SEEN,
        more=[case.checked("MemoryDenyWriteExecute=yes", "unit/show.txt")],
    )  # fmt: skip


def _compiler_died(case: Case) -> Iterator[Finding]:
    """An engine that compiles while it runs crashed, as it does without such memory; it says what it
    was about in words of its own: "Check failed: 12 == errno"."""
    crashed = case.incident.exit_code in ("killed", "dumped") or case.status in _BY_CRASH
    if case.unit.get("MemoryDenyWriteExecute") != "yes" or not crashed:
        return
    engine = next((m for one in case.messages if (m := _ENGINE.search(one.raw[:600]))), None)
    if engine is None or case.incident.exit_status in ("TERM", "KILL", "INT"):
        return
    told = [one for one in case.messages if _CHECK.search(one.text[:600])]
    said = next(
        (one for one in told if _CHECKED.search(one.text[:600])), (*told, case.messages[0])[0]
    )
    yield from_message(
        case, said, "sandbox",
        what=f"MemoryDenyWriteExecute=yes denies its compiler ({engine[0]}) memory that is writable and "
        f"executable, and it crashed: “{quote(said.text, 130)}”",
        advice="MemoryDenyWriteExecute=no for programs that compile while they run",
        confidence=SEEN, more=[case.checked("MemoryDenyWriteExecute=yes", "unit/show.txt")],
    )  # fmt: skip


def _said(case: Case) -> list[Finding]:
    return list(each(case, _write_execute, _heap, _watches, _files, _processes, _no_memory))


CAUSES = (
    Cause("oom-kernel", "killed by the kernel for memory", _by_kernel),
    Cause("oom-kill", "killed for memory, by systemd's word", _by_result),
    Cause("memory", "a limit of memory, files or processes", _said),
    Cause("sandbox", "a compiler without memory for what it makes", _compiler_died),
)
