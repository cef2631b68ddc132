# SPDX-License-Identifier: MIT
"""The history on disk: find, write, change and remove incidents.

`/var/lib/failhook/incidents/<time>-<unit>-<id>/` holds ``incident.json``, the bundle, and, until
that is packed, ``hook.json`` (what the hook saw). Every change is a whole file written beside and
renamed. Names sort by time. The index follows and is never waited for.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from failhook import files
from failhook.incident import Incident
from failhook.places import Places
from failhook.store import codec
from failhook.store.index import RECORD, Index, Row

logger = logging.getLogger(__name__)
HOOK = "hook.json"
BUNDLE = "bundle.tar.gz"
RESERVE = "reserve"
LEDGERS = ("rules", "helped", "threads")  # directories of the ledger
RESERVE_BYTES = 1 << 20
_MAX_RECORD = 16 << 20
_LOCK_S = 5.0
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9:_.@-]")
T = TypeVar("T")


class StoreError(Exception):
    """The history cannot be used: says what to do."""


class NotFound(StoreError):
    """No incident answers to that name."""


def directory_name(incident: Incident) -> str:
    """Time, unit and id of an incident, in a name that any file system takes and that sorts."""
    stamp = datetime.fromtimestamp(incident.first_seen, UTC).strftime("%Y%m%dT%H%M%SZ")
    unit = _NOT_IN_NAMES.sub("_", incident.unit)[:150]
    return f"{stamp}-{unit}-{incident.id}"


class Store:
    """The history of one failhook. Creating it makes the directories where they are missing."""

    def __init__(self, places: Places, *, create: bool = True) -> None:
        self.places = places
        try:
            if create:
                for directory in (places.state, places.incidents, places.signatures):
                    files.make_private(directory)
            else:
                places.incidents.stat()
            self._index: Index | None = None
        except FileNotFoundError:
            raise NotFound("no incident was ever recorded here") from None
        except PermissionError as error:
            raise StoreError(f"{error.filename or places.state}: {error.strerror}") from None
        except OSError as error:
            raise StoreError(f"{places.state}: {error}") from None

    def close(self) -> None:
        """Let go of the index."""
        if self._index is not None:
            self._index.close()
            self._index = None

    # -- the truth ------------------------------------------------------------------------------

    def directory(self, incident: Incident) -> Path:
        """Where an incident lives."""
        return self.places.incidents / directory_name(incident)

    def create(self, incident: Incident, hook_record: bytes | None = None) -> Path:
        """Make the directory, complete before it has its name. Raises OSError (a full disk)."""
        final = self.directory(incident)
        if final.exists():
            self._make_way(final)
        fresh = files.temporary(final)
        files.remove_tree(fresh)
        fresh.mkdir(mode=files.PRIVATE_DIR)
        try:
            if hook_record is not None:
                files.write(fresh / HOOK, hook_record)
            files.write(fresh / RECORD, codec.dump(incident))
            fresh.rename(final)
        except OSError:
            with contextlib.suppress(OSError):
                files.remove_tree(fresh)
            raise
        files.sync_directory(final.parent)
        self._follow(final.name, incident, new=True)
        return final

    def _make_way(self, final: Path) -> None:
        """A record that cannot be read any more must not keep its failure from being recorded.

        Raises FileExistsError where it can be read: the index did not know, and is made anew.
        """
        if self.load(final.name) is not None:
            self.discard_index()
            raise FileExistsError(errno.EEXIST, "was recorded already", str(final))
        files.make_private(self.places.set_aside)
        aside = self.places.set_aside / final.name
        files.remove_tree(aside)
        final.rename(aside)
        logger.error("%s cannot be read; set aside as %s", final / RECORD, aside)

    def save(self, incident: Incident) -> None:
        """Replace the record of an incident that exists. Raises OSError.

        For who works on it: triggers that were added to the record meanwhile stay in it.
        """
        with self.recording():
            self._write(_with_news(incident, self.load(self.directory(incident).name)))

    def update(self, incident: Incident, change: Callable[[Incident], Incident]) -> Incident:
        """Change the record as it is now, in one step, and return it. Raises OSError.

        For who does not work on it: somebody else may, and must not lose what he wrote.
        """
        with self.recording():
            current = self.load(self.directory(incident).name) or incident
            after = change(current)
            if after != current:
                self._write(after)
        return after

    def _write(self, incident: Incident) -> None:
        directory = self.directory(incident)
        files.write(directory / RECORD, codec.dump(incident))
        self._follow(directory.name, incident)

    def load(self, name: str) -> Incident | None:
        """The incident in directory ``name``; None where there is none or it is damaged."""
        with contextlib.suppress(OSError, codec.CodecError):
            return codec.load(
                files.read_bounded(self.places.incidents / name / RECORD, _MAX_RECORD)
            )
        return None

    def remove(self, name: str) -> None:
        """Forget an incident and its bundle. Raises OSError."""
        files.remove_tree(self.places.incidents / name)
        with contextlib.suppress(sqlite3.Error):
            self.index.drop(name)
            self.index.mark_seen()

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Look at a record and write it as one step: runner and workers both do."""
        with files.locked_directory(self.places.incidents, patience_s=_LOCK_S):
            yield

    @contextlib.contextmanager
    def lock(self, incident: Incident) -> Iterator[bool]:
        """Be the only one who works on an incident; False: somebody else is at it (flock(2))."""
        try:
            fd = os.open(self.directory(incident), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            yield False
            return
        try:
            yield files.try_lock(fd)
        finally:
            os.close(fd)

    # -- a full disk ----------------------------------------------------------------------------

    def keep_reserve(self) -> None:
        """Hold a little space back, so that a failure on a full disk can still be recorded."""
        path = self.places.state / RESERVE
        with contextlib.suppress(OSError):
            if not path.exists():
                files.write(path, bytes(RESERVE_BYTES))

    def release_reserve(self) -> None:
        """Give the space back that `keep_reserve` took; its hour has come."""
        with contextlib.suppress(OSError):
            (self.places.state / RESERVE).unlink()

    def sweep(self) -> None:
        """Remove what was half made by somebody who was killed."""
        places = self.places
        books = (places.ledger, *(places.ledger / name for name in LEDGERS))
        rest = (places.signatures, places.incidents, places.run, places.waited_for.parent)
        for directory in (places.state, *rest, *books):
            files.sweep_temporaries(directory)

    def recheck(self, since: float) -> None:
        """Somebody was killed who worked since then (Unix seconds): his records count, not his rows
        in the index, and what he left half made goes."""
        for entry in self.places.incidents.iterdir():
            with contextlib.suppress(OSError):
                if entry.stat().st_mtime >= since:
                    files.sweep_temporaries(entry)
        self.ask(lambda index: index.catch_up(thorough=True))

    # -- the index ------------------------------------------------------------------------------

    @property
    def index(self) -> Index:
        """The index, opened and brought up to date on first use.

        Kept in memory where the disk has no place for it (full, read-only). Raises StoreError.
        """
        if self._index is None:
            try:
                self._index = Index(self.places.index, self.places.incidents, self.load)
            except (sqlite3.Error, OSError):
                self._index = self._in_memory()
        return self._index

    def _in_memory(self) -> Index:
        try:
            return Index(None, self.places.incidents, self.load)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self.places.incidents}: {error}") from None

    def _follow(self, name: str, incident: Incident, *, new: bool = False) -> None:
        """The index after the truth; where it cannot (a full disk) it is thrown away instead."""
        try:
            self.index.put(name, incident)
            if self.index.is_replaced:  # perhaps by one that does not have this record
                self.close()
                self.index.put(name, incident)
            if new:
                self.index.mark_seen()
            if self.index.in_memory:  # the file, if there is one, knows nothing of it
                with contextlib.suppress(OSError):
                    self.places.index.unlink()
        except (sqlite3.Error, StoreError):
            self.discard_index()

    def discard_index(self) -> None:
        """Throw the index away; the next look makes it anew."""
        self.close()
        with contextlib.suppress(OSError):
            self.places.index.unlink()

    def ask(self, question: Callable[[Index], T]) -> T:
        """Ask the index; one that turns out to be damaged is rebuilt and asked again.

        Raises StoreError where even that does not help.
        """
        try:
            return question(self.index)
        except sqlite3.DatabaseError:
            self.discard_index()
        try:
            return question(self.index)
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self.places.index}: {error}") from None

    def rows(self, where: str = "1", values: Iterable[object] = (), limit: int = -1) -> list[Row]:
        """Rows of the index, newest first."""
        kept = tuple(values)
        return self.ask(lambda index: index.select(where, kept, limit))

    # -- finding --------------------------------------------------------------------------------

    def by_id(self, incident_id: str) -> Incident | None:
        """The incident with exactly this id."""
        for row in self.rows("id = ?", (incident_id,), 1):
            return self.load(row.name)
        return None

    def find(self, word: str) -> Incident:
        """What a person means by ``word``: an id or its beginning, a unit, or "last".

        Raises NotFound, also where the beginning of an id fits several.
        """
        row = self._find_row(word)
        found = self.load(row.name)
        if found is None:
            raise NotFound(
                f"the record of {row.id} cannot be read: {self.places.incidents / row.name}"
            )
        return found

    def _find_row(self, word: str) -> Row:
        if word == "last":
            rows = self.rows(limit=1)
            if not rows:
                raise NotFound("nothing has failed yet, as far as failhook knows")
            return rows[0]
        units = [word] if "." in word else [word, f"{word}.service"]
        for unit in units:
            for row in self.rows("unit = ?", (unit,), 1):
                return row
        if re.fullmatch(r"[0-9a-f]{2,12}", word):
            rows = self.rows("id >= ? AND id < ?", (word, word + "g"), 6)
            if len(rows) == 1:
                return rows[0]
            if rows:
                names = ", ".join(f"{row.id} ({row.unit})" for row in rows[:5])
                raise NotFound(f"{word} is the beginning of several ids: {names}")
        raise NotFound(f"no incident with the id or unit {word!r}; see: failhook list")


def _with_news(incident: Incident, written: Incident | None) -> Incident:
    """``incident`` with the triggers that only the record knows of."""
    known = {note.id for note in incident.triggers}
    news = [note for note in written.triggers if note.id not in known] if written else []
    if written is None or not news:
        return incident
    return replace(
        incident,
        triggers=(*incident.triggers, *news),
        last_seen=max(incident.last_seen, written.last_seen),
        result=incident.result or written.result,
        exit_code=incident.exit_code or written.exit_code,
        exit_status=incident.exit_status or written.exit_status,
    )
