# SPDX-License-Identifier: MIT
"""The history without the wait for a disk."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """`tests/unit/test_files.py` holds that everything is synced."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
