# SPDX-License-Identifier: MIT
"""Bundles built by hand, block by block, so that every lie can be told."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from failhook.incident import Incident

INCIDENT = Incident(
    id="7f3a0c21b5de",
    host="web1",
    boot_id="b" * 32,
    unit="app@one.service",
    first_seen=1_700_000_000.5,
    last_seen=1_700_000_001.0,
)
TOP = "app@one.service-7f3a0c21b5de"
END = bytes(1024)


def header(  # noqa: PLR0913 - each is a field that a test lies in
    name: bytes | str,
    size: int = 0,
    *,
    kind: bytes = b"0",
    mode: int = 0o600,
    link: bytes = b"",
    magic: bytes = b"ustar\x0000",
    size_field: bytes | None = None,
    checksum: int | None = None,
) -> bytes:
    """One tar header, right by default."""
    raw = name.encode() if isinstance(name, str) else name
    block = bytearray(512)
    block[0 : len(raw)] = raw
    block[100:108] = b"%07o\0" % mode
    block[108:124] = b"0000000\0" * 2
    block[124:136] = b"%011o\0" % size if size_field is None else size_field
    block[136:148] = b"%011o\0" % 1_700_000_000
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157 : 157 + len(link)] = link
    block[257:265] = magic
    block[148:156] = b"%06o\0 " % (sum(block) if checksum is None else checksum)
    return bytes(block)


def member(name: bytes | str, data: bytes = b"", **how: object) -> bytes:
    """A header and its content, padded."""
    return header(name, len(data), **how) + data + bytes(-len(data) % 512)  # type: ignore[arg-type]


def directory(name: str) -> bytes:
    """A directory."""
    return header(f"{name}/", kind=b"5", mode=0o700)


def pax(records: bytes, size: int | None = None) -> bytes:
    """An extended header with these records."""
    length = len(records) if size is None else size
    return header("./PaxHeaders/x", length, kind=b"x") + records + bytes(-len(records) % 512)


def record(key: str, value: bytes) -> bytes:
    """One record, its length right."""
    rest = f" {key}=".encode() + value + b"\n"
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length += 1
    return str(length).encode() + rest


def entry(path: str, data: bytes) -> dict[str, object]:
    """What a manifest says of one file."""
    return {"path": path, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def manifest(files: Mapping[str, bytes], **more: object) -> bytes:
    """The manifest member for these files."""
    items = [entry(path, data) for path, data in files.items()]
    content = json.dumps({"schema": 1, "items": items} | more).encode()
    return member(f"{TOP}/manifest.json", content)


def whole(*between: bytes, files: Mapping[str, bytes] | None = None) -> bytes:
    """A tar with the top directory, what is given, and a manifest that is right for ``files``."""
    return directory(TOP) + b"".join(between) + manifest(files or {}) + END


def saved(path: Path, tar: bytes) -> Path:
    """``tar`` compressed at ``path``."""
    path.write_bytes(gzip.compress(tar, mtime=0))
    return path
