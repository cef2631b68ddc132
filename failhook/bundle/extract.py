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
from failhook.bundle.reader import LIMITS, Event, Limits, Member, Problem, read
from failhook.bundle.verify import Checker

_PLACE = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_BENEATH = _PLACE | os.O_NOFOLLOW
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class ExtractError(Exception):
    """Nothing was unpacked: one sentence that says why."""


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was unpacked, the manifest included."""

    files: int
    bytes: int


def extract(path: Path, destination: Path, limits: Limits = LIMITS) -> Extraction:
    """Unpack the bundle into ``destination``, a new directory or an empty one of ours.

    Raises ExtractError, and then what was written is gone again.
    """
    try:
        with _destination(destination.absolute()) as place, contextlib.ExitStack() as undo:
            tree = _Tree(place.fd)
            undo.callback(tree.remove)
            done = _unpack(path, tree, limits)
            place.check()
            undo.pop_all()
            return done
    except OSError as error:
        reason = error.strerror or str(error)
        raise ExtractError(f"{destination} cannot be written: {reason}") from None
    except ValueError:  # a NUL or a lone surrogate
        raise ExtractError(f"{str(destination)!a} is no name of a directory") from None


def _unpack(path: Path, tree: _Tree, limits: Limits) -> Extraction:
    checker = Checker(limits)
    with contextlib.closing(_Writer(tree)) as writer:
        for event in read(path, limits):
            checker.see(event)
            if isinstance(event, Problem):
                raise ExtractError(f"{path} was not unpacked: {event.text}")
            writer.see(event)
    found = checker.finish()
    if not found.ok:
        raise ExtractError(f"{path} was not unpacked: {found.problems[0]}")
    return Extraction(found.files, found.bytes)


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
def _opened(name: str | Path, flags: int, parent: int | None = None) -> Iterator[int]:
    fd = os.open(name, flags, dir_fd=parent)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def _destination(path: Path) -> Iterator[_Place]:
    """Make or accept the directory; one that was made goes away on any exception."""
    with _opened(path.parent, _PLACE) as parent, contextlib.ExitStack() as undo:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path.name, files.PRIVATE_DIR, dir_fd=parent)
            undo.callback(_remove_directory, path.name, parent)
        try:
            opened = undo.enter_context(_opened(path.name, _BENEATH, parent))
        except OSError:
            raise ExtractError(f"{path} exists and is no directory") from None
        _check_ours(opened, path)
        yield _Place(opened, parent, path)
        undo.pop_all()
        os.close(opened)


def _check_ours(fd: int, path: Path) -> None:
    state = os.fstat(fd)
    if state.st_uid != os.geteuid() or state.st_mode & 0o022:
        raise ExtractError(f"{path} is writable for others; name a directory that does not exist")
    if os.listdir(fd):
        raise ExtractError(f"{path} is not empty; name a directory that does not exist")


def _remove_directory(name: str, parent: int) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(name, dir_fd=parent)


# -- what is written into it --------------------------------------------------------------------


class _Tree:
    """What was created beneath one directory, and how to take exactly that back."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._directories: list[tuple[str, ...]] = []
        self._known: set[tuple[str, ...]] = set()
        self._files: list[tuple[str, ...]] = []

    def make_directory(self, parts: tuple[str, ...]) -> None:
        """Create it and those above it, where they do not exist yet. Raises OSError."""
        for length in range(1, len(parts) + 1):
            if parts[:length] in self._known:
                continue
            with self._above(parts[:length]) as above:
                os.mkdir(parts[length - 1], files.PRIVATE_DIR, dir_fd=above)
            self._known.add(parts[:length])
            self._directories.append(parts[:length])

    def create(self, parts: tuple[str, ...]) -> int:
        """A descriptor of a new file. Raises OSError."""
        self.make_directory(parts[:-1])
        with self._above(parts) as above:
            fd = os.open(parts[-1], _NEW, files.PRIVATE_FILE, dir_fd=above)
        self._files.append(parts)
        return fd

    def remove(self) -> None:
        """Remove what was created, and nothing that somebody else put there."""
        for parts in reversed(self._files):
            with contextlib.suppress(OSError), self._above(parts) as above:
                os.unlink(parts[-1], dir_fd=above)
        for parts in reversed(self._directories):
            with contextlib.suppress(OSError), self._above(parts) as above:
                os.rmdir(parts[-1], dir_fd=above)

    @contextlib.contextmanager
    def _above(self, parts: tuple[str, ...]) -> Iterator[int]:
        """The directory that holds ``parts``, reached without following a link."""
        fd = os.open(".", _BENEATH, dir_fd=self._root)
        try:
            for part in parts[:-1]:
                deeper = os.open(part, _BENEATH, dir_fd=fd)
                os.close(fd)
                fd = deeper
            yield fd
        finally:
            os.close(fd)


class _Writer:
    """Writes what `reader.read` finds into a tree."""

    def __init__(self, tree: _Tree) -> None:
        self._tree = tree
        self._file = -1

    def see(self, event: Event) -> None:
        """Write the next event. Raises OSError."""
        if isinstance(event, Member):
            self.close()
            if event.directory:
                self._tree.make_directory(event.parts)
            else:
                self._file = self._tree.create(event.parts)
        elif isinstance(event, bytes):
            rest = memoryview(event)
            while rest:
                rest = rest[os.write(self._file, rest) :]

    def close(self) -> None:
        """Close the file that was written last. Raises OSError."""
        fd, self._file = self._file, -1
        if fd >= 0:
            os.close(fd)
