# SPDX-License-Identifier: MIT
"""The rows of the result and how they are printed."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One measured thing: alone, or against another of the same run."""

    letter: str
    what: str
    value: str
    against: str = ""
    ratio: float | None = None
    bar: str = ""
    met: bool | None = None


def ratio(
    letter: str, what: str, value: float, against: tuple[str, float], bar: float | None = None
) -> Row:
    """Milliseconds against milliseconds; `bar` is the largest ratio that is good enough."""
    name, other = against
    times = value / other
    return Row(
        letter,
        what,
        milliseconds(value),
        f"{name} {milliseconds(other)}",
        times,
        "" if bar is None else f"<= {bar:g} x",
        None if bar is None else times <= bar,
    )


def limit(letter: str, what: str, value: str, bar: str, *, met: bool) -> Row:
    """A value with a bar of its own."""
    return Row(letter, what, value, bar=bar, met=met)


def milliseconds(value: float) -> str:
    """Three digits that count."""
    if value >= 10_000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"


def printed(rows: Sequence[Row]) -> str:
    """All rows as one table."""
    lines = [("", "WHAT", "TOOK", "AGAINST", "RATIO", "BAR", "")]
    for row in rows:
        times = "" if row.ratio is None else f"{row.ratio:.2f} x"
        verdict = "" if row.met is None else ("ok" if row.met else "OVER")
        lines.append((row.letter, row.what, row.value, row.against, times, row.bar, verdict))
    widths = [max(len(line[column]) for line in lines) for column in range(7)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
