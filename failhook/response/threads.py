# SPDX-License-Identifier: MIT
"""One trouble of one unit, from its first failure until it is well again: who was told what.

Every failed run is an incident of its own; people want one conversation about all of them. A thread
is opened by the first failure and joined by the next ones, and ends when the unit recovers.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from failhook import files
from failhook.incident import Incident, Json, JsonObject
from failhook.places import Places
from failhook.plan import Told

_MAX_BYTES = 256 << 10
_MOST_IDS = 50


@dataclass(frozen=True, slots=True)
class Thread:
    """Times are Unix seconds. ``recent`` are the ids of incidents that were counted."""

    id: str
    unit: str
    manager: str
    opened: float
    incident: str  # id of the newest
    count: int = 1
    recent: tuple[str, ...] = ()
    told: dict[str, Told] = field(default_factory=dict)
    acked: str | None = None  # by whom and why
    recovered_at: float | None = None

    @property
    def is_open(self) -> bool:
        """The unit is not known to be well again."""
        return self.recovered_at is None


class Threads:
    """All threads, one small file per unit below the ledger. Methods raise OSError."""

    def __init__(self, places: Places) -> None:
        self._at = places.ledger / "threads"

    def find(self, unit: str, manager: str) -> Thread | None:
        """The unit's newest thread, also one that is over; None where there is none."""
        return self._load(self._path(unit, manager))

    def joined(self, incident: Incident) -> Thread:
        """The thread that ``incident`` belongs to, with it counted; saves nothing."""
        known = self.find(incident.unit, incident.manager)
        if known is None or (not known.is_open and incident.id not in known.recent):
            return Thread(
                id=incident.id,
                unit=incident.unit,
                manager=incident.manager,
                opened=incident.first_seen,
                incident=incident.id,
                recent=(incident.id,),
            )
        if incident.id in known.recent:
            return known
        return replace(
            known,
            incident=incident.id,
            count=known.count + 1,
            recent=(*known.recent, incident.id)[-_MOST_IDS:],
        )

    def save(self, thread: Thread) -> None:
        """Write it."""
        files.make_private(self._at.parent)
        files.make_private(self._at)
        raw: JsonObject = {
            "id": thread.id,
            "unit": thread.unit,
            "manager": thread.manager,
            "opened": thread.opened,
            "incident": thread.incident,
            "count": thread.count,
            "recent": list(thread.recent),
            "told": {
                name: {"event": str(one.event), "rule": one.rule, "step": one.step, "at": one.at}
                for name, one in thread.told.items()
            },
            "acked": thread.acked,
            "recovered_at": thread.recovered_at,
        }
        files.write(self._path(thread.unit, thread.manager), json.dumps(raw))

    def open_ones(self) -> Iterator[Thread]:
        """Those that wait for a recovery."""
        with contextlib.suppress(OSError):
            for path in sorted(self._at.glob("*.json")):
                found = self._load(path)
                if found is not None and found.is_open:
                    yield found

    def _path(self, unit: str, manager: str) -> Path:
        name = hashlib.sha256(f"{manager}\0{unit}".encode("utf-8", "replace")).hexdigest()[:24]
        return self._at / f"{name}.json"

    def _load(self, path: Path) -> Thread | None:
        """None where there is none or it is damaged: then a new conversation begins."""
        try:
            raw = json.loads(files.read_bounded(path, _MAX_BYTES))
            return Thread(
                id=str(raw["id"]),
                unit=str(raw["unit"]),
                manager=str(raw["manager"]),
                opened=float(raw["opened"]),
                incident=str(raw["incident"]),
                count=int(raw["count"]),
                recent=tuple(str(one) for one in raw["recent"]),
                told={name: _told(one) for name, one in raw["told"].items()},
                acked=None if raw["acked"] is None else str(raw["acked"]),
                recovered_at=None if raw["recovered_at"] is None else float(raw["recovered_at"]),
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None


def _told(raw: dict[str, Json]) -> Told:
    step, at = raw["step"], raw["at"]
    if not isinstance(step, int) or not isinstance(at, int | float):
        raise TypeError("no record of a message")
    return Told(str(raw["event"]), str(raw["rule"]), step, float(at))
