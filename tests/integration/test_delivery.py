# SPDX-License-Identifier: MIT
"""Deliveries over real sockets: a receiver that was away, one that is killed at every step.

The deliverer is forked from the test, works a real outbox and speaks to a real HTTP server.
"""

import contextlib
import json
import os
import random
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from failhook import http_client, journal_lines, outbox, testing
from failhook.config.model import ActionTable, Configuration
from failhook.deliver import destination, engine, room, schedule
from failhook.deliver.engine import Deliverer
from failhook.message import Message
from failhook.places import Places
from failhook.queue import Queue, name_of
from failhook.store.incidents import Store
from tests.unit import receiver as to
from tests.unit.receiver import Receiver

WARM = (http_client,)  # loaded before the forks: each of them would do that itself
MANY = 1000
DOWN = to.status(503)


class Site:
    """A machine with an outbox and webhooks."""

    def __init__(self, tmp_path: Path) -> None:
        self.places = Places(tmp_path / "run", tmp_path / "state", (tmp_path,))
        self.queue = Queue(self.places.outbox)
        self.tables: dict[str, ActionTable] = {}
        self.log = tmp_path / "log"
        self.log.touch()
        self.pids: list[int] = []
        Store(self.places).close()

    def to(self, name: str, there: Receiver, **raw: object) -> None:
        """Name a destination."""
        self.tables[name] = ActionTable(name, "webhook", {"url": there.url(), **raw})

    def put(self, numbers: range, action: str = "tell", group: str | None = None) -> None:
        """A message for each number, about an incident of its own."""
        store = Store(self.places)
        for number in numbers:
            incident = testing.incident(
                id=f"{action}{number:05}", unit=f"u{number}.service", first_seen=1.7e9 + number
            )
            store.create(incident)
            outbox.enqueue(self.places, _message(action, number), action=action, group=group)
        store.close()

    def start(self, first: Callable[[], None] = lambda: None, **settings: Any) -> int:
        """The deliverer, as a process that does ``first`` what a test wants; ``settings`` are names
        in engine, schedule and room."""
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                os.setsid()
                os.dup2(os.open(self.log, os.O_WRONLY | os.O_APPEND), 2)
                journal_lines.prepare(os.fdopen(2, "w", 1, closefd=False))
                for name, value in {"_PAUSE_S": 0.05, **settings}.items():
                    owner = next(one for one in (schedule, room, engine) if hasattr(one, name))
                    setattr(owner, name, value)
                first()
                made = Deliverer(self.places, Configuration(actions=self.tables), idle_s=0.05)
                made.run()
                code = 0
            except BaseException:  # noqa: BLE001 - a fork must not go on as the test
                os.write(2, traceback.format_exc().encode())
            finally:
                os._exit(code)
        self.pids.append(pid)
        return pid

    def run(self, **settings: Any) -> None:
        """Until it leaves by itself."""
        pid = self.start(**settings)
        _, status = os.waitpid(pid, 0)
        self.pids.remove(pid)
        assert status == 0, self.log.read_text()[-3000:]

    def end(self) -> None:
        """Nothing outlives its test."""
        for pid in self.pids:
            kill(pid)

    def move_due(self) -> None:
        """What failhook-later.service does, as if the time had come."""
        for known in destination.waiting(self.places):
            destination.save(
                self.places,
                destination.Destination(known.name, failures=known.failures, tried=1.0),
            )
        self.queue.postpone_all(self.queue.later(), 0.0)

    def states(self) -> dict[str, str]:
        """Incident id -> how its delivery stands."""
        store = Store(self.places)
        found = {}
        for directory in self.places.incidents.glob("[!.]*"):
            one = store.load(directory.name)
            assert one is not None
            found[one.id] = str(one.actions[0]["state"]) if one.actions else "none"
        store.close()
        return found


