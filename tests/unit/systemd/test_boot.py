# SPDX-License-Identifier: MIT
"""How long the manager has been running."""

import time
from pathlib import Path

import psutil
import pytest

from failhook.response import moment
from failhook.systemd import boot


def test_a_boot_begins_with_pid_1() -> None:
    """In a container that is not when its machine began."""
    age = time.time() - psutil.Process(1).create_time()
    assert abs(boot.up_s() - age) < 5.0
    assert moment.now().up <= boot.up_s() + 0.1
    assert abs(moment.now().up - age) < 5.0


def test_what_cannot_be_read_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda _: b"1 (systemd) S")
    assert abs(boot.up_s() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 1.0
