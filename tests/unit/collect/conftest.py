# SPDX-License-Identifier: MIT
"""What every test of a collector gets."""

from pathlib import Path

import pytest

from failhook import hook


@pytest.fixture(autouse=True)
def _nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if failhook were not installed: what this machine knows is not the test's."""
    monkeypatch.setattr(hook, "RUN", str(tmp_path / "not-installed"))
