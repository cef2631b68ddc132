# SPDX-License-Identifier: MIT
"""Entry points of installed packages, read as text.

Importing `importlib.metadata` alone would cost more than everything else that a cold start does
(80 ms against 2). The format is that of https://packaging.python.org/specifications/entry-points:
sections in brackets, ``name = module:attribute``.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

_MAX_FILE = 1 << 20
_OURS = b"[failhook."
_LINE = re.compile(r"([\w.-]{1,80})\s*=\s*([\w.]{1,200}):([\w.]{1,200})\s*(?:\[.*\])?")


class EntryPoint(NamedTuple):
    """One line: ``name = module:attribute`` of a package, and the file that it stands in."""

    group: str
    name: str
    module: str
    attribute: str
    file: Path

    @property
    def package(self) -> str:
        """The package and its version, as its metadata directory is called."""
        return self.file.parent.name.rpartition(".")[0]


def search_path() -> list[str]:
    """Where packages are installed for the interpreter that runs us."""
    return [directory for directory in sys.path if directory]


def of_group(group: str) -> list[EntryPoint]:
    """All of ``group``, in the order of `sys.path`; of two with one name the first counts, as for
    modules."""
    found: dict[str, EntryPoint] = {}
    for directory in search_path():
        try:
            stamp = os.stat(directory).st_mtime_ns  # noqa: PTH116 - some entries are no paths
        except (OSError, ValueError):
            continue
        for one in _in_directory(directory, stamp):
            if one.group == group:
                found.setdefault(one.name, one)
    return list(found.values())


@lru_cache(maxsize=64)
def _in_directory(directory: str, _: int) -> tuple[EntryPoint, ...]:
    """Those of one directory; asked again when it changes (its second argument is its mtime)."""
    return tuple(_scan(directory))


def _scan(directory: str) -> Iterator[EntryPoint]:
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in names:
        if name.endswith((".dist-info", ".egg-info")):
            path = Path(directory, name, "entry_points.txt")
            try:
                with path.open("rb") as stream:
                    content = stream.read(_MAX_FILE)
            except OSError:
                continue
            if _OURS in content:
                yield from _parse(content.decode("utf-8", "replace"), path)


def _parse(text: str, file: Path) -> Iterator[EntryPoint]:
    group = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            group = stripped[1:-1].strip()
        elif match := _LINE.fullmatch(stripped):
            yield EntryPoint(group, match[1], match[2], match[3], file)
