# SPDX-License-Identifier: MIT
"""What was done about an incident, in the incident: one entry per step and per delivery.

``show`` prints them and the JSON contract has them as ``actions``: name, type, state, attempts,
started, took_ms, detail. Pure; whoever writes uses `Store.update`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from failhook.incident import Incident, JsonObject, rfc3339

MOST = 200  # of one incident; the oldest that are over go first
_MAX_DETAIL = 1000


class Done(StrEnum):
    """How far a step is."""

    DUE = "due"  # planned, not begun
    RUNNING = "running"
    WAITING = "waiting"  # failed for now and tried again, or held back until its time
    DONE = "done"
    FAILED = "failed"  # tried as often as it may be
    INTERRUPTED = "interrupted"  # a kill or a power cut came in between: not begun again
    LEFT_OUT = "left-out"  # a limit, a mute, a pause, a person's stop; the detail says which
    DRY_RUN = "dry-run"  # what would have been done is in the detail


@dataclass(frozen=True, slots=True)
class Entry:
    """One step or delivery. ``id`` is the one of its queue item and makes repeats harmless."""

    id: str
    name: str
    type: str
    state: Done
    attempts: int = 0
    started: float | None = None  # Unix seconds
    took_ms: int | None = None
    detail: str | None = None
    helped: bool | None = None
    step: int | None = None  # of the ladder
    event: str | None = None  # of a delivery
    data: JsonObject | None = None
    before_restart: bool = False

    def to_json(self) -> JsonObject:
        """As the incident has it."""
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "state": str(self.state),
            "attempts": self.attempts,
            "started": rfc3339(self.started),
            "took_ms": self.took_ms,
            "detail": self.detail[:_MAX_DETAIL] if self.detail else None,
            "helped": self.helped,
            "step": self.step,
            "event": self.event,
            "data": self.data,
            "before_restart": self.before_restart,
        }


def with_entry(incident: Incident, entry: Entry) -> Incident:
    """``incident`` with ``entry`` in the place of the one with its id, or as the newest."""
    fresh = entry.to_json()
    before = list(incident.actions)
    for number, one in enumerate(before):
        if one.get("id") == entry.id:
            kept = {name: one.get(name) for name in _OF_THE_PLAN if not fresh[name]}
            before[number] = {**fresh, **kept}
            return replace(incident, actions=tuple(before))
    while len(before) >= MOST:
        over = next((one for one in before if one.get("state") not in _OPEN), before[0])
        before.remove(over)
    return replace(incident, actions=(*before, fresh))


_OF_THE_PLAN = ("step", "event", "before_restart")  # who carries it out need not know
_OPEN = (Done.DUE, Done.RUNNING, Done.WAITING)
