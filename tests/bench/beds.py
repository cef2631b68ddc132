# SPDX-License-Identifier: MIT
"""The bed that everything is measured in, and how failhook is asked there."""

import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bed import BedError, Machine

_STOPWATCH = Path(__file__).with_name("stopwatch.py")
PYTHON = "/usr/bin/python3"
STATE = "var/lib/failhook"

Times = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    rounds: int
    bundles: int
    sos: int
    journal: int
    small_journal: int
    units: int
    loop_s: float
    incidents: int


FULL = Scale(200, 9, 2, 5_000_000, 50_000, 1000, 30.0, 100_000)
SMOKE = Scale(3, 1, 0, 20_000, 2_000, 20, 3.0, 500)


def say(text: str) -> None:
    """Progress, apart from the table."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def stopwatch(
    machine: Machine,
    commands: Mapping[str, tuple[Sequence[str], Mapping[str, str]]],
    *,
    rounds: int,
    clear: Sequence[str] = (),
    user: str = "root",
) -> Times:
    """Run `stopwatch` in a service of its own; gives wall and CPU milliseconds per command."""
    task = json.dumps({"rounds": rounds, "commands": commands, "clear": clear})
    service = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--uid={user}"]
    done = machine.run(
        [*service, "--unit=bench-stopwatch.service", PYTHON, "-I", "-", task],
        input=_STOPWATCH.read_bytes(),
        timeout=600,
    )
    times: Times = json.loads(done.stdout)
    return times


def inside(machine: Machine, path: str) -> Path:
    """A path of the bed as this machine sees it, without a process in between."""
    return Path(f"/proc/{machine.pid}/root") / path.lstrip("/")


def incidents(machine: Machine, unit: str = "*") -> list[dict[str, Any]]:
    """Every recorded run of the units that match, newest first."""
    done = machine.run(["failhook", "list", "--json", "--unit", unit], timeout=120)
    found: list[dict[str, Any]] = json.loads(done.stdout)["incidents"]
    return found


def bundle_path(machine: Machine, unit: str) -> Path | None:
    """The bundle of the unit's first incident, once it is published."""
    name = unit.replace("\\", "_")
    found = inside(machine, f"{STATE}/incidents").glob(f"*-{name}-*/bundle.tar.gz")
    return next(found, None)


def wait_for(path_of: Any, what: str, timeout: float = 60.0) -> Path:
    """Poll without a process until `path_of()` gives a path."""
    until = time.monotonic() + timeout
    while True:
        path: Path | None = path_of()
        if path is not None:
            return path
        if time.monotonic() > until:
            raise BedError(f"waited {timeout:.0f} s for {what}")
        time.sleep(0.004)


def failed_at(machine: Machine, unit: str) -> float:
    """When the unit's main process ended, in Unix seconds."""
    shown = machine.show(unit, "ExecMainExitTimestampMonotonic")
    since_boot = int(shown["ExecMainExitTimestampMonotonic"]) / 1e6
    return since_boot + time.time() - time.monotonic()


def published_at(path: Path) -> float:
    """When a file got its name: rename(2) leaves mtime alone and sets ctime."""
    return path.stat().st_ctime_ns / 1e9


def quiet(machine: Machine) -> None:
    """Let the runner finish what it has and settle."""
    until = time.monotonic() + 30
    while busy(machine) and time.monotonic() < until:
        time.sleep(0.05)


def busy(machine: Machine) -> bool:
    """Whether an incident is unfinished, or a report waits for the runner."""
    spools = [inside(machine, f"/run/failhook/{name}") for name in ("spool", "incoming")]
    if any(path.name.endswith(".json") for spool in spools for path in spool.glob("*")):
        return True
    return inside(machine, f"{STATE}/unfinished").exists()


def quoted(argv: Sequence[str]) -> str:
    """A line of a shell script."""
    return shlex.join(argv)
