# SPDX-License-Identifier: MIT
"""Is a package manager in the middle of a transaction? What fails meanwhile is no news."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
from pathlib import Path

# A write lock on one of these means a transaction: dpkg(1) since 1.19.1, rpm(8).
_LOCKS = (
    ("dpkg", "/var/lib/dpkg/lock-frontend"),
    ("dpkg", "/var/lib/dpkg/lock"),
    ("rpm", "/var/lib/rpm/.rpm.lock"),
    ("rpm", "/usr/lib/sysimage/rpm/.rpm.lock"),
)
_PACMAN = "/var/lib/pacman/db.lck"  # is the lock itself


def in_progress() -> str | None:
    """The package manager whose transaction is under way."""
    for name, path in _LOCKS:
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if _is_write_locked(fd):
                    return name
            finally:
                os.close(fd)
    return "pacman" if Path(_PACMAN).exists() else None


def _is_write_locked(fd: int) -> bool:
    """Does another process hold a lock on it? Asked without taking one (fcntl(2) F_GETLK)."""
    ask = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, *_ = struct.unpack("hhqqi4x", fcntl.fcntl(fd, fcntl.F_GETLK, ask))
    return bool(kind != fcntl.F_UNLCK)
