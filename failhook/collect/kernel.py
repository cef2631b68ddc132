# SPDX-License-Identifier: MIT
"""What the kernel said at the time that can end a process: memory, traps, disks, hangs, denials.

Only lines that speak of such things, the whole report of an OOM kill, and the frames of a call
trace: they tell what a task that hangs waits for. The kernel names no unit:
whether a line concerns this one is for the reader (or the diagnosis) to see.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from failhook.collect.now import of_this_boot
from failhook.collector import Collector, Context, Sink
from failhook.systemd import journal
from failhook.systemd.journal import Query

_BACK_S = 900.0
_BEFORE_S = 10.0
_READ_BYTES = 8 << 20
_READ_LINES = 10_000
_READ_S = 5.0
_TEXT_BYTES = 256 << 10
_LOOKED_AT = 400  # characters of a line
_MAX_BLOCK = 2000  # lines of one OOM report: it lists every process

_TELLING = re.compile(
    r"""
      out\ of\ memory | oom[-_: ] | killed\ process | memory\ cgroup | page\ allocation\ failure
    | segfault | general\ protection | \btraps?: | invalid\ opcode | divide\ error | bad\ rip
    | unhandled\ signal | stack\ guard | core\ dump
    | i/o\ error | \bata\d | \bnvme\d | \bscsi\b | \bsd[a-z]+\d*[]: ] | blk_update | medium\ error
    | critical\ (?:target|medium|space) | ext[234]-fs | \bxfs\b | \bbtrfs\b | \bjbd2\b | buffer\ i/o
    | remount | \bfuse\b | \bnfs[d:4 ] | \bcifs\b | \bceph\b | device-mapper | \bmd\d+:
    | blocked\ for\ more\ than | hung\ task | soft\ lockup | hard\ lockup | rcu.*stall
    | fat-fs | f2fs | device\ offline | memory\ failure: | hardware\ memory
    | \bmce: | machine\ check | hardware\ error | \bedac\b
    | apparmor= | avc: | audit: | denied | \bseccomp\b | lockdown
    | kernel\ bug | \boops\b | \bbug: | call\ trace | panic | thermal | throttl
    | table\ full | possible\ syn\ flooding | out\ of\ socket\ memory | no\ space | quota
    | fork\ rejected | too\ many\ open | file-max
    """,
    re.VERBOSE,
)
_MAX_TRACE = 60
_TRACE_BEGINS, _TRACE_ENDS = "Call Trace:", "</TASK>"
_OOM_BEGINS = "invoked oom-killer"
_OOM_ENDS = ("Killed process", "oom_reaper:")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the kernel, Unix seconds."""

    at: float
    text: str


def collect(context: Context, sink: Sink) -> None:
    """The telling lines from shortly before the run until now."""
    lines, problem = _from_journal(context)
    if not lines and of_this_boot(context) and (problem or journal.storage_problem()):
        lines, problem = _from_kmsg(_since(context), problem)
    if problem is not None:
        sink.problem(problem)
    shown = [f"{journal.stamp(line.at)} {journal.visible(line.text)}\n" for line in telling(lines)]
    text = "".join(shown).encode("utf-8", "replace")
    cut = len(text) > _TEXT_BYTES
    if text or problem is None:
        text = text[-_TEXT_BYTES:].partition(b"\n")[2] if cut else text
        sink.put("kernel/kernel.txt", text or b"nothing of note\n", truncated=cut)


def _since(context: Context) -> float:
    incident = context.incident
    started = (incident.main.started or incident.first_seen) - _BEFORE_S
    return max(started, incident.first_seen - _BACK_S)


def _from_journal(context: Context) -> tuple[list[Line], str | None]:
    boot = context.incident.boot_id.replace("-", "")
    matches = ("_TRANSPORT=kernel", f"_BOOT_ID={boot}")
    query = Query(matches, since=_since(context), max_entries=_READ_LINES)
    reading = journal.ask(query, max_bytes=_READ_BYTES, timeout_s=_READ_S)
    return [Line(each.realtime, each.text("MESSAGE")) for each in reading.entries], reading.problem


def _from_kmsg(since: float, problem: str | None) -> tuple[list[Line], str | None]:
    """The kernel's own buffer: where there is no journald, or one that does not read it."""
    started = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    try:
        fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return [], problem
    try:
        lines = list(_records(fd, started))
    finally:
        os.close(fd)
    return [line for line in lines if line.at >= since], None


def _records(fd: int, started: float) -> Iterator[Line]:
    """``6,339,5140900,-;text`` and further lines that begin with a space (dev-kmsg)."""
    while True:
        try:
            record = os.read(fd, 8192)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.EPIPE:  # overwritten while we read: go on with the next
                continue
            return
        head, _, rest = record.decode("utf-8", "replace").partition(";")
        fields = head.split(",")
        if len(fields) >= 3 and fields[2].isdigit():
            yield Line(started + int(fields[2]) / 1_000_000, rest.split("\n", 1)[0])


def telling(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines that matter, all lines of an OOM report, and the frames of a call trace."""
    inside, frames = 0, 0
    for line in lines:
        if _OOM_BEGINS in line.text:
            inside = _MAX_BLOCK
        if inside > 0:
            inside -= 1
            yield line
            if any(end in line.text for end in _OOM_ENDS):
                inside = 0
        elif frames > 0 and line.text.startswith(" "):
            frames = 0 if _TRACE_ENDS in line.text else frames - 1
            yield line
        else:
            frames = _MAX_TRACE if _TRACE_BEGINS in line.text else 0
            if _TELLING.search(line.text.lower(), 0, _LOOKED_AT):
                yield line


COLLECTOR = Collector(
    "kernel",
    "kernel lines of that time: OOM, traps, disks, hangs, denials",
    collect,
    max_bytes=512 << 10,
)
