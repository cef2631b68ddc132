# SPDX-License-Identifier: MIT
"""Work that outlives the process that planned it: one file per item, moved by rename.

A queue is a directory with ``now/`` (due), ``later/`` (has to wait) and ``dead/`` (given up, for a
person to look at). A file's name says all that its order needs, so that a shell script moves what
became due and nobody reads a thousand files to find the first:

    <due: Unix seconds, 12 digits>-<sequence: nanoseconds, 20 digits>-<id>@<action>.json

Items of one action are worked in the order of their sequence, which they keep for ever; ``due``
changes with every postponement. An item in ``now/`` may be worked by whoever holds its claim; what
lies in ``later/`` is only ever renamed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import math
import os
import re
import stat
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from failhook import document, files
from failhook.incident import Json, JsonObject

logger = logging.getLogger(__name__)
MOST = 100_000  # waiting items of one queue
MOST_DEAD = 10_000
MAX_BYTES = 4 << 20  # of one item
UNREADABLE = ".unreadable"
KINDS = ("message", "step", "look")
_LOCK = ".lock"  # hidden: DirectoryNotEmpty= and the listings pass over it
_LAST_DUE = 10**12 - 1
_NAME = re.compile(
    r"([0-9]{12})-([0-9]{20})-([A-Za-z0-9_.-]{1,80})@([A-Za-z0-9][A-Za-z0-9_.-]{0,63})\.json"
)
_ID = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_ACTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_OUR_CLAIM_BIT = 1 << 62  # claims lie above the bytes that the queue itself locks


class QueueFull(Exception):
    """There is no room for another item, and none that may make room for it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of work. Times are Unix seconds.

    ``id`` makes a second `Queue.put` of the same work harmless. ``not_before`` is when the plan
    wants it; how long it waits beyond that is said by its file's name alone.
    """

    id: str
    action: str  # its name in the configuration
    kind: str  # one of KINDS
    incident: str  # the name of the incident's directory
    created: float
    attempts: int = 0
    not_before: float = 0.0
    started: float | None = None  # a try has begun and nobody said how it ended
    step: int | None = None  # of the ladder
    group: str | None = None  # those of one action and group are told as one
    payload: JsonObject = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError for what could not be a file's name or makes no sense."""
        if not _ID.fullmatch(self.id) or not _ACTION.fullmatch(self.action):
            raise ValueError(f"{self.id!r} of {self.action!r} cannot be the name of an item")
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is none of {', '.join(KINDS)}")
        for at in (self.created, self.not_before, self.started):
            if at is not None and not math.isfinite(at):
                raise ValueError("a time that is no number")


@dataclass(frozen=True, slots=True)
class Name:
    """What a file's name says of its item."""

    due: int  # Unix seconds
    sequence: int
    id: str
    action: str

    def __str__(self) -> str:
        return f"{self.due:012d}-{self.sequence:020d}-{self.id}@{self.action}.json"


def name_of(path: Path) -> Name | None:
    """What the name of an item's file says; None for a file that is no item."""
    match = _NAME.fullmatch(path.name)
    return Name(int(match[1]), int(match[2]), match[3], match[4]) if match else None


