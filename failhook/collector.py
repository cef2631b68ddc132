# SPDX-License-Identifier: MIT
"""What a collector is, for those who write one (see `failhook.plugin`).

A collector is a module in `failhook.collect` (or of a plugin) that has one `Collector` value named
``COLLECTOR``. Its function gets a `Context` (what is known of the failed run) and a `Sink` (where
evidence goes), and runs in a process of its own: it may block, hang or crash, and costs no more
than its own time limit. Masking of secrets, limits and the manifest are the sink's business.

    def collect(context: Context, sink: Sink) -> None:
        sink.command("disks/df.txt", ["df", "-h"])
        sink.put("disks/note.txt", b"...")

    COLLECTOR = Collector("disks", "free space of every mount", collect)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from failhook.incident import Incident
from failhook.systemd.unit import UnitState


class Skipped(Exception):
    """Raised by a collector that has nothing to look at here: says why, in one line."""


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """What each process of the machine had used at one moment: ``at`` (monotonic), and by pid the
    clock ticks of user and system time (proc_pid_stat(5))."""

    at: float
    ticks: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Context:
    """What a collector may know. ``user`` says that the user manager (``--user``) is meant."""

    incident: Incident
    unit: UnitState
    user: bool = False
    cgroup: Mapping[str, str] = field(default_factory=dict)  # file name -> content, from the hook
    cgroup_path: str | None = None
    left_processes: tuple[Mapping[str, str], ...] = ()  # what the hook saw left in the cgroup
    synced: bool = False  # journald has written all that it was sent until the failure was reported
    cpu_times: CpuTimes | None = None  # as the work on the failure began
    in_storm: bool = False  # many incidents wait: one thing after the other

    @property
    def systemctl(self) -> list[str]:
        """``systemctl`` and the option that names the right manager."""
        return ["systemctl", "--user"] if self.user else ["systemctl"]


class Sink(Protocol):
    """Where evidence goes. Every name is a relative path below the bundle: ``unit/show.txt``.

    Nothing here raises for what it was given: a file that cannot be read or a command that fails
    becomes an item with its reason.
    """

    def put(
        self, name: str, content: bytes | str, *, truncated: bool = False, reason: str | None = None
    ) -> None:
        """Keep ``content``; ``truncated`` says that it is not all there was."""

    def command(
        self,
        name: str,
        argv: Sequence[str],
        *,
        timeout_s: float | None = None,
        max_bytes: int | None = None,
        keep: str = "head",
    ) -> bytes:
        """Run ``argv`` (no shell), keep what it prints, and return it (empty where it failed)."""

    def file(self, name: str, path: str, *, keep: str = "tail") -> None:
        """Keep a regular file, bounded; links, FIFOs, devices and sockets are refused."""

    def problem(self, reason: str) -> None:
        """Say that something is missing from this collector's evidence, and why."""


@dataclass(frozen=True, slots=True)
class Collector:
    """One kind of evidence: what it is called, what it may cost, and the function that gets it."""

    name: str
    summary: str
    collect: Callable[[Context, Sink], None]
    timeout_s: float = 10.0
    max_bytes: int = 1 << 20  # over all its items; each item is cut to what is left of it
    in_process: bool = False  # only where the function touches neither file system nor children
    # Its process may run others before and after it: only for functions that leave no trace in
    # their process. It saves a fork; one that hangs or crashes still costs the others nothing.
    shares_process: bool = False
