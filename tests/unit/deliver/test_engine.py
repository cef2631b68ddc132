# SPDX-License-Identifier: MIT
"""The delivering process: destinations side by side, supervised, and none lost."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from failhook.action import Action, Outcome, Request, done, failed, option
from failhook.config import stamp
from failhook.config.model import ActionTable, Configuration, Problem
from failhook.deliver import destination, engine
from failhook.deliver.engine import Deliverer
from failhook.queue import name_of
from failhook.values import NUMBER
from tests.unit.deliver.bench import Bench, Options, quick


@dataclass(frozen=True)
class Lamp:
    lamp: int = option(NUMBER, "which")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "GRACE_S", 0.2)
    monkeypatch.setattr(engine, "_PAUSE_S", 0.05)


def _run(bench: Bench, *tables: ActionTable, find: Any = None) -> None:
    Deliverer(bench.places, bench.configuration(*tables), find=find or bench.find, idle_s=0.1).run()


def _find(run: Any, limit_s: float = 5.0) -> Any:
    made = Action("test", "x", Options, run, delivers=True, timeout_s=limit_s)
    return lambda name: made if name == "test" else None


@contextlib.contextmanager
def _process(bench: Bench, *tables: ActionTable, find: Any = None) -> Iterator[int]:
    """The deliverer as a process of its own, with a session of its own."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setsid()
            _run(bench, *tables, find=find)
            code = 0
        finally:
            os._exit(code)
    try:
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _wait(condition: Any, timeout_s: float = 20.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_each_destination_gets_its_own_in_order(bench: Bench) -> None:
    tables = [ActionTable(name, "test") for name in ("one", "two", "three")]
    for number in range(12):
        bench.put(number, action=tables[number % 3].name)
    _run(bench, *tables)
    assert bench.items() == []
    for first in range(3):
        ours = [name for name in bench.tried if int(name[1:]) % 3 == first]
        assert ours == [f"m{number}" for number in range(first, 12, 3)]
    assert bench.entry(5)["state"] == "done"


def test_it_waits_a_little_for_the_next_one(bench: Bench) -> None:
    bench.put(0)
    made = Deliverer(bench.places, bench.configuration(), find=bench.find, idle_s=5.0)
    pid = os.fork()
    if pid == 0:
        made.run()
        os._exit(0)
    _wait(lambda: bench.tried == ["m0"])
    begun = time.monotonic()
    bench.put(1)
    _wait(lambda: bench.tried == ["m0", "m1"])
    assert time.monotonic() - begun < 2.0
    os.kill(pid, signal.SIGTERM)
    assert os.waitpid(pid, 0)[1] == 0


def test_one_that_hangs_holds_nobody_up_and_is_killed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, 60.0)

    def run(request: Request[Any]) -> Outcome:
        if request.name == "hangs":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGALRM})
            while True:
                time.sleep(1)
        with bench.log.open("a") as stream:
            stream.write(f"{request.message.id if request.message else ''}\n")
        return done("taken")

    for number in range(3):
        bench.put(number, action="hangs")
        bench.put(10 + number, action="works")
    tables = [ActionTable("hangs", "test", timeout_s=0.3), ActionTable("works", "test")]
    begun = time.monotonic()
    _run(bench, *tables, find=_find(run))
    assert time.monotonic() - begun < 8.0
    assert bench.tried == ["m10", "m11", "m12"]
    later = bench.queue.later()
    assert [name.id for path in later if (name := name_of(path))] == ["m0", "m1", "m2"]
    entry = bench.entry(0)
    assert (entry["state"], entry["attempts"]) == ("waiting", 1)
    assert "killed" in entry["detail"]


