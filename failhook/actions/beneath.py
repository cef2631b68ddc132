# SPDX-License-Identifier: MIT
"""Removing files beneath a directory, whatever their owner does meanwhile.

The service whose cache is cleaned may write there while we remove: it may put a symbolic link in
the place of a directory, move a directory away, or have something mounted. So nothing is ever
addressed by a path. Each directory is opened from the one above it, one name at a time, without
following links (O_NOFOLLOW), looked at before anything in it is read (O_PATH: a dead network mount
or an automount is not touched), and entered only if it lies on the same mount: by mount id
(proc(5), fdinfo), which also tells a bind mount of the same file system. Names are removed relative
to that open directory; unlink(2) never follows. Before names go, the way back up is compared with
the way down, so that what was moved out of the root is left alone. This holds on every kernel and
under every system call filter; openat2(2) with RESOLVE_BENEATH would say the same of each step.

Of a file with several names (hard links) only the name beneath the root goes; its content stays
as long as it has another one, and is not counted as freed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from failhook import safe_open

_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHECK_EVERY = 64  # names between two looks at the clock and at the way back up
_NEAREST = 8  # links that are compared at every directory; all of them now and then
_DEEPEST = 4096
_DESCRIPTORS = 2 * _DEEPEST + 256
_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)  # rmdir(2) knows both
_MOUNT_ID = re.compile(rb"^mnt_id:\s*(\d+)$", re.MULTILINE)


class Judge(Protocol):
    """Says what goes. Both are asked before anything is removed."""

    def file(self, name: str, state: os.stat_result) -> bool:
        """Whether the name goes: of anything that is no directory."""

    def directory(self, state: os.stat_result) -> bool:
        """Whether a directory goes once it is empty; ``state`` is from before we worked in it."""


@dataclass(slots=True)
class Tally:
    """What was found and what became of it. Bytes are those on disk, not lengths."""

    files: int = 0
    bytes: int = 0  # of all files found
    removed: int = 0
    freed: int = 0
    linked: int = 0  # names of files that have other names: nothing is freed
    directories: int = 0  # removed ones
    left: dict[str, int] = field(default_factory=dict)  # why something could not go -> how often
    finished: bool = False

    def leave(self, why: str) -> None:
        """Count something that had to stay."""
        self.left[why] = self.left.get(why, 0) + 1


@dataclass(frozen=True, slots=True)
class Root:
    """A directory that is cleaned: open, with its real path and its mount."""

    fd: int
    path: str
    mount: int

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode."""
        state = os.fstat(self.fd)
        return state.st_dev, state.st_ino


@contextlib.contextmanager
def opened(path: str, root: str = "/") -> Iterator[Root]:
    """``path``, where no component is a link that others than root could have put there.

    Raises OSError.
    """
    fd = safe_open.open_directory(path, root)
    try:
        yield Root(fd, os.readlink(f"/proc/self/fd/{fd}"), mount_id(fd))
    finally:
        os.close(fd)


def mount_id(fd: int) -> int:
    """The mount that an open file or directory lies on. Raises OSError."""
    with open(f"/proc/self/fdinfo/{fd}", "rb") as stream:
        match = _MOUNT_ID.search(stream.read(4096))
    if match is None:
        raise OSError("the kernel does not tell the mount (fdinfo, mnt_id)")
    return int(match[1])


@dataclass(slots=True)
class _Level:
    """A directory on the way: its descriptor, what is still to be read of it, its own name."""

    fd: int
    entries: Iterator[os.DirEntry[str]]
    name: str
    state: os.stat_result  # before we worked in it

    def close(self) -> None:
        self.entries.close()  # type: ignore[attr-defined]
        os.close(self.fd)


def sweep(
    root: Root,
    judge: Judge,
    *,
    until: float,
    dry_run: bool = False,
    spared: frozenset[tuple[int, int]] = frozenset(),
) -> Tally:
    """Walk everything beneath ``root`` and remove what ``judge`` says; the root itself stays.

    Memory does not depend on how much there is. Stops in order at ``until`` (monotonic seconds):
    then the tally is not ``finished``. Directories whose (device, inode) is ``spared`` are left.
    Raises OSError where the root itself cannot be read.
    """
    with _more_descriptors() as deepest:
        walk = _Walk(root, judge, until, dry_run, spared, deepest)
        try:
            walk.run()
        finally:
            walk.close()
        return walk.tally