class Queue:
    """One queue. All methods that write raise OSError (a full or read-only disk)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = directory / "now"
        self.postponed = directory / "later"
        self.buried = directory / "dead"

    def make(self) -> None:
        """Create what is missing. Raises OSError."""
        files.make_private(self.directory)
        for directory in (self.now, self.postponed, self.buried):
            files.make_private(directory)

    # -- looking --------------------------------------------------------------------------------

    def waiting(self) -> list[Path]:
        """What is due, in the order in which it was put."""
        return _listed(self.now, lambda name: name.sequence)

    def later(self) -> list[Path]:
        """What has to wait, the next one first."""
        return _listed(self.postponed, lambda name: (name.due, name.sequence))

    def dead(self) -> list[Path]:
        """What was given up, in the order in which it was put."""
        return _listed(self.buried, lambda name: name.sequence)

    def find(self, item_id: str) -> Path | None:
        """Where the item with that id is, in whatever state."""
        # This order, because a shell script moves from later/ to now/ while we look.
        mark = f"-{item_id}@"
        for directory in (self.postponed, self.now, self.buried):
            for found in _entries(directory):
                if mark in found and (name := name_of(directory / found)) and name.id == item_id:
                    return directory / found
        return None

    def read(self, path: Path) -> Item | None:
        """The item in a file; None where it is gone. What is no item is set aside and logged.

        Raises OSError where it cannot be set aside.
        """
        try:
            return load(files.read_bounded(path, MAX_BYTES + 1))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self.set_aside(path, str(error))
            return None

    # -- changing -------------------------------------------------------------------------------

    def put(self, item: Item) -> Path:
        """Add an item and return its file; one whose id is here already is left as it is.

        Raises QueueFull, ValueError (too large) and OSError.
        """
        data = dump(item)
        with self._alone():
            there = self.find(item.id)
            if there is not None:
                return there
            self._make_room(item)
            name = Name(_due(item.not_before), time.time_ns(), item.id, item.action)
            path = self._place(name.due) / str(name)
            files.write(path, data)
        return path

    def replace(self, path: Path, item: Item, *, due: float | None = None) -> Path:
        """Write ``item`` in the place of the one in ``path``, which is yours by `claim`.

        It is due at ``due``, without one at its ``not_before``, and keeps its sequence. Raises
        FileNotFoundError where it is gone, and OSError.
        """
        path.lstat()
        files.write(path, dump(item))
        return self.postpone(path, item.not_before if due is None else due)

    def postpone(self, path: Path, due: float) -> Path:
        """The item as it is, due at ``due``: into ``later/``, or ``now/`` where that has come.

        Raises FileNotFoundError where it is gone, and OSError.
        """
        return _moved(path, self._postponed(path, due))

    def postpone_all(self, paths: Sequence[Path], due: float) -> None:
        """As `postpone`, for many at once; those that are gone meanwhile are left out."""
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                path.rename(self._postponed(path, due))
        if paths:
            files.sync_directory(self.now)
            files.sync_directory(self.postponed)

    def done(self, path: Path) -> None:
        """The item is worked off."""
        path.unlink(missing_ok=True)
        files.sync_directory(path.parent)

    def bury(self, path: Path, item: Item) -> Path:
        """Give the item up: kept in ``dead/`` for a person, the oldest ones go."""
        path.lstat()
        files.write(path, dump(item))
        buried = self.dead()
        for old in buried[: max(0, len(buried) + 1 - MOST_DEAD)]:
            old.unlink(missing_ok=True)
        return _moved(path, self.buried / path.name)

    def exhume(self, path: Path) -> Path | None:
        """A given up item is due again, with all its tries before it; None where it is gone."""
        item = self.read(path)
        if item is None:
            return None
        fresh = {**asdict(item), "attempts": 0, "not_before": 0.0, "started": None}
        fresh["created"] = time.time()
        return self.replace(path, Item(**fresh))

    def set_aside(self, path: Path, reason: str) -> None:
        """What is no item goes to where a person finds it and nobody tries it again."""
        if stat.S_ISREG(path.lstat().st_mode):
            path.rename(self.buried / f"{path.name[:200]}{UNREADABLE}")
        else:
            files.remove_tree(path)
        logger.error("%s is no work to do (%s); set aside in %s", path, reason, self.buried)

    def tidy(self) -> None:
        """What is not ours to work on leaves ``now/``, which would wake us for ever."""
        for directory in (self.directory, self.now, self.postponed, self.buried):
            files.sweep_temporaries(directory)
        for directory in (self.now, self.postponed):
            for name in _entries(directory):
                if name_of(directory / name) is None:
                    self.set_aside(directory / name, "its name is none of ours")

    @contextlib.contextmanager
    def claim(self, path: Path) -> Iterator[bool]:
        """Be the only one who works on an item in ``now/``; False: somebody else is, or it is gone.

        A lock on one byte of one file, whose place is the item's id: it outlives the replacement
        of the item's file and ends with the process that holds it (fcntl(2), F_OFD_SETLK).
        """
        with self.hold(f"item {_need(path).id}") as is_ours:
            yield is_ours and path.exists()

    @contextlib.contextmanager
    def hold(self, what: str) -> Iterator[bool]:
        """Be the only one who has to do with ``what``, in words of the caller's, as in `claim`."""
        place = int.from_bytes(hashlib.sha256(what.encode()).digest()[:7], "big")
        with self._locked(_OUR_CLAIM_BIT | place, wait=False) as is_ours:
            yield is_ours

    # -- within ---------------------------------------------------------------------------------

    def _postponed(self, path: Path, due: float) -> Path:
        name = _need(path)
        return self._place(_due(due)) / str(Name(_due(due), name.sequence, name.id, name.action))

    def _place(self, due: int) -> Path:
        return self.postponed if due > time.time() else self.now

    def _make_room(self, item: Item) -> None:
        """The oldest message that only says again what was said goes; then the oldest message."""
        if len(_entries(self.now)) + len(_entries(self.postponed)) < MOST:
            return
        waiting = [*self.waiting(), *self.later()]
        found: Path | None = None
        for path in sorted(waiting, key=lambda one: _need(one).sequence)[:1000]:
            there = self.read(path)
            if there is None or there.kind != "message":
                continue
            found = found or path
            if _is_repeat(there):
                found = path
                break
        if found is None:
            raise QueueFull(f"{self.directory} holds {len(waiting)} items; {item.id} is left out")
        found.unlink(missing_ok=True)
        logger.error("%s holds %d items; %s is left out", self.directory, MOST, found.name)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._locked(0, wait=True):
            yield

    @contextlib.contextmanager
    def _locked(self, byte: int, *, wait: bool) -> Iterator[bool]:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(self.directory / _LOCK, flags, files.PRIVATE_FILE)
        try:
            command = fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK
            lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
            try:
                fcntl.fcntl(fd, command, lock)
            except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: somebody holds it
                yield False
                return
            yield True
        finally:
            os.close(fd)


