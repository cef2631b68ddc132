# SPDX-License-Identifier: MIT
"""Whether a bundle is whole, harmless, and what its manifest says it is. Nothing is unpacked.

The manifest is inside the bundle and not signed: this finds damage and traps, not a forger who
made a manifest to go with his files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from failhook.bundle import reader
from failhook.bundle.gunzip import Limits
from failhook.bundle.layout import BundleError
from failhook.incident import Json, JsonObject

_MAX_NESTING = 50  # what comes out of JSON has to go into JSON again, without a RecursionError


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found: ``files`` and ``bytes`` are those of the archive, its manifest included."""

    ok: bool
    problems: tuple[str, ...]
    files: int
    bytes: int
    manifest: JsonObject | None


def verify(path: Path, limits: Limits | None = None) -> Verification:
    """Read the whole bundle once. Raises nothing, whatever ``path`` is."""
    limits = limits or Limits()
    try:
        with reader.opened(path, limits) as stream:
            return judged(reader.scan(stream, reader.Discard(), limits=limits))
    except BundleError as error:
        return Verification(False, (error.reason,), 0, 0, None)
    except OSError as error:
        reason = f"{path} could not be read: {error.strerror or error}"
        return Verification(False, (reason,), 0, 0, None)


def judged(found: reader.Scan) -> Verification:
    """The verdict on what a scan found; shared with `extract`."""
    manifest = found.manifest
    problems = list(found.problems)
    if manifest is not None and not _is_plain(manifest):
        problems.append("the manifest has a number that is none, or is nested too deeply")
        manifest = None
    if manifest is not None and not found.problems:  # else the total is a consequence
        problems += _wrong_totals(manifest)
    return Verification(not problems, tuple(problems), found.files, found.bytes, manifest)


def _wrong_totals(manifest: JsonObject) -> Iterator[str]:
    """The items are right by now, so that their sum is what the totals have to say."""
    items = manifest.get("items")
    listed = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    sizes = [size for item in listed if isinstance(size := item.get("bytes"), int)]
    totals = manifest.get("totals")
    stated = totals.get("bytes") if isinstance(totals, dict) else None
    if type(stated) is not int:
        yield "the manifest has no total of bytes"
    elif stated != sum(sizes):
        yield f"the manifest says {stated} bytes in all, its items have {sum(sizes)}"


def _is_plain(manifest: JsonObject) -> bool:
    level: list[Json] = [manifest]
    for _ in range(_MAX_NESTING):
        if any(isinstance(value, float) and not math.isfinite(value) for value in level):
            return False
        level = [inner for value in level for inner in _within(value)]
        if not level:
            return True
    return False


def _within(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
