# SPDX-License-Identifier: MIT
"""Parser for the Journal Export Format, in memory that does not depend on what it reads.

Format (systemd.io/JOURNAL_EXPORT_FORMATS): an entry is a run of fields and ends with an empty line;
a field is ``NAME=value`` and a newline, or, where the value is not printable or has newlines,
``NAME``, a newline, the size as 64 bits little-endian, the bytes, a newline. Of a value larger than
64 KiB the first and the last 32 KiB stay, with a note of how much is missing between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Value: TypeAlias = str | bytes

KEPT = 32768  # at each end of a value that is too large
MAX_VALUE = 2 * KEPT
MAX_ENTRY = 1 << 20  # bytes of all values of one entry; what comes after is left out
MAX_FIELDS = 1024
_MOST_NAMES = 1000
_known_names: set[str] = set()  # that are names of fields: hardly any process meets more than 60
_NAME = re.compile(rb"[A-Z_][A-Z0-9_]{0,63}")
# What systemd calls not printable: control characters, but for tab and newline (C1 ones as well).
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal entry. A value is text where it is printable UTF-8, and bytes otherwise.

    ``fields`` has the first value of each name, ``more`` the further ones of names that repeat.
    """

    realtime: float
    fields: Mapping[str, Value]
    more: tuple[tuple[str, Value], ...] = ()

    def text(self, name: str) -> str:
        """A field as text, undecodable bytes replaced; empty where it is missing."""
        value = self.fields.get(name, "")
        return value if isinstance(value, str) else value.decode("utf-8", "replace")


@dataclass(slots=True)
class _Large:
    """A value on its way that is larger than what is kept of it."""

    name: bytes
    left: int | None  # bytes still to come; None: until the end of the line
    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    total: int = 0

    def take(self, data: bytes | bytearray) -> None:
        """The next piece."""
        self.total += len(data)
        room = KEPT - len(self.head)
        self.head += data[:room]
        self.tail += data[room:]
        if len(self.tail) > 8 * KEPT:
            del self.tail[:-KEPT]

    def value(self) -> bytes:
        """What is kept of it."""
        if self.total <= MAX_VALUE:
            return bytes(self.head + self.tail)
        note = f" [... {self.total - 2 * KEPT} bytes left out by failhook ...] ".encode()
        return bytes(self.head) + note + bytes(self.tail[-KEPT:])


