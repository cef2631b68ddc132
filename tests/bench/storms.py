# SPDX-License-Identifier: MIT
"""(e) A thousand units that fail at once, and one that fails without pause."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bed import Machine
from tests.bench.beds import (
    STATE,
    Scale,
    bundle_path,
    busy,
    failed_at,
    incidents,
    inside,
    published_at,
    quiet,
    say,
    wait_for,
)
from tests.bench.table import Row, limit, milliseconds, ratio

_HOOKED = "ExecStopPost=-failhook %n\n"
_HANDLED = "[Unit]\nOnFailure=failhook@%n.service\nStartLimitIntervalSec=0\n"
_UNITS = {
    "storm@.service": f"{_HANDLED}[Service]\nType=oneshot\nExecStart=/bin/false\n{_HOOKED}",
    "loop.service": (
        f"{_HANDLED}[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=0\n{_HOOKED}"
    ),
    "bystander@.service": f"{_HANDLED}[Service]\nType=exec\nExecStart=/bin/false\n{_HOOKED}",
}
_MOST_BYTES = 150 << 20
_HANDFUL = 8
_LAST_S = 900.0


class Watcher:
    """Looks at the runner's cgroup again and again: how large, how many."""

    def __init__(self, machine: Machine) -> None:
        self._procs = machine.cgroup / "system.slice/failhook.service/cgroup.procs"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.largest = 0
        self.together = 0
        self.most = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            with suppress(OSError):
                pids = self._procs.read_text().split()
                self.most = max(self.most, len(pids))
                peaks = [_kib(pid, "status", "VmHWM") for pid in pids]
                self.largest = max([self.largest, *peaks])
                shared = [_kib(pid, "smaps_rollup", "Pss") for pid in pids]
                self.together = max(self.together, sum(shared))

    def rows(self, storm: str) -> Iterator[Row]:
        """What was seen, in bytes and in processes."""
        met = self.largest <= _MOST_BYTES
        peak = f"{self.largest / (1 << 20):.0f} MiB"
        yield limit("e", f"{storm}: peak of the largest process", peak, "< 150 MiB", met=met)
        met = self.together <= _MOST_BYTES
        peak = f"{self.together / (1 << 20):.0f} MiB"
        yield limit("e", f"{storm}: peak of all together (PSS)", peak, "< 150 MiB", met=met)
        most = f"{self.most}"
        bar = f"<= {_HANDFUL}"
        yield limit("e", f"{storm}: processes at most", most, bar, met=self.most <= _HANDFUL)


def _kib(pid: str, file: str, name: str) -> int:
    with suppress(OSError):
        for line in Path("/proc", pid, file).read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) << 10
    return 0


def many(machine: Machine, scale: Scale) -> Iterator[Row]:
    """All of them with one `systemctl start`."""
    machine.units(_UNITS)
    quiet(machine)
    units = [f"storm@{number}.service" for number in range(scale.units)]
    storm = f"{scale.units} units at once"
    with Watcher(machine) as watcher:
        start = time.time()
        machine.systemctl("start", *units, check=False, timeout=_LAST_S)
        say(f"{storm}: all failed after {time.time() - start:.1f} s")
        recorded = _wait_until_worked(machine, scale.units)
    lost = scale.units - len(recorded)
    last = max((published_at(path) for path in _bundles(machine, "storm@")), default=start)
    yield limit("e", f"{storm}: lost", str(lost), "0", met=lost == 0)
    yield Row("e", f"{storm}: last bundle after", milliseconds((last - start) * 1000))
    yield from watcher.rows(storm)
    machine.systemctl("reset-failed")


def _wait_until_worked(machine: Machine, wanted: int) -> set[str]:
    """Wait until the runner has nothing left; the names of the units that are recorded."""
    until = time.monotonic() + _LAST_S
    while time.monotonic() < until:
        if not busy(machine) or len(list(_bundles(machine, "storm@"))) >= wanted:
            break
        time.sleep(0.5)
    return {one["unit"] for one in incidents(machine, "storm@*")}


def _bundles(machine: Machine, prefix: str) -> Iterator[Path]:
    return inside(machine, f"{STATE}/incidents").glob(f"*-{prefix}*/bundle.tar.gz")


def loop(machine: Machine, scale: Scale) -> Iterator[Row]:
    """One unit that fails and restarts without pause, and another that fails meanwhile."""
    machine.units(_UNITS)
    quiet(machine)
    alone = min(_bystander(machine, f"alone{number}") for number in range(3))
    storm = f"one unit for {scale.loop_s:.0f} s"
    with Watcher(machine) as watcher:
        start = time.monotonic()
        machine.systemctl("start", "loop.service", check=False)
        time.sleep(scale.loop_s / 2)
        beside = _bystander(machine, "beside")
        time.sleep(max(0.0, scale.loop_s - (time.monotonic() - start)))
        restarts = int(machine.show("loop.service", "NRestarts")["NRestarts"])
        machine.systemctl("stop", "loop.service")
        ended = time.monotonic()
        quiet(machine)
    recorded = incidents(machine, "loop.service")
    runs = max(restarts + 1, len(recorded))
    yield Row("e", f"{storm}: failures", str(runs))
    lost = runs - len(recorded)
    yield limit("e", f"{storm}: lost", str(lost), "0", met=lost <= 1)
    yield Row("e", f"{storm}: worked off after", milliseconds((time.monotonic() - ended) * 1000))
    yield ratio("e", f"{storm}: bundle of another unit", beside, ("alone", alone))
    yield from watcher.rows(storm)


def _bystander(machine: Machine, instance: str) -> float:
    """Milliseconds from the failure of another unit to its bundle."""
    unit = f"bystander@{instance}.service"
    machine.systemctl("start", unit, check=False)
    path = wait_for(lambda: bundle_path(machine, unit), unit, timeout=120)
    return (published_at(path) - failed_at(machine, unit)) * 1000
