# SPDX-License-Identifier: MIT
"""The only door to writing files: complete, durable and private, or not there at all.

Every file that failhook keeps is written beside its name, synced, and renamed over it, so that a
kill or a power cut at any point leaves the old content or the new one (rename(2), fsync(2)).
Nothing is ever opened through a symbolic link that somebody else may have planted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

PRIVATE_FILE = 0o600
PRIVATE_DIR = 0o700
_TEMPORARY = re.compile(r"\..+\.(\d{1,9})\.new", re.DOTALL)


def sync_directory(path: Path) -> None:
    """Make the names in ``path`` durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = PRIVATE_FILE) -> Iterator[BinaryIO]:
    """A stream whose content takes the place of ``path`` when the block ends without an exception.

    The temporary file begins with a dot, lies in the same directory, and is removed on failure.
    Raises OSError; on any exception ``path`` is untouched.
    """
    fresh = temporary(path)
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(fresh, flags, mode)
    try:
        with open(fd, "wb") as stream:
            os.fchmod(fd, mode)  # whatever the umask took away
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        fresh.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    sync_directory(path.parent)


def write(path: Path, content: bytes | str, *, mode: int = PRIVATE_FILE) -> None:
    """Replace ``path`` by ``content``, durably. Raises OSError."""
    with replacing(path, mode=mode) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


def make_private(path: Path) -> Path:
    """Create the directory ``path`` (0700) and its parents (0755) where missing; return it.

    Raises OSError, also where ``path`` exists and is not a directory of ours.
    """
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=PRIVATE_DIR)
    state = path.lstat()
    if not stat.S_ISDIR(state.st_mode):
        raise NotADirectoryError(f"{path} is not a directory")
    if state.st_uid != os.geteuid():
        raise PermissionError(f"{path} belongs to uid {state.st_uid}, not to us; remove it")
    if state.st_mode & 0o077 and path.name != "failhook":
        path.chmod(PRIVATE_DIR)
    return path


@contextlib.contextmanager
def locked_directory(path: Path, *, patience_s: float) -> Iterator[None]:
    """Look at what is in ``path`` and change it as one step: one of us at a time (flock(2)).

    Who holds the lock and is stuck must not hold up everybody: it is waited for so long only.
    Raises OSError.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        until = time.monotonic() + patience_s
        while not try_lock(fd) and time.monotonic() < until:
            time.sleep(0.002)
        yield
    finally:
        os.close(fd)


def try_lock(fd: int) -> bool:
    """The lock is ours until the descriptor is closed; False: somebody else has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def temporary(path: Path) -> Path:
    """Where ``path`` is made before it has its name: beside it, and telling who makes it."""
    start = os.fsdecode(os.fsencode(path.name)[:200])
    return path.with_name(f".{start}.{os.getpid()}.new")


def sweep_temporaries(directory: Path) -> None:
    """Remove what was half made in ``directory`` by somebody who is no more."""
    with contextlib.suppress(OSError):
        for entry in directory.iterdir():
            match = _TEMPORARY.fullmatch(entry.name)
            if match and not _is_alive(int(match[1])):
                with contextlib.suppress(OSError):
                    remove_tree(entry)


def _is_alive(pid: int) -> bool:
    """A process that has ended may be there until somebody asks for its status (proc(5))."""
    if pid == os.getpid():
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in (b"Z", b"X")


def remove_tree(path: Path) -> None:
    """Remove a directory of ours without ever following a link out of it. Missing is fine.

    Uses directory descriptors throughout, so that a directory swapped for a link between look and
    removal is refused by the kernel (O_NOFOLLOW). Raises OSError.
    """
    parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _remove_at(parent, path.name)
    finally:
        os.close(parent)


def _remove_at(parent: int, name: str) -> None:
    try:
        fd = os.open(
            name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent
        )
    except FileNotFoundError:
        return
    except NotADirectoryError:
        os.unlink(name, dir_fd=parent)
        return
    except OSError:  # ELOOP: a link; the link itself goes, never its target
        os.unlink(name, dir_fd=parent)
        return
    try:
        for child in os.listdir(fd):
            _remove_at(fd, child)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent)


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """At most ``max_bytes`` of a regular file; refuses links, FIFOs, devices. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{path} is not a regular file")
    except OSError:
        os.close(fd)
        raise
    with open(fd, "rb") as stream:
        return stream.read(max_bytes)
