# SPDX-License-Identifier: MIT
"""The configuration as values. Works with no file at all: these are the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from failhook.config.custom_cause import CustomCause
from failhook.mask.custom import CustomPattern
from failhook.values import Rate

Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]
_RESTARTS, _REBOOTS, _BRAKE = Rate(20, 3600.0), Rate(2, 86400.0), Rate(10, 60.0)


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it stands, what is wrong, and what to write instead."""

    file: Path
    line: int | None
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        hint = f" ({self.hint})" if self.hint else ""
        key = f"{self.key}: " if self.key else ""
        return f"{place}: {key}{self.message}{hint}"


@dataclass(frozen=True, slots=True)
class CustomCollector:
    """A ``[collector.NAME]`` table: ``type`` is "files" or "command"."""

    name: str
    type: str
    units: tuple[str, ...] = ("*",)
    paths: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    timeout_s: float = 10.0
    max_bytes: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Collect:
    """``[collect]``: what evidence may cost."""

    deadline_s: float = 20.0
    max_bundle: int = 16 << 20
    skip: tuple[str, ...] = ()
    custom: tuple[CustomCollector, ...] = ()


@dataclass(frozen=True, slots=True)
class Keep:
    """``[keep]``: how much history; whichever limit is reached first."""

    incidents: int = 500
    size: int = 2 << 30
    age_s: float = 90 * 86400.0
    free_percent: float = 10.0
    grace_s: float = 86400.0  # younger ones go for want of space only, never for number or age


@dataclass(frozen=True, slots=True)
class ActionTable:
    """An ``[action.NAME]`` table. What is common to all types is read; ``raw`` are the type's own
    options as they stand there, read by `failhook.actions.table.bind` where they are used."""

    name: str
    type: str
    raw: Mapping[str, object] = field(default_factory=dict)
    timeout_s: float | None = None  # None: as the type has it
    retries: int | None = None
    dry_run: bool = False
    urgent: bool = False  # of one that delivers: not held back by quiet hours, mutes or the brake
    excerpt: bool = False  # of one that delivers: lines of evidence may leave the machine
    digest_s: float = 0.0  # of one that delivers: one message for all of that time
    file: Path = Path()


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of a ladder: from the ``first`` failure on. ``last`` None: until the next rung."""

    first: int
    last: int | None
    do: tuple[str, ...]  # names of actions, in order
    before_restart: bool = False  # `failhook --wait` holds systemd's own restart until it is done
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Which failures it speaks of, and what is done at the first, second, nth of them.

    An empty tuple matches everything; ``phases`` empty: all but what a person or the machine's own
    shutdown asked for.
    """

    name: str
    units: tuple[str, ...] = ("*",)
    not_units: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    exit_statuses: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    started: tuple[str, ...] = ()  # "timer", "path", "socket", "restart", "boot", "hand"
    host: tuple[tuple[str, str], ...] = ()  # fact -> glob
    within_s: float = 3600.0
    forgive_after_s: float = 6 * 3600.0
    steps: tuple[Step, ...] = ()
    goes_on: bool = False  # ``continue``: the rules after it are looked at as well
    file: Path = Path()
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """``[limits]``: over all rules, kept over reboots."""

    restarts: Rate = _RESTARTS
    reboots: Rate = _REBOOTS
    brake: Rate = _BRAKE  # so many units at once are one cascade
    useless: int = 3  # an action that did not help so often in a row is left out


@dataclass(frozen=True, slots=True)
class Quiet:
    """``[quiet]``: hours of the day, local time, in minutes, in which nobody is told."""

    spans: tuple[tuple[int, int], ...] = ()
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)  # Monday is 0 (datetime.weekday())


@dataclass(frozen=True, slots=True)
class Amount:
    """So much has to be there: a share of all in percent, or a number (of bytes, of inodes)."""

    percent: float | None = None
    count: int | None = None

    def __str__(self) -> str:
        return f"{self.percent:g}%" if self.percent is not None else f"{self.count}"


@dataclass(frozen=True, slots=True)
class DiskCheck:
    """One of ``[boot] disk``: what has to be free for those who are not root."""

    path: str
    free: Amount | None = None
    inodes: Amount | None = None


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """One of ``[boot] http``. ``status`` None: anything from 200 to 399."""

    url: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class NetworkCheck:
    """``[boot] network``: what there has to be."""

    route: bool = False  # a default route
    address: bool = False  # one that is neither of the loopback nor link-local
    resolve: tuple[str, ...] = ()  # names


@dataclass(frozen=True, slots=True)
class BootChecks:
    """What is looked at at boot, besides the scripts; those of all files together."""

    active: tuple[str, ...] = ()
    not_failed: tuple[str, ...] = ()  # globs
    may_fail: tuple[str, ...] = ()  # globs: exceptions of ``not_failed``
    disk: tuple[DiskCheck, ...] = ()
    network: NetworkCheck = NetworkCheck()
    http: tuple[HttpCheck, ...] = ()


@dataclass(frozen=True, slots=True)
class Boot:
    """``[boot]``: the boot check. ``wanted`` is looked at and said, and does not make it red."""

    required: BootChecks = BootChecks()
    wanted: BootChecks = BootChecks()
    timeout_s: float = 30.0  # of each check
    timeouts: tuple[tuple[str, float], ...] = ()  # of those that have one of their own, by name
    deadline_s: float = 300.0  # of all checks together


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that was read, and what was wrong with it."""

    collect: Collect = Collect()
    keep: Keep = Keep()
    mask: tuple[CustomPattern, ...] = ()  # those that may be used
    causes: tuple[CustomCause, ...] = ()
    plugins: tuple[Path, ...] = ()  # Python files that may be loaded
    actions: Mapping[str, ActionTable] = field(default_factory=dict)  # by name
    rules: tuple[Rule, ...] = ()  # in their order
    limits: Limits = Limits()
    quiet: Quiet = Quiet()
    boot: Boot = Boot()
    problems: tuple[Problem, ...] = ()
    files: tuple[Path, ...] = field(default=())
    stamp: Stamp | None = field(default=None, compare=False)  # of the files, before they were read
