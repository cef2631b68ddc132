# SPDX-License-Identifier: MIT
"""The index: answers ``list`` without opening a hundred thousand files. Never the truth.

SQLite (sqlite.org/pragma.html) without waiting for the disk: what a power cut does to it is healed
by reading the incidents again, because any damage, and any directory that came or went behind its
back, is noticed when it is opened.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failhook.incident import Incident, JsonObject

_VERSION = 1
_SCHEMA = """
CREATE TABLE incident (
  name TEXT PRIMARY KEY, id TEXT NOT NULL, unit TEXT NOT NULL, at REAL NOT NULL,
  state TEXT NOT NULL, stage TEXT NOT NULL, signature TEXT, pinned INTEGER NOT NULL,
  bytes INTEGER NOT NULL, document TEXT NOT NULL
);
CREATE INDEX by_time ON incident(at DESC);
CREATE INDEX by_id ON incident(id);
CREATE INDEX by_unit ON incident(unit, at DESC);
CREATE INDEX by_signature ON incident(signature, at);
CREATE INDEX open_ones ON incident(state) WHERE state = 'open';
CREATE INDEX unfinished ON incident(stage) WHERE stage != 'done';
CREATE TABLE seen (mtime_ns INTEGER NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What the index knows of one incident; ``document`` is its JSON without ``evidence``."""

    name: str
    id: str
    unit: str
    at: float
    state: str
    stage: str
    signature: str | None
    pinned: bool
    bytes: int
    document: str

    def parsed(self) -> JsonObject:
        """The document as an object."""
        document: JsonObject = json.loads(self.document)
        return document


def row_of(name: str, incident: Incident) -> Row:
    """The row that an incident deserves."""
    document = incident.to_json()
    document.pop("evidence")
    return Row(
        name=name,
        id=incident.id,
        unit=incident.unit,
        at=incident.first_seen,
        state=incident.state,
        stage=incident.stage,
        signature=incident.signature,
        pinned=incident.pinned,
        bytes=incident.bundle.bytes if incident.bundle else 0,
        document=json.dumps(document, ensure_ascii=False),
    )


class Index:
    """Opened over a directory of incidents; brings itself up to date on the way.

    ``load`` reads one incident directory by name and returns None where it holds none.
    """

    def __init__(self, path: Path, directory: Path, load: Callable[[str], Incident | None]) -> None:
        self._path = path
        self._directory = directory
        self._load = load
        self._db = self._open()
        self.catch_up()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError:
            self._path.unlink(missing_ok=True)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=10.0, isolation_level=None)
        try:
            self._path.chmod(0o600)
            db.execute("PRAGMA synchronous = OFF")
            db.execute("PRAGMA journal_mode = MEMORY")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != _VERSION:
                _create(db)
            else:
                db.execute("SELECT count(*) FROM seen").fetchone()
        except sqlite3.DatabaseError:
            db.close()
            raise
        return db

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def catch_up(self) -> None:
        """Add directories that came and drop rows whose directory went, since the last look."""
        now = self._directory.stat().st_mtime_ns
        row = self._db.execute("SELECT mtime_ns FROM seen").fetchone()
        if row is not None and row[0] == now:
            return
        there = {
            entry.name for entry in self._directory.iterdir() if not entry.name.startswith(".")
        }
        known = {name for (name,) in self._db.execute("SELECT name FROM incident")}
        with self._transaction():
            for name in known - there:
                self._db.execute("DELETE FROM incident WHERE name = ?", (name,))
            for name in sorted(there - known):
                incident = self._load(name)
                if incident is not None:
                    self._insert(row_of(name, incident))
        self.mark_seen(now)

    def mark_seen(self, mtime_ns: int | None = None) -> None:
        """Say that the index knows the directory as it is now."""
        if mtime_ns is None:
            mtime_ns = self._directory.stat().st_mtime_ns
        with self._transaction():
            self._db.execute("DELETE FROM seen")
            self._db.execute("INSERT INTO seen VALUES (?)", (mtime_ns,))

    def put(self, name: str, incident: Incident) -> None:
        """Insert or replace one row."""
        with self._transaction():
            self._insert(row_of(name, incident))

    def drop(self, name: str) -> None:
        """Forget one row."""
        with self._transaction():
            self._db.execute("DELETE FROM incident WHERE name = ?", (name,))

    def _insert(self, row: Row) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO incident VALUES (?,?,?,?,?,?,?,?,?,?)",
            (
                row.name,
                row.id,
                row.unit,
                row.at,
                row.state,
                row.stage,
                row.signature,
                int(row.pinned),
                row.bytes,
                row.document,
            ),
        )

    def select(self, where: str = "1", values: Iterable[object] = (), limit: int = -1) -> list[Row]:
        """Rows, newest first. ``where`` is our own SQL; what comes from outside goes in values."""
        cursor = self._db.execute(
            f"SELECT * FROM incident WHERE {where} ORDER BY at DESC, name DESC LIMIT ?",  # noqa: S608
            (*values, limit),
        )
        return [_row(fields) for fields in cursor]

    def count(self, where: str = "1", values: Iterable[object] = ()) -> int:
        """How many rows there are."""
        query = f"SELECT count(*) FROM incident WHERE {where}"  # noqa: S608 - as in select
        (number,) = self._db.execute(query, tuple(values)).fetchone()
        return int(number)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _row(fields: Sequence[Any]) -> Row:
    name, key, unit, at, state, stage, signature, pinned, size, document = fields
    return Row(name, key, unit, at, state, stage, signature, bool(pinned), size, document)


def _create(db: sqlite3.Connection) -> None:
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        db.execute(f'DROP TABLE "{name}"')
    db.executescript(_SCHEMA)
    db.execute(f"PRAGMA user_version = {_VERSION}")