def dump(item: Item) -> bytes:
    """The file's content. Raises ValueError where it would be too large."""
    data = document.text(asdict(item)).encode()
    if len(data) > MAX_BYTES:
        raise ValueError(f"{item.id} has {len(data)} bytes, more than {MAX_BYTES}")
    return data


def load(data: bytes) -> Item:
    """The reverse of `dump`. Raises ValueError that says what is wrong."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from None
    if not isinstance(raw, dict):
        raise ValueError("no JSON object")
    return Item(
        id=_text(raw, "id"),
        action=_text(raw, "action"),
        kind=_text(raw, "kind"),
        incident=_text(raw, "incident"),
        created=_number(raw, "created"),
        attempts=_whole(raw, "attempts") or 0,
        not_before=_number(raw, "not_before"),
        started=None if raw.get("started") is None else _number(raw, "started"),
        step=_whole(raw, "step"),
        group=None if raw.get("group") is None else _text(raw, "group"),
        payload=_object(raw, "payload"),
    )


def _text(raw: JsonObject, key: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} is no text")
    return value


def _number(raw: JsonObject, key: str) -> float:
    value = raw.get(key, 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e15:
        raise ValueError(f"{key} is no time")
    return float(value)


def _whole(raw: JsonObject, key: str) -> int | None:
    value = raw.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError(f"{key} is no number")
    return value


def _object(raw: JsonObject, key: str) -> JsonObject:
    value: Json = raw.get(key, {})
    if not isinstance(value, dict):
        raise ValueError(f"{key} is no object")
    return value


def _is_repeat(item: Item) -> bool:
    """A message about a thread that the receiver knows already."""
    count = item.payload.get("count")
    return isinstance(count, int) and count > 1


def _due(at: float) -> int:
    """Up to the next whole second, so that nothing is moved before its time."""
    return max(0, min(math.ceil(at), _LAST_DUE))


def _need(path: Path) -> Name:
    name = name_of(path)
    if name is None:
        raise ValueError(f"{path.name} is not the name of an item")
    return name


def _listed(directory: Path, key: Callable[[Name], object]) -> list[Path]:
    paths = [directory / name for name in _entries(directory)]
    named = [(name, path) for path in paths if (name := name_of(path)) is not None]
    named.sort(key=lambda pair: key(pair[0]))  # type: ignore[arg-type,return-value]
    return [path for _, path in named]


def _entries(directory: Path) -> list[str]:
    """The names in it, but for the hidden ones."""
    with contextlib.suppress(FileNotFoundError):
        return [name for name in os.listdir(directory) if not name.startswith(".")]
    return []


def _moved(path: Path, target: Path) -> Path:
    if target != path:
        path.rename(target)
        files.sync_directory(target.parent)
        files.sync_directory(path.parent)
    return target
