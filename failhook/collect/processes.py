# SPDX-License-Identifier: MIT
"""What is left of the unit, and who is heavy on this machine just now.

The ranking reads one file of /proc for each process, twice, since psutil would take twenty times as
long for all of them; psutil then tells about the few that are shown.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failhook.collect.accounts import user_name
from failhook.collect.columns import duration, size, table
from failhook.collect.now import need_this_boot
from failhook.collector import Collector, Context, CpuTimes, Sink

_WINDOW_S = 0.03  # three ticks of the clock that counts; the bundle waits for it
_EARLY_S = 0.005
_HEAVIEST = 12
_MAX_LEFT = 200
_MOUNTS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")
_HEADER = (
    "PID",
    "PPID",
    "USER",
    "STATE",
    "AGE",
    "RSS",
    "CPU-S",
    "CPU%",
    "THREADS",
    "WAITS",
    "COMMAND",
)
_RIGHT = "rr..rrrrr"


@dataclass(frozen=True, slots=True)
class _Stat:
    """The few numbers of /proc/PID/stat that a ranking needs."""

    pid: int
    ticks: int
    rss: int


def collect(context: Context, sink: Sink) -> None:
    """Two tables: the unit's processes, the heaviest of the machine."""
    need_this_boot(context)
    first = context.cpu_times or cpu_times()
    left = _pids_of(context)
    sink.put("processes/unit.txt", _about_unit(context, left))
    time.sleep(max(0.0, first.at + _WINDOW_S - time.monotonic()))
    window_s = time.monotonic() - first.at
    second = list(_stats())
    shares = _shares(first.ticks, second, window_s)
    second = [each for each in second if each.pid != os.getpid()]
    by_memory = sorted(second, key=lambda each: -each.rss)[:_HEAVIEST]
    busy = [each for each in second if shares.get(each.pid, 0.0) > 0]
    by_cpu = sorted(busy, key=lambda each: -shares[each.pid])[:_HEAVIEST]
    text = f"{len(second)} processes\n\nby memory\n{_table((e.pid for e in by_memory), shares)}"
    text += f"\nby CPU, in {window_s * 1000:.0f} ms\n{_table((e.pid for e in by_cpu), shares)}"
    sink.put("processes/heaviest.txt", text)


def cpu_times() -> CpuTimes:
    """What all processes have used up to now."""
    at = time.monotonic()
    return CpuTimes(at, {each.pid: each.ticks for each in _stats()})


def early_cpu_times() -> CpuTimes | None:
    """As `cpu_times`, for one who is waiting for something else; None where that would take longer
    than his wait, on a machine with thousands of processes."""
    at, ticks = time.monotonic(), dict[int, int]()
    for each in _stats():
        ticks[each.pid] = each.ticks
        if time.monotonic() - at > _EARLY_S:
            return None
    return CpuTimes(at, ticks)


def _stats() -> Iterator[_Stat]:
    page = os.sysconf("SC_PAGE_SIZE")
    with os.scandir("/proc") as entries:
        pids = [entry.name for entry in entries if entry.name.isdigit()]
    for pid in pids:
        try:
            raw = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            continue
        fields = raw[raw.rfind(b")") + 2 :].split()
        if len(fields) > 21:
            ticks = int(fields[11]) + int(fields[12])
            yield _Stat(int(pid), ticks, int(fields[21]) * page)


def _shares(first: Mapping[int, int], second: Iterable[_Stat], window_s: float) -> dict[int, float]:
    """Percent of one CPU in the window; processes that came in between count from their start."""
    per_second = os.sysconf("SC_CLK_TCK")
    return {
        each.pid: 100 * (each.ticks - first.get(each.pid, 0)) / per_second / window_s
        for each in second
    }


# -- of the unit --------------------------------------------------------------------------------


def _pids_of(context: Context) -> list[int]:
    """The processes in the unit's cgroup and below it, from whichever hierarchy is there."""
    path = context.cgroup_path or context.unit.get("ControlGroup")
    if not path or path == "/" or ".." in path.split("/"):
        return []
    for mount in _MOUNTS:
        top = Path(mount + path)
        if (top / "cgroup.procs").exists():
            return _pids_below(top)[:_MAX_LEFT]
    return []


def _pids_below(top: Path) -> list[int]:
    pids: list[int] = []
    for directory, _, _ in os.walk(top):
        try:
            pids += [int(line) for line in Path(directory, "cgroup.procs").read_text().split()]
        except OSError:  # gone, or threaded
            continue
        if len(pids) > _MAX_LEFT:
            break
    return pids


def _about_unit(context: Context, pids: list[int]) -> str:
    if not pids:
        return "no process is left in the unit's cgroup\n"
    now, then = context.unit.get("InvocationID"), context.incident.invocation_id
    note = ""
    if now and then and now != then:
        note = f"the unit runs again (invocation {now}): these belong to that run\n"
    return note + _table(pids, {})


# -- details ------------------------------------------------------------------------------------


def _table(pids: Iterable[int], shares: dict[int, float]) -> str:
    import psutil  # here: 10 ms, and only this process needs it

    rows = []
    for pid in pids:
        try:
            rows.append(_row(psutil.Process(pid), shares.get(pid)))
        except psutil.Error:
            continue  # ended meanwhile
    return table(_HEADER, rows, _RIGHT) if rows else "none\n"


def _row(process: Any, share: float | None) -> tuple[object, ...]:
    with process.oneshot():
        times = process.cpu_times()
        command = process.cmdline()
        return (
            process.pid,
            process.ppid(),
            user_name(process.uids().effective),
            process.status(),
            duration(time.time() - process.create_time()),
            size(process.memory_info().rss),
            f"{times.user + times.system:.1f}",
            "-" if share is None else f"{share:.0f}",
            process.num_threads(),
            _waits(process.pid),
            " ".join(command) if command else f"[{process.name()}]",
        )


def _waits(pid: int) -> str:
    """The kernel function that it waits in: tells a process that hangs in a dead mount."""
    try:
        name = Path(f"/proc/{pid}/wchan").read_text("ascii", "replace").strip()
    except OSError:
        return "-"
    return name if name != "0" else "-"


COLLECTOR = Collector(
    "processes",
    "what is left of the unit, and the heaviest of the machine",
    collect,
    max_bytes=256 << 10,
)
