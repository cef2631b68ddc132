# SPDX-License-Identifier: MIT
"""One step of a plan: done once, its outcome in the incident before the step leaves the queue.

A step whose process was killed, or whose machine went down, is begun again only where doing it
twice is as good as once (`Action.repeatable`); else it is reported as interrupted. What an action
does happens in a process of its own (`failhook.isolate`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from failhook import files, isolate, outbox
from failhook.act import later
from failhook.action import Action, Outcome, Request, failed
from failhook.actions import table as actions
from failhook.actions.schema import secrets_in
from failhook.boot import endings
from failhook.config.model import ActionTable, Configuration
from failhook.incident import Incident, State
from failhook.message import Event
from failhook.outcomes import Done, Entry, with_entry
from failhook.places import Places
from failhook.plan import Planned
from failhook.queue import Item, Queue
from failhook.response import circumstances, messages
from failhook.response import stage as response
from failhook.response.ledger import Ledger
from failhook.response.threads import Threads
from failhook.store.incidents import BUNDLE, Store, directory_name
from failhook.systemd.boot import boot_id

logger = logging.getLogger(__name__)
Find = Callable[[str], "Action[Any] | None"]  # the action of that type, None: there is none
_BACKOFF_S = 10.0  # before the first retry; twice as long before each further one
_LONGEST_S = 3600.0


@dataclass(frozen=True, slots=True)
class _Ready:
    """A step with all that it needs."""

    item: Item
    incident: Incident
    table: ActionTable
    action: Action[Any]
    options: Any

    @property
    def timeout_s(self) -> float:
        """The administrator's word, else the type's."""
        given = self.table.timeout_s
        return self.action.timeout_s if given is None else given

    @property
    def retries(self) -> int:
        """How many further tries it has."""
        given = self.table.retries
        return self.action.retries if given is None else given


class Steps:
    """Works single items of `Places.due`."""

    def __init__(self, places: Places, configuration: Configuration, find: Find) -> None:
        self._places = places
        self._configuration = configuration
        self._find = find
        self._store = Store(places)
        self._queue = Queue(places.due)

    def close(self) -> None:
        """Let go of the history."""
        self._store.close()

    def work(self, path: Path) -> None:
        """Do the step in ``path``, which is ours by a claim. Raises OSError (a full disk)."""
        item = self._queue.read(path)
        if item is None:
            return
        incident = self._store.load(item.incident)
        if incident is None:
            logger.warning("%s: its incident was forgotten; nothing is done", item.id)
            self._queue.done(path)
            return
        if item.kind == "look":
            self._look(item, incident)
            self._queue.done(path)
            return
        ready = self._ready(item, incident)
        if isinstance(ready, str):
            self._note(incident, self._entry(item, Done.FAILED, ready))
            self._queue.done(path)
        elif ready.action.delivers:
            self._deliver(ready)
            self._queue.done(path)
        elif (obstacle := self._obstacle(ready)) is not None:
            self._note(incident, self._entry(item, obstacle[0], obstacle[1]))
            self._queue.done(path)
        else:
            self._carry_out(path, ready)
        self._let_go(incident)

    # -- before -----------------------------------------------------------------------------------

    def _ready(self, item: Item, incident: Incident) -> _Ready | str:
        """The step, or what is wrong with it."""
        table = self._configuration.actions.get(item.action)
        if table is None:
            return f"there is no [action.{item.action}] any more"
        try:
            action = self._find(table.type)
        except Exception as error:  # noqa: BLE001 - a plugin's own code
            return f"type {table.type}: {type(error).__name__}: {error}"
        if action is None:
            return f"there is no type {table.type!r}; see: failhook plugins"
        options, mistakes = actions.bind(action, table.raw)
        if options is None:
            first = mistakes[0]
            return f"its configuration is wrong: {first.key} {first.message} (failhook check)"
        return _Ready(item, incident, table, action, options)

    def _obstacle(self, ready: _Ready) -> tuple[Done, str] | None:
        """What came in between since it was planned."""
        if ready.item.started is not None and not ready.action.repeatable:
            ending = endings.of_step(endings.known(self._places), ready.item.id)
            if ending is not None and ending.boot_id != boot_id():
                return Done.DONE, f"asked systemd for {ending.how}; this is the boot after it"
            text = "it was interrupted by a kill or a reboot; whether it was done is not known"
            return Done.INTERRUPTED, text
        paused = circumstances.paused_text(Ledger(self._places), time.time())
        if paused is not None:
            return Done.LEFT_OUT, f"paused: {paused}"
        return None

    # -- doing it ---------------------------------------------------------------------------------

    def _carry_out(self, path: Path, ready: _Ready) -> None:
        item = replace(ready.item, started=time.time(), attempts=ready.item.attempts + 1)
        path = self._queue.replace(path, item)
        self._note(ready.incident, self._entry(item, Done.RUNNING, None, ready))
        began = time.monotonic()
        outcome = self._run(replace(ready, item=item))
        took_ms = round((time.monotonic() - began) * 1000)
        state = _state(ready, item, outcome)
        entry = self._entry(item, state, outcome.detail, ready)
        entry = replace(entry, took_ms=took_ms, helped=outcome.helped, data=_plain(outcome))
        incident = self._note(ready.incident, entry)
        if state is Done.WAITING:
            due = time.time() + _pause(item.attempts, outcome.retry_after_s)
            self._queue.replace(path, replace(item, started=None, not_before=due))
            return
        if outcome.helped is not None and state is not Done.LEFT_OUT:
            self._learn(incident, item, outcome)
        if ready.table.type == "wall" and not self._places.user:
            later.show_at_login(self._store)
        self._queue.done(path)

    def _run(self, ready: _Ready) -> Outcome:
        try:
            state = files.make_private(
                files.make_private(self._places.action_state) / ready.item.action
            )
        except OSError as error:
            return failed(f"no place for its state: {error}")
        bundle = self._store.directory(ready.incident) / BUNDLE
        request = Request(
            name=ready.item.action,
            options=ready.options,
            incident=ready.incident,
            id=ready.item.id,
            attempt=ready.item.attempts,
            dry_run=ready.table.dry_run,
            user=ready.incident.manager == "user",
            deadline_s=ready.timeout_s,
            bundle=bundle if ready.incident.bundle is not None else None,
            state=state,
        )
        self._store.close()  # an SQLite connection must not cross a fork
        return isolate.run_isolated(
            partial(ready.action.run, request),
            timeout_s=ready.timeout_s,
            secrets=secrets_in(ready.options),
        )

    def _deliver(self, ready: _Ready) -> None:
        """A plugin that tells somebody: only now it is known that it goes through the outbox."""
        incident, item = ready.incident, ready.item
        thread = Threads(self._places).joined(incident)
        planned = Planned(
            action=item.action,
            type=ready.table.type,
            rule="",
            step=item.step or 1,
            number=thread.count,
            state=Done.DUE,
            reason="",
            event=Event.OPENED,
        )
        message = replace(messages.of_plan(incident, thread, planned, ready.table), id=item.id)
        outbox.enqueue(self._places, message, action=item.action)

    # -- after ------------------------------------------------------------------------------------

    def _learn(self, incident: Incident, item: Item, outcome: Outcome) -> None:
        """Remember whether it helped; tell those who heard of the trouble that it is over."""
        by_us = outcome.data.get("already") is not True  # it was well before we did anything
        ledger = Ledger(self._places)
        if by_us:
            with ledger.locked():
                ledger.helped(incident, item.action, item.id, helped=bool(outcome.helped))
        if outcome.helped:
            helped = item.action if by_us else None
            later.recovered(self._store, self._configuration, incident, time.time(), helped)

    def _look(self, item: Item, incident: Incident) -> None:
        if item.payload.get("what") == "over":
            self._over(incident)
            return
        if item.payload.get("what") == "decide":
            if incident.state is State.OPEN:
                response.respond(self._store, self._configuration, incident)
            return
        after = later.look(self._store, self._configuration, incident)
        number = item.payload.get("number")
        response.look_again(self._places, after, number if isinstance(number, int) else 0)

    def _over(self, incident: Incident) -> None:
        """Count the end where the beginning was counted, and show no more what was shown."""
        for entry in list(incident.actions):
            if entry.get("type") == "metrics" and entry.get("state") == Done.DONE:
                name = str(entry["name"])
                item = Item(
                    id=f"{incident.id}-over-{name}"[:80],
                    action=name,
                    kind="step",
                    incident=directory_name(incident),
                    created=time.time(),
                )
                self._queue.put(item)
        if not self._places.user:
            later.show_at_login(self._store)

    def _let_go(self, incident: Incident) -> None:
        """The unit goes on as soon as the steps before its restart are over."""
        known = self._store.load(directory_name(incident)) or incident
        if not response.holds(known):
            response.let_go(self._places, known)

    def _note(self, incident: Incident, entry: Entry) -> Incident:
        after = self._store.update(incident, lambda one: with_entry(one, entry))
        level = logging.WARNING if entry.state in (Done.FAILED, Done.INTERRUPTED) else logging.INFO
        if entry.state is not Done.RUNNING:
            words = (incident.unit, entry.name, entry.state, entry.detail or "")
            logger.log(level, "%s: %s %s: %s", *words)
        return after

    def _entry(
        self, item: Item, state: Done, detail: str | None, ready: _Ready | None = None
    ) -> Entry:
        table = self._configuration.actions.get(item.action)
        return Entry(
            id=item.id,
            name=item.action,
            type=ready.table.type if ready else table.type if table else "",
            state=state,
            attempts=item.attempts,
            started=item.started,
            detail=detail,
            step=item.step,
        )


def _state(ready: _Ready, item: Item, outcome: Outcome) -> Done:
    if outcome.ok:
        if outcome.data.get("left_out") is True:
            return Done.LEFT_OUT
        return Done.DRY_RUN if ready.table.dry_run else Done.DONE
    if outcome.final or outcome.gone or item.attempts > ready.retries:
        return Done.FAILED
    return Done.WAITING


def _pause(attempts: int, retry_after_s: float | None) -> float:
    if retry_after_s is not None:
        return min(max(retry_after_s, 1.0), _LONGEST_S)
    return float(min(_BACKOFF_S * 2 ** (attempts - 1), _LONGEST_S))


def _plain(outcome: Outcome) -> dict[str, Any] | None:
    return dict(outcome.data) or None
