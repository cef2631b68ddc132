# SPDX-License-Identifier: MIT
"""One bundle for each way to harm who opens it, and what has to be said of it. Sent to all readers."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable

from tests.unit.bundle.archives import (
    END,
    TOP,
    directory,
    entry,
    header,
    manifest,
    member,
    pax,
    record,
    whole,
)

A = {"a": b"one"}
FILE = member(f"{TOP}/a", b"one")
GOOD = whole(FILE, files=A)
PACKED = gzip.compress(GOOD, mtime=0)


def _manifest(content: bytes) -> bytes:
    return directory(TOP) + FILE + member(f"{TOP}/manifest.json", content) + END


def _says(**more: object) -> bytes:
    return _manifest(json.dumps({"schema": 1, "items": [entry("a", b"one")]} | more).encode())


def _entry(**more: object) -> bytes:
    return _says(items=[entry("a", b"one") | more])


# what is wrong -> (the tar, a part of the problem)
TARS: dict[str, tuple[bytes, str]] = {
    "absolute path": (whole(member("/etc/passwd", b"x")), "is absolute"),
    "climbs": (whole(member(f"{TOP}/../x", b"x")), "leaves its directory"),
    "climbs at once": (whole(member("..", b"x")), "leaves its directory"),
    "dot": (whole(member(f"{TOP}/./x", b"x")), "leaves its directory"),
    "empty part": (whole(member(f"{TOP}//x", b"x")), "leaves its directory"),
    "no name": (whole(member("", b"x")), "leaves its directory"),
    "beside the top": (whole(member("other", b"x")), "lies beside the top directory"),
    "another top": (whole(directory("other"), member("other/x", b"x")), "lies beside"),
    "no directory above": (whole(member(f"{TOP}/d/x", b"x")), "is no directory of the bundle"),
    "below a file": (whole(FILE, member(f"{TOP}/a/x", b"x")), "is no directory of the bundle"),
    "starts with a file": (member(f"{TOP}/a", b"one") + END, "is not the one directory"),
    "symbolic link": (whole(header(f"{TOP}/a", kind=b"2", link=b"/etc")), "is a symbolic link"),
    "hard link": (whole(header(f"{TOP}/a", kind=b"1", link=b"/etc/shadow")), "is a hard link"),
    "link in disguise": (whole(header(f"{TOP}/a", kind=b"0", link=b"/etc")), "is a link"),
    "character device": (whole(header(f"{TOP}/a", kind=b"3")), "is a device"),
    "block device": (whole(header(f"{TOP}/a", kind=b"4")), "is a device"),
    "FIFO": (whole(header(f"{TOP}/a", kind=b"6")), "is a FIFO"),
    "contiguous": (whole(header(f"{TOP}/a", kind=b"7")), "is a contiguous file"),
    "GNU sparse": (whole(member(f"{TOP}/a", b"x", kind=b"S")), "is a sparse file"),
    "GNU long name": (whole(member("././@LongLink", b"x" * 600, kind=b"L")), "is a GNU long name"),
    "global header": (whole(member("x", record("path", b"/etc"), kind=b"g")), "is a global header"),
    "unknown kind": (whole(header(f"{TOP}/a", kind=b"Z")), "is of an unknown kind"),
    "setuid": (whole(member(f"{TOP}/a", b"x", mode=0o4755)), "special permissions"),
    "setgid directory": (whole(header(f"{TOP}/d/", kind=b"5", mode=0o2755)), "special permissions"),
    "sticky": (whole(member(f"{TOP}/a", b"x", mode=0o1644)), "special permissions"),
    "twice": (whole(FILE, FILE, files=A), "is there twice"),
    "differs in case": (whole(FILE, member(f"{TOP}/A", b"x")), "differs only in case"),
    "differs in accents": (
        whole(member(f"{TOP}/\u00e9", b"x"), member(f"{TOP}/e\u0301", b"x")),
        "differs only in case or accents",
    ),
    "directory like a file": (whole(FILE, directory(f"{TOP}/A")), "is there twice"),
    "not UTF-8": (whole(member(f"{TOP}/".encode() + b"\xff", b"x")), "is not UTF-8"),
    "control sign": (whole(member(f"{TOP}/a\x1b[2J", b"x")), "control or other signs"),
    "newline": (whole(member(f"{TOP}/a\nb", b"x")), "control or other signs"),
    "bidi sign": (whole(member(f"{TOP}/a\u202egnp.exe", b"x")), "control or other signs"),
    "backslash": (whole(member(f"{TOP}/..\\x", b"x")), "control or other signs"),
    "too deep": (
        whole(*(directory("/".join([TOP, *"abcdef"[:level]])) for level in range(1, 6))),
        "is deeper than",
    ),
    "a directory with a size": (whole(header(f"{TOP}/d/", 512, kind=b"5")), "has a size"),
    "long name": (
        whole(pax(record("path", f"{TOP}/{'a' * 256}".encode())), member("x", b"x")),
        "a part longer than 255 bytes",
    ),
    "very long name": (
        whole(pax(record("path", f"{TOP}/{'a/' * 600}".encode())), member("x", b"x")),
        "is longer than 1024 bytes",
    ),
    "extended header bomb": (whole(pax(b"", 1 << 33)), "an extended header is larger"),
    "extended header of zeros": (whole(pax(bytes(512))), "cannot be read"),
    "extended header too short": (whole(pax(b"99 path=x\n")), "lies about its length"),
    "extended header of length 0": (whole(pax(b"0 path=x\n")), "cannot be read"),
    "extended header, huge number": (whole(pax(b"9" * 400 + b" path=x\n")), "cannot be read"),
    "extended header, nothing in it": (whole(pax(b"")), "is empty"),
    "extended size": (
        whole(pax(record("path", b"x") + record("size", b"9999")), member("x", b"x")),
        "sets 'size'",
    ),
    "extended sparse map": (
        whole(pax(record("GNU.sparse.major", b"1")), member("x", b"x")),
        "sets 'GNU.sparse.major'",
    ),
    "extended link": (whole(pax(record("linkpath", b"/etc")), member("x")), "sets 'linkpath'"),
    "extended path twice": (
        whole(pax(record("path", b"x") + record("path", b"/y")), member("x", b"x")),
        "sets 'path'",
    ),
    "extended header alone": (directory(TOP) + pax(record("path", b"x")) + END, "a header"),
    "extended headers in a row": (
        whole(pax(record("path", b"x")), pax(record("path", b"y")), member("x", b"x")),
        "is not followed by a file",
    ),
    "extended path climbs": (
        whole(pax(record("path", f"{TOP}/../../x".encode())), member(f"{TOP}/a", b"x")),
        "leaves its directory",
    ),
    "size too large": (whole(header(f"{TOP}/a", 1 << 32), b"one"), "ends in the middle"),
    "size too small": (whole(header(f"{TOP}/a", 3), b"x" * 1024), "a header"),
    "size as a binary number": (
        whole(header(f"{TOP}/a", size_field=b"\x80" + bytes(10) + b"\x03")),
        "no number",
    ),
    "size is negative": (whole(header(f"{TOP}/a", size_field=b"-0000000003\0")), "no number"),
    "wrong checksum": (whole(header(f"{TOP}/a", checksum=1)), "checksum is wrong"),
    "old format": (whole(header(f"{TOP}/a", magic=b"ustar  \0")), "not of the POSIX format"),
    "no end": (GOOD[:-1024], "ends without the mark"),
    "half an end": (GOOD[:-512], "ends without the mark"),
    "something behind the end": (GOOD + FILE, "follows the end of the tar file"),
    "a megabyte of padding": (GOOD + bytes(2 << 20), "follows the end of the tar file"),
    "nothing": (b"", "ends without the mark"),
    "only an end": (END, "there is no manifest.json"),
    "no manifest": (directory(TOP) + FILE + END, "there is no manifest.json"),
    "manifest not last": (directory(TOP) + manifest(A) + FILE + END, "follows the manifest"),
    "two manifests": (whole(FILE, manifest(A), files=A), "follows the manifest"),
    "manifest in capitals": (whole(member(f"{TOP}/MANIFEST.json", b"{}")), "is there twice"),
    "manifest of 1 GiB": (
        directory(TOP) + header(f"{TOP}/manifest.json", 1 << 30) + END,
        "the manifest is larger",
    ),
    "manifest is no JSON": (_manifest(b"{"), "the manifest is not usable"),
    "manifest is not UTF-8": (_manifest(b'"\xff"'), "it is not UTF-8"),
    "manifest is a list": (_manifest(b"[]"), "it is not an object"),
    "manifest nested": (_manifest(b"[" * 200_000), "it is nested too deeply"),
    "manifest with a huge number": (_manifest(b"1" * 5000), "the manifest is not usable"),
    "manifest with NaN": (_says(x=float("nan")), "it holds NaN"),
    "manifest with doubled names": (_manifest(b'{"schema": 1, "schema": 1}'), "a name twice"),
    "another schema": (_says(schema=2), "its schema is '2'"),
    "schema true": (_says(schema=True), "its schema is 'True'"),
    "schema as text": (_says(schema="1"), "its schema is"),
    "no items": (_says(items=None), "has no list of items"),
    "item is no object": (_says(items=[entry("a", b"one"), 1]), "an item without a path"),
    "item twice": (_says(items=[entry("a", b"one")] * 2), "lists 'a' twice"),
    "wrong size": (_entry(bytes=4), "has 3 bytes, the manifest says 4"),
    "size true": (_entry(bytes=True), "lacks a size"),
    "wrong hash": (_entry(sha256="0" * 64), "its SHA-256 differs"),
    "hash in capitals": (_entry(sha256="A" * 64), "lacks a size or a SHA-256"),
    "no hash": (_entry(sha256=None), "lacks a size or a SHA-256"),
    "file not in the manifest": (whole(FILE), "'a' is not in the manifest"),
    "file missing": (whole(files=A), "in the manifest and not in the bundle"),
    "manifest lists itself": (
        _says(items=[entry("a", b"one"), entry("manifest.json", b"")]),
        "in the manifest and not in the bundle",
    ),
}


def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(directory(TOP) + header(f"{TOP}/a", 1 << 32))]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(80)]
    return b"".join((*parts, packer.flush()))


# what is wrong -> (makes the file's bytes, a part of the problem)
FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty file": (lambda: b"", "was cut off"),
    "no gzip": (lambda: b"PK\x03\x04 is a zip file", "is no gzip data"),
    "plain tar": (lambda: GOOD, "is no gzip data"),
    "random": (lambda: os.urandom(4096), "is no gzip data"),
    "cut off": (lambda: PACKED[: len(PACKED) // 2], "was cut off"),
    "checksum cut off": (lambda: PACKED[:-8], "was cut off"),
    "checksum wrong": (lambda: PACKED[:-8] + b"\0" * 8, "is damaged"),
    "something behind": (lambda: PACKED + b"x", "follows the compressed data"),
    "zeros behind": (lambda: PACKED + bytes(4096), "follows the compressed data"),
    "two members": (lambda: PACKED + PACKED, "follows the compressed data"),
    "an empty member behind": (lambda: PACKED + gzip.compress(b""), "follows the compressed data"),
    "bomb": (_bomb, "times its size"),
}
