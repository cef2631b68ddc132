# SPDX-License-Identifier: MIT
"""The guard of these tests forbids what it says, and nothing else."""

import socket
from pathlib import Path

import pytest

from failhook import proc
from tests.unit.conftest import Forbidden


@pytest.mark.parametrize("path", ["/etc/failhook.conf", "/var/lib/failhook/x", "/tmp/x"])
def test_no_write_beyond_the_tests_own_directory(forbidden: list[str], path: str) -> None:
    with pytest.raises(Forbidden):
        Path(path).write_text("")
    with pytest.raises(Forbidden):
        Path("/etc/hostname").rename(path)
    assert len(forbidden) == 2


def test_no_real_systemctl_and_no_swallowing(forbidden: list[str]) -> None:
    with pytest.raises(Forbidden):
        proc.run(["systemctl", "show", "-.mount"])
    assert forbidden == ["the real systemctl is started"]


def test_no_network_beyond_loopback(forbidden: list[str]) -> None:
    with socket.socket() as one, pytest.raises(Forbidden):
        one.connect(("192.0.2.1", 9))
    with pytest.raises(Forbidden):
        socket.create_connection(("example.net", 80))
    assert len(forbidden) == 2
    with socket.create_server(("127.0.0.1", 0)):
        pass


def test_what_a_test_may_do(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    assert proc.run(["true"]).ok
    assert Path("/etc/hostname").exists()
