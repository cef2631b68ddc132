# SPDX-License-Identifier: MIT
"""Counts for Prometheus: a file that the textfile collector of node-exporter reads.

Failures, restarts, what is open, and how long it took to recover, by unit. The counts are kept in
the action's own directory and only grow, whatever is pruned from the history; an incident that is
told twice counts once. The file is written whole, by rename, and may be read by everybody.
Format: prometheus.io/docs/instrumenting/exposition_formats, "Text-based format".
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from failhook import files
from failhook.incident import Incident, Phase, State
from failhook.plugin import COUNT, PATH, Action, Kind, Outcome, Request, Wrong, done, failed, option
from failhook.values import text

OTHER = "other"  # stands for all units beyond the limit
_COUNTS = "counts.json"
_RECENT = 32  # incidents of one unit that are remembered, so that none counts twice
_STARTS = ("restart", "start")
_NOT_DONE = ("left-out", "dry-run", "due", "waiting")


def _name(value: object) -> str:
    name = text(value)
    if not name.endswith(".prom") or "/" in name or name.startswith("."):
        raise Wrong('is no name of a file that the collector reads; write "failhook.prom"')
    return name


FILE = Kind("name of a .prom file", _name, {"type": "string", "pattern": r"\.prom$"})


@dataclass(frozen=True, slots=True)
class Options:
    """Where to, and how many units have a line of their own."""

    directory: str = option(
        PATH,
        "that of the textfile collector",
        default="/var/lib/prometheus/node-exporter",
    )
    file: str = option(FILE, "the file in it", default="failhook.prom")
    units: int = option(
        COUNT, 'units with lines of their own; all others count as "other"', default=200
    )


@dataclass(slots=True)
class Counts:
    """What is known of one unit. Times are Unix seconds."""

    failures: int = 0
    restarts_by_systemd: int = 0
    restarts_by_failhook: int = 0
    recovered: int = 0
    to_recover_s: float = 0.0
    open_since: float | None = None
    last_failure: float = 0.0
    incidents: dict[str, list[Any]] = field(default_factory=dict)  # id -> [over, starts of ours]


def count(units: dict[str, Counts], incident: Incident, most: int) -> None:
    """Take ``incident`` into account, as it is now."""
    own = units.setdefault(incident.unit, Counts())
    known = own.incidents.get(incident.id)
    over, starts = known or (False, 0)
    if known is None:
        own.failures += 1
        own.restarts_by_systemd += incident.phase is Phase.RESTARTING
        own.last_failure = max(own.last_failure, incident.first_seen)
    ours = max(starts, _starts(incident))
    own.restarts_by_failhook += ours - starts
    if incident.state is State.OPEN and known is None:
        for earlier in own.incidents.values():
            earlier[0] = True  # the newest failure of a unit is the one that waits
        own.open_since = incident.first_seen if own.open_since is None else own.open_since
    own.incidents[incident.id] = [over or incident.state is not State.OPEN, ours]
    if incident.state is not State.OPEN and not over:
        _close(own, incident)
    while len(own.incidents) > _RECENT:
        del own.incidents[next(iter(own.incidents))]
    _bound(units, most)


def _close(own: Counts, incident: Incident) -> None:
    """A recovery ends what began with the first failure that was open; so does that nobody waits
    any more (a stop that was asked for), but it is none."""
    if incident.state is State.RECOVERED:
        began = incident.first_seen if own.open_since is None else own.open_since
        own.recovered += 1
        own.to_recover_s += max(0.0, (incident.recovered_at or incident.last_seen) - began)
    if all(over for over, _ in own.incidents.values()):
        own.open_since = None


def _starts(incident: Incident) -> int:
    """How often a step of ours started the unit again."""
    return sum(
        1
        for one in incident.actions
        if one.get("type") in _STARTS and one.get("state") not in _NOT_DONE
    )


def _bound(units: dict[str, Counts], most: int) -> None:
    """Those that failed longest ago go into one sum: counters never go back."""
    own = [name for name in units if name != OTHER]
    for name in sorted(own, key=lambda one: units[one].last_failure)[: max(0, len(own) - most)]:
        gone = units.pop(name)
        rest = units.setdefault(OTHER, Counts())
        rest.failures += gone.failures
        rest.restarts_by_systemd += gone.restarts_by_systemd
        rest.restarts_by_failhook += gone.restarts_by_failhook
        rest.recovered += gone.recovered
        rest.to_recover_s += gone.to_recover_s
        rest.last_failure = max(rest.last_failure, gone.last_failure)


# -- the file -------------------------------------------------------------------------------------

_Sample = tuple[str, Mapping[str, str], float]  # suffix of the name, labels, value


def _plain(read: Callable[[Counts], float]) -> Callable[[Counts], Iterable[_Sample]]:
    return lambda one: [("", {}, read(one))]


def _restarts(one: Counts) -> Iterable[_Sample]:
    return [
        ("", {"by": "systemd"}, one.restarts_by_systemd),
        ("", {"by": "failhook"}, one.restarts_by_failhook),
    ]


def _to_recover(one: Counts) -> Iterable[_Sample]:
    return [("_sum", {}, one.to_recover_s), ("_count", {}, one.recovered)]


_FAMILIES: tuple[tuple[str, str, str, Callable[[Counts], Iterable[_Sample]]], ...] = (
    (
        "failhook_failures_total",
        "counter",
        "Failed runs of the unit.",
        _plain(lambda one: one.failures),
    ),
    (
        "failhook_restarts_total",
        "counter",
        "Starts of the unit after a failure, by Restart= of systemd or a rule of failhook.",
        _restarts,
    ),
    (
        "failhook_open",
        "gauge",
        "1 while the unit has failed and not recovered.",
        _plain(lambda one: one.open_since is not None),
    ),
    (
        "failhook_recovered_total",
        "counter",
        "Times the unit was well again.",
        _plain(lambda one: one.recovered),
    ),
    (
        "failhook_last_failure_timestamp_seconds",
        "gauge",
        "When the unit failed last, in Unix time.",
        _plain(lambda one: one.last_failure),
    ),
    (
        "failhook_time_to_recover_seconds",
        "summary",
        "From the first failure until the unit was well again.",
        _to_recover,
    ),
)


def exposition(units: Mapping[str, Counts]) -> str:
    """The whole file. Pure."""
    lines: list[str] = []
    for name, kind, help_text, samples in _FAMILIES:
        lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
        for unit in sorted(units):
            for suffix, labels, value in samples(units[unit]):
                pairs = {"unit": unit, **labels}
                shown = ",".join(f'{key}="{escaped(one)}"' for key, one in pairs.items())
                lines.append(f"{name}{suffix}{{{shown}}} {_number(value)}")
    return "\n".join(lines) + "\n"


def escaped(value: str) -> str:
    """A label value: backslash, quote and newline have an escape; it has to be UTF-8."""
    sound = value.encode("utf-8", "replace").decode()
    return sound.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(round(value, 3))


# -- keeping it -----------------------------------------------------------------------------------


def run(request: Request[Options]) -> Outcome:
    """Count the incident as it is now, and write the file."""
    options = request.options
    target = Path(options.directory) / options.file
    if not target.parent.is_dir():
        return failed(
            f"{target.parent} is no directory: install prometheus-node-exporter, or set directory",
            final=True,
        )
    kept = request.state / _COUNTS if request.state is not None else None
    units, note = _load(kept)
    count(units, request.incident, options.units)
    if request.dry_run:
        return done(f"would write the counts of {len(units)} units to {target}")
    try:
        if kept is not None:
            files.write(kept, json.dumps({name: asdict(one) for name, one in units.items()}))
        files.write(target, exposition(units), mode=0o644)
    except OSError as error:
        return failed(f"{target}: {error.strerror or error}")
    return done(f"{target} has the counts of {len(units)} units{note}", units=len(units))


def _load(path: Path | None) -> tuple[dict[str, Counts], str]:
    """The counts so far. Where they are damaged they begin anew, which Prometheus takes for a
    restart of the counter."""
    if path is None:
        return {}, ""
    try:
        raw = json.loads(files.read_bounded(path, 64 << 20))
        return {str(name): _read(one) for name, one in raw.items()}, ""
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return {}, "; the earlier ones could not be read and begin anew"


def _read(raw: Mapping[str, Any]) -> Counts:
    known = {one.name for one in fields(Counts)}
    counts = Counts(**{name: value for name, value in raw.items() if name in known})
    numbers = (counts.failures, counts.recovered, counts.to_recover_s, counts.last_failure)
    if not all(math.isfinite(float(number)) for number in numbers):
        raise ValueError("no number")
    counts.incidents = {
        str(key): [bool(one[0]), int(one[1])] for key, one in counts.incidents.items()
    }
    return counts


ACTION = Action(
    "metrics",
    "counts failures and recoveries in a file for Prometheus",
    Options,
    run,
    repeatable=True,
)
