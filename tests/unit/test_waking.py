# SPDX-License-Identifier: MIT
"""The FIFO that asks systemd for a runner is empty when the runner leaves."""

import os
from pathlib import Path

import pytest

from failhook.waking import drain_fifo


def test_what_was_written_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "wake"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    os.write(fd, bytes(5000))
    drain_fifo(path)
    with pytest.raises(BlockingIOError):
        os.read(fd, 1)
    drain_fifo(path)
    os.close(fd)
    drain_fifo(path)  # nobody at the other end


def test_what_is_no_fifo_is_left_alone(tmp_path: Path) -> None:
    drain_fifo(tmp_path / "missing")
    (tmp_path / "file").write_text("kept")
    drain_fifo(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    fd = os.open(tmp_path / "fifo", os.O_RDWR | os.O_NONBLOCK)
    os.write(fd, b"kept")
    drain_fifo(tmp_path / "link")
    assert os.read(fd, 10) == b"kept"
    os.close(fd)
