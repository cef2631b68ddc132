# SPDX-License-Identifier: MIT
"""On which line does a key stand? `tomllib` keeps no positions, so the text is asked by halves.

A key that exists in the first n lines exists in every longer beginning that parses, so the first
line with which it appears is found by bisection over the parsable beginnings.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The line (from 1) where the statement that defines ``path`` ends, or None."""
    lines = text.splitlines(keepends=True)
    if not _has(_parse("".join(lines)), path):
        return line_of(text, path[:-1]) if len(path) > 1 else None
    low, high = 1, len(lines)
    while low < high:
        middle = (low + high) // 2
        parsed, used = _longest(lines, middle)
        if parsed is not None and _has(parsed, path):
            high = min(middle, used)
        else:
            low = middle + 1
    return low


def _longest(lines: Sequence[str], count: int) -> tuple[object | None, int]:
    """The longest parsable beginning of at most ``count`` lines, and its length."""
    for used in range(count, max(0, count - 400), -1):
        parsed = _parse("".join(lines[:used]))
        if parsed is not None:
            return parsed, used
    return None, 0


def _parse(text: str) -> object | None:
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
