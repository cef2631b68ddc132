# SPDX-License-Identifier: MIT
"""The counters of the unit's cgroup and the processes left in it, as the hook saw them.

systemd removes the cgroup when the unit has ended; only an ``ExecStopPost=`` hook is in time.
"""

from __future__ import annotations

from failhook.collect.columns import table
from failhook.collector import Collector, Context, Sink, Skipped


def collect(context: Context, sink: Sink) -> None:
    """One file for each counter, as the kernel has it."""
    if not context.cgroup and not context.left_processes:
        raise Skipped(
            "the cgroup was gone: its counters need the ExecStopPost= hook (failhook enable)"
        )
    for name, content in context.cgroup.items():
        sink.put(f"cgroup/{name.replace('/', '_')}", content)
    if context.left_processes:
        columns = list(dict.fromkeys(key for each in context.left_processes for key in each))
        rows = [[each.get(column) for column in columns] for each in context.left_processes]
        head = f"# {context.cgroup_path}\n" if context.cgroup_path else ""
        header = [column.upper() for column in columns]
        sink.put("cgroup/processes.txt", head + table(header, rows))


COLLECTOR = Collector(
    "cgroup",
    "memory, CPU, I/O and pressure counters of the run, from the hook",
    collect,
    max_bytes=256 << 10,
    in_process=True,
)
