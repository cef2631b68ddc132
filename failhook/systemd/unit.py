# SPDX-License-Identifier: MIT
"""The state of a unit as ``systemctl show`` gives it: parsed once, by key, never by position.

Properties that the running systemd does not know print nothing and the call still succeeds, so a
missing key always means "unknown here" (systemctl(1), --property=).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from failhook import proc
from failhook.mask.quoting import split_words

# ExecStart={ path=… ; argv[]=… ; … ; pid=… ; code=exited ; status=1/FAILURE }
_EXEC_ENDED = re.compile(r"; pid=(\d{1,10}) ; code=(\w+) ; status=([\w./+-]+) }$")
_PROGRAM = re.compile(r"^\{ path=(\S+) ;", re.MULTILINE)
CONTROL_PROPERTIES = (
    "ExecCondition",
    "ExecStartPre",
    "ExecStart",
    "ExecStartPost",
    "ExecReload",
    "ExecStop",
    "ExecStopPost",
)
_ENDINGS = {"exited": "exited", "killed": "killed", "dumped": "dumped"}


@dataclass(frozen=True, slots=True)
class Command:
    """One Exec line and how it ended last. ``code`` is exited, killed, dumped, or None."""

    property: str
    text: str
    pid: int
    code: str | None
    status: str


@dataclass(frozen=True, slots=True)
class UnitState:
    """All properties of one unit at one moment."""

    name: str
    properties: Mapping[str, str]
    commands: tuple[Command, ...] = ()

    @classmethod
    def parse(cls, name: str, text: str) -> UnitState:
        """From the output of ``systemctl show NAME`` (key=value lines)."""
        properties: dict[str, str] = {}
        commands: list[Command] = []
        for line in text.splitlines():
            key, equals, value = line.partition("=")
            if not equals:
                continue
            if key in CONTROL_PROPERTIES:
                commands.append(_command(key, value))
            properties[key] = f"{properties[key]}\n{value}" if key in properties else value
        return cls(properties.get("Id") or name, properties, tuple(commands))

    def get(self, key: str) -> str | None:
        """The property, or None where it is unknown or empty."""
        return self.properties.get(key) or None

    def programs(self, *settings: str) -> list[str]:
        """The paths of what these settings (ExecStart …) start."""
        return [path for setting in settings for path in programs_in(self.get(setting) or "")]

    def starts(self, name: str, *settings: str) -> bool:
        """Does one of these settings start a program that is called so, wherever it lies?"""
        return any(path.rpartition("/")[2] == name for path in self.programs(*settings))

    def number(self, key: str) -> int | None:
        """A property that is a count or a size; None for unknown, "infinity" and "[not set]"."""
        value = self.properties.get(key, "")
        sound = value.isdecimal() and len(value) <= 20  # 2**64 has as many digits
        return int(value) if sound and int(value) < (1 << 64) - 1 else None

    @property
    def unit_files(self) -> list[str]:
        """The unit's own file and its drop-ins, in the order in which systemd reads them."""
        drop_ins = split_words(self.properties.get("DropInPaths", "")) or []
        return [path for path in (self.properties.get("FragmentPath", ""), *drop_ins) if path]

    @property
    def found(self) -> bool:
        """systemd has this unit loaded (of a unit that is gone it shows defaults)."""
        return self.properties.get("LoadState") not in (None, "", "not-found")


def programs_in(text: str) -> list[str]:
    """The paths in a value of ``systemctl show -p ExecStart``, of one line or several."""
    return _PROGRAM.findall(text)


def _command(key: str, value: str) -> Command:
    match = _EXEC_ENDED.search(value)
    if match is None:
        return Command(key, value, 0, None, "")
    pid, code, status = match.groups()
    return Command(key, value, int(pid), _ENDINGS.get(code), status)


def show(unit: str, *, user: bool = False, timeout_s: float = 5.0) -> UnitState:
    """Ask systemd for every property of ``unit``; an empty state where it does not answer."""
    return ask(unit, user=user, timeout_s=timeout_s)()


def ask(unit: str, *, user: bool = False, timeout_s: float = 5.0) -> Callable[[], UnitState]:
    """As `show`, but does not wait: call what it returns for the answer."""
    scope = ["--user"] if user else []
    answer = proc.start(
        ["systemctl", *scope, "show", "--no-pager", "--timestamp=us+utc", "--", unit],
        timeout_s=timeout_s,
    )

    def state() -> UnitState:
        done = answer()
        return UnitState.parse(unit, done.text if done.ok else "")

    return state


def show_many(
    units: Iterable[str], properties: Iterable[str], *, user: bool = False, timeout_s: float = 5.0
) -> dict[str, UnitState]:
    """A few properties of many units in one call, keyed by the name that was asked for."""
    names = list(units)
    if not names:
        return {}
    scope = ["--user"] if user else []
    wanted = ",".join(["Id", *properties])
    done = proc.run(
        [
            "systemctl",
            *scope,
            "show",
            "--no-pager",
            "--timestamp=us+utc",
            "-p",
            wanted,
            "--",
            *names,
        ],
        timeout_s=timeout_s,
        max_bytes=32 << 20,
    )
    blocks = [block for block in done.text.split("\n\n") if block.strip()]
    if done.ok and len(blocks) == len(names):
        pairs = zip(names, blocks, strict=True)
        return {name: UnitState.parse(name, block) for name, block in pairs}
    # A name that systemctl refuses has no block: what it says of the others is known by its Id.
    states = [UnitState.parse("", block) for block in blocks]
    return {state.name: state for state in states if state.name in names}


def show_loaded(properties: Iterable[str], *, timeout_s: float = 5.0) -> dict[str, UnitState]:
    """A few properties of every unit that the system manager has loaded, by name."""
    wanted = ",".join(["Id", *properties])
    argv = ["systemctl", "show", "--no-pager", "-p", wanted, "--", "*"]
    blocks = proc.run(argv, timeout_s=timeout_s, max_bytes=32 << 20).text.split("\n\n")
    states = [UnitState.parse("", block) for block in blocks if block.strip()]
    return {state.name: state for state in states if state.name}


def manager_state(*, user: bool = False) -> str:
    """running, degraded, starting, stopping, maintenance, or "offline" where nobody answers."""
    scope = ["--user"] if user else []
    done = proc.run(["systemctl", *scope, "is-system-running"], timeout_s=3.0)
    return done.text.strip() or "offline"
