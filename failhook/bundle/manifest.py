# SPDX-License-Identifier: MIT
"""The manifest of a bundle from anywhere: parsed strictly, then held against what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from failhook.bundle import layout
from failhook.bundle.tarhead import shown
from failhook.incident import Json, JsonObject

MAX_BYTES = 4 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Content:
    """What a file in the bundle really is."""

    bytes: int
    sha256: str


def parse(text: bytes) -> JsonObject:
    """The manifest as an object of our schema. Raises ValueError with the reason in words."""
    try:
        value: Json = json.loads(
            text.decode("utf-8"), object_pairs_hook=_no_doubles, parse_constant=_no_constant
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    schema = value.get("schema")
    if type(schema) is not int or schema != layout.SCHEMA:
        raise ValueError(f"its schema is {shown(str(schema))}, not {layout.SCHEMA}")
    return value


def _no_doubles(pairs: list[tuple[str, Json]]) -> JsonObject:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("it has a name twice in one object")
    return result


def _no_constant(name: str) -> Json:
    raise ValueError(f"it holds {name}")


def differences(manifest: JsonObject, files: Mapping[str, Content]) -> Iterator[str]:
    """What the manifest says and the files do not, and the other way round."""
    items = manifest.get("items")
    if not isinstance(items, list):
        yield "the manifest has no list of items"
        return
    listed: set[str] = set()
    for item in items:
        path = item.get("path") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(path, str):
            yield "the manifest has an item without a path"
            continue
        if path in listed:
            yield f"the manifest lists {shown(path)} twice"
        listed.add(path)
        yield from _of_item(path, item, files.get(path))
    for path in files:
        if path not in listed:
            yield f"{shown(path)} is not in the manifest"


def _of_item(path: str, item: JsonObject, content: Content | None) -> Iterator[str]:
    size, sha256 = item.get("bytes"), item.get("sha256")
    if type(size) is not int or not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        yield f"the manifest's entry of {shown(path)} lacks a size or a SHA-256"
    elif content is None:
        yield f"{shown(path)} is in the manifest and not in the bundle"
    elif content.bytes != size:
        yield f"{shown(path)} has {content.bytes} bytes, the manifest says {size}"
    elif content.sha256 != sha256:
        yield f"{shown(path)} is not what the manifest says: its SHA-256 differs"
