# SPDX-License-Identifier: MIT
"""How a collector's process tells us what it found: frames on a pipe.

A frame is two lengths, a JSON header, and data. The writer runs a collector, perhaps somebody
else's, perhaps one that went astray: the reader believes nothing, buffers no more than one frame
within its limits, and calls the first lie a lie.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from failhook.gather.sink import MAX_REASON, sound_path
from failhook.incident import Status
from failhook.item import Item

_LENGTHS = struct.Struct(">II")
_MAX_HEADER = 65536
_MAX_RULES = 256
_ENDS = (Status.OK, Status.SKIPPED, Status.FAILED)


class Lie(ValueError):
    """A frame that no honest collector sends."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something is missing from the evidence."""

    reason: str


@dataclass(frozen=True, slots=True)
class End:
    """The collector is done. ``strays`` says that it leaves processes behind."""

    status: Status
    reason: str | None = None
    strays: bool = False


def send_item(fd: int, item: Item) -> None:
    """Write one item; blocks while the pipe is full. Raises OSError."""
    header = {
        "item": item.path,
        "took_ms": item.took_ms,
        "truncated": item.truncated,
        "reason": item.reason,
        "masked": dict(item.masked),
    }
    _send(fd, header, item.data)


def send_problem(fd: int, reason: str) -> None:
    """Write what is missing. Raises OSError."""
    _send(fd, {"problem": reason})


def send_end(fd: int, end: End) -> None:
    """Write how it ended. Raises OSError."""
    _send(fd, {"end": str(end.status), "reason": end.reason, "strays": end.strays})


def _send(fd: int, header: dict[str, object], data: bytes = b"") -> None:
    head = json.dumps(header).encode()
    parts = [memoryview(_LENGTHS.pack(len(head), len(data)) + head), memoryview(data)]
    while parts:  # at once, as a rule: each write wakes the reader
        written = os.writev(fd, parts)
        while parts and written >= len(parts[0]):
            written -= len(parts.pop(0))
        if parts:
            parts[0] = parts[0][written:]


class FrameReader:
    """Takes bytes as they come and gives frames. ``max_data`` bounds all data of one collector."""

    def __init__(self, collector: str, max_data: int) -> None:
        self._collector = collector
        self._left = max_data
        self._buffer = bytearray()

    @property
    def empty(self) -> bool:
        """Nothing came after the last whole frame."""
        return not self._buffer

    def feed(self, chunk: bytes) -> Iterator[Item | Problem | End]:
        """The frames that ``chunk`` completes. Raises Lie."""
        self._buffer += chunk
        while len(self._buffer) >= _LENGTHS.size:
            head_size, data_size = _LENGTHS.unpack_from(self._buffer)
            if head_size > _MAX_HEADER or data_size > self._left:
                raise Lie("it sent more than it may")
            start, end = _LENGTHS.size + head_size, _LENGTHS.size + head_size + data_size
            if len(self._buffer) < end:
                return
            header = bytes(self._buffer[_LENGTHS.size : start])
            data = bytes(self._buffer[start:end])
            del self._buffer[:end]
            self._left -= data_size
            yield self._frame(header, data)

    def _frame(self, header: bytes, data: bytes) -> Item | Problem | End:
        try:
            read = json.loads(header)
        except (ValueError, RecursionError):
            read = None
        if not isinstance(read, dict):
            raise Lie("it sent a frame that cannot be read")
        if "item" in read:
            return self._item(read, data)
        if isinstance(read.get("problem"), str):
            return Problem(read["problem"][:MAX_REASON])
        if read.get("end") in _ENDS:
            return End(Status(read["end"]), _reason(read), read.get("strays") is True)
        raise Lie("it sent a frame of an unknown kind")

    def _item(self, read: dict[str, object], data: bytes) -> Item:
        path, took_ms, masked = read["item"], read.get("took_ms"), read.get("masked")
        if not isinstance(path, str) or not sound_path(path):
            raise Lie("it sent an item whose name leads elsewhere")
        if not isinstance(masked, dict) or len(masked) > _MAX_RULES:
            raise Lie("it sent an item without a count of what was masked")
        counts = {str(rule)[:100]: count for rule, count in masked.items() if type(count) is int}
        took = took_ms if type(took_ms) is int else 0
        return Item(
            path, data, self._collector, took, read.get("truncated") is True, _reason(read), counts
        )


def _reason(read: dict[str, object]) -> str | None:
    reason = read.get("reason")
    return reason[:MAX_REASON] if isinstance(reason, str) else None
