# SPDX-License-Identifier: MIT
"""Rankings and what is left of a unit."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.collect import processes
from failhook.collect.processes import COLLECTOR
from tests.unit.collect.bench import BASE, context, run


@pytest.fixture
def busy() -> Iterator[int]:
    """A process that computes, with a large memory."""
    code = "x = bytearray(300 << 20)\nprint(flush=True)\nwhile True: pass"
    argv = [sys.executable, "-S", "-c", code]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid
        child.kill()


def test_the_heaviest(busy: int) -> None:
    text = run(COLLECTOR, context()).text("processes/heaviest.txt")
    memory, _, cpu = text.partition("by CPU")
    for part in (memory, cpu):
        (line,) = [line for line in part.splitlines() if line.split()[:1] == [str(busy)]]
        assert "x = bytearray" in line.replace("\\x0a", "\n")
    assert memory.splitlines()[0].endswith(" processes")


def test_of_the_unit(busy: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = tmp_path / "system.slice" / "u.service" / "sub"
    group.mkdir(parents=True)
    (group.parent / "cgroup.procs").write_text("")
    (group / "cgroup.procs").write_text(f"{busy}\n999999999\n")
    monkeypatch.setattr(processes, "_MOUNTS", (str(tmp_path / "none"), str(tmp_path)))
    path = "/system.slice/u.service"
    gave = run(COLLECTOR, context(properties={"ControlGroup": path}))
    lines = gave.text("processes/unit.txt").splitlines()
    assert [line.split()[0] for line in lines] == ["PID", str(busy)]
    again = {"ControlGroup": path, "InvocationID": "b" * 32}
    text = run(COLLECTOR, context(properties=again)).text("processes/unit.txt")
    assert text.startswith(f"the unit runs again (invocation {'b' * 32})")


@pytest.mark.parametrize("path", ["", "/", "/../../etc", "/no.such/cgroup"])
def test_nothing_is_left(path: str) -> None:
    gave = run(COLLECTOR, replace(context(), cgroup_path=path))
    assert gave.text("processes/unit.txt") == "no process is left in the unit's cgroup\n"


def test_an_earlier_boot() -> None:
    assert run(COLLECTOR, context(replace(BASE, boot_id="0" * 32))).skipped
