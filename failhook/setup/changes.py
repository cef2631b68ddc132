# SPDX-License-Identifier: MIT
"""A set of file changes: planned, shown, carried out, and said in plain words. Safe to repeat."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from failhook import files


@dataclass(slots=True)
class Changes:
    """Collects what is to be done; `apply` does it. Nothing that is right already is touched."""

    dry_run: bool = False
    said: list[str] = field(default_factory=list)
    changed: bool = False

    def write(self, path: Path, content: str, *, mode: int = 0o644) -> None:
        """The file ``path`` has this content. Raises OSError."""
        if _content(path) == content.encode() and (path.stat().st_mode & 0o777) == mode:
            return
        self._say("write", path)
        if not self.dry_run:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            files.write(path, content, mode=mode)
            path.chmod(mode)

    def link(self, path: Path, target: str) -> None:
        """``path`` is a symbolic link to ``target``. Raises OSError."""
        with contextlib.suppress(OSError):
            if os.readlink(path) == target:
                return
        self._say("link", path)
        if not self.dry_run:
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.symlink_to(target)

    def directory(self, path: Path, mode: int) -> None:
        """The directory ``path`` exists. Raises OSError."""
        if path.is_dir():
            return
        self._say("make", path)
        if not self.dry_run:
            path.mkdir(mode=mode, parents=True)
            path.chmod(mode)

    def remove(self, path: Path) -> None:
        """``path`` is gone, and its directory too where nothing else is in it. Raises OSError."""
        if not path.is_symlink() and not path.exists():
            return
        self._say("remove", path)
        if self.dry_run:
            return
        if path.is_dir() and not path.is_symlink():
            files.remove_tree(path)
        else:
            path.unlink()
        if path.parent.name.endswith(".d"):
            with contextlib.suppress(OSError):
                path.parent.rmdir()

    def _say(self, verb: str, path: Path) -> None:
        self.changed = True
        self.said.append(f"would {verb} {path}" if self.dry_run else f"{_PAST[verb]} {path}")


_PAST = {"write": "wrote", "link": "linked", "make": "made", "remove": "removed"}


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if not path.is_symlink() else None
    except OSError:
        return None
