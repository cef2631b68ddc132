# SPDX-License-Identifier: MIT
"""Reading a bundle from anywhere: hostile until proven otherwise, in one pass and bounded memory.

What is checked is what is used: the same bytes of the same open file go through the checks and to
the receiver, so there is no moment between looking and using. What a bundle says of sizes decides
how much is passed on, never how much memory is taken.

Everything wrong with a bundle is a sentence; nothing here raises for its content.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from failhook.bundle import layout, manifest, tarhead
from failhook.bundle.gunzip import Damaged, Gunzip, Limits
from failhook.bundle.layout import BLOCK, BundleError
from failhook.bundle.manifest import Content
from failhook.bundle.tarhead import Header, shown
from failhook.incident import JsonObject

_CHUNK = 65536
_MAX_PROBLEMS = 50
_MAX_PADDING = 1 << 20
_DEFAULT = Limits()


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found. ``manifest`` is None unless it could be read and is of our schema."""

    problems: tuple[str, ...]
    manifest: JsonObject | None
    top: str
    files: int
    bytes: int
    sha256: str  # of the bundle itself


class Receiver(Protocol):
    """Takes what is in a bundle; its paths are relative, checked, and below one top directory."""

    def directory(self, path: str) -> None:
        """There is a directory at ``path``; those above it were told before."""

    def begin(self, path: str) -> None:
        """A file begins; the directory it is in was told before."""

    def data(self, piece: bytes) -> None:
        """The next bytes of the file that began last."""


class Discard:
    """The receiver for who only wants to know."""

    def directory(self, path: str) -> None:
        """Not kept."""

    def begin(self, path: str) -> None:
        """Not kept."""

    def data(self, piece: bytes) -> None:
        """Not kept."""


