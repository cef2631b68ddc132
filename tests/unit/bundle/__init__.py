# SPDX-License-Identifier: MIT
"""Bundles for tests: real ones, and hostile ones built block by block."""

import gzip
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from failhook.bundle.writer import BundleWriter
from failhook.item import Item
from tests.unit import samples

TOP = "a.service-0123456789ab"
ITEMS = {"journal/unit.txt": b"it failed\n" * 40, "status.txt": b"failed (3)\n", "empty": b""}


def real(directory: Path, items: Mapping[str, bytes] = ITEMS, name: str = "bundle.tar.gz") -> Path:
    """A bundle that failhook wrote."""
    with BundleWriter(directory, samples.incident(), max_bytes=16 << 20, name=name) as writer:
        for path, data in items.items():
            writer.add(Item(path, data, "c"))
        return Path(writer.finish({}).path)


def head(
    name: str | bytes,
    *,
    kind: bytes = b"0",
    size: int | bytes = 0,
    mode: int = 0o600,
    link: bytes = b"",
    magic: bytes = b"ustar\x0000",
    checksum: int | None = None,
) -> bytes:
    """One header block. A ``size`` in bytes is written as it is."""
    raw = name.encode() if isinstance(name, str) else name
    sized = size if isinstance(size, bytes) else b"%011o\0" % size
    block = raw.ljust(100, b"\0") + b"%07o\0" % mode + b"0000000\0" * 2 + sized
    block += b"00000000000\0" + b" " * 8 + kind + link.ljust(100, b"\0") + magic
    block = block.ljust(512, b"\0")
    total = sum(block) if checksum is None else checksum
    return block[:148] + b"%06o\0 " % total + block[156:]


def padded(data: bytes) -> bytes:
    """``data`` up to a full block."""
    return data + bytes(-len(data) % 512)


def member(name: str | bytes, data: bytes = b"", **changes: Any) -> bytes:
    """A header and its content."""
    settings: dict[str, Any] = {"size": len(data)} | changes
    return head(name, **settings) + padded(data)


def directory(name: str, **changes: Any) -> bytes:
    """A directory."""
    settings: dict[str, Any] = {"kind": b"5", "mode": 0o700} | changes
    return head(name, **settings)


def pax(records: bytes) -> bytes:
    """An extended header."""
    return member("././@PaxHeader", records, kind=b"x")


def pax_record(keyword: str, value: bytes) -> bytes:
    """One record; its length counts itself."""
    length = len(keyword) + len(value) + 3
    while len(str(length)) + len(keyword) + len(value) + 3 != length:
        length += 1
    return b"%d %s=%s\n" % (length, keyword.encode(), value)


