# SPDX-License-Identifier: MIT
"""What a value in the configuration can be: how it is read, and how an editor is told of it.

One `Kind` per sort of value, for our own tables and for the options of every plugin alike. Reading
raises `Wrong`, which says what to write instead; it never guesses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from failhook.secret import Secret

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*(ms|s|min|m|h|d|w)?")
_SECONDS = {"ms": 0.001, "s": 1, "": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,12})?)\s*([KMGT])?(?:i?B)?")
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%")
_RATE = re.compile(r"([0-9]{1,9})\s*per\s*(.{1,20})")
_SCHEMA_TEXT: Mapping[str, Any] = {"type": "string"}


def nearest(word: str, known: Iterable[str]) -> str | None:
    """What somebody may have meant who wrote ``word``; None where nothing is like it."""
    import difflib  # here: whoever makes no mistake does not pay for it

    return next(iter(difflib.get_close_matches(word, list(known), 1)), None)


class Wrong(ValueError):
    """A value is not what its key takes: what it takes."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of value. ``schema`` is what JSON Schema (2020-12) says of it."""

    name: str
    read: Callable[[object], Any]
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rate:
    """So many within a time: "20 per 1h"."""

    count: int
    within_s: float

    def __str__(self) -> str:
        return f"{self.count} per {self.within_s:.0f} s"


def duration(value: object) -> float:
    """ "20s", "5min", "1h", a bare number of seconds -> seconds. Raises Wrong."""
    match = _DURATION.fullmatch(str(value).strip()) if _is_plain(value) else None
    if match is None:
        raise Wrong('is no duration; write "20s", "5min", "1h" or "7d"')
    return float(match[1]) * _SECONDS[match[2] or ""]


def size(value: object) -> int:
    """ "16M", "2G", a bare number of bytes -> bytes. Raises Wrong."""
    match = _SIZE.fullmatch(str(value).strip()) if _is_plain(value) else None
    if match is None:
        raise Wrong('is no size; write "512K", "16M" or "2G"')
    return int(float(match[1]) * _BYTES[match[2] or ""])


def share(value: object) -> float:
    """ "10%" -> 10.0; at most 90. Raises Wrong."""
    match = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise Wrong('is no share; write "10%"')
    if float(match[1]) > 90:
        raise Wrong("is more than 90%")
    return float(match[1])


def count(value: object) -> int:
    """A number from 1. Raises Wrong."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 1 << 31:
        raise Wrong("is no number from 1")
    return value


def number(value: object) -> int:
    """A whole number from 0. Raises Wrong."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 31:
        raise Wrong("is no number from 0")
    return value


def flag(value: object) -> bool:
    """true or false. Raises Wrong."""
    if not isinstance(value, bool):
        raise Wrong("is neither true nor false")
    return value


def text(value: object) -> str:
    """A text. Raises Wrong."""
    if not isinstance(value, str):
        raise Wrong('is no text; write "…"')
    if "\0" in value:
        raise Wrong("holds a NUL character")
    return value


def texts(value: object) -> tuple[str, ...]:
    """A list of texts. Raises Wrong."""
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise Wrong('is no list of texts; write ["…", "…"]')
    return tuple(text(entry) for entry in value)


def path(value: object) -> str:
    """An absolute path without "..". Raises Wrong."""
    found = text(value)
    if not found.startswith("/") or ".." in found.split("/"):
        raise Wrong('is no absolute path without ".."')
    return found


def paths(value: object) -> tuple[str, ...]:
    """A list of absolute paths. Raises Wrong."""
    return tuple(path(entry) for entry in texts(value))


def pairs(value: object) -> tuple[tuple[str, str], ...]:
    """A table of texts: { NAME = "value" }. Raises Wrong."""
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise Wrong('is no table of texts; write { NAME = "value" }')
    return tuple((text(key), text(one)) for key, one in value.items())


def rate(value: object) -> Rate:
    """ "20 per 1h". Raises Wrong."""
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise Wrong('is no limit; write "20 per 1h"')
    return Rate(int(match[1]), duration(match[2].strip()))


def secret(value: object) -> Secret:
    """{ credential = "…" }, { file = "/…" }, { env = "…" }, or the text itself. Raises Wrong."""
    if isinstance(value, str):
        return Secret("text", text(value))
    if isinstance(value, dict) and len(value) == 1:
        ((source, name),) = value.items()
        if source == "file":
            return Secret("file", path(name))
        if source in ("credential", "env") and isinstance(name, str) and name.strip("/."):
            if "/" in name:
                raise Wrong(f"{name!r} is the name of a {source}, without /")
            return Secret(source, name)
    raise Wrong(
        'is no secret; write { credential = "NAME" }, { file = "/path" }, { env = "NAME" } '
        "or a text"
    )


def _is_plain(value: object) -> bool:
    if isinstance(value, int) and abs(value) > 1 << 60:
        return False  # Python refuses to write very long ones
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def choice(*words: str) -> Kind:
    """One of a few words."""

    def read(value: object) -> str:
        if value not in words:
            raise Wrong(f"is none of {', '.join(words)}")
        return str(value)

    return Kind(" | ".join(words), read, {"enum": list(words)})


_NUMBER_OR_TEXT = {"type": ["string", "number"]}
_SECRET_SCHEMA = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("credential", "file", "env")},
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    ]
}
_LIST_OF_TEXTS = {"type": "array", "items": _SCHEMA_TEXT}
TEXT = Kind("text", text, _SCHEMA_TEXT)
TEXTS = Kind("list of texts", texts, _LIST_OF_TEXTS)
PATH = Kind("absolute path", path, {"type": "string", "pattern": "^/"})
PATHS = Kind(
    "list of absolute paths",
    paths,
    {"type": "array", "items": {"type": "string", "pattern": "^/"}},
)
PAIRS = Kind("table of texts", pairs, {"type": "object", "additionalProperties": _SCHEMA_TEXT})
DURATION = Kind("duration", duration, _NUMBER_OR_TEXT)
SIZE = Kind("size", size, _NUMBER_OR_TEXT)
SHARE = Kind("share", share, {"type": "string", "pattern": "%$"})
COUNT = Kind("number from 1", count, {"type": "integer", "minimum": 1})
NUMBER = Kind("number from 0", number, {"type": "integer", "minimum": 0})
FLAG = Kind("true or false", flag, {"type": "boolean"})
RATE = Kind("limit", rate, {"type": "string", "pattern": " per "})
SECRET = Kind("secret", secret, _SECRET_SCHEMA)
