# SPDX-License-Identifier: MIT
"""What the hook saw."""

from dataclasses import replace

from failhook.collect.cgroup import COLLECTOR
from tests.unit.collect.bench import context, run


def test_counters_and_processes() -> None:
    given = replace(
        context(),
        cgroup={"memory.peak": "4096\n", "sub/../x": "1"},
        cgroup_path="/system.slice/talker.service",
        left_processes=({"pid": "7", "comm": "a\x1b[0m"}, {"pid": "8", "cmdline": "b c"}),
    )
    gave = run(COLLECTOR, given)
    assert gave.text("cgroup/memory.peak") == "4096\n"
    assert gave.text("cgroup/sub_.._x") == "1"
    assert gave.text("cgroup/processes.txt") == (
        "# /system.slice/talker.service\n"
        "PID  COMM      CMDLINE\n"
        "7    a\\x1b[0m  -\n"
        "8    -         b c\n"
    )


def test_without_the_hook() -> None:
    assert "ExecStopPost=" in (run(COLLECTOR, context()).skipped or "")
