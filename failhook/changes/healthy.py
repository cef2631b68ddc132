# SPDX-License-Identifier: MIT
"""Does a unit run well: up for a while, or ended well? Pure."""

from __future__ import annotations

from collections.abc import Iterable

from failhook.classify import timestamp
from failhook.incident import unix_time
from failhook.store.index import Row
from failhook.systemd.unit import UnitState

YOUNG_S = 10.0  # up for longer: it runs
_RECENT_S = 86400.0
_MOST_PATIENT_S = 3600.0
_EXITED, _KILLED = "1", "2"  # CLD_EXITED, CLD_KILLED (waitid(2))
_CLEAN_SIGNALS = ("1", "2", "13", "15")  # systemd.service(5), "SuccessExitStatus="


def runs_well(state: UnitState, now: float, patience_s: float, *, told: bool = False) -> bool:
    """Is ``state`` that of a unit to be remembered? ``told``: its clean stop was reported."""
    if not state.found:
        return False
    active = state.get("ActiveState")
    if active == "active":
        since = timestamp(state.get("ActiveEnterTimestamp"))
        return since is not None and now - since > patience_s
    return active == "inactive" and _ended_well(state, patience_s, told=told)


def _ended_well(state: UnitState, patience_s: float, *, told: bool) -> bool:
    """Also of one whose failure was forgotten (``reset-failed``): it ended badly all the same."""
    code, status = state.get("ExecMainCode"), state.get("ExecMainStatus") or "0"
    clean = (code == _EXITED and status == "0") or (code == _KILLED and status in _CLEAN_SIGNALS)
    if state.get("Result") != "success" or not clean:
        return False
    if told or state.get("Type") == "oneshot":
        return True
    started = timestamp(state.get("ExecMainStartTimestamp"))
    ended = timestamp(state.get("ExecMainExitTimestamp"))
    return started is not None and ended is not None and ended - started > patience_s


def patience(rows: Iterable[Row], now: float) -> dict[str, float]:
    """How long a unit that failed lately must be up: twice as long as its newest failed run was.

    One that crashes every minute does not run well in between.
    """
    found: dict[str, float] = {}
    for row in rows:  # newest first
        if row.unit in found or not 0 <= now - row.at < _RECENT_S:
            continue
        found[row.unit] = YOUNG_S
        main = row.parsed().get("main")
        if isinstance(main, dict):
            started, exited = main.get("started"), main.get("exited")
            if isinstance(started, str) and isinstance(exited, str):
                lasted = unix_time(exited) - unix_time(started)
                found[row.unit] = min(_MOST_PATIENT_S, max(YOUNG_S, 2 * lasted))
    return found
