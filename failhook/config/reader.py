# SPDX-License-Identifier: MIT
"""One configuration file being read: its text for line numbers, its mistakes as they are found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from failhook.config.locate import line_of
from failhook.config.model import Problem
from failhook.values import Kind, Wrong, nearest

# key -> the field that it fills, and what its value can be
Fields: TypeAlias = Mapping[str, tuple[str, Kind]]
Key: TypeAlias = tuple[str | int, ...]


class File:
    """One file being read: its text for line numbers, its problems as they are found."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.problems: list[Problem] = []

    def problem(self, key: Key, message: str, hint: str = "") -> None:
        """Note a mistake where ``key`` stands; a number in it counts the tables of a list."""
        line = line_of(self.text, key)
        named = ".".join(f"{part + 1}." if isinstance(part, int) else part for part in key)
        self.problems.append(Problem(self.path, line, named.replace("..", "."), message, hint))

    def table(self, raw: Mapping[str, object], key: Key) -> Mapping[str, object]:
        """The table ``key`` of ``raw``; empty where it is missing or none."""
        value = raw.get(str(key[-1]), {})
        if isinstance(value, dict):
            return value
        self.problem(key, "is no table", f"write [{'.'.join(map(str, key))}]")
        return {}

    def fields(
        self,
        raw: Mapping[str, object],
        at: Key,
        known: Fields,
    ) -> dict[str, object]:
        """The known keys of a table, read; each unknown or wrong one becomes a problem."""
        read: dict[str, object] = {}
        for key, value in raw.items():
            if key not in known:
                self.unknown((*at, key), known)
                continue
            field, kind = known[key]
            try:
                read[field] = kind.read(value)
            except Wrong as wrong:
                self.problem((*at, key), f"{value!r} {wrong}")
        return read

    def unknown(self, key: Key, known: Iterable[str]) -> None:
        """A key that nothing reads: with the nearest that something does."""
        near = nearest(str(key[-1]), known)
        hint = f"did you mean {near!r}?" if near else f"known here: {', '.join(known)}"
        self.problem(key, "is not known", hint)

    def line(self, key: Key) -> int | None:
        """The line where ``key`` stands."""
        return line_of(self.text, key)
