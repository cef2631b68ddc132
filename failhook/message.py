# SPDX-License-Identifier: MIT
"""What is told to people, as pure data, before any channel gives it a form.

One trouble of one unit is one thread: it is opened, escalates, recovers or is given up. A message
that is delivered twice has the same ``id`` both times, so that a receiver can tell (Standard
Webhooks: webhook-id). It holds no evidence unless the administrator allowed an excerpt.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from failhook.incident import Incident, JsonObject, rfc3339


class Event(StrEnum):
    """What happened to the thread; the value is the ``type`` of a Standard Webhooks payload."""

    OPENED = "incident.opened"
    ESCALATED = "incident.escalated"  # a further step of the ladder
    GAVE_UP = "incident.gave-up"  # nobody tries again: neither systemd nor a rule
    REBOOTED = "incident.rebooted"  # the machine was booted again, and the unit is not well yet
    RECOVERED = "incident.recovered"
    DIGEST = "incident.digest"  # several incidents in one: a cascade, quiet hours, a digest
    TEST = "failhook.test"


@dataclass(frozen=True, slots=True)
class Entry:
    """One incident among several of a digest. ``at`` is Unix seconds."""

    unit: str
    summary: str
    id: str
    at: float
    event: str = Event.OPENED
    count: int = 1


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one destination. Times are Unix seconds."""

    id: str
    event: Event
    thread: str  # the same for all messages about one trouble of one unit
    at: float
    incident: Incident
    destination: str  # the name of the action
    opened: float  # when the thread began
    count: int = 1  # failures in the thread so far
    step: int | None = None  # of the ladder, from 1
    reason: str = ""  # why it is told now, in a few words
    downtime_s: float | None = None  # with RECOVERED
    helped: str | None = None  # with RECOVERED: the action that did it, None: nobody of ours
    excerpt: tuple[str, ...] = ()  # lines of evidence, masked; only where that is allowed
    entries: tuple[Entry, ...] = ()  # with DIGEST, oldest first

    @property
    def summary(self) -> str:
        """The verdict's sentence, or what is known without one."""
        verdict = self.incident.verdict
        return verdict.summary if verdict else f"{self.incident.unit} failed"

    def to_json(self) -> JsonObject:
        """As the outbox keeps it and as ``format = "json"`` sends it (without evidence)."""
        incident = self.incident.to_json()
        for name in ("evidence", "dying_words", "triggers"):
            incident.pop(name, None)
        return {
            "type": str(self.event),
            "timestamp": rfc3339(self.at),
            "data": {
                "id": self.id,
                "thread": self.thread,
                "destination": self.destination,
                "opened": rfc3339(self.opened),
                "count": self.count,
                "step": self.step,
                "reason": self.reason,
                "downtime_s": self.downtime_s,
                "helped": self.helped,
                "summary": self.summary,
                "excerpt": list(self.excerpt),
                "entries": [
                    {
                        "unit": one.unit,
                        "summary": one.summary,
                        "id": one.id,
                        "at": rfc3339(one.at),
                        "event": str(one.event),
                        "count": one.count,
                    }
                    for one in self.entries
                ],
                "incident": incident,
            },
        }
