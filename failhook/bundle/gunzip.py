# SPDX-License-Identifier: MIT
"""Decompressing what a stranger compressed: piece by piece, with an end to everything.

Memory is bounded by the size of one piece, whatever the data says. One gzip member and nothing
behind it: what follows would be read by some programs and not by others.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from dataclasses import dataclass

_GZIP = 16 + zlib.MAX_WBITS
_CHUNK = 65536


class Damaged(Exception):
    """Why nothing that follows can be trusted, in words; the reading ends here."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a bundle may hold, in bytes where nothing else is said.

    ``ratio`` (unpacked to packed) counts only beyond ``ratio_from``: a log that repeats one line
    packs very well and harms nobody.
    """

    members: int = 10_000
    unpacked: int = 1 << 30
    packed: int = 1 << 30
    ratio: int = 300
    ratio_from: int = 64 << 20


class Gunzip:
    """Reads ``raw``, which is at its start."""

    def __init__(self, raw: io.FileIO, limits: Limits) -> None:
        self._raw = raw
        self._limits = limits
        self._unpacker = zlib.decompressobj(_GZIP)
        self._pending = b""
        self._digest = hashlib.sha256()
        self.packed = self.unpacked = 0

    def read(self, size: int) -> bytes:
        """``size`` bytes, or fewer where the data ends. Raises Damaged, OSError."""
        parts: list[bytes] = []
        while size > 0 and not self._unpacker.eof:
            piece = self._piece(min(size, _CHUNK))
            parts.append(piece)
            size -= len(piece)
        return b"".join(parts)

    def drain(self) -> str:
        """Read on to the file's end; returns the SHA-256 of all of it in hex. Raises OSError."""
        while self.packed <= self._limits.packed and self._more():
            pass
        return self._digest.hexdigest()

    def has_more(self) -> bool:
        """Something follows the end of the compressed data. Raises OSError."""
        return bool(self._unpacker.unused_data) or bool(self._more())

    def _piece(self, size: int) -> bytes:
        packed = self._pending or self._more()
        try:
            piece = self._unpacker.decompress(packed, size)
        except zlib.error as error:
            what = "is damaged" if self.unpacked else "is no gzip data"
            raise Damaged(f"the compressed data {what} ({error})") from None
        self._pending = self._unpacker.unconsumed_tail
        if not (piece or packed or self._unpacker.eof):
            raise Damaged("the compressed data ends in the middle: the file was cut off")
        self.unpacked += len(piece)
        self._check_size()
        return piece

    def _more(self) -> bytes:
        chunk = self._raw.read(_CHUNK) or b""
        self._digest.update(chunk)
        self.packed += len(chunk)
        return chunk

    def _check_size(self) -> None:
        limits = self._limits
        if self.unpacked > limits.unpacked or self.packed > limits.packed:
            raise Damaged(f"it holds more than {limits.unpacked >> 20} MiB")
        if self.unpacked > max(limits.ratio_from, limits.ratio * self.packed):
            raise Damaged(f"it unpacks to more than {limits.ratio} times its size")
