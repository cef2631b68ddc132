# SPDX-License-Identifier: MIT
"""Gives a unit other limits until the next boot: more memory, less CPU.

Only resource control (systemd.resource-control(5)), and always ``--runtime``: what a rule does at
night must not become the configuration. A value may be relative, "+25%" of what is in force, with
a bound above it. By default once for each unit and boot: a limit that is raised at every failure
is none.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from failhook import files, proc
from failhook.actions import control
from failhook.plugin import (
    FLAG,
    TEXT,
    Action,
    Kind,
    Outcome,
    Request,
    Wrong,
    done,
    failed,
    option,
)
from failhook.systemd import unit as units
from failhook.systemd.unit import UnitState
from failhook.values import pairs

_DONE = "once.json"
_MOST_UNITS = 2000
_INFINITE = (1 << 64) - 1
_BYTES = re.compile(r"(\d{1,18})([KMGT]?)")
_PERCENT = re.compile(r"(\d{1,6})%")
_PLAIN = re.compile(r"(\d{1,10})")
_RELATIVE = re.compile(r"([+-])(\d{1,4})%")
_FACTORS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True, slots=True)
class _Property:
    """One of resource control: the property that shows it, how a value reads, how it is written."""

    shown: str
    read: Callable[[str], int | None]
    write: Callable[[int], str]


def _bytes(text: str) -> int | None:
    match = _BYTES.fullmatch(text)
    return int(match[1]) * _FACTORS[match[2]] if match else None


def _percent(text: str) -> int | None:
    """CPUQuota=50% is shown as 500000 us of CPU time per second."""
    match = _PERCENT.fullmatch(text)
    return int(match[1]) * 10_000 if match else None


def _weight(text: str) -> int | None:
    match = _PLAIN.fullmatch(text)
    return int(match[1]) if match and 1 <= int(match[1]) <= 10_000 else None


def _count(text: str) -> int | None:
    match = _PLAIN.fullmatch(text)
    return int(match[1]) if match else None


def _quota(value: int) -> str:
    return f"{max(1, value // 10_000)}%"


def _weighed(value: int) -> str:
    return str(min(10_000, max(1, value)))


_MEMORY = ("MemoryMin", "MemoryLow", "MemoryHigh", "MemoryMax", "MemorySwapMax")
_WEIGHTS = ("CPUWeight", "IOWeight")
PROPERTIES: dict[str, _Property] = {
    **{name: _Property(name, _bytes, str) for name in _MEMORY},
    **{name: _Property(name, _weight, _weighed) for name in _WEIGHTS},
    "TasksMax": _Property("TasksMax", _count, str),
    "CPUQuota": _Property("CPUQuotaPerSecUSec", _percent, _quota),
}


def _limits(value: object) -> tuple[tuple[str, str], ...]:
    """Values by property: absolute, relative, or "infinity"."""
    read = pairs(value)
    if not read:
        raise Wrong('sets nothing; write { MemoryHigh = "+25%" }')
    for name, text in read:
        one = _known(name)
        if text != "infinity" and not _RELATIVE.fullmatch(text) and one.read(text) is None:
            raise Wrong(f'{name} = {text!r} is no value of it; write "2G", "50%", "200" or "+25%"')
    return read


def _bounds(value: object) -> tuple[tuple[str, str], ...]:
    """Absolute values by property."""
    read = pairs(value)
    for name, text in read:
        if _known(name).read(text) is None:
            raise Wrong(f"{name} = {text!r} is no absolute value")
    return read


def _known(name: str) -> _Property:
    if name not in PROPERTIES:
        raise Wrong(f"{name!r} is none of {', '.join(PROPERTIES)}")
    return PROPERTIES[name]


_SCHEMA = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in PROPERTIES},
    "additionalProperties": False,
    "minProperties": 1,
}
LIMITS = Kind("table of limits", _limits, _SCHEMA)
BOUNDS = Kind("table of limits", _bounds, _SCHEMA)


@dataclass(frozen=True, slots=True)
class Options:
    """What is set, and how far it may go."""

    properties: tuple[tuple[str, str], ...] = option(
        LIMITS, 'limits and their values: "2G", "50%", "+25%" of what is in force, "infinity"'
    )
    unit: str = option(TEXT, "the unit; the failed one unless said", default="")
    max: tuple[tuple[str, str], ...] = option(
        BOUNDS, "a relative value goes no further than this", default=()
    )
    once: bool = option(FLAG, "not again for that unit before the next boot", default=True)


@dataclass(frozen=True, slots=True)
class _Change:
    """One property: what systemd shows, and what it is set to; None where nothing is to be done."""

    name: str
    before: str
    after: str | None
    why: str = ""

    def __str__(self) -> str:
        if self.after is None:
            return f"{self.name} {self.why}"
        return f"{self.name} {self.before} -> {self.after}"


def run(request: Request[Options]) -> Outcome:
    """Set them, all in one call."""
    unit = request.options.unit or request.incident.unit
    wanted = [PROPERTIES[name].shown for name, _ in request.options.properties]
    shown = units.show_many([unit], ["LoadState", *wanted], user=request.user)
    state = shown.get(unit)
    if state is None or not state.properties:
        return failed(f"systemd does not answer about {unit}")
    if not state.found:
        return failed(f"systemd knows no unit {unit}", final=True)
    earlier = _earlier(request)
    if request.options.once and unit in earlier:
        return control.left_alone(f"it was done for {unit} since the last boot")
    options = request.options
    changes = [_change(options, name, value, state) for name, value in options.properties]
    words = ", ".join(map(str, changes))
    todo = [change for change in changes if change.after is not None]
    if not todo:
        return done(f"{unit} stays as it is: {words}")
    if request.dry_run:
        return done(f"would set for {unit} until the next boot: {words}")
    return _set(request, unit, todo, words, earlier)


def _set(
    request: Request[Options], unit: str, todo: list[_Change], words: str, earlier: list[str]
) -> Outcome:
    try:  # before it is done: what cannot be remembered would be done without end
        _remember(request, [*earlier, unit])
    except OSError as error:
        return failed(f"{unit}: cannot remember that it was done: {error}")
    values = [f"{change.name}={change.after}" for change in todo]
    argv = [*request.systemctl, "set-property", "--runtime", "--", unit, *values]
    asked = proc.run(argv, timeout_s=10.0)
    if not asked.ok:
        with contextlib.suppress(OSError):
            _remember(request, earlier)
        return failed(f"{unit}: {asked.why()}")
    properties = {one.name: {"before": one.before, "after": one.after} for one in todo}
    return done(f"set for {unit} until the next boot: {words}", properties=properties)


def _remember(request: Request[Options], done_for: list[str]) -> None:
    """Raises OSError."""
    if request.options.once and request.state is not None:
        content = {"boot_id": request.incident.boot_id, "units": done_for[-_MOST_UNITS:]}
        files.write(request.state / _DONE, json.dumps(content))


def _change(options: Options, name: str, value: str, state: UnitState) -> _Change:
    one = PROPERTIES[name]
    number = _current(state.properties.get(one.shown, ""), name)
    before = "infinity" if number is None else one.write(number)
    relative = _RELATIVE.fullmatch(value)
    if relative is None:
        read = one.read(value)
        after = "infinity" if read is None else one.write(read)
        if after == before:
            return _Change(name, before, None, f"is {before} already")
        return _Change(name, before, after)
    if number is None:
        return _Change(name, before, None, "is not limited")
    share = int(relative[2]) if relative[1] == "+" else -int(relative[2])
    wanted = number + number * share // 100
    most = dict(options.max).get(name)
    bound = one.read(most) if most is not None else None
    if bound is not None and share > 0:
        wanted = min(wanted, bound)
    if wanted <= 0 or (wanted <= number if share > 0 else wanted >= number):
        return _Change(name, before, None, f"is {before}, as far as it may go")
    return _Change(name, before, one.write(wanted))


def _current(text: str, name: str) -> int | None:
    """The value in force; None where there is no limit."""
    if name == "CPUQuota":
        return _microseconds(text)
    if not text.isdecimal() or len(text) > 20 or int(text) >= _INFINITE:
        return 100 if name in _WEIGHTS else None  # "[not set]": the kernel's own is 100
    return int(text)


def _microseconds(text: str) -> int | None:
    """ "500ms", "1s 200ms", "infinity": a time span as ``systemctl show`` prints it."""
    sizes = {"us": 1, "ms": 1000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000}
    total = 0.0
    for word in text.split():
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)(us|ms|s|min|h)", word)
        if match is None:
            return None
        total += float(match[1]) * sizes[match[2]]
    return round(total) or None


def _earlier(request: Request[Options]) -> list[str]:
    """The units it was done for since the last boot."""
    if request.state is None:
        return []
    try:
        raw: Any = json.loads(files.read_bounded(request.state / _DONE, 1 << 20))
        if raw["boot_id"] != request.incident.boot_id:
            return []
        return [str(unit) for unit in raw["units"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


ACTION = Action(
    "set-property",
    "changes a unit's resource limits until the next boot",
    Options,
    run,
)