def manifest(files: Mapping[str, bytes], **changes: Any) -> bytes:
    """What the manifest of ``files`` says; ``changes`` replace or add."""
    items = [
        {"path": path, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for path, data in files.items()
    ]
    totals = {"bytes": sum(map(len, files.values()))}
    return json.dumps({"schema": 1, "items": items, "totals": totals} | changes).encode()


def archive(*members: bytes, files: Mapping[str, bytes] | None = None, **changes: Any) -> bytes:
    """A tar that is good but for ``members``, which come before the manifest."""
    files = {"a.txt": b"evidence\n"} if files is None else files
    start = directory(TOP) + b"".join(member(f"{TOP}/{n}", d) for n, d in files.items())
    last = member(f"{TOP}/manifest.json", manifest(files, **changes))
    return start + b"".join(members) + last + bytes(1024)


def packed(tar: bytes) -> bytes:
    """As gzip."""
    return gzip.compress(tar, 6, mtime=0)


def _at(name: str, **changes: Any) -> bytes:
    return member(f"{TOP}/{name}", **changes)


def _twice(first: str, second: str) -> bytes:
    return packed(archive(_at(first), _at(second)))


# What somebody could try: the bundle, and what has to be said of it.
HOSTILE: dict[str, tuple[bytes, str]] = {
    "symbolic link": (packed(archive(_at("l", kind=b"2", link=b"/etc/shadow"))), "symbolic link"),
    "hard link": (packed(archive(_at("l", kind=b"1", link=b"/etc/shadow"))), "hard link"),
    "character device": (packed(archive(_at("d", kind=b"3"))), "device"),
    "block device": (packed(archive(_at("d", kind=b"4"))), "device"),
    "FIFO": (packed(archive(_at("f", kind=b"6"))), "FIFO"),
    "contiguous": (packed(archive(_at("f", kind=b"7"))), "contiguous"),
    "sparse": (packed(archive(_at("s", kind=b"S"))), "sparse"),
    "GNU magic": (packed(archive(_at("s", magic=b"ustar  \0"))), "not of the POSIX format"),
    "sparse by extension": (
        packed(archive(pax(pax_record("GNU.sparse.major", b"1")), _at("s"))),
        "GNU.sparse.major",
    ),
    "unknown kind": (packed(archive(_at("s", kind=b"Z"))), "unknown kind"),
    "file with a link": (packed(archive(_at("s", link=b"/etc"))), "link"),
    "setuid": (packed(archive(_at("s", mode=0o4755))), "special permissions"),
    "setgid": (packed(archive(_at("s", mode=0o2755))), "special permissions"),
    "sticky": (packed(archive(directory(f"{TOP}/s", mode=0o1777))), "special permissions"),
    "absolute": (packed(archive(member("/etc/cron.d/x"))), "absolute"),
    "absolute by extension": (
        packed(archive(pax(pax_record("path", b"/etc/cron.d/x")), _at("s"))),
        "absolute",
    ),
    "dot dot": (packed(archive(_at("../../x"))), "leaves its directory"),
    "dot dot directory": (packed(archive(directory(f"{TOP}/.."))), "leaves its directory"),
    "dot dot by extension": (
        packed(archive(pax(pax_record("path", f"{TOP}/../x".encode())), _at("s"))),
        "leaves its directory",
    ),
    "dot": (packed(archive(_at("./x"))), "empty parts"),
    "two slashes": (packed(archive(_at("/x"))), "empty parts"),
    "file with a slash": (packed(archive(_at("x/"))), "empty parts"),
    "no name": (packed(archive(member(""))), "empty parts"),
    "NUL": (
        packed(archive(pax(pax_record("path", f"{TOP}/a\0b".encode())), _at("s"))),
        "no file name needs",
    ),
    "new line": (packed(archive(_at("a\nb"))), "no file name needs"),
    "escape": (packed(archive(_at("a\x1b[2Jb"))), "no file name needs"),
    "bidi": (packed(archive(_at("a\u202eb"))), "no file name needs"),
    "no UTF-8": (packed(archive(member(f"{TOP}/".encode() + b"\xff"))), "not UTF-8"),
    "twice": (_twice("b", "b"), "twice"),
    "case": (_twice("b", "B"), "twice, or differs only in case"),
    "sharp s": (_twice("straße", "STRASSE"), "differs only in case"),
    "accents": (_twice("\u00e9", "e\u0301"), "case or accents"),
    "compatible": (_twice("\ufb01", "fi"), "case or accents"),
    "directory twice": (
        packed(archive(directory(f"{TOP}/d"), directory(f"{TOP}/D"))),
        "differs only in case",
    ),
    "directory over a file": (packed(archive(directory(f"{TOP}/a.txt"))), "twice"),
    "file below a file": (packed(archive(_at("a.txt/x"))), "no directory of the bundle"),
    "file below nothing": (packed(archive(_at("d/x"))), "no directory of the bundle"),
    "second top": (packed(archive(directory("other"))), "beside the top directory"),
    "file beside the top": (packed(archive(member("other"))), "beside the top directory"),
    "file in a second top": (packed(archive(member("other/x"))), "no directory of the bundle"),
    "no top": (packed(member("a") + bytes(1024)), "not the one directory"),
    "too deep": (
        packed(
            archive(*(directory(f"{TOP}/" + "/".join("abcd"[:n])) for n in range(1, 5)))[:-1024]
            + _at("a/b/c/d/e")
            + bytes(1024)
        ),
        "deeper than 5",
    ),
    "long part": (
        packed(archive(pax(pax_record("path", f"{TOP}/{'a' * 256}".encode())), _at("s"))),
        "longer than 255",
    ),
    "long name": (
        packed(archive(pax(pax_record("path", TOP.encode() + b"/x" * 700)), _at("s"))),
        "longer than 1024",
    ),
    "huge extended header": (
        packed(archive(head("p", kind=b"x", size=1 << 32), _at("s"))),
        "larger than 4096",
    ),
    "extended size": (
        packed(archive(pax(pax_record("size", b"9")), _at("s"))),
        "'size', which bundles do not have",
    ),
    "extended twice": (
        packed(archive(pax(pax_record("path", b"a") * 2), _at("s"))),
        "'path', which bundles do not have",
    ),
    "extended after extended": (
        packed(archive(pax(pax_record("path", b"a")) * 2, _at("s"))),
        "not followed by a file",
    ),
    "extended, lying": (packed(archive(pax(b"99 path=a\n"), _at("s"))), "lies about its length"),
    "extended, garbage": (packed(archive(pax(b"path=a\n"), _at("s"))), "cannot be read"),
    "extended, empty": (packed(archive(pax(b""), _at("s"))), "empty"),
    "extended, last": (
        packed(directory(TOP) + pax(pax_record("path", b"a")) + bytes(1024)),
        "no number",
    ),
    "global header": (
        packed(archive(member("g", pax_record("path", b"/x"), kind=b"g"))),
        "a global header",
    ),
    "GNU long name": (packed(archive(member("././@LongLink", b"/x\0", kind=b"L"))), "long name"),
    "size beyond the end": (packed(archive(_at("s", size=1 << 20))), "ends in the middle"),
    "size of 8 GiB": (packed(archive(_at("s", size=(8 << 30) - 1))), "ends in the middle"),
    "size in binary": (packed(archive(_at("s", size=b"\x80" + b"\xff" * 11))), "no number"),
    "negative size": (packed(archive(_at("s", size=b"-0000000001\0"))), "no number"),
    "directory with a size": (packed(archive(directory(f"{TOP}/d", size=512))), "has a size"),
    "wrong checksum": (packed(archive(_at("s", checksum=1))), "checksum"),
    "cut gzip": (packed(archive())[:-9], "cut off"),
    "cut checksum": (packed(archive())[:-1], "cut off"),
    "wrong CRC": (packed(archive())[:-8] + bytes(8), "damaged"),
    "cut tar": (packed(archive()[:-1536]), "ends in the middle"),
    "no end mark": (packed(archive()[:-1024]), "mark that ends a tar"),
    "half an end mark": (packed(archive()[:-512]), "mark that ends a tar"),
    "tar behind the tar": (packed(archive() + archive()), "follows the end of the tar"),
    "many zeros behind": (packed(archive() + bytes(2 << 20)), "follows the end of the tar"),
    "garbage behind": (packed(archive()) + b"garbage", "follows the compressed data"),
    "one byte behind": (packed(archive()) + b"\0", "follows the compressed data"),
    "second gzip member": (packed(archive()) + packed(archive()), "follows the compressed data"),
    "no gzip": (archive(), "no gzip data"),
    "text": (b"#!/bin/sh\nrm -rf /\n", "no gzip data"),
    "nothing": (b"", "cut off"),
    "gzip of nothing": (packed(b""), "mark that ends a tar"),
    "gzip of text": (packed(b"hello, world\n" * 999), "no number"),
    "empty tar": (packed(bytes(1024)), "no manifest.json"),
    "something after the manifest": (
        packed(archive()[:-1024] + _at("z") + bytes(1024)),
        "follows the manifest",
    ),
}
