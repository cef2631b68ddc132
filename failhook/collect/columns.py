# SPDX-License-Identifier: MIT
"""Tables in evidence: columns side by side, nothing in them that could steer a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from failhook.systemd.journal import visible

_MAX_CELL = 400


def table(header: Sequence[str], rows: Sequence[Sequence[object]], right: str = "") -> str:
    """``rows`` below ``header``; ``right`` has an ``r`` for each column to be set to the right."""
    lines = [list(header), *([_cell(value) for value in row] for row in rows)]
    last = len(header) - 1
    widths = [max(len(line[n]) for line in lines) for n in range(len(header))]
    sides = right.ljust(len(header))

    def shown(line: Sequence[str]) -> str:
        cells = [
            cell.rjust(widths[n]) if sides[n] == "r" else cell.ljust(widths[n] if n < last else 0)
            for n, cell in enumerate(line)
        ]
        return "  ".join(cells).rstrip()

    return "".join(f"{shown(line)}\n" for line in lines)


def _cell(value: object) -> str:
    text = "-" if value is None else str(value)
    if len(text) > _MAX_CELL:  # between words: half a secret is a secret that no pattern knows
        text = text[:_MAX_CELL].rpartition(" ")[0] + " ..."
    return visible(text).replace("\t", " ") or "-"


def size(number: float | None) -> str:
    """Bytes for people: 1.5G."""
    if number is None:
        return "-"
    for unit in ("", "K", "M", "G", "T"):
        if number < 1024:
            return f"{number:.0f}{unit}" if number >= 10 or not unit else f"{number:.1f}{unit}"
        number /= 1024
    return f"{number:.0f}P"


def duration(seconds: float) -> str:
    """A span for people, in its two largest units: 3d 4h."""
    whole = max(0, int(seconds))
    parts = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    shown = []
    for length, name in parts:
        if whole >= length:
            shown.append(f"{whole // length}{name}")
            whole %= length
        elif shown:
            break
    return " ".join(shown[:2]) or "0s"
