# SPDX-License-Identifier: MIT
"""Directories that are expensive to make: made once, by one process at a time, never half."""

import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_UNUSED_DAYS = 14


def directory() -> Path:
    """The cache: $FAILHOOK_BED_CACHE or /var/cache/failhook-bed."""
    path = Path(os.environ.get("FAILHOOK_BED_CACHE") or "/var/cache/failhook-bed").resolve()
    if set(str(path)) & set(':,\\"'):
        raise ValueError(f"overlay options cannot hold this path: {path}")
    path.mkdir(parents=True, exist_ok=True)
    return path


def mount_point() -> Path:
    """An empty directory; each bed mounts its tmpfs here, in its own mount namespace."""
    path = directory() / "mnt"
    path.mkdir(exist_ok=True)
    return path


def key_of(*parts: object) -> str:
    """A short name for what a directory was made from."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def file_digest(path: Path) -> str:
    """The content of a file, as a part for `key_of`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def lock(name: str) -> Iterator[Path]:
    """Keep other processes out; gives the lock file."""
    path = directory() / "lock" / name
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:  # opening for writing also notes when it was used last
        fcntl.flock(file, fcntl.LOCK_EX)
        os.utime(path)
        yield path


def cached(name: str, key: str, announce: str, build: Callable[[Path], None]) -> Path:
    """The directory NAME-KEY, which `build` fills on first use."""
    final = directory() / f"{name}-{key}"
    with lock(final.name):
        if not final.is_dir():
            print(f"test bed: {announce} ...", file=sys.stderr, flush=True)
            partial = directory() / f".{final.name}"
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            build(partial)
            partial.rename(final)
            _prune(name, final)
    return final


def _prune(name: str, keep: Path) -> None:
    """Remove earlier versions of the same directory that nobody asked for in days."""
    limit = time.time() - _UNUSED_DAYS * 86400
    for path in directory().glob(f"{name}-????????????"):
        used = directory() / "lock" / path.name
        if path != keep and used.exists() and used.stat().st_mtime < limit:
            shutil.rmtree(path, ignore_errors=True)
            used.unlink()
