# SPDX-License-Identifier: MIT
"""A file system of a test's own that is soon full."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def mounted(place: Path, size: int) -> Iterator[Path]:
    """An empty file system of ``size`` bytes at ``place``, which is created.

    Skips the test for an ordinary user, and where nothing can be mounted at all.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    place.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "failhook-test", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
