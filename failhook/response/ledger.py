# SPDX-License-Identifier: MIT
"""What the rules remember, on disk: failures per ladder, limits, what helped, mutes, the pause.

One small file each below `/var/lib/failhook/ledger`, replaced whole. Everything that counts is
harmless to repeat: it is entered under the id of the incident or step that it belongs to. Several
workers write, so a change is made under one lock. A file that is damaged never makes room: a limit
whose record is lost counts as used up until its time is over.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from failhook import files
from failhook.incident import Incident, Json, JsonObject
from failhook.places import Places
from failhook.response import moment
from failhook.response.moment import Moment
from failhook.values import Rate

logger = logging.getLogger(__name__)
_MAX_BYTES = 1 << 20
_MOST_EVENTS = 1000  # per ladder and limit; ladders do not reach so far
_LOCK_S = 10.0


@dataclass(frozen=True, slots=True)
class Mute:
    """Nobody is told of a unit (a glob) or signature until then (Unix seconds; None: for good)."""

    what: str
    until: float | None
    reason: str
    since: float

    def covers(self, incident: Incident, now: float) -> bool:
        """It is in force and means this incident."""
        if self.until is not None and now >= self.until:
            return False
        return fnmatchcase(incident.unit, self.what) or incident.signature == self.what


class Ledger:
    """All of it. Methods raise OSError where the disk does not let them."""

    def __init__(self, places: Places) -> None:
        self._at = places.ledger

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Look and change as one step."""
        files.make_private(self._at)
        with files.locked_directory(self._at, patience_s=_LOCK_S):
            yield

    # -- failures per ladder ----------------------------------------------------------------------

    def count(
        self, rule: str, incident: Incident, within_s: float, *, forgiven: bool, now: Moment
    ) -> int:
        """Which failure of ``rule`` in its window this is, from 1; counted once per incident."""
        path = self._ladder(rule, incident)
        events = _events(self._read(path))
        known = next((index for index, (key, _) in enumerate(events) if key == incident.id), None)
        if known is not None:
            return known + 1
        kept = [(key, at) for key, at in events if not forgiven and at.age(now) < within_s]
        kept = [*kept, (incident.id, now)][-_MOST_EVENTS:]
        self._write(path, {"rule": rule, "unit": incident.unit, "events": _plain(kept)})
        return len(kept)

    def seen(self, rule: str, incident: Incident, within_s: float, now: Moment) -> int:
        """How many failures of ``rule`` are in its window now; counts nothing."""
        events = _events(self._read(self._ladder(rule, incident)))
        return sum(at.age(now) < within_s for _, at in events)

    def forgive(self, unit: str) -> int:
        """Begin the ladders of ``unit`` again; returns how many there were."""
        found = 0
        for path in self._all("rules"):
            if self._read(path).get("unit") == unit:
                path.unlink(missing_ok=True)
                found += 1
        return found

    def _ladder(self, rule: str, incident: Incident) -> Path:
        return self._at / "rules" / f"{_key(rule, incident.manager, incident.unit)}.json"

    # -- limits over all rules --------------------------------------------------------------------

    def room(self, limit: str, rate: Rate, now: Moment) -> int:
        """How many of ``limit`` are left."""
        events = _events(self._limit(limit, rate, now))
        return max(0, rate.count - sum(at.age(now) < rate.within_s for _, at in events))

    def take(self, limit: str, key: str, rate: Rate, now: Moment) -> None:
        """Use one up, for the step ``key``; once, however often it is said."""
        raw = self._limit(limit, rate, now)
        events = _events(raw)
        if any(known == key for known, _ in events):
            return
        kept = [(known, at) for known, at in events if at.age(now) < rate.within_s]
        self._write(self._at / f"{limit}.json", {"events": _plain([*kept, (key, now)])})

    def _limit(self, limit: str, rate: Rate, now: Moment) -> JsonObject:
        """The record; one that is damaged counts as used up from now on."""
        path = self._at / f"{limit}.json"
        raw = self._read(path)
        if not raw and path.exists():
            logger.error("%s is damaged: %s count as used up for %s", path, limit, rate)
            raw = {"events": _plain([(f"lost-{n}", now) for n in range(rate.count)])}
            self._write(path, raw)
        return raw

    # -- what helped ------------------------------------------------------------------------------

    def helped(self, incident: Incident, action: str, key: str, *, helped: bool) -> None:
        """Note whether ``action`` helped this unit; once per step ``key``."""
        path = self._success(incident)
        raw = self._read(path)
        table = raw.get("actions")
        actions = dict(table) if isinstance(table, dict) else {}
        record = actions.get(action)
        record = dict(record) if isinstance(record, dict) else {}
        if record.get("last") == key:
            return
        actions[action] = {
            "last": key,
            "tries": _number(record.get("tries")) + 1,
            "helped": _number(record.get("helped")) + helped,
            "useless": 0 if helped else _number(record.get("useless")) + 1,
        }
        self._write(path, {"unit": incident.unit, "actions": actions})

    def useless(self, incident: Incident) -> dict[str, int]:
        """For each action how often in a row it did not help this unit."""
        return {name: _number(one.get("useless")) for name, one in self.successes(incident).items()}

    def successes(self, incident: Incident) -> dict[str, JsonObject]:
        """For each action of this unit: tries, helped, useless (in a row)."""
        table = self._read(self._success(incident)).get("actions")
        found = table.items() if isinstance(table, dict) else ()
        return {name: one for name, one in found if isinstance(one, dict)}

    def well_again(self, incident: Incident) -> None:
        """The unit ran well for its healthy period: what did not help once may help again."""
        self._success(incident).unlink(missing_ok=True)

    def _success(self, incident: Incident) -> Path:
        return self._at / "helped" / f"{_key(incident.manager, incident.unit)}.json"

    # -- mutes and the pause ----------------------------------------------------------------------

    def mutes(self, now: float) -> list[Mute]:
        """Those in force."""
        table = self._read(self._at / "mutes.json").get("mutes")
        found = [_mute(one) for one in table] if isinstance(table, list) else []
        return [one for one in found if one is not None and (one.until is None or now < one.until)]

    def mute(self, mute: Mute) -> None:
        """Add it, in the place of one for the same."""
        others = [one for one in self.mutes(mute.since) if one.what != mute.what]
        self._write_mutes([*others, mute])

    def unmute(self, what: str, now: float) -> bool:
        """Take it away; False: there was none."""
        before = self.mutes(now)
        left = [one for one in before if one.what != what]
        self._write_mutes(left)
        return len(left) < len(before)

    def _write_mutes(self, mutes: list[Mute]) -> None:
        table: list[Json] = [
            {"what": one.what, "until": one.until, "reason": one.reason, "since": one.since}
            for one in mutes
        ]
        self._write(self._at / "mutes.json", {"mutes": table})

    def pause(self, reason: str, until: float | None, now: float) -> None:
        """Stop all actions."""
        self._write(self._at / "pause.json", {"reason": reason, "until": until, "since": now})

    def resume(self) -> bool:
        """Let actions happen again; False: they did."""
        path = self._at / "pause.json"
        was = path.exists()
        path.unlink(missing_ok=True)
        return was

    def paused(self, now: float) -> JsonObject | None:
        """``reason``, ``since`` and ``until`` while all actions are stopped.

        A pause whose file is damaged is in force: somebody asked for it.
        """
        path = self._at / "pause.json"
        raw = self._read(path)
        if not raw:
            return (
                {"reason": f"{path} is damaged", "since": None, "until": None}
                if (path.exists())
                else None
            )
        until = raw.get("until")
        over = isinstance(until, int | float) and now >= until
        return None if over else raw

    def forget(self, age_s: float) -> None:
        """Remove what was not touched for so long: units that are no more."""
        oldest = time.time() - age_s
        for kind in ("rules", "helped", "threads"):
            for path in self._all(kind):
                with contextlib.suppress(OSError):
                    if path.stat().st_mtime < oldest:
                        path.unlink()

    # -- files ------------------------------------------------------------------------------------

    def _read(self, path: Path) -> JsonObject:
        """The file's object; empty where there is none or it is damaged."""
        with contextlib.suppress(OSError, ValueError, RecursionError):
            raw = json.loads(files.read_bounded(path, _MAX_BYTES))
            if isinstance(raw, dict):
                return raw
        return {}

    def _write(self, path: Path, raw: Mapping[str, Json]) -> None:
        files.make_private(self._at)
        if path.parent != self._at:
            files.make_private(path.parent)
        files.write(path, json.dumps(raw))

    def _all(self, kind: str) -> list[Path]:
        with contextlib.suppress(OSError):
            return sorted((self._at / kind).glob("*.json"))
        return []


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:24]


def _events(raw: JsonObject) -> list[tuple[str, Moment]]:
    table = raw.get("events")
    found: list[tuple[str, Moment]] = []
    for one in table if isinstance(table, list) else ():
        if isinstance(one, dict) and isinstance(one.get("id"), str):
            with contextlib.suppress(ValueError):
                found.append((str(one["id"]), moment.from_json(one)))
    return found


def _plain(events: list[tuple[str, Moment]]) -> list[Json]:
    return [{"id": key, **at.to_json()} for key, at in events]


def _number(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _mute(raw: Json) -> Mute | None:
    if not isinstance(raw, dict) or not isinstance(raw.get("what"), str):
        return None
    until, since = raw.get("until"), raw.get("since")
    return Mute(
        what=str(raw["what"]),
        until=float(until) if isinstance(until, int | float) else None,
        reason=str(raw.get("reason") or ""),
        since=float(since) if isinstance(since, int | float) else 0.0,
    )
