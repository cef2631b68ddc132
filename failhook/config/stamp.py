# SPDX-License-Identifier: MIT
"""Has the configuration changed since it was loaded? For those that stay for a while.

The runner and its kin load it once and wait some seconds for more work. What is written in these
seconds counts for the next failure: they leave as soon as they see new work, and systemd starts
them again (DirectoryNotEmpty= of their path units) with what is there now.
"""

from __future__ import annotations

import os
from pathlib import Path

from failhook.config.model import Configuration, Stamp
from failhook.places import Places

_BESIDE = ("conf.d", "causes.d", "plugins")


def of(places: Places) -> Stamp:
    """Name, inode, time and size of all files that a configuration is made of."""
    found: list[tuple[str, int, int, int]] = []
    for directory in places.configuration:
        found += _file(directory / "failhook.toml")
        for name in _BESIDE:
            found += _files(directory / name)
    return tuple(sorted(found))


def has_changed(places: Places, configuration: Configuration) -> bool:
    """Something was written, added or taken away since; False where it came from no files."""
    return configuration.stamp is not None and configuration.stamp != of(places)


def _files(directory: Path) -> Stamp:
    try:
        names = os.listdir(directory)
    except OSError:
        return ()
    return tuple(one for name in names for one in _file(directory / name))


def _file(path: Path) -> Stamp:
    try:
        told = path.stat()
    except OSError:
        return ()
    return ((str(path), told.st_ino, told.st_mtime_ns, told.st_size),)
