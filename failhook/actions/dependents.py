# SPDX-License-Identifier: MIT
"""Units that went down with another one, and come up again after it.

systemd passes a restart on to those that still run; those that were stopped because their unit
failed (BindsTo=) stay down. They are asked for in the order of their After=: systemctl queues a job
for one after the other, and systemd keeps the order among jobs that are queued.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from failhook.actions import control
from failhook.actions.control import Sight
from failhook.classify import timestamp
from failhook.plugin import Request
from failhook.systemd import unit as units
from failhook.systemd.unit import UnitState

_KEYS = ("RequiredBy", "BoundBy", "ConsistsOf")
_MOST = 100
_SLACK_S = 1.0  # between the end of the unit and that of those it took with it


def went_down(request: Request[Any], unit: str, sight: Sight) -> list[str]:
    """Dependents that do not run now, and ended when the unit failed or after that."""
    names = [name for key in _KEYS for name in (sight.state.get(key) or "").split()]
    names = [name for name in dict.fromkeys(names) if name != unit][:_MOST]
    shown = units.show_many(names, control.PROPERTIES, user=request.user)
    incident = request.incident
    since = (incident.main.exited or incident.first_seen) - _SLACK_S
    down = []
    for name, state in shown.items():
        ended = timestamp(state.get("ActiveExitTimestamp"))
        idle = state.get("ActiveState") in ("inactive", "failed")
        if state.get("LoadState") == "loaded" and idle and ended is not None and ended >= since:
            down.append(name)
    after = {name: (shown[name].get("After") or "").split() for name in down}
    return in_order(after)


def in_order(after: Mapping[str, Sequence[str]]) -> list[str]:
    """The names so that each comes after those of them that its After= names; a circle, which
    systemd would break as well, is cut anywhere."""
    ordered: list[str] = []
    begun: set[str] = set()

    def put(name: str) -> None:
        if name in begun or name not in after:
            return
        begun.add(name)
        for other in after[name]:
            put(other)
        ordered.append(name)

    for name in after:
        put(name)
    return ordered


def bring_up(request: Request[Any], names: list[str], until: float, words: list[str]) -> list[str]:
    """Start them and wait until ``until`` (monotonic); returns those that are not up.

    ``words`` is told how it went.
    """
    for name in names:
        control.reset_failed(request, name)
    asked = control.ask(request, "start", *names)  # in their order
    if not asked.ok:
        words.append(f"what went down with it could not be started: {asked.why()}")
        return names
    missing = names
    while True:
        shown = units.show_many(names, control.PROPERTIES, user=request.user)
        missing = [name for name in names if not _is_up(shown.get(name))]
        if time.monotonic() >= until or all(_is_failed(name, shown) for name in missing):
            break
        time.sleep(control.POLL_S[0])
    up = [name for name in names if name not in missing]
    words += [f"with it {control.summary(up)}"] if up else []
    words += [f"not up: {control.summary(missing)}"] if missing else []
    return missing


def _is_failed(name: str, shown: Mapping[str, UnitState]) -> bool:
    return name in shown and shown[name].get("ActiveState") == "failed"


def _is_up(state: UnitState | None) -> bool:
    """Active, or a oneshot that ran to its end."""
    if state is None:
        return False
    if state.get("ActiveState") == "active":
        return True
    over = state.get("Type") == "oneshot" and state.get("Result") == "success"
    return over and state.get("ActiveState") == "inactive"
