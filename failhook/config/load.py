# SPDX-License-Identifier: MIT
"""Reads /etc/failhook/failhook.toml and conf.d/*.toml, vendor defaults first.

A mistake never stops the rest: what is wrong is left at its default and becomes a `Problem`; the
runner goes on and says so, ``failhook check`` is the strict one. Own readers instead of a library:
none that is in Debian 12 and 13 gives every mistake with its line.
"""

from __future__ import annotations

import difflib
import re
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from failhook.config import causes
from failhook.config.locate import line_of
from failhook.config.model import (
    Configuration,
    CustomCollector,
    Problem,
)
from failhook.mask.custom import CustomPattern
from failhook.places import Places

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*(ms|s|min|m|h|d|w)?")
_SECONDS = {"ms": 0.001, "s": 1, "": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,12})?)\s*([KMGT])?(?:i?B)?")
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%")
_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_MAX_FILE = 1 << 20


class _Wrong(ValueError):
    """A value is not what its key takes: what it takes."""


def load(places: Places) -> Configuration:
    """The configuration of all files together; never raises."""
    configuration = Configuration()
    for path in _files(places):
        configuration = _merge(configuration, path, trusted_uid=None if places.user else 0)
    return _with_causes(configuration, places)


def _with_causes(before: Configuration, places: Places) -> Configuration:
    found, problems, files = causes.load(places)
    plugins = list(causes.plugins(places))
    problems = (*problems, *(problem for _, problem in plugins if problem is not None))
    return replace(
        before,
        causes=found,
        plugins=tuple(path for path, problem in plugins if problem is None),
        problems=(*before.problems, *problems),
        files=(*before.files, *files),
    )


def load_file(path: Path) -> Configuration:
    """One file alone, over the defaults: what ``failhook check FILE`` looks at."""
    if path.parent.name == "causes.d":
        found, problems = causes.load_file(path)
        return Configuration(causes=tuple(found), problems=tuple(problems), files=(path,))
    return _merge(Configuration(), path, trusted_uid=None)


def duration(text: object) -> float:
    """ "20s", "5min", "1h", a bare number of seconds -> seconds. Raises ValueError."""
    match = _DURATION.fullmatch(str(text).strip()) if _is_plain(text) else None
    if match is None:
        raise _Wrong('is no duration; write "20s", "5min", "1h" or "7d"')
    return float(match[1]) * _SECONDS[match[2] or ""]


def size(text: object) -> int:
    """ "16M", "2G", a bare number of bytes -> bytes. Raises ValueError."""
    match = _SIZE.fullmatch(str(text).strip()) if _is_plain(text) else None
    if match is None:
        raise _Wrong('is no size; write "512K", "16M" or "2G"')
    return int(float(match[1]) * _BYTES[match[2] or ""])


