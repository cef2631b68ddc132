# SPDX-License-Identifier: MIT
"""A bench for every test of the deliveries."""

from pathlib import Path

import pytest

from failhook.deliver import attempt
from failhook.places import Places
from failhook.queue import Queue
from tests.unit.deliver.bench import Bench


@pytest.fixture(autouse=True)
def _types_of_tests_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their actions run where a built-in one would: in the process that delivers."""
    monkeypatch.setattr(attempt, "OURS", attempt.OURS | {"test", "lamp"})


@pytest.fixture
def bench(where: Places, tmp_path: Path) -> Bench:
    """With nothing in its outbox."""
    log = tmp_path / "tried"
    log.touch()
    Queue(where.outbox).make()
    return Bench(where, log)