def _die_at(number: int) -> None:
    """From now on the deliverer and all of its processes are killed where a lane would sync for the
    ``number``-th time."""
    left, parent, sync = [number], os.getpid(), os.fsync

    def die(fd: int) -> None:
        if os.getpid() != parent:
            left[0] -= 1
        if not left[0]:
            os.kill(parent, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        sync(fd)

    os.fsync = die  # type: ignore[assignment]


def _message(action: str, number: int) -> Message:
    incident = testing.incident(
        id=f"{action}{number:05}", unit=f"u{number}.service", first_seen=1.7e9 + number
    )
    return testing.message(incident=incident, id=f"{action}-{number:05}", destination=action)


def kill(pid: int) -> None:
    """The whole session, as `systemctl kill -s KILL` would."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for one in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
    for one in family if "family" in locals() else []:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            one.wait(5)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """One that is cleaned up after."""
    made = Site(tmp_path)
    yield made
    made.end()


def _ids(there: Receiver) -> list[str]:
    return [asked.headers["webhook-id"] for asked in there.asked]


def test_a_thousand_wait_for_a_receiver_and_are_told_in_order_when_it_is_back(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    with Receiver() as there, Receiver() as other:
        site.to("tell", there)
        site.to("other", other)
        site.put(range(MANY))
        site.put(range(3), "other")
        there.always = DOWN
        site.run()
        # It was tried twice (at once and after 5 s), and nobody was held up by it.
        assert 1 <= len(there.asked) <= 2
        assert _ids(other) == [f"other-{number:05}" for number in range(3)]
        assert len(site.queue.later()) == MANY
        assert site.queue.waiting() == []
        used = sum(path.stat().st_size for path in site.places.outbox.rglob("*.json"))
        assert used < MANY * 16384

        there.asked.clear()
        there.always = None
        site.move_due()
        begun = time.monotonic()
        peak = 0
        ours = psutil.Process().memory_info().rss  # it is forked from here
        pid = site.start()
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            with contextlib.suppress(psutil.NoSuchProcess):
                for one in psutil.Process(pid).children(recursive=True):
                    peak = max(peak, one.memory_info().rss)
            time.sleep(0.05)
        site.pids.remove(pid)
        took = time.monotonic() - begun
        record_property("seconds", took)
        assert _ids(there) == [f"tell-{number:05}" for number in range(MANY)]
        assert took < 90
        assert 0 < peak < ours + (64 << 20)
        assert there.connections <= 4  # one, and those of the tries before
        assert site.queue.later() == site.queue.waiting() == site.queue.dead() == []
        assert set(site.states().values()) == {"done"}


def test_killed_at_any_moment_nothing_is_lost_and_the_order_holds(site: Site) -> None:
    number = 120
    chance = random.Random(7)
    with Receiver() as there:
        site.to("tell", there)
        site.put(range(number))
        kills = 0
        while site.queue.waiting() or site.queue.later():
            site.move_due()
            pid = site.start()
            time.sleep(chance.uniform(0.02, 0.2))
            kills += os.waitpid(pid, os.WNOHANG) == (0, 0)
            kill(pid)
            assert kills < 300
        assert kills > 3
        ids = _ids(there)
        # Told at least once, each repeat under its own id, and never out of order.
        assert list(dict.fromkeys(ids)) == [f"tell-{one:05}" for one in range(number)]
        assert len(ids) <= number + kills
        assert ids == sorted(ids)
        assert set(site.states().values()) == {"done"}
        assert not [path for path in site.queue.directory.rglob("*.json") if name_of(path)]


@pytest.mark.parametrize("group", [None, "night"], ids=["alone", "digest"])
def test_killed_at_every_write_nothing_is_lost(tmp_path: Path, group: str | None) -> None:
    """At the nth fsync(2) of the process that delivers: before it, so that nothing after it is."""
    number, step, was_killed = 3, 0, True
    while was_killed:
        step += 1
        (tmp_path / str(step)).mkdir()
        site = Site(tmp_path / str(step))
        with Receiver() as there:
            site.to("tell", there)
            site.put(range(number), group=group)
            pid = site.start(partial(_die_at, step))
            was_killed = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0
            site.pids.remove(pid)
            site.run()
            ids = _ids(there)
            if group is None:
                assert list(dict.fromkeys(ids)) == [f"tell-{one:05}" for one in range(number)]
                assert ids == sorted(ids)
            assert len(ids) <= number + 1
            assert group is None or len(set(ids)) == 1
            assert set(site.states().values()) == {"done"}
            assert site.queue.waiting() == site.queue.later() == []
    assert step > 3 * number


def test_a_repeat_is_signed_anew_and_has_its_id(site: Site) -> None:
    """The receiver took it and its answer got lost."""
    with Receiver(to.hang_up, to.reset) as there:
        site.to("tell", there, secret="raw secret")
        site.put(range(1))
        site.run(SCHEDULE_S=(0.0, 1.1, 1.1, 60.0))
        assert _ids(there) == ["tell-00000"] * 3
        times = [int(asked.headers["webhook-timestamp"]) for asked in there.asked]
        assert times == sorted(set(times))
        assert len({asked.headers["webhook-signature"] for asked in there.asked}) == 3
        assert len({asked.body for asked in there.asked}) == 1


def test_one_that_says_nothing_holds_up_nobody(site: Site) -> None:
    """A connection that is taken and never answered, beyond the action's limit."""
    with Receiver(*[lambda *_: time.sleep(60)] * 3) as silent, Receiver() as there:
        site.to("silent", silent)
        site.tables["silent"] = ActionTable(
            "silent", "webhook", {"url": silent.url()}, timeout_s=0.5
        )
        site.to("tell", there)
        site.put(range(2), "silent")
        site.put(range(20))
        site.run(SCHEDULE_S=(0.0, 300.0))
        assert len(there.asked) == 20
        assert len(site.queue.later()) == 2
        assert site.states()["silent00000"] == "waiting"


def test_a_receiver_that_is_overloaded_is_left_alone_as_long_as_it_asks(site: Site) -> None:
    with Receiver(to.status(429, Retry_After="1800")) as there:
        site.to("tell", there)
        site.put(range(5))
        site.run()
        assert len(there.asked) == 1
        known = destination.load(site.places, "tell")
        assert 1790 < known.until - time.time() < 2000
        site.run()
        assert len(there.asked) == 1


def test_a_receiver_that_is_gone_is_asked_once(site: Site) -> None:
    with Receiver(to.status(410)) as there:
        site.to("tell", there)
        site.put(range(3))
        site.run()
        site.put(range(3, 5))
        site.run()
        assert len(there.asked) == 1
        assert len(site.queue.dead()) == 5
        assert site.states()["tell00004"] == "left-out"
        destination.release(site.places, "tell")
        for path in site.queue.dead():
            site.queue.exhume(path)
        site.run()
        assert _ids(there)[1:] == [f"tell-{number:05}" for number in range(5)]


def test_a_poisoned_message_does_not_hold_up_the_others(site: Site) -> None:
    def judge(peer: Any, asked: to.Asked) -> None:
        poisoned = b"u1.service" in asked.body
        to.status(400 if poisoned else 200)(peer, asked)

    with Receiver() as there:
        there.always = judge
        site.to("tell", there)
        site.put(range(4))
        site.run(SCHEDULE_S=(0.0, 300.0, 300.0))
        assert _ids(there) == [f"tell-{number:05}" for number in range(4)]
        assert [name.id for path in site.queue.later() if (name := name_of(path))] == ["tell-00001"]


def test_no_secret_is_on_disk_or_in_the_log_or_in_a_process_list(site: Site) -> None:
    secrets = ["very-secret-path", "whsec_dmVyeS1zZWNyZXQ=", "Bearer very-secret-token"]
    seen: list[str] = []

    def look(peer: Any, asked: to.Asked) -> None:
        seen.extend(" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]))
        to.status(500, b"you sent Bearer very-secret-token to /very-secret-path")(peer, asked)

    with Receiver(look) as there:
        raw = {"secret": secrets[1], "headers": {"Authorization": secrets[2]}}
        site.tables["tell"] = ActionTable(
            "tell", "webhook", {"url": there.url("/very-secret-path"), **raw}
        )
        site.put(range(1))
        site.run(SCHEDULE_S=(0.0, 300.0))
        assert there.asked[0].headers["authorization"] == secrets[2]
        assert seen
    kept = [path.read_text("utf-8", "replace") for path in site.places.state.rglob("*.json")]
    for text in [*kept, site.log.read_text(), *seen]:
        for secret in ("very-secret", "dmVyeS1zZWNyZXQ"):
            assert secret not in text


def test_the_payload_is_the_message(site: Site) -> None:
    with Receiver() as there:
        site.to("tell", there)
        site.put(range(1))
        site.run()
    document = json.loads(there.asked[0].body)
    assert document["data"]["incident"]["unit"] == "u0.service"
    assert document["data"]["destination"] == "tell"
