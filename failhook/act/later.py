# SPDX-License-Identifier: MIT
"""The later look: what became of a unit that somebody heard of, and who hears of that."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from failhook import settle
from failhook.actions import notice
from failhook.config.model import Configuration
from failhook.incident import Incident, JsonObject, Phase, State
from failhook.message import Event
from failhook.outcomes import Done
from failhook.response import messages
from failhook.response import stage as response
from failhook.store.incidents import Store
from failhook.systemd import unit
from failhook.systemd.boot import boot_id

_MOST_SHOWN = 200


def look(store: Store, configuration: Configuration, incident: Incident) -> Incident:
    """Look at the incident's unit once, tell the news, and return it as it is. Raises OSError."""
    if incident.boot_id in settle.untold_boots(store):
        return incident
    user = incident.manager == "user"
    states = unit.show_many([incident.unit], settle.PROPERTIES, user=user)
    change = partial(settle.look, state=states.get(incident.unit), now=time.time())
    after = store.update(incident, change)
    if after != incident:
        tell(store, configuration, [after])
    return after


def tell(store: Store, configuration: Configuration, changed: Iterable[Incident]) -> None:
    """Tell those who heard of these incidents what became of them. Raises OSError."""
    if not configuration.actions:
        return
    for incident in changed:
        if incident.state is State.RECOVERED:
            at = incident.recovered_at or time.time()
            messages.tell_news(store, configuration, incident, Event.RECOVERED, at=at)
            response.over(store.places, incident)
        elif incident.phase in (Phase.GAVE_UP, Phase.FAILED):
            response.reconsider(store, configuration, incident)
        if incident.state is not State.RECOVERED and incident.phase is Phase.GAVE_UP:
            messages.tell_news(store, configuration, incident, Event.GAVE_UP, at=time.time())


def recovered(
    store: Store, configuration: Configuration, incident: Incident, at: float, helped: str | None
) -> Incident:
    """The unit is well: the incident is over, and everybody who heard of it hears that.

    ``helped`` is the action that did it. Raises OSError.
    """
    after = store.update(incident, lambda one: _well(one, at))
    messages.tell_news(store, configuration, after, Event.RECOVERED, at=at, helped=helped)
    response.over(store.places, after)
    return after


def _well(incident: Incident, at: float) -> Incident:
    if incident.state is not State.OPEN:
        return incident
    return replace(incident, state=State.RECOVERED, recovered_at=at)


def show_at_login(store: Store) -> None:
    """What somebody who logs in is told: the open incidents that a ``wall`` action spoke of, and
    what the machine went through before this boot. Raises OSError."""
    found, past = [], []
    for row in store.rows("stage = 'done'", (), _MOST_SHOWN):
        document = row.parsed()
        if document.get("manager") != "system":
            continue
        if row.state == State.OPEN and _was_on_terminals(document):
            found.append(notice.Open(row.unit, _sentence(document, row.unit), row.at))
        aftermath = document.get("aftermath")
        if isinstance(aftermath, dict) and aftermath.get("boot_id") == boot_id():
            past.append(f"this machine {aftermath.get('summary')}")
    notice.show(found, past=past)


def _was_on_terminals(document: JsonObject) -> bool:
    actions = document.get("actions")
    return isinstance(actions, list) and any(
        isinstance(one, dict) and (one.get("type"), one.get("state")) == ("wall", Done.DONE)
        for one in actions
    )


def _sentence(document: JsonObject, unit: str) -> str:
    verdict = document.get("verdict")
    summary = verdict.get("summary") if isinstance(verdict, dict) else None
    return str(summary or f"{unit} failed")
