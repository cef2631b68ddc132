# SPDX-License-Identifier: MIT
"""One trouble from its first failure until the unit is well: who was told what."""

from dataclasses import replace

import pytest

from failhook.config.model import ActionTable, Configuration, Quiet
from failhook.incident import Incident, State
from failhook.message import Event
from failhook.outbox import message_from_json
from failhook.outcomes import Done
from failhook.places import Places
from failhook.plan import Told
from failhook.queue import Queue
from failhook.response.ledger import Ledger, Mute
from failhook.response.messages import message_id, tell_news
from failhook.response.threads import Threads
from failhook.store.incidents import Store
from tests.unit.samples import AT, incident

CONFIGURATION = Configuration(
    actions={
        "tell": ActionTable("tell", "webhook"),
        "page": ActionTable("page", "mail", urgent=True),
    }
)


@pytest.fixture
def threads(places: Places) -> Threads:
    return Threads(places)


def _told(threads: Threads, one: Incident, *names: str) -> None:
    told = {name: Told(str(Event.OPENED), "r", 1, AT) for name in names}
    threads.save(replace(threads.joined(one), told=told))


def sent(store: Store) -> list[tuple[str, str, str | None]]:
    queue = Queue(store.places.outbox)
    found = []
    for path in (*queue.waiting(), *queue.later()):
        item = queue.read(path)
        assert item is not None
        message = message_from_json(item.payload)
        found.append((item.action, str(message.event), item.group))
    return found


def test_failures_join_a_trouble_and_are_counted_once(threads: Threads) -> None:
    for number in (1, 2, 2, 3):
        threads.save(threads.joined(incident(number)))
    thread = threads.find("a.service", "system")
    assert thread is not None
    assert (thread.id, thread.count, thread.incident) == (incident(1).id, 3, incident(3).id)
    assert [one.unit for one in threads.open_ones()] == ["a.service"]
    assert threads.find("a.service", "user") is None


def test_after_a_recovery_a_new_trouble_begins(threads: Threads) -> None:
    thread = threads.joined(incident(1))
    threads.save(replace(thread, recovered_at=AT + 5))
    assert threads.joined(incident(1)).recovered_at == AT + 5  # it is the same failure
    fresh = threads.joined(incident(2))
    assert (fresh.id, fresh.count, fresh.told) == (incident(2).id, 1, {})
    assert list(threads.open_ones()) == []


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"id": 7}', b"\xff"])
def test_a_damaged_thread_is_none(threads: Threads, places: Places, content: bytes) -> None:
    threads.save(threads.joined(incident(1)))
    (path,) = (places.ledger / "threads").glob("*.json")
    path.write_bytes(content)
    assert threads.find("a.service", "system") is None


def test_all_who_heard_of_it_hear_of_its_end_once(store: Store, threads: Threads) -> None:
    one = incident(1, state=State.RECOVERED)
    store.create(one)
    _told(threads, one, "tell", "page", "no-more")
    for _ in range(2):
        one = tell_news(store, CONFIGURATION, one, Event.RECOVERED, at=one.first_seen + 42)
    assert sorted(sent(store)) == [
        ("page", "incident.recovered", None),
        ("tell", "incident.recovered", None),
    ]
    queue = Queue(store.places.outbox)
    item = queue.read(queue.waiting()[0])
    assert item is not None
    assert message_from_json(item.payload).downtime_s == 42
    assert [action["state"] for action in one.actions] == [Done.DUE, Done.DUE]
    thread = threads.find("a.service", "system")
    assert thread is not None
    assert thread.recovered_at == one.first_seen + 42


def test_giving_up_leaves_the_trouble_open(store: Store, threads: Threads) -> None:
    one = incident(1)
    store.create(one)
    _told(threads, one, "tell")
    tell_news(store, CONFIGURATION, one, Event.GAVE_UP, at=AT)
    tell_news(store, CONFIGURATION, one, Event.GAVE_UP, at=AT)
    assert sent(store) == [("tell", "incident.gave-up", None)]
    thread = threads.find("a.service", "system")
    assert thread is not None
    assert thread.is_open
    tell_news(store, CONFIGURATION, one, Event.RECOVERED, at=AT + 9)
    assert [event for _, event, _ in sent(store)] == ["incident.gave-up", "incident.recovered"]


def test_nobody_who_did_not_hear_of_it_hears_of_its_end(store: Store, threads: Threads) -> None:
    one = incident(1)
    store.create(one)
    tell_news(store, CONFIGURATION, one, Event.RECOVERED, at=AT)
    _told(threads, one)
    tell_news(store, CONFIGURATION, one, Event.RECOVERED, at=AT)
    assert sent(store) == []


@pytest.mark.parametrize("how", ["mute", "pause"])
def test_a_mute_or_a_pause_keeps_it_quiet_but_for_what_is_urgent(
    store: Store, threads: Threads, how: str
) -> None:
    one = incident(1)
    store.create(one)
    _told(threads, one, "tell", "page")
    ledger = Ledger(store.places)
    if how == "mute":
        ledger.mute(Mute("a.*", None, "known", AT))
    else:
        ledger.pause("moving", None, AT)
    after = tell_news(store, CONFIGURATION, one, Event.RECOVERED, at=AT)
    assert sent(store) == [("page", "incident.recovered", None)]
    states = {str(entry["name"]): entry["state"] for entry in after.actions}
    assert states == {"tell": Done.LEFT_OUT, "page": Done.DUE}


def test_in_quiet_hours_it_waits_with_the_others(store: Store, threads: Threads) -> None:
    one = incident(1)
    store.create(one)
    _told(threads, one, "tell", "page")
    always = replace(CONFIGURATION, quiet=Quiet(spans=((0, 1440),)))
    tell_news(store, always, one, Event.RECOVERED, at=AT)
    assert sorted(sent(store), key=str) == [
        ("page", "incident.recovered", None),
        ("tell", "incident.recovered", "quiet"),
    ]
    assert len(Queue(store.places.outbox).later()) == 1


def test_the_id_of_a_message_says_what_it_is_about() -> None:
    one = incident(1)
    assert message_id(one, "tell", Event.GAVE_UP) == f"{one.id}-gave-up-tell"
    assert len(message_id(one, "x" * 64, Event.ESCALATED)) <= 80
