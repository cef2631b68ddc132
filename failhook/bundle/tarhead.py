# SPDX-License-Identifier: MIT
"""The headers of a POSIX tar, as few kinds of them as `writer` makes, and nothing else.

Not read by `tarfile`, because of what it does for strangers: it reads extended headers of any
declared size into memory, believes maps of sparse files, and lets later headers take back what
earlier ones said.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from failhook.bundle import layout
from failhook.bundle.gunzip import Damaged

_PLAIN = 100  # bytes of a name that needs no extended header
_MOST = 8**11  # the first size that eleven octal digits do not hold
_OCTAL = re.compile(rb"[ \0]{0,11}([0-7]{1,12})[ \0]*")
_RECORD = re.compile(rb"([1-9][0-9]{0,4}) ([A-Za-z0-9.]{1,64})=")
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a FIFO",
    b"7": "a contiguous file",
    b"S": "a sparse file",
    b"g": "a global header",
    b"K": "a GNU long link",
    b"L": "a GNU long name",
}


@dataclass(frozen=True, slots=True)
class Header:
    """One header. ``kind`` is "file", "directory", "extended", or what is not allowed, in words."""

    name: bytes
    size: int
    kind: str
    mode: int

    @property
    def allowed(self) -> bool:
        """It is of a kind that bundles have."""
        return self.kind in ("file", "directory", "extended")


def header(path: str, size: int, mtime: int, *, directory: bool) -> bytes:
    """The header of a member, with an extended one before it where the name is long or not ASCII.

    The same bytes as `tarfile` makes of it (POSIX.1-2001, "ustar Interchange Format"), for less
    than a tenth of the time where the name is a plain one.
    """
    name = f"{path}/" if directory else path
    if len(name) > _PLAIN or not name.isascii() or size >= _MOST or mtime >= _MOST:
        return _extended(path, size, mtime, directory=directory)
    mode = 0o700 if directory else 0o600
    numbers = b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, 0, 0, size, mtime)
    before = name.encode("ascii").ljust(_PLAIN, b"\0") + numbers
    after = (b"5" if directory else b"0") + bytes(100) + b"ustar\x0000"
    checksum = sum(before) + sum(after) + 8 * ord(" ")
    return (before + b"%06o\0 " % checksum + after).ljust(layout.BLOCK, b"\0")


def _extended(path: str, size: int, mtime: int, *, directory: bool) -> bytes:
    import tarfile  # here: hardly any bundle has such a name

    info = tarfile.TarInfo(path)
    info.size, info.mtime = size, mtime
    info.type = tarfile.DIRTYPE if directory else tarfile.REGTYPE
    info.mode = 0o700 if directory else 0o600
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def parse(block: bytes) -> Header:
    """Read one block of 512 bytes. Raises Damaged where it is no header at all."""
    spaces = 8 * ord(" ")
    if _number(block[148:156]) != sum(block[:148]) + spaces + sum(block[156:]):
        raise Damaged("a header's checksum is wrong")
    if block[257:265] != b"ustar\x0000":
        raise Damaged("a header is not of the POSIX format")
    name, prefix = _text(block[:100]), _text(block[345:500])
    size = _number(block[124:136])
    kind = _kind(block[156:157])
    if kind == "directory" and size:
        raise Damaged("a directory has a size")
    if kind in ("file", "directory") and _text(block[157:257]):
        kind = "a link"
    return Header(prefix + b"/" + name if prefix else name, size, kind, _number(block[100:108]))


def _kind(flag: bytes) -> str:
    if flag in (b"0", b"\0"):
        return "file"
    if flag == b"5":
        return "directory"
    return "extended" if flag == b"x" else _KINDS.get(flag, "of an unknown kind")


def _number(field: bytes) -> int:
    """An octal number; the binary form that GNU tar has for huge ones is refused."""
    digits = _OCTAL.fullmatch(field)
    if digits is None:
        raise Damaged("a header holds something that is no number")
    return int(digits[1], 8)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def extended_path(content: bytes) -> bytes:
    """The path that an extended header gives; it may give nothing else. Raises Damaged."""
    path: bytes | None = None
    place = 0
    while place < len(content):
        record = _RECORD.match(content, place)
        if record is None:
            raise Damaged("an extended header cannot be read")
        end = place + int(record[1])
        value = content[record.end() : end - 1]
        if end > len(content) or content[end - 1 : end] != b"\n" or end <= record.end():
            raise Damaged("an extended header lies about its length")
        if record[2] != b"path" or path is not None:
            raise Damaged(
                f"an extended header sets {record[2].decode()!r}, which bundles do not have"
            )
        path, place = value, end
    if path is None:
        raise Damaged("an extended header is empty")
    return path


def safe_parts(name: bytes, *, directory: bool) -> list[str]:
    """The parts of a member's path. Raises ValueError, with the reason, where it may do harm."""
    try:
        path = name.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    if directory:
        path = path.removesuffix("/")
    if path.startswith("/"):
        raise ValueError("is absolute")
    if len(name) > layout.MAX_PATH:
        raise ValueError(f"is longer than {layout.MAX_PATH} bytes")
    if "\\" in path or any(unicodedata.category(sign) in _BAD_SIGNS for sign in path):
        raise ValueError("has control or other signs that no file name needs")
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError("leaves its directory or has empty parts")
    if len(parts) > layout.MAX_LEVELS + 1:
        raise ValueError(f"is deeper than {layout.MAX_LEVELS + 1} levels")
    if any(len(part.encode()) > 255 for part in parts):
        raise ValueError("has a part longer than 255 bytes")
    return parts


_BAD_SIGNS = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def shown(name: bytes | str) -> str:
    """A stranger's name, fit for a terminal: short, and every strange sign escaped."""
    text = name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name
    return repr(text if len(text) <= 120 else f"{text[:120]}…")
