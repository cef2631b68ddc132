# SPDX-License-Identifier: MIT
"""The later look: what became of a unit that somebody heard of, and who hears of that."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial

from failhook import settle
from failhook.config.model import Configuration
from failhook.incident import Incident, Phase, State
from failhook.message import Event
from failhook.response import messages
from failhook.response import stage as response
from failhook.store.incidents import Store
from failhook.systemd import unit


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
        elif incident.phase in (Phase.GAVE_UP, Phase.FAILED):
            response.reconsider(store, configuration, incident)
        if incident.state is not State.RECOVERED and incident.phase is Phase.GAVE_UP:
            messages.tell_news(store, configuration, incident, Event.GAVE_UP, at=time.time())