class ExportParser:
    """Takes the format in pieces of any size and gives entries. Never raises for what it reads."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # no end of a line (or of an entry) before this place in the buffer
        self._slow = False
        self._large: _Large | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Entry]:
        """The entries that ``data`` completes; one that the end of the input cuts never comes."""
        self._buffer += data
        while True:
            if self._slow:
                if not self._step():
                    return
            else:
                end = self._buffer.find(b"\n\n", max(0, self._searched - 1))
                if end < 0 and len(self._buffer) <= MAX_VALUE:
                    self._searched = len(self._buffer)
                    return
                self._searched = 0
                if (entry := self._whole_entry(end)) is not None:
                    yield entry
            if not self._slow and self._fields:
                yield self._complete()

    def _whole_entry(self, end: int) -> Entry | None:
        """The quick way: an entry that is all there and has no binary field, as nearly all are.
        None where there is nothing in it, or where it has to be read with care."""
        if not 0 <= end <= MAX_VALUE:
            self._slow = True
            return None
        raw = bytes(self._buffer[:end])
        lines = raw.split(b"\n")
        if not all(b"=" in line for line in lines):
            self._slow = True
            return None
        del self._buffer[: end + 2]
        text = _value(raw)
        if isinstance(text, str) and len(lines) <= MAX_FIELDS:
            return _of_text(text)
        for line in lines:
            name, _, value = line.partition(b"=")
            self._add(name, value)
        return self._complete() if self._fields else None

    def _step(self) -> bool:
        """The careful way, one field or piece at a time; False where more input is needed."""
        if self._large is not None:
            return self._continue_large(self._large)
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._buffer)
            return self._long_line()
        self._searched = 0
        if end == 0:
            del self._buffer[:1]
            self._slow = False
            return True
        line = bytes(self._buffer[:end])
        if b"=" in line:
            del self._buffer[: end + 1]
            name, _, value = line.partition(b"=")
            self._add(name, _shortened(value))
            return True
        return self._binary(line, end + 1)

    def _long_line(self) -> bool:
        if len(self._buffer) <= MAX_VALUE:
            return False
        self._searched = 0
        name, equals, value = bytes(self._buffer).partition(b"=")
        self._buffer.clear()
        # Without "=" it is no field at all: swallowed up to its end, under no name.
        self._large = _Large(name if equals else b"", None)
        self._large.take(value)
        return False

    def _binary(self, name: bytes, start: int) -> bool:
        if len(self._buffer) < start + 8:
            return False
        size = int.from_bytes(self._buffer[start : start + 8], "little")
        if size > MAX_VALUE:
            del self._buffer[: start + 8]
            self._large = _Large(name, size)
            return True
        end = start + 8 + size
        if len(self._buffer) <= end:
            return False
        self._add(name, bytes(self._buffer[start + 8 : end]))
        del self._buffer[: end + 1]
        return True

    def _continue_large(self, large: _Large) -> bool:
        if large.left is None:
            end = self._buffer.find(b"\n")
            large.take(self._buffer if end < 0 else self._buffer[:end])
            ended = end >= 0
            del self._buffer[: len(self._buffer) if end < 0 else end + 1]
        else:
            piece = self._buffer[: large.left]
            large.take(piece)
            large.left -= len(piece)
            del self._buffer[: len(piece)]
            ended = large.left == 0 and bool(self._buffer)
            if ended:
                del self._buffer[:1]  # the newline after it
        if ended:
            self._add(large.name, large.value())
            self._large = None
        return ended

    def _add(self, name: bytes, value: bytes) -> None:
        if len(self._fields) >= MAX_FIELDS or self._size + len(value) > MAX_ENTRY:
            return
        if _NAME.fullmatch(name):
            self._fields.append((name, value))
            self._size += len(value)

    def _complete(self) -> Entry:
        first: dict[str, Value] = {}
        more: list[tuple[str, Value]] = []
        for name, raw in self._fields:
            key, value = name.decode("ascii"), _value(raw)
            if key in first:
                more.append((key, value))
            else:
                first[key] = value
        self._fields, self._size = [], 0
        return Entry(seconds(first.get("__REALTIME_TIMESTAMP")), first, tuple(more))


def _of_text(text: str) -> Entry | None:
    """An entry that is printable as a whole, and so in every field."""
    first: dict[str, Value] = {}
    more: list[tuple[str, Value]] = []
    for line in text.split("\n"):
        name, _, value = line.partition("=")
        if name not in _known_names:
            if not _NAME.fullmatch(name.encode("utf-8")):
                continue
            if len(_known_names) < _MOST_NAMES:
                _known_names.add(name)
        if name in first:
            more.append((name, value))
        else:
            first[name] = value
    if not first:
        return None
    return Entry(seconds(first.get("__REALTIME_TIMESTAMP")), first, tuple(more))


def _shortened(value: bytes) -> bytes:
    if len(value) <= MAX_VALUE:
        return value
    large = _Large(b"", None)
    large.take(value)
    return large.value()


def _value(raw: bytes) -> Value:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw
    return raw if _CONTROL.search(text) else text


def seconds(stamp: Value | None) -> float:
    """Microseconds since the epoch, as seconds; 0 where there is no sound time stamp."""
    if isinstance(stamp, str) and stamp.isascii() and stamp.isdigit() and len(stamp) < 19:
        return int(stamp) / 1_000_000
    return 0.0
