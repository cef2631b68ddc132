# SPDX-License-Identifier: MIT
"""How often the same failure came: an exact count per signature that outlives the incidents.

Counting is harmless to repeat: the last counted incident is in the file, and one unit's incidents
are worked off one after the other, so a kill between counting and saving counts nothing twice.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from failhook import files
from failhook.incident import Incident
from failhook.store.incidents import Store


@dataclass(frozen=True, slots=True)
class Tally:
    """The count of one signature; times are Unix seconds."""

    count: int
    first_id: str
    first_seen: float
    last_id: str
    last_seen: float


def signature_of(incident: Incident, words: str, sentence: str = "") -> str:
    """What makes two incidents the same failure: unit, result, status, and, both normalised, the
    verdict's sentence and the dying words."""
    parts = (incident.unit, incident.result, incident.exit_code, incident.exit_status)
    control = incident.control.command if incident.control else ""
    text = "\0".join(str(part) for part in (*parts, control, sentence, words))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def tally(store: Store, signature: str) -> Tally | None:
    """The count so far; None where it never came or the file is damaged."""
    try:
        raw = json.loads(files.read_bounded(store.places.signatures / f"{signature}.json", 4096))
        found = Tally(**raw)
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return found if _is_sound(found) else None


def _is_sound(found: Tally) -> bool:
    times = (found.first_seen, found.last_seen)
    return (
        type(found.count) is int
        and found.count > 0
        and all(isinstance(key, str) for key in (found.first_id, found.last_id))
        and all(isinstance(at, int | float) for at in times)
    )


def count(store: Store, incident: Incident, signature: str) -> Tally:
    """Count this incident, once however often it is called. Raises OSError."""
    before = tally(store, signature)
    if before is not None and incident.id == before.last_id:
        return before
    after = Tally(
        count=before.count + 1 if before else 1,
        first_id=before.first_id if before else incident.id,
        first_seen=before.first_seen if before else incident.first_seen,
        last_id=incident.id,
        last_seen=incident.first_seen,
    )
    files.write(store.places.signatures / f"{signature}.json", json.dumps(asdict(after)))
    return after
