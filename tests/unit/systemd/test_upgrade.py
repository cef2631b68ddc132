# SPDX-License-Identifier: MIT
import fcntl
import os
import time
from pathlib import Path

import pytest

from failhook.systemd import upgrade


def test_a_transaction_is_seen_by_its_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "lock-frontend"
    monkeypatch.setattr(upgrade, "_LOCKS", (("dpkg", str(lock)),))
    monkeypatch.setattr(upgrade, "_PACMAN", str(tmp_path / "db.lck"))
    assert upgrade.in_progress() is None
    lock.touch()
    assert upgrade.in_progress() is None
    ready, go = os.pipe()
    pid = os.fork()
    if pid == 0:  # a lock of our own would not count
        fd = os.open(lock, os.O_RDWR)
        fcntl.lockf(fd, fcntl.LOCK_EX)
        os.write(go, b"x")
        time.sleep(30)
        os._exit(0)
    os.read(ready, 1)
    try:
        assert upgrade.in_progress() == "dpkg"
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert upgrade.in_progress() is None
    (tmp_path / "db.lck").touch()
    assert upgrade.in_progress() == "pacman"
