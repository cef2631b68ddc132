# SPDX-License-Identifier: MIT
"""What speaks against taking the machine down now: asked before every reboot, and once more later.

systemd reboots blindly where `FailureAction=` says so and guards against no loop (systemd#9453).
Here a reboot needs a failure that is still there, a machine that has been up for a while, a pause
that grows with every reboot of ours, and nobody in the middle of something. What may pass puts the
step off; what does not leaves it out. How many there may be at all is a limit of the plan
(``[limits]`` reboots).
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from failhook import places as layout
from failhook import proc
from failhook.boot import endings
from failhook.boot.endings import Ending
from failhook.places import Places
from failhook.plugin import Outcome, Request, done, failed
from failhook.systemd import unit, upgrade
from failhook.systemd.boot import boot_id, up_s

_AGAIN_S = 60.0  # until something that passes is asked about again
_WINDOW_S = 86400.0  # reboots of ours further back do not lengthen the pause
_LONGEST_PAUSE_S = 12 * 3600.0
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Guards:
    """How careful to be. Times are seconds."""

    min_uptime_s: float = 300.0
    pause_s: float = 600.0  # after the first reboot of ours in a day; twice as long after each
    logged_in: bool = False  # wait until nobody is logged in


def objection(request: Request[Any], guards: Guards | None = None) -> Outcome | None:
    """What speaks against it; None: nothing. Looks only."""
    guards = guards or Guards()
    where = layout.find(user=request.user)
    return (
        _of_the_incident(request)
        or _of_the_manager()
        or _of_the_past(where, guards)
        or _of_people(guards)
    )


def _left_alone(why: str) -> Outcome:
    return done(f"left alone: {why}", left_out=True)


def _put_off(why: str, seconds: float = _AGAIN_S) -> Outcome:
    return failed(f"put off: {why}", retry_after_s=min(max(seconds, 1.0), _HOUR_S))


# -- the failure ----------------------------------------------------------------------------------


def _of_the_incident(request: Request[Any]) -> Outcome | None:
    incident = request.incident
    if request.user or incident.manager == "user":
        return failed("a unit of an ordinary user does not take the machine down", final=True)
    if incident.boot_id != boot_id():
        return _left_alone("the machine was booted again since")
    seen = unit.show_many([incident.unit], ("ActiveState", "InvocationID")).get(incident.unit)
    if seen is None:
        return None
    again = seen.get("InvocationID") not in (None, incident.invocation_id)
    if again and seen.get("ActiveState") in ("active", "reloading"):
        return _left_alone(f"{incident.unit} is well again")
    return None


# -- the machine ----------------------------------------------------------------------------------


def _of_the_manager() -> Outcome | None:
    state = unit.manager_state()
    if state == "stopping":
        return _left_alone("the machine is going down already")
    if state == "maintenance":
        return _left_alone("the machine is in rescue or emergency mode: somebody works on it")
    busy = upgrade.in_progress()
    if busy is not None:
        return _put_off(f"a package upgrade is in progress ({busy})")
    held = inhibitors()
    if held:
        return _put_off(f"shutdown is inhibited by {held[0]}")
    return None


def inhibitors() -> list[str]:
    """Who holds a block lock on shutdown, and why (org.freedesktop.login1(5))."""
    argv = [
        *("busctl", "--json=short", "call", "org.freedesktop.login1", "/org/freedesktop/login1"),
        *("org.freedesktop.login1.Manager", "ListInhibitors"),
    ]
    answer = proc.run(argv, timeout_s=5.0)
    try:
        rows = json.loads(answer.stdout)["data"][0] if answer.ok else []
        return [
            f"{who} ({why})"
            for what, who, why, mode, *_ in rows
            if mode == "block" and "shutdown" in what.split(":")
        ]
    except (ValueError, KeyError, TypeError, IndexError):
        return []


# -- before ---------------------------------------------------------------------------------------


def _of_the_past(where: Places, guards: Guards) -> Outcome | None:
    up = up_s()
    if up < guards.min_uptime_s:
        return _put_off(
            f"not before the machine has been up for {guards.min_uptime_s:.0f} s",
            guards.min_uptime_s - up,
        )
    try:
        left = pause_left(endings.read(where), guards, time.time(), up)
    except endings.Damaged as error:
        left = guards.pause_s - up
        if left > 0:
            return _put_off(f"{error}; it counts as a reboot just now", left)
        return None
    if left > 0:
        return _put_off(
            f"failhook rebooted it a short while ago; the next one in {left:.0f} s", left
        )
    return None


def pause_left(past: Sequence[Ending], guards: Guards, now: float, up: float) -> float:
    """Seconds until the next reboot of ours; 0 or less: now. Pure.

    The clock may have been set over a reboot: an ending that lies in the future was just before
    this boot, and none of another boot is younger than this one.
    """
    ages = [_age(one, now, up) for one in past if not one.failed]
    recent = [age for age in ages if age < _WINDOW_S]
    if not recent:
        return 0.0
    pause: float = min(guards.pause_s * 2.0 ** (len(recent) - 1), _LONGEST_PAUSE_S)
    return pause - min(recent)


def _age(one: Ending, now: float, up: float) -> float:
    return up - one.up_s if one.boot_id == boot_id() else max(up, now - one.at)


def _of_people(guards: Guards) -> Outcome | None:
    if not guards.logged_in:
        return None
    names = sorted({one.name for one in psutil.users()})
    return _put_off(f"{', '.join(names[:3])} is logged in") if names else None
