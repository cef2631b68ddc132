# SPDX-License-Identifier: MIT
"""Whether a bundle is whole, harmless, and what its manifest says it is. Nothing is unpacked.

The manifest is inside the bundle and not signed: this finds damage and traps, not a forger who
made a manifest to go with his files.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, cast

from failhook.bundle.reader import LIMITS, Event, Limits, Member, Problem, read, shown
from failhook.incident import Json, JsonObject

_SCHEMA = 1
_MANIFEST = "manifest.json"
_MAX_PROBLEMS = 100
_MAX_NESTING = 20
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found: ``files`` and ``bytes`` are those of the archive, its manifest included."""

    ok: bool
    problems: tuple[str, ...]
    files: int
    bytes: int
    manifest: JsonObject | None


def verify(path: Path, limits: Limits = LIMITS) -> Verification:
    """Read the whole bundle once. Raises nothing, whatever ``path`` is."""
    checker = Checker(limits)
    for event in read(path, limits):
        checker.see(event)
    return checker.finish()


class Checker:
    """Follows `reader.read` and compares with the manifest; shared with `extract`."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._problems: list[str] = []
        self._files = self._bytes = 0
        self._broken = False
        self._found: dict[str, tuple[int, str]] = {}
        self._member: Member | None = None
        self._digest = hashlib.sha256()
        self._left = 0
        self._text: bytearray | None = None  # of the manifest, once it began

    def see(self, event: Event) -> None:
        """Take the next event."""
        if isinstance(event, bytes):
            self._take(event)
            return
        self._end_member()
        if isinstance(event, Problem):
            self._say(event.text)
            self._broken = self._broken or event.last
        elif self._text is not None:
            self._say(f"{shown('/'.join(event.parts))} comes after {_MANIFEST}")
        elif not event.directory:
            self._begin(event)

    def finish(self) -> Verification:
        """Judge what was seen."""
        self._end_member()
        manifest = self._manifest()
        more = len(self._problems) - _MAX_PROBLEMS
        problems = self._problems[:_MAX_PROBLEMS]
        if more > 0:
            problems.append(f"and {more} more")
        return Verification(not problems, tuple(problems), self._files, self._bytes, manifest)

    def _say(self, problem: str) -> None:
        self._problems.append(problem)

    def _begin(self, member: Member) -> None:
        self._member, self._left, self._digest = member, member.size, hashlib.sha256()
        if member.parts[1:] == (_MANIFEST,):
            self._text = bytearray()
            if member.size > self._limits.manifest:
                self._say(f"{_MANIFEST} is larger than {self._limits.manifest} bytes")

    def _take(self, chunk: bytes) -> None:
        member = self._member
        if member is None:
            return
        self._left -= len(chunk)
        if self._text is None:
            self._digest.update(chunk)
        elif member.size <= self._limits.manifest:
            self._text += chunk

    def _end_member(self) -> None:
        member, self._member = self._member, None
        if member is None or self._left:
            return
        self._files += 1
        self._bytes += member.size
        if self._text is None:
            self._found["/".join(member.parts[1:])] = (member.size, self._digest.hexdigest())

    def _manifest(self) -> JsonObject | None:
        if self._text is None or self._left:
            if not self._broken:
                self._say(f"it has no {_MANIFEST}")
            return None
        try:
            manifest = _parsed(bytes(self._text))
        except (ValueError, RecursionError) as error:
            self._say(f"{_MANIFEST} cannot be read: {shown(str(error))}")
            return None
        if type(manifest.get("schema")) is not int or manifest["schema"] != _SCHEMA:
            schema = json.dumps(manifest.get("schema"))
            self._say(f"{_MANIFEST} has schema {schema[:40]}; this failhook reads {_SCHEMA}")
            return manifest
        self._compare(manifest)
        return manifest

    def _compare(self, manifest: JsonObject) -> None:
        items = manifest.get("items")
        if not isinstance(items, list):
            self._say(f"{_MANIFEST} has no list of items")
            return
        known: set[str] = set()
        for item in items:
            path = item.get("path") if isinstance(item, dict) else None
            if not isinstance(item, dict) or not isinstance(path, str):
                self._say(f"{_MANIFEST} has an item without a path")
            elif path in known:
                self._say(f"{_MANIFEST} has {shown(path)} twice")
            else:
                known.add(path)
                self._compare_item(path, item)
        for path in self._found.keys() - known if not self._broken else ():
            self._say(f"{shown(path)} is not in {_MANIFEST}")
        self._compare_total(manifest, sum(_count(item, "bytes") or 0 for item in items))

    def _compare_item(self, path: str, item: JsonObject) -> None:
        if path not in self._found:
            self._say(f"{shown(path)} is in {_MANIFEST} and not in the bundle")
            return
        size, digest = self._found[path]
        stated = _count(item, "bytes")
        if stated != size:
            self._say(f"{shown(path)} has {size} bytes; {_MANIFEST} says {stated}")
        if item.get("sha256") != digest:
            self._say(f"{shown(path)} has another SHA-256 than {_MANIFEST} says")

    def _compare_total(self, manifest: JsonObject, total: int) -> None:
        """The total stands at the top or among the ``totals``, whichever the writer wrote."""
        totals = manifest.get("totals")
        places = [place for place in (manifest, totals) if isinstance(place, dict)]
        stated = [place["bytes"] for place in places if "bytes" in place]
        if not stated:
            self._say(f"{_MANIFEST} has no total of bytes")
        elif any(type(one) is not int or one != total for one in stated):
            self._say(f"{_MANIFEST} has a wrong total of bytes: its items have {total}")


def _count(item: Json, name: str) -> int | None:
    found = item.get(name) if isinstance(item, dict) else None
    return found if type(found) is int and found >= 0 else None


def _parsed(text: bytes) -> JsonObject:
    """Raises ValueError or RecursionError for all that is not one plain JSON object."""
    found: Json = json.loads(text.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    level: list[Json] = [found]
    for _ in range(_MAX_NESTING):
        level = [inner for value in level for inner in _within(value)]
        if not level:
            return found
    raise ValueError("it is nested too deeply")


def _within(value: Json) -> list[Json]:
    """What ``value`` holds. Raises ValueError for what cannot be printed as JSON again."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list):
        return value
    if isinstance(value, str) and _SURROGATE.search(value):
        raise ValueError("it has half a character")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it has a number that is none")
    return []


def _object(pairs: list[tuple[str, object]]) -> JsonObject:
    found = cast("JsonObject", dict(pairs))
    if len(found) != len(pairs):
        raise ValueError("it has a name twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"it has {name}")
