# SPDX-License-Identifier: MIT
"""A message is kept whole, once, and read back as it was."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failhook import outbox, testing
from failhook.message import Entry, Event
from failhook.outbox import MessageError, enqueue, item_id, message_from_json, message_to_json
from failhook.places import Places
from failhook.queue import Queue
from failhook.store.incidents import Store

FULL = testing.message(
    Event.RECOVERED,
    excerpt=("one", "two\udce9"),
    entries=(Entry("a.service", "it failed", "abc", 5.0, Event.OPENED, 2),),
    step=2,
)


@pytest.mark.parametrize("event", list(Event))
def test_every_event_comes_back(event: Event) -> None:
    message = testing.message(event)
    raw = json.loads(json.dumps(message_to_json(message)))
    assert message_from_json(raw) == message


def test_all_of_it_comes_back() -> None:
    raw = json.loads(json.dumps(message_to_json(FULL)))
    assert message_from_json(raw) == FULL


def test_it_is_in_the_outbox_once(where: Places) -> None:
    first = enqueue(where, FULL, action="tell-ops", group="night", not_before=5.0)
    assert enqueue(where, replace(FULL, reason="again"), action="tell-ops") == first
    queue = Queue(where.outbox)
    item = queue.read(first)
    assert item is not None
    assert (item.id, item.action, item.kind, item.group) == (
        FULL.id,
        "tell-ops",
        "message",
        "night",
    )
    assert (item.step, item.not_before) == (2, 5.0)
    assert message_from_json(item.payload) == FULL


def test_it_names_the_directory_of_its_incident(where: Places, store: Store) -> None:
    directory = store.create(FULL.incident)
    item = Queue(where.outbox).read(enqueue(where, FULL, action="x"))
    assert item is not None
    assert item.incident == directory.name


@pytest.mark.parametrize("name", ["a b", "x" * 81, "ä", "../../etc", "\udce9", ""])
def test_an_id_that_cannot_be_a_file_name_gets_another(where: Places, name: str) -> None:
    message = replace(FULL, id=name)
    assert item_id(name) == item_id(name) != item_id(name + "x")
    path = enqueue(where, message, action="x")
    item = Queue(where.outbox).read(path)
    assert item is not None
    assert message_from_json(json.loads(json.dumps(item.payload))).id == name


def test_an_incident_that_is_very_large_is_told_without_its_lists(where: Places) -> None:
    many: tuple[dict[str, Any], ...] = tuple(
        {"id": str(n), "detail": "x" * 900} for n in range(2000)
    )
    incident = replace(FULL.incident, actions=many)
    path = enqueue(where, replace(FULL, incident=incident), action="x")
    item = Queue(where.outbox).read(path)
    assert item is not None
    found = message_from_json(item.payload)
    assert found.incident.actions == ()
    assert found.summary == FULL.summary


def test_no_module_that_delivers_is_loaded() -> None:
    text = Path(outbox.__file__).read_text(encoding="utf-8")
    for heavy in ("requests", "jinja2", "failhook.formats", "failhook.actions", "failhook.deliver"):
        assert heavy not in text


GOOD = message_to_json(FULL)


@pytest.mark.parametrize(
    "change",
    [
        {"id": 5},
        {"event": "incident.unheard-of"},
        {"at": "now"},
        {"at": True},
        {"at": 1e300},
        {"opened": None},
        {"count": 1.5},
        {"excerpt": "x"},
        {"excerpt": [1]},
        {"entries": [5]},
        {"entries": [{"unit": "x"}]},
        {"incident": None},
        {"incident": {"id": "x"}},
        {"downtime_s": "x"},
    ],
)
def test_what_is_no_message(change: dict[str, Any]) -> None:
    with pytest.raises(MessageError):
        message_from_json(GOOD | change)


@pytest.mark.parametrize("raw", [None, [], "x", 5, {}])
def test_what_is_nothing_like_a_message(raw: object) -> None:
    with pytest.raises(MessageError):
        message_from_json(raw)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)
@given(st.text(), st.lists(st.text(max_size=40), max_size=4), st.floats(0, 1e11))
def test_any_text_comes_back(text: str, lines: list[str], at: float) -> None:
    message = replace(FULL, reason=text, excerpt=tuple(lines), at=at, helped=text)
    assert message_from_json(json.loads(json.dumps(message_to_json(message)))) == message
