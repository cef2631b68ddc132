# SPDX-License-Identifier: MIT
"""A later look at units that somebody waits for: did systemd give up, or is the unit well again?

Nothing polls for this: the runner looks when it comes to rest and once more before it leaves; a
clean stop and the next failure tell the rest.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import partial

from failhook.boot import running
from failhook.classify import timestamp
from failhook.incident import Incident, Phase, State
from failhook.store.incidents import Store
from failhook.systemd import unit
from failhook.systemd.boot import boot_id, up_s
from failhook.systemd.unit import UnitState

logger = logging.getLogger(__name__)
HEALTHY_S = 5.0  # up for so long counts as well again
_MOST = 200
_STORY_S = 900.0  # a boot that has not come so far by then has no story
PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "InvocationID",
    "NRestarts",
    "ActiveEnterTimestamp",
)


def settle(store: Store) -> list[Incident]:
    """Look at the newest open incidents once; returns those that changed. Raises OSError."""
    rows = store.rows("state = 'open' AND stage = 'done'", (), _MOST)
    untold = untold_boots(store)
    loaded = [store.load(row.name) for row in rows]
    incidents = [one for one in loaded if one is not None and one.boot_id not in untold]
    changed: list[Incident] = []
    for user in (False, True):
        ours = [one for one in incidents if (one.manager == "user") == user]
        states = unit.show_many({one.unit for one in ours}, PROPERTIES, user=user)
        for incident in ours:
            state = states.get(incident.unit)
            if look(incident, state, time.time()) != incident:
                after = store.update(incident, partial(look, state=state, now=time.time()))
                changed.append(after)
                logger.info("%s: now %s (%s)", after.unit, after.phase, after.state)
    return changed


def untold_boots(store: Store) -> set[str]:
    """Boots that ended while somebody waited, and the story of that is still to be told in this
    one: until then their incidents stay as they are, so that who hears of the end hears all."""
    if store.places.user or up_s() > _STORY_S:
        return set()
    return {one.boot_id for one in running.boots(store.places)} - {boot_id()}


def look(incident: Incident, state: UnitState | None, now: float) -> Incident:
    """The incident as it stands with its unit in ``state``. Pure."""
    if state is None or not state.found:
        return incident
    ours = state.get("InvocationID") in (None, incident.invocation_id)
    active = state.get("ActiveState")
    if active == "failed" and (ours or incident.invocation_id is None):
        return _final(incident, state)
    since = timestamp(state.get("ActiveEnterTimestamp"))
    came_back = active == "active" and since is not None and since > incident.first_seen
    if came_back and since is not None and now - since >= HEALTHY_S:
        return replace(incident, state=State.RECOVERED, recovered_at=since)
    return incident


def _final(incident: Incident, state: UnitState) -> Incident:
    if incident.phase not in (Phase.RESTARTING, Phase.UNKNOWN) or incident.boot_id != boot_id():
        return incident
    tried = incident.phase is Phase.RESTARTING or (state.number("NRestarts") or 0) > 0
    return replace(incident, phase=Phase.GAVE_UP if tried else Phase.FAILED)
