# SPDX-License-Identifier: MIT
"""One destination's queue: its order, its pauses, and what becomes of what is not taken."""

import os
import time
from dataclasses import replace

import pytest

from failhook.action import Outcome, Request, done, failed
from failhook.deliver import destination, schedule
from failhook.message import Event
from failhook.queue import Queue, name_of
from failhook.store.incidents import Store
from tests.unit.deliver.bench import Bench, quick

DOWN = failed("HTTP 503")
REFUSED = Outcome(False, "HTTP 400", data={"about": "message"})


def _wait_until_due(bench: Bench) -> None:
    """What failhook-later.timer does, when its time has come."""
    until = destination.load(bench.places, "tell").until
    while time.time() < until:
        time.sleep(0.01)
    for path in bench.queue.later():
        name = name_of(path)
        if name is not None and name.due <= time.time() + 1:
            bench.queue.postpone(path, 0.0)


def test_all_are_delivered_in_order_and_written_down(bench: Bench) -> None:
    for number in range(5):
        bench.put(number)
    bench.put(9, action="other")
    assert bench.lane().run()
    assert bench.tried == [f"m{number}" for number in range(5)]
    assert [item.id for item in bench.items()] == ["m9"]
    entry = bench.entry(3)
    assert (entry["id"], entry["name"], entry["type"]) == ("m3", "tell", "test")
    assert (entry["state"], entry["attempts"], entry["detail"]) == ("done", 1, "taken")
    assert entry["started"].endswith("Z")
    assert entry["took_ms"] >= 0
    assert entry["event"] == "incident.opened"
    assert destination.waiting(bench.places) == []


def test_an_incident_that_was_forgotten_is_told_all_the_same(bench: Bench) -> None:
    bench.put(1)
    store = Store(bench.places)
    for directory in bench.places.incidents.iterdir():
        store.remove(directory.name)
    store.close()
    bench.lane().run()
    assert bench.tried == ["m1"]
    assert bench.items() == []


def test_a_short_pause_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch, 0.1, 0.1, 60.0)
    bench.script = [DOWN, DOWN]
    bench.put(1)
    bench.put(2)
    bench.lane().run()
    assert bench.tried == ["m1", "m1", "m1", "m2"]
    assert [line[1] for line in bench.lines] == ["1", "2", "3", "1"]
    assert bench.entry(1)["attempts"] == 3
    assert destination.load(bench.places, "tell").failures == 0


def test_a_long_pause_puts_the_whole_queue_off(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, 0.1, 300.0)
    bench.script = [DOWN, DOWN]
    for number in range(3):
        bench.put(number)
    before = time.time()
    bench.lane().run()
    assert bench.tried == ["m0", "m0"]
    assert bench.queue.waiting() == []
    later = bench.queue.later()
    assert len(later) == 3
    dues = {name.due for path in later if (name := name_of(path))}
    assert len(dues) == 1
    assert 300 <= dues.pop() - before <= 332
    entry = bench.entry(0)
    assert (entry["state"], entry["attempts"], entry["detail"]) == ("waiting", 2, "HTTP 503")
    known = destination.load(bench.places, "tell")
    assert (known.failures, known.reason) == (2, "HTTP 503")


def test_a_receiver_says_when_to_come_again(bench: Bench) -> None:
    bench.script = [failed("HTTP 429", retry_after_s=3600.0)]
    bench.put(1)
    before = time.time()
    bench.lane().run()
    assert 3600 <= destination.load(bench.places, "tell").until - before <= 3961


