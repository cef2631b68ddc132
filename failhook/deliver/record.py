# SPDX-License-Identifier: MIT
"""What became of a delivery, written into its incident and said in the journal."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass

from failhook.config.model import ActionTable
from failhook.incident import Incident, JsonObject
from failhook.outcomes import Done, Entry, with_entry
from failhook.places import Places
from failhook.queue import Item
from failhook.store.incidents import Store, StoreError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """How one try of one item went, or that there is none."""

    state: Done
    detail: str
    started: float | None = None
    took_ms: int | None = None
    data: JsonObject | None = None


class Record:
    """Writes into incidents. An incident that was forgotten meanwhile is no reason to stop."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._store: Store | None = None

    def close(self) -> None:
        """Let go of the history."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def note(self, item: Item, table: ActionTable | None, attempts: int, result: Result) -> None:
        """Write the entry of ``item``. Raises OSError (a full disk)."""
        event = item.payload.get("event")
        entry = Entry(
            id=item.id,
            name=item.action,
            type=table.type if table is not None else "",
            state=result.state,
            attempts=attempts,
            started=result.started,
            took_ms=result.took_ms,
            detail=result.detail,
            step=item.step,
            event=event if isinstance(event, str) else None,
            data=result.data,
        )
        incident = self._incident(item.incident)
        if incident is not None and self._store is not None:
            with contextlib.suppress(FileNotFoundError):
                self._store.update(incident, lambda one: with_entry(one, entry))
        _say(item, attempts, result)

    def _incident(self, name: str) -> Incident | None:
        if "/" in name or name.startswith("."):
            return None
        try:
            self._store = self._store or Store(self._places)
        except StoreError as error:
            logger.error("what was delivered cannot be written down: %s", error)
            return None
        return self._store.load(name)


def _say(item: Item, attempts: int, result: Result) -> None:
    level = logging.INFO if result.state in (Done.DONE, Done.DRY_RUN) else logging.WARNING
    level = logging.ERROR if result.state is Done.FAILED else level
    tries = f", try {attempts}" if attempts > 1 else ""
    logger.log(level, "%s: %s%s: %s", item.action, result.state, tries, result.detail)
