# SPDX-License-Identifier: MIT
"""What people see: text that cannot steer the terminal, tables, colour only where somebody looks.

Journal text, unit names and file contents are untrusted: every control character, escape sequence
and bidirectional override is shown as its code (anchors T15).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from failhook.incident import SCHEMA, Json

_STEERING = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_LEAST = 16  # columns that a long text keeps on a narrow terminal
STYLES = {"bad": "31", "good": "32", "quiet": "2", "strong": "1", "warn": "33"}


def visible(text: str) -> str:
    """``text`` with everything that could steer a terminal shown as its code; tabs as spaces."""
    return _STEERING.sub(_code, text.replace("\t", "    "))


def _code(match: re.Match[str]) -> str:
    number = ord(match[0])
    if number > 0xFFFF:
        return f"\\U{number:08x}"
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def is_terminal() -> bool:
    """Does a person look at standard output?"""
    return sys.stdout.isatty()


def has_colour() -> bool:
    """Colour only on a terminal, and not against the user's word (no-color.org)."""
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def styled(text: str, style: str) -> str:
    """``text`` in a style of `STYLES`, where colour is wanted."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if has_colour() else text


def width() -> int | None:
    """Columns of the terminal; None where the output goes to a file or a pipe."""
    return shutil.get_terminal_size((80, 24)).columns if is_terminal() else None


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, stretch: int) -> str:
    """Columns side by side; on a terminal the ``stretch`` column is cut so that lines fit."""
    shown = [[visible(cell) for cell in row] for row in rows]
    room = width()
    if room is not None:
        return _fitted(header, shown, stretch, room)
    widths = [max(len(line[n]) for line in [list(header), *shown]) for n in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [list(header), *shown]
    ]
    return "\n".join(lines)


def _fitted(header: Sequence[str], rows: Sequence[Sequence[str]], stretch: int, room: int) -> str:
    """For a terminal: rich knows how wide characters are; a pipe does not pay for its import."""
    from rich.cells import cell_len, set_cell_size

    def cut(cell: str, width: int) -> str:
        return cell if cell_len(cell) <= width else set_cell_size(cell, width - 1) + "…"

    def line(cells: Sequence[str]) -> str:
        fitted = [cut(cell, width) for cell, width in zip(cells, widths, strict=True)]
        return "  ".join(map(set_cell_size, fitted, widths)).rstrip()

    widths = [max(cell_len(one[n]) for one in [list(header), *rows]) for n in range(len(header))]
    while (over := sum(widths) + 2 * (len(widths) - 1) - room) > 0:
        widest = max(range(len(widths)), key=lambda n: widths[n])
        column = stretch if widths[stretch] > _LEAST else widest
        if widths[column] <= _LEAST:
            break
        widths[column] = max(_LEAST, widths[column] - over)
    return "\n".join([styled(line(header), "quiet"), *(line(row) for row in rows)])


def print_json(name: str, value: Json) -> None:
    """One document with a schema version on standard output."""
    print(ascii_json({"schema": SCHEMA, name: value}, indent=1))


def ascii_json(value: Json, indent: int | None = None) -> str:
    """JSON in printable ASCII, whatever a log line held."""
    return json.dumps(value, ensure_ascii=True, indent=indent).replace("\x7f", "\\u007f")


def clock(at: float) -> str:
    """A moment in local time, as short as it can be: today's hour, this week's day, or the date."""
    moment, now = datetime.fromtimestamp(at, UTC).astimezone(), datetime.now(UTC).astimezone()
    if moment.date() == now.date():
        return moment.strftime("%H:%M")
    if abs((now - moment).days) < 6:
        return moment.strftime("%a %H:%M")
    return moment.strftime("%Y-%m-%d")


def full_clock(at: float) -> str:
    """A moment in local time to the second, with its zone."""
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def span(seconds: float) -> str:
    """A duration in its two largest units: "3 d 4 h", "2 min", "0.4 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        number, seconds = divmod(seconds, size)
        if number:
            parts.append(f"{number:.0f} {unit}")
    return " ".join(parts[:2])


def size(count: int) -> str:
    """Bytes for people: "41 KiB"."""
    number = float(count)
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"


class Progress:
    """A line on standard error for what takes longer than a second, on a terminal only."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._start = time.monotonic()
        self._shown = False

    def step(self, text: str) -> None:
        """Show how far it is, once a second has passed."""
        if sys.stderr.isatty() and time.monotonic() - self._start > 1.0:
            self._shown = True
            print(f"\r\x1b[K{self._what}: {visible(text)}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Take the line away again."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
