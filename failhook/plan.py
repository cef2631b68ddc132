# SPDX-License-Identifier: MIT
"""What a decision is made of: what is known, what was looked at, and what is planned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from failhook.actions.table import BUILT_IN, Traits
from failhook.config.model import Rule, Step
from failhook.incident import Json, JsonObject
from failhook.message import Event
from failhook.outcomes import Done


@dataclass(frozen=True, slots=True)
class Told:
    """What a destination heard last of a thread."""

    event: str
    rule: str
    step: int
    at: float


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What matters beside the incident. A text says that something holds, and why."""

    now: float
    host: Mapping[str, str] = field(default_factory=dict)
    started: str | None = None  # one of `config.rules.STARTED`
    upgrading: str | None = None
    paused: str | None = None
    muted: str | None = None
    acked: str | None = None
    cascade: str | None = None
    victim_of: str | None = None
    quiet_until: float | None = None
    unit_rules: tuple[str, ...] = ()  # Rule= of [X-Failhook]
    unit_steps: tuple[Step, ...] = ()  # Do= of [X-Failhook]
    # of each type of action that is used
    traits: Mapping[str, Traits] = field(default_factory=lambda: BUILT_IN)


@dataclass(frozen=True, slots=True)
class Memory:
    """What the ledger knows: the number of this failure per rule, who heard what, what helped."""

    counts: Mapping[str, int] = field(default_factory=dict)
    told: Mapping[str, Told] = field(default_factory=dict)
    useless: Mapping[str, int] = field(default_factory=dict)  # action -> times in a row
    room: Mapping[str, int] = field(default_factory=dict)  # limit -> how many are left


@dataclass(frozen=True, slots=True)
class Looked:
    """A rule that was looked at: ``reason`` says why it matches or why not."""

    rule: Rule
    matched: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Planned:
    """One step: to be done (DUE), held back (WAITING), or left out, and why."""

    action: str
    type: str
    rule: str
    step: int  # which rung, from 1
    number: int  # which failure, from 1
    state: Done
    reason: str
    event: Event | None = None  # of one that delivers
    not_before: float = 0.0
    group: str | None = None
    before_restart: bool = False
    counts_as: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """All that was looked at and all that follows."""

    looked: tuple[Looked, ...]
    steps: tuple[Planned, ...]
    remark: str = ""  # what holds for the whole incident

    def to_json(self) -> JsonObject:
        """What ``failhook why`` prints, and the incident keeps."""
        return {
            "remark": self.remark,
            "rules": [
                {
                    "rule": one.rule.name,
                    "file": str(one.rule.file),
                    "line": one.rule.line,
                    "matched": one.matched,
                    "reason": one.reason,
                }
                for one in self.looked
            ],
            "steps": [
                {
                    "action": one.action,
                    "type": one.type,
                    "rule": one.rule,
                    "step": one.step,
                    "number": one.number,
                    "state": str(one.state),
                    "reason": one.reason,
                    "event": None if one.event is None else str(one.event),
                    "not_before": one.not_before,
                    "group": one.group,
                    "before_restart": one.before_restart,
                    "counts_as": one.counts_as,
                }
                for one in self.steps
            ],
        }


def planned_of(decision: JsonObject) -> list[Planned]:
    """The steps in `Decision.to_json`; what makes no sense in it is passed over."""
    steps = decision.get("steps")
    found = [_planned(one) for one in steps] if isinstance(steps, list) else []
    return [one for one in found if one is not None]


def _planned(raw: Json) -> Planned | None:
    try:
        assert isinstance(raw, dict)
        event, group, limit = raw["event"], raw["group"], raw["counts_as"]
        return Planned(
            action=str(raw["action"]),
            type=str(raw["type"]),
            rule=str(raw["rule"]),
            step=int(str(raw["step"])),
            number=int(str(raw["number"])),
            state=Done(str(raw["state"])),
            reason=str(raw["reason"]),
            event=None if event is None else Event(str(event)),
            not_before=float(str(raw["not_before"])),
            group=None if group is None else str(group),
            before_restart=raw["before_restart"] is True,
            counts_as=None if limit is None else str(limit),
        )
    except (AssertionError, KeyError, ValueError):
        return None
