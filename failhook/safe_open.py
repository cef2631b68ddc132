# SPDX-License-Identifier: MIT
"""Opening a file that somebody else may have put in our way.

Collectors read as root what the administrator named, and parts of such a path may belong to the
failing service. Every component is opened without following links; a link is accepted only where
nobody but root could have put it (``/var/run``, ``/lib``). What is opened is a regular file with
one name, so that neither a FIFO, a device nor a hard link to somebody else's secret is read
(anchors T1-T4). Nothing here can block on a FIFO; a dead mount is the caller's time limit's matter.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

_MAX_STEPS = 512  # path components, those of links included: a circle of links ends here
_PLACE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def open_regular(path: str, root: str = "/") -> BinaryIO:
    """``path`` below ``root``, open for reading. Raises OSError, also where it is no plain file."""
    if not path.startswith("/") or "\0" in path:
        raise PermissionError("not an absolute path")
    parent, last = _walk(path, root)
    try:
        place = os.open(last, _PLACE, dir_fd=parent)
        try:
            _check(os.fstat(place), os.fstat(parent))
            # Opened only now: opening a device or a FIFO would already have an effect.
            return Path(f"/proc/self/fd/{place}").open("rb")
        finally:
            os.close(place)
    finally:
        os.close(parent)


def open_directory(path: str, root: str = "/") -> int:
    """The directory ``path`` below ``root``, as a descriptor. Raises OSError.

    The way there is held to the same rules; what lies below it is the caller's to walk.
    """
    if not path.startswith("/") or "\0" in path:
        raise PermissionError("not an absolute path")
    parent, last = _walk(path, root)
    try:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(last, flags, dir_fd=parent)
    finally:
        os.close(parent)


def _check(state: os.stat_result, parent: os.stat_result) -> None:
    if not stat.S_ISREG(state.st_mode):
        raise PermissionError("not a regular file")
    if state.st_nlink > 1 and not _only_root_writes(parent):
        raise PermissionError(
            "has other names (hard links) and lies where others than root may write"
        )


def _walk(path: str, root: str) -> tuple[int, str]:
    """A descriptor of the directory that holds ``path``'s last component, and that name."""
    todo = _parts(path)
    # The caller's own word, which may be a link of the kernel's: /proc/1/root.
    opened = [os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
    try:
        for _ in range(_MAX_STEPS):
            if not todo:
                break
            name = todo.pop()
            if name == "..":
                if len(opened) > 1:
                    os.close(opened.pop())
                continue
            target = _link_target(opened[-1], name)
            if target is not None:
                if target.startswith("/"):
                    _close(opened[1:])
                    del opened[1:]
                todo += _parts(target)
            elif todo:
                opened.append(os.open(name, _PLACE | os.O_DIRECTORY, dir_fd=opened[-1]))
            else:
                return opened.pop(), name
        raise PermissionError("not a regular file")
    finally:
        _close(opened)


def _parts(path: str) -> list[str]:
    """The components of ``path``, the first one last."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _link_target(parent: int, name: str) -> str | None:
    """Where the link ``name`` points to, None for anything else. Raises OSError."""
    if not stat.S_ISLNK(os.lstat(name, dir_fd=parent).st_mode):
        return None
    if not _only_root_writes(os.fstat(parent)):
        raise PermissionError(f"{name} is a link in a directory that others than root may write")
    return os.readlink(name, dir_fd=parent)


def _only_root_writes(state: os.stat_result) -> bool:
    return state.st_uid in (0, os.geteuid()) and not state.st_mode & 0o022


def _close(opened: list[int]) -> None:
    for fd in opened:
        os.close(fd)