@contextlib.contextmanager
def _more_descriptors() -> Iterator[int]:
    """As deep as one can go: every level needs two descriptors. The limit is put back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield max(8, (max(soft, wanted) - 256) // 2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class _Walk:
    """One pass. The stack holds the open directories from the root down."""

    def __init__(
        self,
        root: Root,
        judge: Judge,
        until: float,
        dry_run: bool,
        spared: frozenset[tuple[int, int]],
        deepest: int,
    ) -> None:
        self.tally = Tally()
        self._judge = judge
        self._until = until
        self._dry_run = dry_run
        self._mount = root.mount
        self._spared = spared
        self._deepest = deepest
        self._stack: list[_Level] = []
        self._since_check = 0
        self._push(os.open(".", _READ, dir_fd=root.fd), "")

    def close(self) -> None:
        """Let go of what is still open, where the walk ended early."""
        while self._stack:
            self._stack.pop().close()

    def run(self) -> None:
        """To the end, or until the time is over."""
        while self._stack:
            self._since_check += 1
            if self._since_check >= _CHECK_EVERY:
                self._since_check = 0
                if time.monotonic() > self._until:
                    return
                if not self._still_beneath(len(self._stack)):
                    continue
            level = self._stack[-1]
            try:
                entry = next(level.entries, None)
            except OSError as error:
                self.tally.leave(f"not readable: {error.strerror}")
                entry = None
            if entry is None:
                self._up()
            else:
                self._take(level, entry)
        self.tally.finished = True

    def _take(self, level: _Level, entry: os.DirEntry[str]) -> None:
        try:
            if entry.is_dir(follow_symlinks=False):
                self._down(level, entry.name)
            else:
                self._file(level, entry.name, entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            pass  # somebody else was quicker
        except OSError as error:
            self.tally.leave(error.strerror or str(error))

    def _file(self, level: _Level, name: str, state: os.stat_result) -> None:
        blocks = state.st_blocks * 512
        self.tally.files += 1
        self.tally.bytes += blocks
        if not self._judge.file(name, state):
            return
        if not self._dry_run:
            os.unlink(name, dir_fd=level.fd)
        self.tally.removed += 1
        if state.st_nlink > 1:
            self.tally.linked += 1
        else:
            self.tally.freed += blocks

    def _down(self, level: _Level, name: str) -> None:
        """Enter a directory, if it is one, lies on our mount, and is not to be spared."""
        if len(self._stack) >= self._deepest:
            self.tally.leave(f"deeper than {self._deepest} directories")
            return
        place = os.open(name, _PLACE, dir_fd=level.fd)
        try:
            if mount_id(place) != self._mount:
                self.tally.leave("another file system or a bind mount")
                return
            state = os.fstat(place)
            if not stat.S_ISDIR(state.st_mode):
                self.tally.leave("changed while it was looked at")
                return
            if (state.st_dev, state.st_ino) in self._spared:
                self.tally.leave("holds what failhook keeps")
                return
            fd = os.open(".", _READ, dir_fd=place)
        finally:
            os.close(place)
        self._push(fd, name)
        self._still_beneath(_NEAREST)

    def _push(self, fd: int, name: str) -> None:
        try:
            self._stack.append(_Level(fd, os.scandir(fd), name, os.fstat(fd)))
        except OSError:
            os.close(fd)
            raise

    def _up(self) -> None:
        """Leave a directory that was read to its end, and remove it if it is to go."""
        if not self._still_beneath(_NEAREST):
            return
        level = self._stack.pop()
        level.close()
        if not self._stack or not self._judge.directory(level.state):
            return
        if self._dry_run:
            return  # whether it would be empty then is not known
        try:
            os.rmdir(level.name, dir_fd=self._stack[-1].fd)
            self.tally.directories += 1
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno not in _NOT_EMPTY:
                self.tally.leave(error.strerror or str(error))

    def _still_beneath(self, links: int) -> bool:
        """Do the innermost ``links`` directories still lie in those they were opened from?

        What was moved away is let go of, with all that was opened below it.
        """
        for number in range(max(1, len(self._stack) - links), len(self._stack)):
            above = os.fstat(self._stack[number - 1].fd)
            try:
                same = os.path.samestat(os.stat("..", dir_fd=self._stack[number].fd), above)
            except OSError:  # removed meanwhile, or closed to us
                same = False
            if not same:
                self.tally.leave("moved while it was cleaned")
                while len(self._stack) > number:
                    self._stack.pop().close()
                return False
        return True
