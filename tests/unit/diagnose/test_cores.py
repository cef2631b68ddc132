# SPDX-License-Identifier: MIT
"""What the cores of a run tell: which processes were its own, and which program crashed where."""

import json

import pytest

from failhook.diagnose.case import Case
from failhook.diagnose.cores import load
from failhook.systemd.journal import COREDUMP
from tests.unit.diagnose.cases import case, judge, process

STACK = """Process {pid} ({name}) dumped core.

Stack trace of thread {pid}:
#0  0x00007f1 {function} (libc.so.6 + 0x8)"""
AGAIN = {"exit_code": "dumped", "exit_status": "SEGV", "result": "core-dump"}
DUMPED = (
    "Started a.service - A.",
    "a.service: Main process exited, code=dumped, status=11/SEGV",
    "a.service: Failed with result 'core-dump'.",
)


def core(pid: int, program: str, function: str = "poll", number: str = "") -> dict[str, bytes]:
    """The two items that the collector makes of a core."""
    name = program.rpartition("/")[2]
    facts = json.dumps({"pid": str(pid), "comm": name, "exe": program}).encode()
    text = STACK.format(pid=pid, name=name, function=function).encode()
    return {f"coredump/core{number}.json": facts, f"coredump/core{number}.txt": text}


def crash(items: dict[str, bytes], *lines: dict[str, str], **incident: object) -> Case:
    """A run that ended by SIGSEGV."""
    return case(*lines, items=items, manager=DUMPED, **(AGAIN | incident))  # type: ignore[arg-type]


def test_what_a_wrapper_became_is_the_program_that_crashed() -> None:
    """The unit runs again: its properties no longer have the pid of the main process."""
    said = judge(crash(core(4711, "/usr/libexec/real", "parse_it"))).summary
    assert "/usr/libexec/real crashed with a segmentation fault (SIGSEGV) in parse_it" in said


def test_a_child_that_crashed_as_well_is_not_the_main_process() -> None:
    items = core(50, "/usr/bin/child", "child_it", "-1") | core(100, "/usr/sbin/a", "own", "-2")
    known = crash(items, main=process(100))
    assert "/usr/sbin/a crashed with a segmentation fault (SIGSEGV) in own" in judge(known).summary
    only_child = crash(core(50, "/usr/bin/child", "child_it"), main=process(100))
    assert "child" not in judge(only_child).summary


def test_systemd_coredump_speaks_about_the_program_and_not_for_it() -> None:
    fields = {"SYSLOG_IDENTIFIER": "systemd-coredump", "_PID": "60", "MESSAGE": "dumped core"}
    reported = crash({}, fields | {"MESSAGE_ID": COREDUMP})
    assert reported.silent and "60" not in reported.pids
    assert "dumped core" not in judge(reported).summary
    assert not crash({}, fields).silent  # a program that merely calls itself so


@pytest.mark.parametrize("how", ["core", "manager", "spoke", "nobody"])
def test_the_pid_of_a_process_tells_whose_line_of_the_kernel_it_is(how: str) -> None:
    kernel = b"t a[4711]: segfault at 8 ip 0000 sp 0000 error 4 in libx.so[7f+1]\n"
    items = {"kernel/kernel.txt": kernel}
    if how == "core":
        items |= core(4711, "/usr/sbin/a")
    told = "a.service: Sent signal SIGABRT to main process 4711 (a) on client request."
    manager = (*DUMPED[:1], told, *DUMPED[1:]) if how == "manager" else DUMPED
    lines = [{"MESSAGE": "hello", "_PID": "4711"}] if how == "spoke" else []
    verdict = judge(case(*lines, items=items, manager=manager, **AGAIN))  # type: ignore[arg-type]
    proven = any("segfault" in proof.text for proof in verdict.evidence)
    assert proven == (how != "nobody")


def test_damaged_facts_leave_the_text() -> None:
    found = load({"coredump/core.txt": b"\xff#0 0x1 f", "coredump/core.json": b"[1"})
    assert [(one.pid, one.program) for one in found] == [("", "")]
    assert load({"coredump/core.json": b"{}"}) == ()