@pytest.mark.parametrize("how", ["exit", "segfault", "raises"])
def test_one_that_takes_its_process_with_it_is_a_failed_try(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    quick(monkeypatch, 60.0)

    def run(_: Request[Any]) -> Outcome:
        if how == "exit":
            os._exit(3)
        if how == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        raise SystemExit(4)

    bench.put(0)
    _run(bench, find=_find(run))
    (item,) = bench.items()
    assert item.attempts == 1
    assert bench.entry(0)["state"] == "waiting"
    assert len(bench.queue.later()) == 1


def test_what_it_leaves_behind_ends_with_it(bench: Bench, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    def run(_: Request[Any]) -> Outcome:
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        pid_file.write_text(str(pid))
        return done("and left something")

    bench.put(0)
    _run(bench, find=_find(run))
    left = Path(f"/proc/{pid_file.read_text()}/stat")
    _wait(lambda: not left.exists() or b") Z" in left.read_bytes())


def test_an_action_that_is_gone_from_the_configuration(bench: Bench) -> None:
    bench.put(0)
    Deliverer(bench.places, Configuration(), find=bench.find, idle_s=0.05).run()
    assert bench.tried == []
    assert len(bench.queue.dead()) == 1
    assert bench.entry(0)["state"] == "left-out"
    assert "configuration" in bench.entry(0)["detail"]


def test_a_configuration_that_cannot_be_read_loses_nothing(bench: Bench) -> None:
    bench.put(0)
    broken = Configuration(problems=(Problem(Path("/etc/x"), 1, "", "no TOML"),))
    Deliverer(bench.places, broken, find=bench.find, idle_s=0.05).run()
    assert (bench.queue.dead(), len(bench.queue.later())) == ([], 1)
    bench.queue.postpone_all(bench.queue.later(), 0.0)
    _run(bench)
    assert bench.tried == ["m0"]


class TestGone:
    """What was told to be gone is not asked again until somebody changes something."""

    @pytest.fixture(autouse=True)
    def _gone(self, bench: Bench) -> None:
        bench.script = [Outcome(False, "HTTP 410", gone=True)]
        bench.put(0)
        bench.lane().run()
        bench.script = []
        bench.put(1)

    def test_later_ones_are_left_out(self, bench: Bench) -> None:
        _run(bench)
        assert bench.tried == ["m0"]
        assert bench.entry(1)["state"] == "left-out"
        assert "410" in bench.entry(1)["detail"]

    def test_a_changed_configuration_has_it_tried(self, bench: Bench) -> None:
        _run(bench, replace(bench.table, raw={"lamp": 1}), find=_logged(bench))
        assert bench.tried == ["m0", "m1"]

    def test_a_person_has_it_tried(self, bench: Bench) -> None:
        destination.release(bench.places, "tell")
        _run(bench)
        assert bench.tried == ["m0", "m1"]


def _logged(bench: Bench) -> Any:
    """As the bench's, with an option."""

    def find(name: str) -> Action[Any] | None:
        found = bench.find(name)
        return None if found is None else replace(found, options=Lamp)

    return find


def test_a_destination_that_was_tried_a_moment_ago_is_left_alone(bench: Bench) -> None:
    now = time.time()
    known = destination.Destination("tell", failures=3, tried=now - 5, until=now + 900)
    destination.save(bench.places, known)
    bench.put(0)
    _run(bench)
    assert bench.tried == []
    assert [name.due for path in bench.queue.later() if (name := name_of(path))] == [
        int(now + 900) + 1
    ]


@pytest.mark.parametrize(
    ("tried", "until"), [(-3600.0, 900.0), (-90.0, 900.0), (5.0, 900.0), (-5.0, 1e9)]
)
def test_and_tried_where_that_is_longer_ago_or_the_clock_was_wrong(
    bench: Bench, tried: float, until: float
) -> None:
    now = time.time()
    known = destination.Destination("tell", failures=3, tried=now + tried, until=now + until)
    destination.save(bench.places, known)
    bench.put(0)
    _run(bench)
    assert bench.tried == ["m0"]


def test_what_a_wrong_clock_sent_into_the_future_is_brought_back(bench: Bench) -> None:
    path = bench.put(0)
    bench.queue.postpone(path, time.time() + 40 * 365 * 86400)
    held = bench.queue.postpone(bench.put(1, not_before=time.time() + 900), 4e9)
    assert held.exists()
    _run(bench)
    assert bench.tried == ["m0"]
    (name,) = [name for path in bench.queue.later() if (name := name_of(path))]
    assert name.due < time.time() + 1000


def test_asked_to_stop_it_lets_a_try_end_and_keeps_the_rest(bench: Bench) -> None:
    def run(request: Request[Any]) -> Outcome:
        with bench.log.open("a") as stream:
            stream.write(f"{request.id} begun\n")
        time.sleep(0.5)
        return done("taken")

    bench.put(0)
    bench.put(1)
    with _process(bench, find=_find(run)) as pid:
        _wait(bench.log.read_text)
        os.kill(pid, signal.SIGTERM)
        _wait(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid, 8.0)
    assert bench.entry(0)["state"] == "done"
    assert [item.id for item in bench.items()] == ["m1"]
    assert bench.items()[0].attempts == 0


def test_killed_it_has_lost_nothing_and_its_lanes_do_not_go_on(bench: Bench) -> None:
    def run(request: Request[Any]) -> Outcome:
        with bench.log.open("a") as stream:
            stream.write(f"{request.id} begun\n")
        time.sleep(0.3)
        return done("taken")

    for number in range(8):
        bench.put(number)
    with _process(bench, find=_find(run)) as pid:
        _wait(bench.log.read_text)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    _run(bench)  # at once: the lane of the killed one may still be in its try
    assert bench.items() == []
    assert sorted(set(bench.tried)) == [f"m{number}" for number in range(8)]
    assert len(bench.tried) <= 9
    assert {bench.entry(number)["state"] for number in range(8)} == {"done"}


def test_a_failure_that_is_tried_again_within_the_process(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch, 0.2, 60.0)

    def run(request: Request[Any]) -> Outcome:
        with bench.log.open("a") as stream:
            stream.write(f"{request.id} {request.attempt}\n")
        return done("taken") if request.attempt == 2 else failed("HTTP 503")

    bench.put(0)
    _run(bench, find=_find(run))
    assert bench.tried == ["m0", "m0"]
    assert bench.items() == []


def test_strangers_in_the_outbox_do_not_keep_it_awake(bench: Bench) -> None:
    (bench.queue.now / "stranger").write_text("x")
    (bench.queue.now / "000000000000-00000000000000000001-x@tell.json").write_text("{")
    _run(bench)
    assert os.listdir(bench.queue.now) == []


def test_a_destination_that_was_written_while_it_waited_is_not_left_out(bench: Bench) -> None:
    """It leaves as soon as there is work for another configuration; the next one delivers."""
    etc = bench.places.state.parent / "etc"
    etc.mkdir(exist_ok=True)
    places = replace(bench.places, configuration=(etc,), user=True)
    old = replace(bench.configuration(), stamp=stamp.of(places))
    (etc / "failhook.toml").write_text("# another action")
    bench.put(1, action="new")
    began = time.monotonic()
    Deliverer(places, old, find=bench.find, idle_s=30.0).run()
    assert time.monotonic() - began < 10.0
    assert len(bench.queue.waiting()) == 1

    new = replace(bench.configuration(ActionTable("new", "test")), stamp=stamp.of(places))
    Deliverer(places, new, find=bench.find, idle_s=0.1).run()
    assert bench.tried == ["m1"]
    assert bench.entry(1)["state"] == "done"
