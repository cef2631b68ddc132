# SPDX-License-Identifier: MIT
"""What is known of entries from earlier boots: good since when, given up, rebooted for what.

One small file, `places.state`/boots/proven.json, replaced whole. It decides nothing
(`failhook.boot.marking` does), and what is damaged in it counts as not known.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from failhook import files
from failhook.boot.marking import History
from failhook.boot.model import Standing
from failhook.places import Places
from failhook.systemd.boot import boot_id

logger = logging.getLogger(__name__)
_MOST = 100  # of each; the oldest go first
_MAX_BYTES = 1 << 20
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Good:
    """An entry was called good: first and last (Unix seconds), and in which boot last."""

    first: float
    last: float
    boot_id: str = ""


@dataclass(frozen=True, slots=True)
class Reboot:
    """An entry that had proven itself was rebooted for a unit."""

    entry: str
    unit: str
    at: float
    boot_id: str  # of the boot that was to end


@dataclass(frozen=True, slots=True)
class Record:
    """All of it."""

    good: Mapping[str, Good] = field(default_factory=dict)
    given_up: Mapping[str, float] = field(default_factory=dict)  # marked bad by us, and when
    reboots: tuple[Reboot, ...] = ()


def _path(places: Places) -> Path:
    return places.state / "boots" / "proven.json"


def read(places: Places) -> Record:
    """What is known; nothing where there is no file, or a damaged one, which is logged."""
    path = _path(places)
    try:
        return _record(json.loads(files.read_bounded(path, _MAX_BYTES)))
    except FileNotFoundError:
        return Record()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        logger.error("%s is damaged and counts as empty: %s", path, error)
        return Record()


def _record(raw: Mapping[str, Any]) -> Record:
    return Record(
        {str(key): _good(one) for key, one in raw["good"].items()},
        {str(key): _time(at) for key, at in raw["given_up"].items()},
        tuple(
            Reboot(str(one["entry"]), str(one["unit"]), _time(one["at"]), str(one["boot_id"]))
            for one in raw["reboots"]
        ),
    )


def _good(raw: Mapping[str, Any]) -> Good:
    return Good(_time(raw["first"]), _time(raw["last"]), str(raw["boot_id"]))


def _time(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError("a time is no number")
    return float(value)


# -- to be written down ---------------------------------------------------------------------------


def note_good(places: Places, standing: Standing, *, now: float | None = None) -> None:
    """The running entry was called good. Raises OSError."""
    current = standing.current
    if current is None:
        return
    at = time.time() if now is None else now

    def change(record: Record) -> Record:
        before = record.good.get(current.id)
        # A first time that lies in the future was told by a wrong clock.
        first = min(before.first, at) if before is not None else at
        good = {**record.good, current.id: Good(first, at, boot_id())}
        given_up = {key: one for key, one in record.given_up.items() if key != current.id}
        return replace(record, good=good, given_up=given_up)

    _change(places, change)


def note_bad(places: Places, entry: str, *, now: float | None = None) -> None:
    """We marked it bad: it is not what another one falls back to. Raises OSError."""
    at = time.time() if now is None else now

    def change(record: Record) -> Record:
        good = {key: one for key, one in record.good.items() if key != entry}
        return replace(record, good=good, given_up={**record.given_up, entry: at})

    _change(places, change)


def note_reboot(places: Places, entry: str, unit: str, *, now: float | None = None) -> None:
    """A proven entry is about to be rebooted for ``unit``. Raises OSError."""
    one = Reboot(entry, unit, time.time() if now is None else now, boot_id())

    def change(record: Record) -> Record:
        others = [
            each
            for each in record.reboots
            if (each.entry, each.unit, each.boot_id) != (one.entry, one.unit, one.boot_id)
        ]
        return replace(record, reboots=(*others, one))

    _change(places, change)


def _change(places: Places, change: Any) -> None:
    path = _path(places)
    files.make_private(path.parent)
    with files.locked_directory(path.parent, patience_s=_PATIENCE_S):
        record = change(read(places))
        good = sorted(record.good.items(), key=lambda pair: pair[1].last)[-_MOST:]
        given_up = sorted(record.given_up.items(), key=lambda pair: pair[1])[-_MOST:]
        document = {
            "good": {key: asdict(one) for key, one in good},
            "given_up": dict(given_up),
            "reboots": [asdict(one) for one in record.reboots[-_MOST:]],
        }
        files.write(path, json.dumps(document, ensure_ascii=True, indent=1) + "\n")


# -- for the decision -----------------------------------------------------------------------------


def history(
    record: Record, standing: Standing, unit: str, *, within_s: float, now: float | None = None
) -> History:
    """What `marking.decide` wants to know. ``within_s``: an earlier reboot counts for so long.

    Where the clock was wrong the safe answer is taken: an entry whose good times lie in the future
    has proven itself, a reboot in the future was just now.
    """
    at = time.time() if now is None else now
    current = standing.current
    if current is None:
        return History()
    good = record.good.get(current.id)
    proven_for_s = None
    if good is not None:
        proven_for_s = at - good.first if good.first <= at else math.inf
    rebooted = any(
        one.entry == current.id
        and one.unit == unit
        and one.boot_id != boot_id()  # else that reboot has not come about yet
        and at - one.at < within_s
        for one in record.reboots
    )
    return History(proven_for_s, bool(record.good), rebooted, frozenset(record.given_up))
