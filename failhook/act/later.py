# SPDX-License-Identifier: MIT
"""The later look: what became of a unit that somebody heard of, and who hears of that."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial

from failhook import settle
from failhook.actions import notice
from failhook.config.model import Configuration
from failhook.incident import Incident, Phase, State
from failhook.message import Event
from failhook.outcomes import Done
from failhook.response import messages
from failhook.response import stage as response
from failhook.store.incidents import Store
from failhook.systemd import unit

_MOST_SHOWN = 200


def look(store: Store, configuration: Configuration, incident: Incident) -> Incident:
    """Look at the incident's unit once, tell the news, and return it as it is. Raises OSError."""
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


def show_at_login(store: Store) -> None:
    """What somebody who logs in is told: the open incidents that a ``wall`` action spoke of."""
    rows = store.rows("state = 'open' AND stage = 'done'", (), _MOST_SHOWN)
    found = []
    for row in rows:
        document = row.parsed()
        actions, verdict = document.get("actions"), document.get("verdict")
        shown = isinstance(actions, list) and any(
            isinstance(one, dict) and (one.get("type"), one.get("state")) == ("wall", Done.DONE)
            for one in actions
        )
        summary = verdict.get("summary") if isinstance(verdict, dict) else None
        if shown and document.get("manager") == "system":
            found.append(notice.Open(row.unit, str(summary or f"{row.unit} failed"), row.at))
    notice.show(found)
