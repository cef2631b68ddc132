# SPDX-License-Identifier: MIT
"""The index: answers ``list`` without opening a hundred thousand files. Never the truth.

SQLite (sqlite.org/pragma.html) without waiting for the disk: what a power cut does to it is healed
by reading the incidents again. Any directory that came or went behind its back is noticed when it
is opened; a row that is not as it was written, when it is read. A cut may also bring back what a
sound file held half a minute before: the first look of each boot is a thorough one, in which SQLite
checks the whole file, and each row is compared with the record that it was made of.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failhook.incident import Incident, JsonObject
from failhook.systemd.boot import boot_id

_VERSION = 3
RECORD = "incident.json"
_SCHEMA = """
CREATE TABLE incident (
  name TEXT PRIMARY KEY, id TEXT NOT NULL, unit TEXT NOT NULL, at REAL NOT NULL,
  state TEXT NOT NULL, stage TEXT NOT NULL, signature TEXT, pinned INTEGER NOT NULL,
  bytes INTEGER NOT NULL, document TEXT NOT NULL, record TEXT NOT NULL, checksum INTEGER NOT NULL
);
CREATE INDEX by_time ON incident(at DESC);
CREATE INDEX by_id ON incident(id);
CREATE INDEX by_unit ON incident(unit, at DESC);
CREATE INDEX by_signature ON incident(signature, at);
CREATE INDEX open_ones ON incident(state) WHERE state = 'open';
CREATE INDEX unfinished ON incident(stage) WHERE stage != 'done';
CREATE TABLE seen (mtime_ns INTEGER NOT NULL, boot TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What the index knows of one incident; ``document`` is its JSON without ``evidence``
    and ``decision``."""

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
    document.pop("decision")
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
        document=json.dumps(document),  # ASCII, whatever a log line held
    )


class Index:
    """Opened over a directory of incidents; brings itself up to date on the way.

    ``load`` reads one incident directory by name and returns None where it holds none.
    """

    def __init__(
        self, path: Path | None, directory: Path, load: Callable[[str], Incident | None]
    ) -> None:
        """``path`` None keeps it in memory. Raises sqlite3.Error or OSError."""
        self._path = path
        self._directory = directory
        self._load = load
        try:
            self._db = self._connect()
        except sqlite3.DatabaseError:
            if path is None:
                raise
            path.unlink(missing_ok=True)
            self._db = self._connect()
        self._file = self._identity()

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path or ":memory:", timeout=10.0, isolation_level=None)
        try:
            if self._path is not None and self._path.stat().st_mode & 0o077:
                self._path.chmod(0o600)
            db.execute("PRAGMA synchronous = OFF")
            db.execute("PRAGMA journal_mode = MEMORY")
            # What is sorted may be larger than SQLite's cache, and the runner's sandbox has no
            # directory for temporary files: "disk I/O error" from the thousandth incident on.
            db.execute("PRAGMA temp_store = MEMORY")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version != _VERSION:
                _create(db)
            self._catch_up(db)
        except BaseException:
            db.close()
            raise
        return db

    def _identity(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        with contextlib.suppress(OSError):
            found = self._path.stat()
            return found.st_dev, found.st_ino
        return None

    @property
    def is_replaced(self) -> bool:
        """Somebody threw the file away that is open here: what is put into it nobody will see."""
        return self._path is not None and self._identity() != self._file

    @property
    def in_memory(self) -> bool:
        """The disk had no place for it when it was opened."""
        return self._path is None

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def catch_up(self, *, thorough: bool = False) -> None:
        """Add directories that came and drop rows whose directory went, since the last look.

        ``thorough``: read again whatever was written without its row, too.
        """
        self._catch_up(self._db, thorough=thorough)

    def _catch_up(self, db: sqlite3.Connection, *, thorough: bool = False) -> None:
        now = self._directory.stat().st_mtime_ns
        mtime_ns, boot = db.execute("SELECT mtime_ns, boot FROM seen").fetchone() or (None, None)
        if boot != boot_id():
            thorough = True
            _examine(db)
        if mtime_ns == now and not thorough:
            return
        there = {
            entry.name for entry in self._directory.iterdir() if not entry.name.startswith(".")
        }
        known: dict[str, str] = dict(db.execute("SELECT name, record FROM incident"))
        fresh = there - known.keys()
        if thorough:
            fresh |= {name for name in there & known.keys() if self._record(name) != known[name]}
        with _transaction(db):
            for name in known.keys() - there:
                db.execute("DELETE FROM incident WHERE name = ?", (name,))
            for name in sorted(fresh):
                record = self._record(name)  # first: what is written meanwhile is read once more
                incident = self._load(name)
                if incident is not None:
                    _insert(db, row_of(name, incident), record)
            _mark(db, now)

    def _record(self, name: str) -> str:
        """Which file the record of an incident is: another one, whenever it was written."""
        try:
            found = (self._directory / name / RECORD).stat()
        except OSError:
            return ""
        return f"{found.st_mtime_ns}.{found.st_ino}"

    def mark_seen(self) -> None:
        """Say that the index knows the directory as it is now."""
        mtime_ns = self._directory.stat().st_mtime_ns
        with _transaction(self._db):
            _mark(self._db, mtime_ns)

    def put(self, name: str, incident: Incident) -> None:
        """Insert or replace one row."""
        record = self._record(name)
        with _transaction(self._db):
            _insert(self._db, row_of(name, incident), record)

    def drop(self, name: str) -> None:
        """Forget one row."""
        with _transaction(self._db):
            self._db.execute("DELETE FROM incident WHERE name = ?", (name,))

    def select(self, where: str = "1", values: Iterable[object] = (), limit: int = -1) -> list[Row]:
        """Rows, newest first. ``where`` is our own SQL; what comes from outside goes in values.

        Raises sqlite3.DatabaseError, also for a row that is not as it was written.
        """
        cursor = self._db.execute(
            f"SELECT * FROM incident WHERE {where} ORDER BY at DESC, name DESC LIMIT ?",  # noqa: S608
            (*values, limit),
        )
        return [_row(fields) for fields in cursor]

    def units(self, where: str = "1", values: Iterable[object] = ()) -> list[str]:
        """The names of the units that have such rows, sorted."""
        query = f"SELECT DISTINCT unit FROM incident WHERE {where} ORDER BY unit"  # noqa: S608 - as in select
        return [str(unit) for (unit,) in self._db.execute(query, tuple(values))]

    def count(self, where: str = "1", values: Iterable[object] = ()) -> int:
        """How many rows there are."""
        query = f"SELECT count(*) FROM incident WHERE {where}"  # noqa: S608 - as in select
        (number,) = self._db.execute(query, tuple(values)).fetchone()
        return int(number)


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # a full disk has ended it already
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _mark(db: sqlite3.Connection, mtime_ns: int) -> None:
    db.execute("DELETE FROM seen")
    db.execute("INSERT INTO seen VALUES (?, ?)", (mtime_ns, boot_id()))


def _examine(db: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError where a tree misses what another one has."""
    (said,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if said != "ok":
        raise sqlite3.DatabaseError(str(said))


def _insert(db: sqlite3.Connection, row: Row, record: str) -> None:
    fields = (
        row.name,
        row.id,
        row.unit,
        float(row.at),
        row.state,
        row.stage,
        row.signature,
        int(row.pinned),
        row.bytes,
        row.document,
        record,
    )
    db.execute(
        "INSERT OR REPLACE INTO incident VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        (*fields, _checksum(fields)),
    )


def _checksum(fields: Sequence[Any]) -> int:
    """SQLite has none of its own, and a page that came back wrong may well look right to it."""
    return zlib.crc32("\0".join(map(str, fields)).encode("utf-8", "backslashreplace"))


def _row(fields: Sequence[Any]) -> Row:
    *kept, checksum = fields
    if _checksum(kept) != checksum:
        raise sqlite3.DatabaseError("a row of the index is not as it was written")
    name, key, unit, at, state, stage, signature, pinned, size, document, _record = kept
    return Row(name, key, unit, at, state, stage, signature, bool(pinned), size, document)


def _create(db: sqlite3.Connection) -> None:
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        db.execute(f'DROP TABLE "{name}"')
    db.executescript(_SCHEMA)
    db.execute(f"PRAGMA user_version = {_VERSION}")
