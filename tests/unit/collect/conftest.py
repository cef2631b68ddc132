# SPDX-License-Identifier: MIT
"""Fixtures of the collectors' tests."""

from pathlib import Path

import pytest

from failhook import proc
from tests.unit.collect.bench import Programs


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Fake programs before the real ones; systemd's all fail unless a test says otherwise."""
    directory = tmp_path / "programs"
    directory.mkdir()
    fakes = Programs(directory)
    for name in ("systemctl", "journalctl", "coredumpctl"):
        fakes.add(name, "echo no >&2; exit 1")
    monkeypatch.setattr(proc, "SEARCH_PATH", fakes.path(proc.SEARCH_PATH))
    return fakes