@contextmanager
def opened(path: Path, limits: Limits = _DEFAULT) -> Iterator[io.FileIO]:
    """The bundle as one open file, to be read once.

    Raises BundleError where it cannot be opened, is a link, a FIFO or a device, or is too large.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "its name is not possible"
        raise BundleError(f"{path} could not be opened: {why}") from error
    state = os.fstat(fd)
    if not stat.S_ISREG(state.st_mode):  # FileIO would raise for a directory, and leave it open
        os.close(fd)
        raise BundleError(f"{path} is not a regular file")
    with io.FileIO(fd, "rb") as stream:
        if state.st_size > limits.packed:
            raise BundleError(f"{path} is larger than {limits.packed >> 20} MiB")
        yield stream


def scan(
    stream: io.FileIO, receiver: Receiver, *, limits: Limits = _DEFAULT, stop: bool = False
) -> Scan:
    """Read all of ``stream``, hand its content to ``receiver``, and say what is wrong with it.

    With ``stop`` the first problem ends the reading: nothing behind it reaches the receiver.
    Raises OSError for a disk that cannot be read, and what ``receiver`` raises.
    """
    scanner = _Scanner(Gunzip(stream, limits), receiver, limits, stop)
    return scanner.run()


class _Scanner:
    def __init__(self, source: Gunzip, receiver: Receiver, limits: Limits, stop: bool) -> None:
        self._source = source
        self._receiver = receiver
        self._limits = limits
        self._stop = stop
        self._problems: list[str] = []
        self._files: dict[str, Content] = {}
        self._directories: set[str] = set()
        self._taken: set[str] = set()
        self._manifest: bytes | None = None
        self._top = ""

    def run(self) -> Scan:
        parsed: JsonObject | None = None
        try:
            self._members()
            self._end()
            parsed = self._check_manifest()
        except Damaged as damage:
            if str(damage) not in self._problems:
                self._problems.append(str(damage))
        return Scan(
            tuple(self._problems[:_MAX_PROBLEMS]),
            parsed,
            self._top,
            len(self._files) + (self._manifest is not None),
            sum(content.bytes for content in self._files.values()) + len(self._manifest or b""),
            self._source.drain(),
        )

    def _problem(self, text: str) -> None:
        self._problems.append(text)
        if self._stop or len(self._problems) >= _MAX_PROBLEMS:
            raise Damaged(text)

    def _members(self) -> None:
        for number in range(self._limits.members + 1):
            block = self._source.read(BLOCK)
            if block == bytes(BLOCK):
                return
            if number < self._limits.members:
                self._member(self._header(block))
        raise Damaged(f"it has more than {self._limits.members} members")

    def _header(self, block: bytes) -> Header:
        """A header, with the name that an extended one before it gives."""
        if len(block) < BLOCK:
            raise Damaged("it ends without the mark that ends a tar file")
        header = tarhead.parse(block)
        if header.kind != "extended":
            return header
        if header.size > layout.MAX_PAX:
            raise Damaged(f"an extended header is larger than {layout.MAX_PAX} bytes")
        name = tarhead.extended_path(self._exactly(header.size))
        self._skip(-header.size % BLOCK)
        header = tarhead.parse(self._exactly(BLOCK))
        if header.kind not in ("file", "directory"):
            raise Damaged("an extended header is not followed by a file")
        return Header(name, header.size, header.kind, header.mode)

    def _member(self, header: Header) -> None:
        """One member: passed on if nothing is wrong with it, else skipped."""
        path = self._checked(header)
        if header.kind == "directory":
            if path is not None:
                self._directories.add(path)
                self._receiver.directory(path)
        elif path is None:
            self._skip(header.size)
        elif path == f"{self._top}/{layout.MANIFEST}":
            self._take_manifest(path, header.size)
        else:
            self._take_file(path, header.size)
        self._skip(-header.size % BLOCK)

    def _checked(self, header: Header) -> str | None:
        """The path of a member that may be used; None after saying why it may not."""
        name = shown(header.name)
        if not header.allowed:
            self._problem(f"{name} is {header.kind}")
            return None
        try:
            parts = tarhead.safe_parts(header.name, directory=header.kind == "directory")
        except ValueError as error:
            self._problem(f"the name {name} {error}")
            return None
        path, above = "/".join(parts), "/".join(parts[:-1])
        wrong = self._wrong_place(header, path, above, first=not self._top)
        if header.mode & ~0o777:
            wrong = "has special permissions (setuid, setgid, sticky)"
        if wrong is not None:
            self._problem(f"{name} {wrong}")
            return None
        self._taken.add(layout.folded(path))
        return path

    def _wrong_place(self, header: Header, path: str, above: str, *, first: bool) -> str | None:
        if self._manifest is not None:
            return "follows the manifest, which has to be last"
        if first:
            if above or header.kind != "directory":
                return "is not the one directory that a bundle begins with"
            self._top = path
        elif not above:
            return "lies beside the top directory"
        elif above not in self._directories:
            return "lies in something that is no directory of the bundle"
        if layout.folded(path) in self._taken:
            return "is there twice, or differs only in case or accents from another name"
        return None

    def _take_file(self, path: str, size: int) -> None:
        digest = hashlib.sha256()
        self._receiver.begin(path)
        for piece in self._pieces(size):
            digest.update(piece)
            self._receiver.data(piece)
        self._files[path.removeprefix(f"{self._top}/")] = Content(size, digest.hexdigest())

    def _take_manifest(self, path: str, size: int) -> None:
        if size > manifest.MAX_BYTES:
            raise Damaged(f"the manifest is larger than {manifest.MAX_BYTES >> 20} MiB")
        self._manifest = self._exactly(size)
        self._receiver.begin(path)
        self._receiver.data(self._manifest)

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size > 0:
            piece = self._exactly(min(size, _CHUNK))
            size -= len(piece)
            yield piece

    def _exactly(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) < size:
            raise Damaged("it ends in the middle of a file")
        return data

    def _skip(self, size: int) -> None:
        for _ in self._pieces(size):
            pass

    def _end(self) -> None:
        """Behind the last member: nothing but zeros, and behind those nothing at all."""
        padding = 0
        while piece := self._source.read(_CHUNK):
            padding += len(piece)
            if piece.count(0) != len(piece) or padding > _MAX_PADDING:
                raise Damaged("something follows the end of the tar file")
        if padding < BLOCK:
            raise Damaged("it ends without the mark that ends a tar file")
        if self._source.has_more():
            self._problem("something follows the compressed data")

    def _check_manifest(self) -> JsonObject | None:
        if self._manifest is None:
            self._problem(f"there is no {layout.MANIFEST}")
            return None
        try:
            parsed = manifest.parse(self._manifest)
        except ValueError as error:
            self._problem(f"the manifest is not usable: {error}")
            return None
        for difference in manifest.differences(parsed, self._files):
            self._problem(difference)
        return parsed