class TestSomethingNew:
    """A new item has a waiting destination tried at once, its head first."""

    @pytest.fixture(autouse=True)
    def _waiting(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        quick(monkeypatch, 300.0, 600.0)
        bench.script = [DOWN]
        for number in range(3):
            bench.put(number)
        bench.lane().run()
        assert len(bench.queue.later()) == 3
        bench.put(7)

    def test_it_is_back(self, bench: Bench) -> None:
        bench.lane().run()
        assert bench.tried == ["m0", "m0", "m1", "m2", "m7"]
        assert bench.items() == []

    def test_it_is_not(self, bench: Bench) -> None:
        before = destination.load(bench.places, "tell")
        bench.script = [DOWN]
        bench.lane().run()
        assert bench.tried == ["m0", "m0"]
        after = destination.load(bench.places, "tell")
        # Trying before the time brings nobody nearer to giving up.
        assert (after.failures, after.until) == (before.failures, before.until)
        assert bench.queue.waiting() == []
        assert {name.due for path in bench.queue.later() if (name := name_of(path))} == {
            int(before.until) + 1
        }

    def test_what_the_plan_holds_back_stays_where_it_is(self, bench: Bench) -> None:
        bench.put(8, not_before=time.time() + 50)
        bench.lane().run()
        assert "m8" not in bench.tried
        assert [item.id for item in bench.items()] == ["m8"]


class TestOneThatIsRefused:
    """The next one may be taken: a poisoned message holds nobody up."""

    def test_it_steps_aside(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        quick(monkeypatch, 300.0, 300.0)
        bench.script = [REFUSED]
        for number in range(3):
            bench.put(number)
        bench.lane().run()
        assert bench.tried == ["m0", "m1", "m2"]
        (item,) = bench.items()
        assert (item.id, item.attempts) == ("m0", 1)
        assert bench.entry(0)["state"] == "waiting"
        assert destination.load(bench.places, "tell").failures == 0

    def test_and_is_given_up_at_last(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        quick(monkeypatch, 0.01, 0.01)
        bench.script = [REFUSED] * 3
        bench.put(0)
        for _ in range(3):
            bench.lane().run()
            for path in bench.queue.later():
                bench.queue.postpone(path, 0.0)
        assert bench.tried == ["m0"] * 3
        assert [name.id for path in bench.queue.dead() if (name := name_of(path))] == ["m0"]
        assert bench.entry(0)["state"] == "failed"


def test_what_makes_no_sense_to_try_again_is_given_up_at_once(bench: Bench) -> None:
    bench.script = [failed("no such address", final=True)]
    bench.put(0)
    bench.put(1)
    bench.lane().run()
    assert bench.tried == ["m0", "m1"]
    assert len(bench.queue.dead()) == 1
    assert bench.entry(0) | {"detail": "no such address"} == bench.entry(0)
    assert (bench.entry(0)["state"], bench.entry(1)["state"]) == ("failed", "done")


def test_after_all_tries_it_is_given_up_with_what_waited_as_long(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, 0.05, 0.05)
    bench.script = [DOWN] * 9
    bench.put(0)
    bench.put(1)
    monkeypatch.setattr(schedule, "WHOLE_S", 0.1)
    bench.lane().run()
    assert bench.tried == ["m0"] * 3
    assert len(bench.queue.dead()) == 2
    assert (bench.entry(0)["state"], bench.entry(0)["attempts"]) == ("failed", 3)
    assert (bench.entry(1)["state"], bench.entry(1)["attempts"]) == ("failed", 0)
    assert bench.items()[0].attempts == 3


def test_without_retries_one_failure_is_the_end(bench: Bench) -> None:
    bench.table = replace(bench.table, retries=0)
    bench.script = [DOWN]
    bench.put(0)
    bench.lane().run()
    assert (bench.tried, len(bench.queue.dead())) == (["m0"], 1)
    assert (bench.entry(0)["state"], bench.entry(0)["attempts"]) == ("failed", 1)


def test_what_came_later_is_not_given_up_with_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, 0.05, 60.0)
    monkeypatch.setattr(schedule, "WHOLE_S", 0.05)
    bench.script = [DOWN, DOWN, DOWN, done("back")]
    bench.put(0)
    bench.lane().run()
    bench.queue.postpone_all(bench.queue.later(), 0.0)
    monkeypatch.setattr(schedule, "WHOLE_S", 30.0)
    bench.put(1)
    known = destination.load(bench.places, "tell")
    destination.save(bench.places, replace(known, until=time.time() - 1))
    bench.lane().run()
    assert bench.queue.dead() == []
    assert [name.id for path in bench.queue.later() if (name := name_of(path))] == ["m0", "m1"]


class TestGone:
    """410: it wants nothing any more."""

    def test_the_rest_is_left_out(self, bench: Bench) -> None:
        bench.script = [Outcome(False, "HTTP 410 (gone)", gone=True)]
        for number in range(3):
            bench.put(number)
        bench.lane().run()
        assert bench.tried == ["m0"]
        assert len(bench.queue.dead()) == 3
        assert bench.entry(0)["state"] == "failed"
        assert bench.entry(2)["state"] == "left-out"
        assert "410" in bench.entry(2)["detail"]
        known = destination.load(bench.places, "tell")
        assert known.gone == destination.fingerprint(bench.table)


class TestDigest:
    """Those of one group are told as one, under one id whatever comes in between."""

    def test_they_are_one_message(self, bench: Bench) -> None:
        for number in range(3):
            bench.put(number, group="night")
        bench.put(5)
        bench.lane().run()
        first, second = bench.lines
        assert first[0].startswith("msg_digest_")
        assert first[2] == Event.DIGEST
        assert second[0] == "m5"
        assert {bench.entry(number)["state"] for number in range(3)} == {"done"}
        assert bench.items() == []

    def test_tried_again_it_has_its_id_and_what_came_later_is_another(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quick(monkeypatch, 60.0)
        bench.script = [DOWN]
        bench.put(0, group="night")
        bench.put(1, group="night")
        bench.lane().run()
        bench.put(2, group="night")
        destination.save(
            bench.places,
            replace(destination.load(bench.places, "tell"), until=time.time() - 1),
        )
        bench.queue.postpone_all(bench.queue.later(), 0.0)
        bench.lane().run()
        first, again, rest = bench.tried
        assert first == again
        assert rest == "m2"
        assert bench.items() == []

    def test_killed_in_the_middle_of_the_bookkeeping(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(3):
            bench.put(number, group="night")
        calls: list[object] = []
        once = Queue.done

        def killed(queue: Queue, path: object) -> None:
            once(queue, path)  # type: ignore[arg-type]
            calls.append(path)
            if len(calls) == 2:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Queue, "done", killed)
            with pytest.raises(KeyboardInterrupt):
                bench.lane().run()
        bench.lane().run()
        first, again = bench.tried
        assert first == again == bench.tried[0]
        assert bench.items() == []

    def test_one_alone_is_told_as_itself(self, bench: Bench) -> None:
        bench.put(0, group="night")
        bench.lane().run()
        assert bench.tried == ["m0"]


def test_a_dry_run_says_so(bench: Bench) -> None:
    def run(request: Request[object]) -> Outcome:
        assert request.dry_run
        return done("would tell")

    bench.table = replace(bench.table, dry_run=True)
    bench.script = [run]
    bench.put(0)
    bench.lane().run()
    assert (bench.entry(0)["state"], bench.entry(0)["detail"]) == ("dry-run", "would tell")


@pytest.mark.parametrize("allowed", [True, False])
def test_an_excerpt_leaves_only_where_that_is_allowed_now(bench: Bench, allowed: bool) -> None:
    def run(request: Request[object]) -> Outcome:
        assert request.message is not None
        assert bool(request.message.excerpt) is allowed
        return done("looked")

    bench.table = replace(bench.table, excerpt=allowed)
    bench.script = [run]
    bench.put(0)
    bench.lane().run()
    assert bench.entry(0)["detail"] == "looked"


def test_somebody_else_is_at_it(bench: Bench) -> None:
    bench.put(0)
    with bench.queue.hold("destination tell"):
        assert bench.lane().run() is False
        bench.lane().failed_outside(bench.queue.waiting()[0], "killed")
    assert bench.tried == []
    assert bench.items()[0].attempts == 0


def test_asked_to_stop_it_keeps_the_rest(bench: Bench) -> None:
    read, write = os.pipe()

    def run(_: Request[object]) -> Outcome:
        os.close(write)
        return done("the last one")

    bench.script = [run]
    bench.put(0)
    bench.put(1)
    bench.lane(stop=read).run()
    assert bench.tried == ["m0"]
    assert [item.id for item in bench.items()] == ["m1"]
    os.close(read)


def test_a_process_that_ended_in_a_try_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, 60.0)
    path = bench.put(0)
    bench.lane().failed_outside(path, "killed")
    (item,) = bench.items()
    assert item.attempts == 1
    assert (bench.entry(0)["state"], bench.entry(0)["detail"]) == ("waiting", "killed")
    bench.lane().failed_outside(path, "killed")  # it is no longer there
    assert bench.items()[0].attempts == 1


@pytest.mark.parametrize("payload", [{}, {"id": 5}, {"event": "x"}])
def test_what_is_no_message_is_set_aside(bench: Bench, payload: dict[str, object]) -> None:
    path = bench.put(0)
    item = bench.queue.read(path)
    assert item is not None
    bench.queue.replace(path, replace(item, payload=payload))  # type: ignore[arg-type]
    bench.put(1)
    bench.lane().run()
    assert bench.tried == ["m1"]
    assert bench.queue.waiting() == []
    assert len(list(bench.queue.buried.iterdir())) == 1


def test_each_try_is_announced_with_its_limit(bench: Bench) -> None:
    said: list[tuple[str, float]] = []
    bench.put(0)
    name = bench.queue.waiting()[0].name
    bench.lane(begin=lambda path, limit: said.append((path.name, limit))).run()
    assert said[0] == (name, bench.limit_s)
