# SPDX-License-Identifier: MIT
"""Whose code is run: what nobody but root, or the user whose failhook it is, could have written.

As sudo looks at its plugins and ssh at its configuration: the file and every directory above it
belong to root (or that user) and nobody else may write to them. A symbolic link is followed only
out of such a directory, and its target is looked at in the same way (anchors T1, T29).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_MAX_LINKS = 40  # as path_resolution(7)


def refusal(path: Path, *, user: bool) -> str | None:
    """Why the file ``path`` is not run, with the remedy; None where it may be. Never raises."""
    owners = {0, os.geteuid()} if user else {0}
    return refusal_by(path, owners)


def refusal_by(path: Path, owners: set[int], *, directory: bool = False) -> str | None:
    """As `refusal`, for a file or with ``directory`` for either, that only ``owners`` (uids) may
    change."""
    todo = _parts(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links unseen
    seen, links = Path("/"), 0
    try:
        while True:
            state = seen.lstat()
            wrong = _wrong(seen, state, owners, near=len(todo) < 2)
            if wrong is not None:
                return wrong
            if not todo:
                sound = stat.S_ISREG(state.st_mode) or (directory and stat.S_ISDIR(state.st_mode))
                return None if sound else f"{path} is no regular file"
            below = seen / todo.pop()
            state = below.lstat()
            if not stat.S_ISLNK(state.st_mode):
                seen = below
                continue
            links += 1
            if links > _MAX_LINKS:
                return f"{path} is a link that leads nowhere"
            if state.st_uid not in owners:
                return f"{below} is a link of uid {state.st_uid}: remove it"
            target = Path(os.path.normpath(seen / below.readlink()))
            todo += _parts(str(target))
            seen = Path("/")
    except OSError as error:
        return f"{error.filename or path}: {error.strerror or error}"


def _parts(path: str) -> list[str]:
    """The components of an absolute path, the first one last."""
    return [part for part in reversed(path.split("/")) if part]


def _wrong(path: Path, state: os.stat_result, owners: set[int], *, near: bool) -> str | None:
    """``near``: the file itself or its directory."""
    if state.st_uid not in owners:
        who = "root" if owners == {0} else f"root or uid {max(owners)}"
        return f"{path} belongs to uid {state.st_uid}, not to {who}: chown root {path}"
    if not state.st_mode & 0o022:
        return None
    # In a directory like /tmp only the owner of an entry can replace it.
    if stat.S_ISDIR(state.st_mode) and state.st_mode & stat.S_ISVTX and not near:
        return None
    return f"{path} may be written by others: chmod go-w {path}"
