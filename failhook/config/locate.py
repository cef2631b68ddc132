# SPDX-License-Identifier: MIT
"""On which line does a key stand? `tomllib` keeps no positions, so the text is asked by halves.

A beginning of the text that ends where a statement ends can be parsed, and a key that is in one is
in every longer one: so the statement that brings a key is found by bisection over their ends.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence

_CLOSING = ("]", "}", '"""', "'''")  # what the last line of a statement over several lines holds


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The line (from 1) where the statement that defines ``path`` ends, or None."""
    if not _has(_parse(text), path):
        return line_of(text, path[:-1]) if len(path) > 1 else None
    lines = [f"{line}\n" for line in text.split("\n")]  # no other separator ends a line of TOML
    ends = list(_ends(lines))

    def is_in(end: int) -> bool:
        return _has(_parse("".join(lines[:end])), path)

    return ends[bisect.bisect_left(ends, True, hi=len(ends) - 1, key=is_in)]


def _ends(lines: Sequence[str]) -> Iterator[int]:
    """After how many lines a statement, a comment or an empty line has come to its end."""
    start = 0
    for end, line in enumerate(lines, 1):
        is_first = end == start + 1
        if not is_first and not any(sign in line for sign in _CLOSING):
            continue
        if _parse("".join(lines[start:end])) is not None:
            yield end
            start = end


def _parse(text: str) -> object | None:
    import tomllib  # here: who configures nothing does not pay for it

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _has(value: object, path: Sequence[str | int]) -> bool:
    for part in path:
        if isinstance(value, dict) and part in value:
            value = value[part]
            continue
        if not isinstance(value, list) or not isinstance(part, int) or part >= len(value):
            return False
        value = value[part]
    return True
