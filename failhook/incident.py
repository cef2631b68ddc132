# SPDX-License-Identifier: MIT
"""One failed run of one unit, as pure data: what is stored, shown and handed to plugins.

An incident is never changed in place: stages make a new one with `dataclasses.replace` and the
store writes it. What is unknown is None and stays None: null, never guessed.
`to_json` is the contract of ``failhook show --json``; `store.codec` reads it back.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeAlias

SCHEMA = 1
Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
JsonObject: TypeAlias = dict[str, Json]


class Phase(StrEnum):
    """Where in its life the unit was when this run failed, as far as systemd lets us know."""

    UNKNOWN = "unknown"
    FAILED = "failed"  # final, and no Restart= that would try again
    RESTARTING = "restarting"  # systemd tries again: `attempt` of `attempts`
    GAVE_UP = "gave-up"  # final after restarts: start limit, RestartPreventExitStatus=
    DEPENDENCY = "dependency"  # never ran: something it requires failed
    JOB_TIMEOUT = "job-timeout"  # JobTimeoutSec= of the start job; the unit may still come up
    STOPPED = "stopped"  # somebody asked for the stop; the process ended badly on the way
    SHUTDOWN = "shutdown"  # the machine was going down
    RELOAD = "reload"  # while the unit was reloading
    CONDITION = "condition"  # ExecCondition= itself failed (255, signal, timeout)


class State(StrEnum):
    """What became of it: does anybody still wait for this unit?"""

    OPEN = "open"
    RECOVERED = "recovered"
    CLOSED = "closed"  # nothing to wait for: a stop that was asked for, a shutdown, a repeat


class Stage(StrEnum):
    """How far the pipeline has come; each is on disk before the next begins."""

    RECORDED = "recorded"
    PACKED = "packed"
    DONE = "done"


class Status(StrEnum):
    """How one item of evidence ended."""

    OK = "ok"
    FAILED = "failed"
    TIMEOUT = "timeout"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class TriggerNote:
    """One call by systemd that belongs to this incident. ``id`` makes a second reading harmless."""

    id: str
    kind: str
    at: float
    result: str | None = None
    waits: bool = False  # `failhook --wait`: the hook holds the unit until it hears from us


@dataclass(frozen=True, slots=True)
class Control:
    """The command that failed where the main process did not (ExecStartPre=, forking starter)."""

    command: str
    exit_code: str | None
    exit_status: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """How one collector did; the files it made are in the bundle's manifest."""

    name: str
    status: Status
    took_ms: int = 0
    bytes: int = 0
    truncated: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """A line that supports the verdict and where it stands in the bundle."""

    source: str
    text: str
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Suspect:
    """Another thing that was found, and counts for less than the verdict."""

    summary: str
    cause: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence that says what failed. ``cause`` is None where only systemd's word is known."""

    summary: str
    cause: str | None = None
    confidence: float | None = None
    advice: str | None = None
    evidence: tuple[Proof, ...] = ()
    others: tuple[Suspect, ...] = ()


NOT_THERE = "not there"


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is not as it was when the unit last ran well; ``at`` where that is known.

    ``before`` or ``after`` is `NOT_THERE` where there was nothing, or is nothing any more.
    """

    what: str
    before: str
    after: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What the next boot found: how this one ended, what came up, whether the unit is well now.

    ``ended`` is a `failhook.boot.ended.Kind`, or "failhook" where we ended it for this incident.
    ``before`` and ``after`` are the boot entries, or the kernels where no loader names one.
    """

    summary: str  # one sentence
    ended: str
    boot_id: str  # of the boot that looked
    at: float | None = None  # when the boot of the incident ended
    before: str | None = None
    after: str | None = None
    rolled_back: bool = False
    is_well: bool | None = None
    lines: tuple[str, ...] = ()  # the last of that boot's journal


@dataclass(frozen=True, slots=True)
class Bundle:
    """The tar file of an incident."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Process:
    """The main process of the run: times are Unix seconds, None where it never ran."""

    pid: int | None = None
    started: float | None = None
    exited: float | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """One failed run. Times are Unix seconds (UTC); JSON has them in RFC 3339."""

    id: str
    host: str
    boot_id: str
    unit: str
    first_seen: float
    last_seen: float
    manager: str = "system"
    invocation_id: str | None = None
    triggers: tuple[TriggerNote, ...] = ()
    result: str | None = None
    exit_code: str | None = None
    exit_status: str | None = None
    exit_status_name: str | None = None
    control: Control | None = None
    main: Process = Process()
    trigger_unit: str | None = None  # the timer or path unit that started the run
    phase: Phase = Phase.UNKNOWN
    attempt: int | None = None
    attempts: int | None = None
    state: State = State.OPEN
    recovered_at: float | None = None
    stage: Stage = Stage.RECORDED
    tries: int = 0
    count: int = 1
    signature: str | None = None
    dying_words: tuple[str, ...] = ()
    verdict: Verdict | None = None
    changes: tuple[Change, ...] = ()  # newest first
    last_well: float | None = None  # when the unit was last seen running well
    evidence: tuple[Evidence, ...] = ()
    actions: tuple[JsonObject, ...] = ()
    decision: JsonObject | None = None  # `failhook.decide.Decision`: why this and not that
    bundle: Bundle | None = None
    aftermath: Aftermath | None = None  # of the next boot, if the machine went down meanwhile
    pinned: bool = False
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())

    def to_json(self) -> JsonObject:
        """The incident as the JSON contract has it."""
        raw: dict[str, Any] = plain(self)
        for name in ("first_seen", "last_seen", "recovered_at", "last_well"):
            raw[name] = rfc3339(raw[name])
        for name in ("started", "exited"):
            raw["main"][name] = rfc3339(raw["main"][name])
        after = [raw["aftermath"]] if raw["aftermath"] else []
        for entry in (*raw["triggers"], *raw["changes"], *after):
            entry["at"] = rfc3339(entry["at"])
        return raw


def incident_id(boot_id: str, unit: str, run: str) -> str:
    """The name of an incident, the same for every trigger of the same ``run``.

    ``run`` is the invocation id, or, where nothing ran, the id of the trigger.
    """
    return hashlib.sha256(f"{boot_id}\0{unit}\0{run}".encode("utf-8", "replace")).hexdigest()[:12]


def rfc3339(at: float | None) -> str | None:
    """``at`` (Unix seconds) as RFC 3339 in UTC with microseconds."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def unix_time(text: str) -> float:
    """The reverse of `rfc3339`. Raises ValueError."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def plain(value: object) -> Any:
    """A dataclass as a dictionary, tuples as lists, enums as their text: what
    `json.dumps` takes and ``==`` compares. Several times as fast as `dataclasses.asdict`, which
    copies every leaf, and an incident is written five times on its way.

    Raises TypeError for what has no place in JSON.
    """
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, StrEnum):
        return str(value)
    if dataclasses.is_dataclass(value):
        names = vars(type(value))["__match_args__"]  # all fields: none is keyword-only
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} has no place in an incident")
