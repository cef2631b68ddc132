# SPDX-License-Identifier: MIT
"""Which message goes to whom: made of the incident, its thread and the plan."""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import replace

from failhook import outbox
from failhook.config.model import ActionTable, Configuration
from failhook.incident import Incident
from failhook.message import Event, Message
from failhook.outcomes import Done, Entry, with_entry
from failhook.places import Places
from failhook.plan import Planned, Told
from failhook.queue import QueueFull
from failhook.response import circumstances
from failhook.response.ledger import Ledger
from failhook.response.threads import Thread, Threads
from failhook.store.incidents import Store

logger = logging.getLogger(__name__)
_MAX_LINES = 20
_WHY = {
    Event.RECOVERED: "it runs again",
    Event.GAVE_UP: "systemd does not try again",
    Event.REBOOTED: "the machine was booted again",
}


def message_id(incident: Incident, destination: str, event: Event) -> str:
    """The same at every try and after every crash: one message of a kind per run and receiver."""
    return f"{incident.id}-{event.rpartition('.')[2]}-{destination}"[:80]


def item_id(incident: Incident, destination: str, event: Event) -> str:
    """The id of that message's place in the outbox."""
    return outbox.item_id(message_id(incident, destination, event))


def of_plan(incident: Incident, thread: Thread, planned: Planned, table: ActionTable) -> Message:
    """The message that a planned delivery stands for."""
    assert planned.event is not None
    return Message(
        id=message_id(incident, planned.action, planned.event),
        event=planned.event,
        thread=thread.id,
        at=time.time(),
        incident=incident,
        destination=planned.action,
        opened=thread.opened,
        count=thread.count,
        step=planned.step,
        reason=planned.reason,
        excerpt=_excerpt(incident) if table.excerpt else (),
    )


def _excerpt(incident: Incident) -> tuple[str, ...]:
    """Its last words, and what proves the verdict; masked when they were collected."""
    proof = incident.verdict.evidence if incident.verdict else ()
    lines = [*incident.dying_words, *(one.text for one in proof)]
    return tuple(dict.fromkeys(lines))[:_MAX_LINES]


def send(
    places: Places, message: Message, *, not_before: float = 0.0, group: str | None = None
) -> bool:
    """Put it into the outbox; False: that is full, which it says itself. Raises OSError."""
    try:
        outbox.enqueue(
            places, message, action=message.destination, not_before=not_before, group=group
        )
    except QueueFull as error:
        logger.error("%s", error)
        return False
    return True


def tell_news(
    store: Store,
    configuration: Configuration,
    incident: Incident,
    event: Event,
    *,
    at: float,
    helped: str | None = None,
) -> Incident:
    """Tell everybody who heard of this trouble that it is over, or that systemd gave up.

    ``at`` is when that was (Unix seconds). Harmless to repeat. Raises OSError.
    """
    ledger, threads = Ledger(store.places), Threads(store.places)
    with ledger.locked():
        thread = threads.find(incident.unit, incident.manager)
        if thread is None or not thread.is_open:
            return incident
        news = [
            name
            for name, told in thread.told.items()
            if told.event != event and name in configuration.actions
        ]
        for name in news:
            incident = _tell(store, configuration, incident, thread, (name, event, at, helped))
        told = {name: replace(thread.told[name], event=str(event), at=at) for name in news}
        after = replace(thread, told={**thread.told, **told})
        if event is Event.RECOVERED:
            after = replace(after, recovered_at=at)
        threads.save(after)
    return incident


def _tell(
    store: Store,
    configuration: Configuration,
    incident: Incident,
    thread: Thread,
    news: tuple[str, Event, float, str | None],
) -> Incident:
    name, event, at, helped = news
    now = time.time()
    table = configuration.actions[name]
    over = event is Event.RECOVERED
    message = Message(
        id=message_id(incident, name, event),
        event=event,
        thread=thread.id,
        at=now,
        incident=incident,
        destination=name,
        opened=thread.opened,
        count=thread.count,
        step=thread.told[name].step,
        reason=_WHY[event],
        downtime_s=max(0.0, at - thread.opened) if over else None,
        helped=helped,
    )
    entry = Entry(
        id=item_id(incident, name, event), name=name, type=table.type, state=Done.DUE, event=event
    )
    paused = circumstances.paused_text(Ledger(store.places), now)
    muted = circumstances.muted_text(Ledger(store.places), incident, now)
    why = f"paused: {paused}" if paused else f"muted: {muted}" if muted else None
    if why is not None and not table.urgent:
        entry = replace(entry, state=Done.LEFT_OUT, detail=why)
        return store.update(incident, lambda one: with_entry(one, entry))
    quiet = None if table.urgent else circumstances.quiet_until(configuration.quiet, now)
    # recorded before it is put into the outbox: who delivers it writes the next word
    incident = store.update(incident, lambda one: with_entry(one, entry))
    with contextlib.suppress(OSError):
        send(
            store.places,
            message,
            not_before=quiet or 0.0,
            group="quiet" if quiet is not None else None,
        )
    return incident


def told_of(planned: Planned, at: float) -> Told:
    """What the thread remembers of a message."""
    return Told(str(planned.event), planned.rule, planned.step, at)
