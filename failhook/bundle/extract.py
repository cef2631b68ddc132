# SPDX-License-Identifier: MIT
"""Unpacks a bundle that may come from an enemy: everything that `verify` calls good, or nothing.

Checked and written in one pass over one descriptor, so that there is no moment between the check
and the use. Everything is created relative to directory descriptors and never through a link; a
destination that is swapped on the way gets nothing (anchors T3, T20, T21).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from failhook import files
from failhook.bundle import reader
from failhook.bundle.gunzip import Limits
from failhook.bundle.layout import BundleError
from failhook.bundle.verify import judged

_PLACE = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_BENEATH = _PLACE | os.O_NOFOLLOW
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class ExtractError(BundleError):
    """Nothing was unpacked: one sentence that says why."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was unpacked, the manifest included."""

    files: int
    bytes: int
    directory: Path  # the bundle's own top directory, in the destination


def extract(path: Path, destination: Path, limits: Limits | None = None) -> Extraction:
    """Unpack the bundle into ``destination``, a new directory or an empty one of ours.

    Raises ExtractError, and then what was written is gone again.
    """
    limits = limits or Limits()
    try:
        with reader.opened(path, limits) as stream, _destination(destination.absolute()) as place:
            with contextlib.closing(_Tree(place.fd, destination)) as tree:
                try:
                    scan = reader.scan(stream, tree, limits=limits, stop=True)
                    found = judged(scan)
                    if not found.ok:
                        raise ExtractError(f"{path} was not unpacked: {found.problems[0]}")
                    tree.close()
                    place.check()
                except BaseException:
                    tree.remove()
                    raise
            return Extraction(found.files, found.bytes, destination / scan.top)
    except BundleError as error:
        raise ExtractError(error.reason) from None
    except OSError as error:
        raise ExtractError(f"{path} could not be read: {error.strerror or error}") from None


# -- the destination ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """The destination: its descriptor, and where its name was."""

    fd: int
    parent: int
    path: Path

    def check(self) -> None:
        """Raises ExtractError where the name is another directory's by now."""
        with contextlib.suppress(OSError):
            now = os.stat(self.path.name, dir_fd=self.parent, follow_symlinks=False)
            if os.path.samestat(now, os.fstat(self.fd)):
                return
        raise ExtractError(f"{self.path} was replaced by something else meanwhile")


@contextlib.contextmanager
def _destination(path: Path) -> Iterator[_Place]:
    """Make or accept the directory; one that was made goes away on any exception."""
    with contextlib.ExitStack() as stack:
        with _writing(path):
            parent = os.open(path.parent, _PLACE)
            stack.callback(os.close, parent)
            made = _make(path.name, parent)
        try:
            fd = _open_ours(path, parent)
            stack.callback(os.close, fd)
            yield _Place(fd, parent, path)
        except BaseException:
            if made:
                with contextlib.suppress(OSError):
                    os.rmdir(path.name, dir_fd=parent)
            raise


def _make(name: str, parent: int) -> bool:
    try:
        os.mkdir(name, files.PRIVATE_DIR, dir_fd=parent)
    except FileExistsError:
        return False
    return True


def _open_ours(path: Path, parent: int) -> int:
    """The directory, if it is empty and nobody else can write there. Raises ExtractError."""
    try:
        fd = os.open(path.name, _BENEATH, dir_fd=parent)
    except OSError:
        raise ExtractError(f"{path} exists and is no directory of ours") from None
    try:
        state = os.fstat(fd)
        if state.st_uid != os.geteuid() or state.st_mode & 0o022:
            raise ExtractError(f"others may write to {path}; name a directory that does not exist")
        if os.listdir(fd):
            raise ExtractError(f"{path} is not empty; name a directory that does not exist")
    except BaseException:
        os.close(fd)
        raise
    return fd


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What the file system refuses in the block, as ExtractError."""
    try:
        yield
    except OSError as error:
        raise ExtractError(f"{path} cannot be written: {error.strerror or error}") from None
    except ValueError:  # a NUL or a lone surrogate
        raise ExtractError(f"{str(path)!a} is no name of a directory") from None


# -- what is written into it --------------------------------------------------------------------


class _Tree:
    """A `reader.Receiver` that creates what it is told beneath one directory, and can undo it."""

    def __init__(self, root: int, destination: Path) -> None:
        self._root = root
        self._destination = destination
        self._directories: list[str] = []
        self._files: list[str] = []
        self._file = -1

    def directory(self, path: str) -> None:
        """Create a directory. Raises ExtractError."""
        with _writing(self._destination), self._above(path) as (above, name):
            os.mkdir(name, files.PRIVATE_DIR, dir_fd=above)
        self._directories.append(path)

    def begin(self, path: str) -> None:
        """Create a file. Raises ExtractError."""
        self.close()
        with _writing(self._destination), self._above(path) as (above, name):
            self._file = os.open(name, _NEW, files.PRIVATE_FILE, dir_fd=above)
        self._files.append(path)

    def data(self, piece: bytes) -> None:
        """Write to the file. Raises ExtractError."""
        rest = memoryview(piece)
        with _writing(self._destination):
            while rest:
                rest = rest[os.write(self._file, rest) :]

    def close(self) -> None:
        """Close the file. Raises ExtractError."""
        fd, self._file = self._file, -1
        if fd >= 0:
            with _writing(self._destination):
                os.close(fd)

    def remove(self) -> None:
        """Remove what was created, and nothing that somebody else put there."""
        for path in reversed(self._files):
            with contextlib.suppress(OSError), self._above(path) as (above, name):
                os.unlink(name, dir_fd=above)
        for path in reversed(self._directories):
            with contextlib.suppress(OSError), self._above(path) as (above, name):
                os.rmdir(name, dir_fd=above)

    @contextlib.contextmanager
    def _above(self, path: str) -> Iterator[tuple[int, str]]:
        """The directory that holds ``path``, reached without following a link, and the name."""
        *parents, name = path.split("/")
        fd = os.open(".", _BENEATH, dir_fd=self._root)
        try:
            for part in parents:
                deeper = os.open(part, _BENEATH, dir_fd=fd)
                os.close(fd)
                fd = deeper
            yield fd, name
        finally:
            os.close(fd)