def _is_plain(value: object) -> bool:
    if isinstance(value, int) and abs(value) > 1 << 60:
        return False  # Python refuses to write very long ones
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _percent(value: object) -> float:
    match = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise _Wrong('is no share; write "10%"')
    if float(match[1]) > 90:
        raise _Wrong("is more than 90%")
    return float(match[1])


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _Wrong("is no number from 1")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise _Wrong('is no list of texts; write ["…", "…"]')
    return tuple(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong('is no text; write "…"')
    return value


_COLLECT: Mapping[str, tuple[str, Callable[[object], object]]] = {
    "deadline": ("deadline_s", duration),
    "max_bundle": ("max_bundle", size),
    "skip": ("skip", _texts),
}
_KEEP: Mapping[str, tuple[str, Callable[[object], object]]] = {
    "incidents": ("incidents", _count),
    "size": ("size", size),
    "age": ("age_s", duration),
    "free": ("free_percent", _percent),
    "grace": ("grace_s", duration),
}
_COLLECTOR: Mapping[str, tuple[str, Callable[[object], object]]] = {
    "type": ("type", _text),
    "unit": ("units", _texts),
    "paths": ("paths", _texts),
    "argv": ("argv", _texts),
    "timeout": ("timeout_s", duration),
    "max_bytes": ("max_bytes", size),
}


def _files(places: Places) -> Iterator[Path]:
    for directory in places.configuration:
        if (directory / "failhook.toml").exists():
            yield directory / "failhook.toml"
        yield from sorted((directory / "conf.d").glob("*.toml"))


class _File:
    """One file being read: its text for line numbers, its problems as they are found."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        self.problems: list[Problem] = []

    def problem(self, key: tuple[str, ...], message: str, hint: str = "") -> None:
        line = line_of(self.text, key)
        self.problems.append(Problem(self.path, line, ".".join(key), message, hint))

    def table(self, raw: Mapping[str, object], key: tuple[str, ...]) -> Mapping[str, object]:
        value = raw.get(key[-1], {})
        if isinstance(value, dict):
            return value
        self.problem(key, "is no table", f"write [{'.'.join(key)}]")
        return {}

    def fields(
        self,
        raw: Mapping[str, object],
        at: tuple[str, ...],
        known: Mapping[str, tuple[str, Callable[[object], object]]],
    ) -> dict[str, object]:
        """The known keys of a table, read; each unknown or wrong one becomes a problem."""
        read: dict[str, object] = {}
        for key, value in raw.items():
            if key not in known:
                self.unknown((*at, key), known)
                continue
            field, reader = known[key]
            try:
                read[field] = reader(value)
            except _Wrong as wrong:
                self.problem((*at, key), f"{value!r} {wrong}")
        return read

    def unknown(self, key: tuple[str, ...], known: Mapping[str, object] | tuple[str, ...]) -> None:
        near = difflib.get_close_matches(key[-1], list(known), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        self.problem(key, "is not known", hint)


def _merge(before: Configuration, path: Path, *, trusted_uid: int | None) -> Configuration:
    try:
        text = _read(path, trusted_uid)
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"at line (\d+)", str(error))
        problem = Problem(path, int(match[1]) if match else None, "", str(error), "fix the syntax")
        return replace(before, problems=(*before.problems, problem), files=(*before.files, path))
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, a huge number
        problem = Problem(path, None, "", str(error), "nothing of it is used")
        return replace(before, problems=(*before.problems, problem), files=(*before.files, path))
    file = _File(path, text)
    after = _apply(before, file, raw)
    return replace(after, problems=(*before.problems, *file.problems), files=(*before.files, path))


def _read(path: Path, trusted_uid: int | None) -> str:
    """The text; refused where anybody but root could have written it (anchors T29)."""
    for place in (path, path.parent):
        state = place.stat()
        if trusted_uid is not None and state.st_uid != trusted_uid:
            raise _Wrong(
                f"{place} belongs to uid {state.st_uid}; make it root's: chown root {place}"
            )
        if trusted_uid is not None and state.st_mode & 0o022:
            raise _Wrong(f"{place} may be written by others; take that away: chmod go-w {place}")
    if not stat.S_ISREG(path.stat().st_mode):
        raise _Wrong("is not a regular file")
    with path.open("rb") as stream:
        data = stream.read(_MAX_FILE + 1)
    if len(data) > _MAX_FILE:
        raise _Wrong(f"is larger than {_MAX_FILE} bytes")
    return data.decode()


def _apply(before: Configuration, file: _File, raw: Mapping[str, object]) -> Configuration:
    known = ("collect", "keep", "mask", "collector")
    for key in raw:
        if key not in known:
            file.unknown((key,), known)
    collect = file.fields(file.table(raw, ("collect",)), ("collect",), _COLLECT)
    keep = file.fields(file.table(raw, ("keep",)), ("keep",), _KEEP)
    custom = (*before.collect.custom, *_collectors(file, file.table(raw, ("collector",))))
    unique = {entry.name: entry for entry in custom}
    return replace(
        before,
        collect=replace(before.collect, custom=tuple(unique.values()), **collect),  # type: ignore[arg-type]
        keep=replace(before.keep, **keep),  # type: ignore[arg-type]
        mask=(*before.mask, *_patterns(file, file.table(raw, ("mask",)))),
    )


def _collectors(file: _File, raw: Mapping[str, object]) -> Iterator[CustomCollector]:
    for name, table in raw.items():
        at = ("collector", name)
        if not _NAME.fullmatch(name):
            file.problem(at, "is no name for a collector", "letters, digits, - _ .")
            continue
        if not isinstance(table, dict):
            file.problem(at, "is no table", f"write [collector.{name}]")
            continue
        before = len(file.problems)
        fields = file.fields(table, at, _COLLECTOR)
        kind = fields.get("type")
        needed = {"files": "paths", "command": "argv"}.get(str(kind))
        if needed is None:
            file.problem((*at, "type"), "has to be one of two", '"files" or "command"')
        elif not fields.get(needed):
            file.problem(at, f"{needed} is missing", f"a {kind} collector needs it")
        if len(file.problems) == before:
            yield replace(CustomCollector(name, str(kind)), **fields)  # type: ignore[arg-type]


def _patterns(file: _File, raw: Mapping[str, object]) -> Iterator[CustomPattern]:
    """Those that may be used on hostile text; one that is refused must not stop any incident."""
    for name, value in raw.items():
        try:
            yield CustomPattern(name, _text(value))
        except _Wrong as wrong:
            file.problem(("mask", name), f"{value!r} {wrong}")
        except ValueError as error:
            file.problem(("mask", name), str(error))
