# SPDX-License-Identifier: MIT
"""What we wanted this machine to go down for, on disk before it does: the ledger across boots.

The next boot learns from it that its predecessor was ended by us, what for, and which entry should
have come up; and the guards count in it how often that happened. One small file below
`/var/lib/failhook/boots`, replaced whole. A file that is damaged does not make room for another
reboot: it counts as one that was just now.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from failhook import files
from failhook.places import Places

logger = logging.getLogger(__name__)
_MOST = 100
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Ending:
    """We asked for the end of a boot. ``at`` is Unix seconds, ``up_s`` how long it had been up."""

    at: float
    boot_id: str  # of the boot that ends
    up_s: float
    how: str  # a value of FailureAction= (systemd.unit(5))
    reason: str  # one sentence
    step: str = ""  # the id of the step that asked for it
    unit: str = ""
    incident: str = ""  # its id
    kernel: str = ""
    entry: str | None = None  # of the boot loader, that ran
    expects: str | None = None  # the one that should come up next
    failed: bool = False  # it was asked for and refused: the boot went on


class Damaged(Exception):
    """The record is there and cannot be read."""


def _path(places: Places) -> Path:
    return places.state / "boots" / "endings.json"


def read(places: Places) -> tuple[Ending, ...]:
    """All that are remembered, oldest first. Raises Damaged."""
    path = _path(places)
    try:
        raw = json.loads(files.read_bounded(path, _MAX_BYTES))
        return tuple(_ending(one) for one in raw["endings"])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise Damaged(f"{path} is damaged: {error}") from None


def known(places: Places) -> tuple[Ending, ...]:
    """As `read`, for who only tells of them: none where the record is damaged, which is logged."""
    try:
        return read(places)
    except Damaged as error:
        logger.error("%s", error)
        return ()


def remember(places: Places, ending: Ending) -> None:
    """Add one, or replace the one with the same step in the same boot. Raises OSError."""
    path = _path(places)
    files.make_private(path.parent)
    with files.locked_directory(path.parent, patience_s=10.0):
        same = (ending.step, ending.boot_id)
        kept = [one for one in known(places) if not one.step or (one.step, one.boot_id) != same]
        rows = [asdict(one) for one in [*kept, ending][-_MOST:]]
        files.write(path, json.dumps({"schema": 1, "endings": rows}))


def of_boot(endings: Sequence[Ending], boot_id: str) -> Ending | None:
    """Why we ended that boot, if we did."""
    return next(
        (one for one in reversed(endings) if one.boot_id == boot_id and not one.failed), None
    )


def of_step(endings: Sequence[Ending], step: str) -> Ending | None:
    """What that step asked for, if it came so far."""
    return next((one for one in reversed(endings) if one.step == step and not one.failed), None)


def _ending(raw: object) -> Ending:
    if not isinstance(raw, dict):
        raise TypeError("no record of an ending")
    texts = ("boot_id", "how", "reason", "step", "unit", "incident", "kernel")
    at, up_s = float(raw["at"]), float(raw["up_s"])
    if not math.isfinite(at) or not math.isfinite(up_s):
        raise ValueError("a time that is no number")
    entry, expects = raw.get("entry"), raw.get("expects")
    return Ending(
        at=at,
        up_s=up_s,
        entry=None if entry is None else str(entry),
        expects=None if expects is None else str(expects),
        failed=raw.get("failed") is True,
        **{name: str(raw[name]) for name in texts},
    )
