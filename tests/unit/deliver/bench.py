# SPDX-License-Identifier: MIT
"""An outbox, its incidents, and an action that does what a test wants."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from failhook import outbox, testing
from failhook.action import Action, Outcome, Request, done
from failhook.config.model import ActionTable, Configuration
from failhook.deliver import schedule
from failhook.deliver.lane import Lane
from failhook.message import Event
from failhook.places import Places
from failhook.queue import Item, Queue
from failhook.store.incidents import Store


@dataclass(frozen=True)
class Options:
    """None."""


Run = Callable[[Request[Any]], Outcome]


@dataclass
class Bench:
    """``script`` is what the action does, one after the other, then it succeeds."""

    places: Places
    log: Path  # a line per try: works over processes
    script: list[Run | Outcome] = field(default_factory=list)
    limit_s: float = 5.0
    table: ActionTable = field(default_factory=lambda: ActionTable("tell", "test"))

    @property
    def queue(self) -> Queue:
        return Queue(self.places.outbox)

    def put(self, number: int, **changes: Any) -> Path:
        """A message about an incident of its own; ``changes`` for `outbox.enqueue`."""
        incident = testing.incident(id=f"inc{number:04}", unit=f"u{number}.service", actions=())
        store = Store(self.places)
        if not store.directory(incident).exists():
            store.create(incident)
        store.close()
        message = testing.message(
            changes.pop("event", Event.OPENED), incident=incident, id=f"m{number}"
        )
        message = replace(message, excerpt=("a line of evidence",), at=message.at + number)
        return outbox.enqueue(self.places, message, action=changes.pop("action", "tell"), **changes)

    def find(self, name: str) -> Action[Any] | None:
        """The action, of the one type that there is."""
        if name != "test":
            return None
        return Action(
            "test", "for a test", Options, self._run, delivers=True, timeout_s=self.limit_s
        )

    def _run(self, request: Request[Any]) -> Outcome:
        assert request.message is not None
        what = f"{request.message.id} {request.attempt} {request.message.event} {time.time()}\n"
        with self.log.open("a") as stream:
            stream.write(what)
        step = self.script.pop(0) if self.script else done("taken")
        return step if isinstance(step, Outcome) else step(request)

    @property
    def tried(self) -> list[str]:
        """The ids of the messages, in the order in which they were tried."""
        return [line.split()[0] for line in self.log.read_text().splitlines()]

    @property
    def lines(self) -> list[list[str]]:
        """The whole log: id, attempt, event, time."""
        return [line.split() for line in self.log.read_text().splitlines()]

    def lane(self, **changes: Any) -> Lane:
        """Work the destination here."""
        return Lane(self.places, self.table, self.find, **changes)

    def configuration(self, *tables: ActionTable) -> Configuration:
        """With ``tables``, or the one."""
        return Configuration(actions={one.name: one for one in tables or (self.table,)})

    def entry(self, number: int) -> dict[str, Any]:
        """What the incident of message ``number`` says of its delivery."""
        (directory,) = self.places.incidents.glob(f"*-inc{number:04}")
        store = Store(self.places)
        found = store.load(directory.name)
        store.close()
        assert found is not None
        (entry,) = found.actions
        return dict(entry)

    def items(self) -> list[Item]:
        """All of them, read."""
        paths = [*self.queue.waiting(), *self.queue.later(), *self.queue.dead()]
        return [item for path in paths if (item := self.queue.read(path))]


def quick(monkeypatch: pytest.MonkeyPatch, *seconds: float, in_process_s: float = 0.5) -> None:
    """Another schedule: the pauses before the second try, the third, …"""
    monkeypatch.setattr(schedule, "SCHEDULE_S", (0.0, *seconds))
    monkeypatch.setattr(schedule, "TRIES", len(seconds) + 1)
    monkeypatch.setattr(schedule, "WHOLE_S", sum(seconds))
    monkeypatch.setattr(schedule, "IN_PROCESS_S", in_process_s)
