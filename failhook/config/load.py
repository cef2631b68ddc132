# SPDX-License-Identifier: MIT
"""Reads /etc/failhook/failhook.toml and conf.d/*.toml, vendor defaults first.

A mistake never stops the rest: what is wrong is left at its default and becomes a `Problem`; the
runner goes on and says so, ``failhook check`` is the strict one. Own readers instead of a library:
none that is in Debian 12 and 13 gives every mistake with its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from failhook import values
from failhook.config import causes, stamp
from failhook.config.model import (
    Configuration,
    CustomCollector,
    Problem,
)
from failhook.config.reader import Fields, File
from failhook.mask.custom import CustomPattern
from failhook.places import Places
from failhook.values import Wrong

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_RESPONSE = ("action", "limits", "quiet", "rule")
_TABLES = ("collect", "keep", "mask", "collector", *_RESPONSE, "boot")


def load(places: Places) -> Configuration:
    """The configuration of all files together; never raises."""
    configuration = Configuration(stamp=stamp.of(places))  # what is written from now on is news
    for path in _files(places):
        configuration = _merge(configuration, path, trusted_uid=None if places.user else 0)
    return _resolved(_with_causes(configuration, places))


def _resolved(before: Configuration) -> Configuration:
    if not before.rules:
        return before
    from failhook.config import rules

    return rules.resolved(before)


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
    return _resolved(_merge(Configuration(), path, trusted_uid=None))


COLLECT: Fields = {
    "deadline": ("deadline_s", values.DURATION),
    "max_bundle": ("max_bundle", values.SIZE),
    "skip": ("skip", values.TEXTS),
}
KEEP: Fields = {
    "incidents": ("incidents", values.COUNT),
    "size": ("size", values.SIZE),
    "age": ("age_s", values.DURATION),
    "free": ("free_percent", values.SHARE),
    "grace": ("grace_s", values.DURATION),
}
COLLECTOR: Fields = {
    "type": ("type", values.TEXT),
    "unit": ("units", values.TEXTS),
    "paths": ("paths", values.TEXTS),
    "argv": ("argv", values.TEXTS),
    "timeout": ("timeout_s", values.DURATION),
    "max_bytes": ("max_bytes", values.SIZE),
}


def _files(places: Places) -> Iterator[Path]:
    for directory in places.configuration:
        if (directory / "failhook.toml").exists():
            yield directory / "failhook.toml"
        yield from sorted((directory / "conf.d").glob("*.toml"))


def _merge(before: Configuration, path: Path, *, trusted_uid: int | None) -> Configuration:
    import tomllib  # here: who configures nothing does not pay for it

    try:
        text = causes.read_trusted(path, trusted_uid)
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"at line (\d+)", str(error))
        problem = Problem(path, int(match[1]) if match else None, "", str(error), "fix the syntax")
        return replace(before, problems=(*before.problems, problem), files=(*before.files, path))
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, a huge number
        problem = Problem(path, None, "", str(error), "nothing of it is used")
        return replace(before, problems=(*before.problems, problem), files=(*before.files, path))
    file = File(path, text)
    after = _apply(before, file, raw)
    return replace(after, problems=(*before.problems, *file.problems), files=(*before.files, path))


def _apply(before: Configuration, file: File, raw: Mapping[str, object]) -> Configuration:
    for key in raw:
        if key not in _TABLES:
            file.unknown((key,), _TABLES)
    collect = file.fields(file.table(raw, ("collect",)), ("collect",), COLLECT)
    keep = file.fields(file.table(raw, ("keep",)), ("keep",), KEEP)
    custom = (*before.collect.custom, *_collectors(file, file.table(raw, ("collector",))))
    unique = {entry.name: entry for entry in custom}
    after = replace(
        before,
        collect=replace(before.collect, custom=tuple(unique.values()), **collect),  # type: ignore[arg-type]
        keep=replace(before.keep, **keep),  # type: ignore[arg-type]
        mask=(*before.mask, *_patterns(file, file.table(raw, ("mask",)))),
    )
    if "boot" in raw:
        from failhook.config import boot

        after = boot.apply(after, file, raw)
    if raw.keys().isdisjoint(_RESPONSE):
        return after
    from failhook.config import rules  # who has no rules does not pay for reading them

    return rules.apply(after, file, raw)


def _collectors(file: File, raw: Mapping[str, object]) -> Iterator[CustomCollector]:
    for name, table in raw.items():
        at = ("collector", name)
        if not _NAME.fullmatch(name):
            file.problem(at, "is no name for a collector", "letters, digits, - _ .")
            continue
        if not isinstance(table, dict):
            file.problem(at, "is no table", f"write [collector.{name}]")
            continue
        before = len(file.problems)
        fields = file.fields(table, at, COLLECTOR)
        kind = fields.get("type")
        needed = {"files": "paths", "command": "argv"}.get(str(kind))
        if needed is None:
            file.problem((*at, "type"), "has to be one of two", '"files" or "command"')
        elif not fields.get(needed):
            file.problem(at, f"{needed} is missing", f"a {kind} collector needs it")
        if len(file.problems) == before:
            yield replace(CustomCollector(name, str(kind)), **fields)  # type: ignore[arg-type]


def _patterns(file: File, raw: Mapping[str, object]) -> Iterator[CustomPattern]:
    """Those that may be used on hostile text; one that is refused must not stop any incident."""
    for name, value in raw.items():
        try:
            yield CustomPattern(name, values.text(value))
        except Wrong as wrong:
            file.problem(("mask", name), f"{value!r} {wrong}")
        except ValueError as error:
            file.problem(("mask", name), str(error))
