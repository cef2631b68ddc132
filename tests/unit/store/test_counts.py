# SPDX-License-Identifier: MIT
"""How often the same failure came: exact, and harmless to repeat."""

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failhook.incident import Control
from failhook.store import counts
from failhook.store.incidents import Store
from tests.unit.samples import incident

KEY = "0123456789abcdef"


def test_the_first_the_second_the_hundredth(store: Store) -> None:
    assert counts.tally(store, KEY) is None
    for number in range(1, 101):
        assert counts.count(store, incident(number), KEY).count == number
    tally = counts.tally(store, KEY)
    assert tally is not None
    assert (tally.count, tally.first_id, tally.last_id) == (100, incident(1).id, incident(100).id)
    assert (tally.first_seen, tally.last_seen) == (
        incident(1).first_seen,
        incident(100).first_seen,
    )


@given(tries=st.lists(st.integers(1, 4), min_size=1, max_size=12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_each_is_counted_once_however_often_it_is_tried(store: Store, tries: list[int]) -> None:
    """A worker that is killed comes again to the incident at which it was."""
    key = f"{hash(tuple(tries)) & (1 << 64) - 1:016x}"
    (store.places.signatures / f"{key}.json").unlink(missing_ok=True)
    for number, often in enumerate(tries):
        for _ in range(often):
            assert counts.count(store, incident(number), key).count == number + 1


def test_signatures_are_counted_apart(store: Store) -> None:
    assert counts.count(store, incident(1), KEY).count == 1
    assert counts.count(store, incident(2), "f" * 16).count == 1


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        '{"count": 3}',
        '{"count": "3", "first_id": "a", "first_seen": 1, "last_id": "b", "last_seen": 2}',
        '{"count": 3, "first_id": "a", "first_seen": "x", "last_id": "b", "last_seen": 2}',
        '{"count": 3, "first_id": 1, "first_seen": 1, "last_id": "b", "last_seen": 2}',
        '{"count": 3, "first_id": "a", "first_seen": 1, "last_id": "b", "last_seen": 2, "x": 1}',
        "[" * 5000,
        "\0" * 5000,
    ],
)
def test_a_damaged_count_starts_again_and_stops_nobody(store: Store, content: str) -> None:
    (store.places.signatures / f"{KEY}.json").write_text(content)
    assert counts.tally(store, KEY) is None
    assert counts.count(store, incident(), KEY).count == 1


def test_the_file_is_small_plain_and_private(store: Store) -> None:
    counts.count(store, incident(), KEY)
    path = store.places.signatures / f"{KEY}.json"
    assert json.loads(path.read_text())["count"] == 1
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_makes_two_failures_the_same() -> None:
    base = incident()
    key = counts.signature_of(base, "port # in use")
    assert counts.signature_of(incident(9, last_seen=0.0), "port # in use") == key
    assert len(key) == 16
    others = [
        replace(base, unit="b.service"),
        replace(base, result="signal"),
        replace(base, exit_code="killed"),
        replace(base, exit_status="4"),
        replace(base, control=Control("ExecStartPre", "exited", "1")),
        replace(base, exit_status=None),
    ]
    keys = {counts.signature_of(one, "port # in use") for one in others}
    assert len(keys | {key, counts.signature_of(base, "other words")}) == len(others) + 2
    assert counts.signature_of(base, "\udcff")
