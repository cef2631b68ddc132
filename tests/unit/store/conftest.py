# SPDX-License-Identifier: MIT
"""A history of its own for each test, without the wait for a disk."""

import os
from collections.abc import Iterator

import pytest

from failhook.places import Places
from failhook.store.incidents import Store


@pytest.fixture(autouse=True)
def _no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """`tests/unit/test_files.py` holds that everything is synced."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def store(where: Places) -> Iterator[Store]:
    """An empty history."""
    made = Store(where)
    yield made
    made.close()
