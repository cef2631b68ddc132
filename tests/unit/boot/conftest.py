# SPDX-License-Identifier: MIT
"""What the tests of boot loaders share."""

from pathlib import Path

import pytest

from tests.unit.boot.machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An empty one."""
    root = tmp_path / "root"
    root.mkdir()
    return Machine(root)
