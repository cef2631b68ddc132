# SPDX-License-Identifier: MIT
"""A history of the test's own, and programs that answer instead of systemd's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from failhook.places import Places
from failhook.store.incidents import Store


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Somewhere below the test's directory."""
    return Places(tmp_path / "run", tmp_path / "state", ())


@pytest.fixture
def store(places: Places) -> Iterator[Store]:
    """A history in it."""
    places.run.mkdir()
    one = Store(places)
    yield one
    one.close()
