# SPDX-License-Identifier: MIT
"""How long ago something was, whatever happened to the clock in between.

Within one boot the kernel's own clock counts (CLOCK_BOOTTIME, clock_gettime(2): it goes on through
suspend and nobody can set it). Over a reboot only the wall clock is left, which may have been set;
then a time is never younger than this boot allows and never in the future. A boot begins with its
PID 1: a container is younger than its machine.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from failhook.incident import Json, JsonObject
from failhook.systemd.boot import boot_id, up_s

_FIRST = 1_704_067_200.0  # 2024-01-01: a wall clock before that was not set yet


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time: Unix seconds, the boot, and seconds since it began."""

    at: float
    boot: str
    up: float

    def age(self, now: Moment) -> float:
        """Seconds from here to ``now``, never negative."""
        if self.boot == now.boot:
            return max(0.0, now.up - self.up)
        if self.at < _FIRST or now.at < _FIRST:
            return now.up
        return max(now.up, now.at - self.at, 0.0)

    def to_json(self) -> JsonObject:
        """As the ledger keeps it."""
        return {"at": self.at, "boot": self.boot, "up": self.up}


def now() -> Moment:
    """This moment."""
    return Moment(time.time(), boot_id(), up_s())


def from_json(raw: Json) -> Moment:
    """The reverse of `Moment.to_json`. Raises ValueError."""
    if not isinstance(raw, dict):
        raise ValueError("no moment")
    at, boot, up = raw.get("at"), raw.get("boot"), raw.get("up")
    if isinstance(at, bool) or isinstance(up, bool) or not isinstance(boot, str):
        raise ValueError("no moment")
    if not isinstance(at, int | float) or not isinstance(up, int | float):
        raise ValueError("no moment")
    return Moment(float(at), boot, float(up))
