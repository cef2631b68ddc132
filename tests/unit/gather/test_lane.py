# SPDX-License-Identifier: MIT
"""Lanes that wait for the next incident: reused where that is safe, and never otherwise."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.collector import Collector, Context, Sink
from failhook.gather import lane
from failhook.gather.lane import Crew
from failhook.gather.stage import Last, gather
from failhook.incident import Status
from tests.unit.gather.test_stage import CONTEXT, no_mask

_done: list[str] = []  # of this process: what a lane adds is seen in that lane alone


def _who(context: Context, sink: Sink) -> None:
    sink.put("who", f"{os.getpid()} {context.incident.unit} {' '.join(_done)}")


def _crash(_: Context, __: Sink) -> None:
    raise ValueError("it crashed")


def _leave_a_child(_: Context, sink: Sink) -> None:
    sink.command("x", ["sh", "-c", "setsid sleep 60 >/dev/null 2>&1 & echo $!"])


WHO = Collector("who", "", _who, shares_process=True)


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew(2)
    yield crew
    crew.close()


def told(crew: Crew, collector: Collector = WHO, context: Context = CONTEXT) -> list[str]:
    (one,) = gather(context, [collector], no_mask, crew=crew)
    assert one.evidence.status is Status.OK, one.evidence.reason
    return one.items[0].data.decode().split()


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_the_next_incident_finds_the_same_process_and_its_own_context(crew: Crew) -> None:
    first = told(crew)
    other = replace(CONTEXT, incident=replace(CONTEXT.incident, unit="other.service"))
    second = told(crew, context=other)
    assert (first[0], first[1], second[1]) == (second[0], CONTEXT.incident.unit, "other.service")


def test_many_read_the_same_task_at_once(crew: Crew) -> None:
    large = replace(CONTEXT, cgroup={"large": "x" * (4 << 20)})
    for _ in range(8):
        stage = gather(large, [WHO, WHO], no_mask, concurrency=2, crew=crew)
        assert [one.evidence.status for one in stage] == [Status.OK, Status.OK]


def test_one_that_does_not_share_its_process_gets_a_fresh_one(crew: Crew) -> None:
    first, alone = told(crew), told(crew, replace(WHO, shares_process=False))
    assert first[0] != alone[0]
    assert told(crew)[0] == first[0]


def test_one_that_crashed_takes_its_process_with_it(crew: Crew) -> None:
    pid = int(told(crew)[0])
    (crashed,) = gather(
        CONTEXT, [Collector("c", "", _crash, shares_process=True)], no_mask, crew=crew
    )
    assert crashed.evidence.status is Status.FAILED
    assert int(told(crew)[0]) != pid
    assert not is_there(pid)


def test_a_function_that_cannot_be_sent_gets_a_fork(crew: Crew) -> None:
    here = "of this function's own"

    def local(_: Context, sink: Sink) -> None:
        sink.put("who", f"{os.getpid()} {here}")

    told(crew)
    assert told(crew, Collector("local", "", local, shares_process=True))[1:] == here.split()


def test_the_last_one_has_processes_of_its_own(crew: Crew) -> None:
    other = Crew(1)
    for _ in range(3):
        last = Last(lambda: replace(WHO, name="last"), other)
        pids = {
            one.evidence.name: one.items[0].data.split()[0]
            for one in gather(CONTEXT, [WHO], no_mask, concurrency=2, crew=crew, last=last)
        }
        assert pids["who"].decode() == told(crew)[0]
        assert pids["last"].decode() == told(other)[0]
        assert pids["who"] != pids["last"]
    other.close()


def test_one_that_was_killed_while_it_waited_is_replaced(crew: Crew) -> None:
    pid = int(told(crew)[0])
    os.kill(pid, signal.SIGKILL)
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) is None:
        time.sleep(0.01)
    assert int(told(crew)[0]) != pid


def test_what_a_collector_left_behind_is_ended_before_the_next_incident(crew: Crew) -> None:
    stray = int(told(crew, Collector("c", "", _leave_a_child, shares_process=True))[0])
    until = time.monotonic() + 20
    while is_there(stray) and time.monotonic() < until:
        told(crew)  # whoever was killed is reaped at the end of one: the next, where he was slow
        time.sleep(0.01)
    assert not is_there(stray)


def test_no_more_wait_than_are_wanted_and_none_for_ever(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = [
        int(one.items[0].data.split()[0])
        for one in gather(CONTEXT, [WHO] * 6, no_mask, concurrency=3, crew=crew)
    ]
    assert sum(is_there(pid) for pid in set(pids)) == min(2, len(set(pids)))
    crew.close()
    monkeypatch.setattr(lane, "_MOST_TASKS", 2)
    assert len({told(crew)[0] for _ in range(4)}) == 2


def test_one_that_was_prepared_has_done_so_in_its_own_process() -> None:
    crew = Crew(2, lambda: _done.append("prepared"))
    crew.prepare()
    pid, _, *done = told(crew)
    crew.prepare()  # one waits already
    assert (told(crew)[0], done, _done) == (pid, ["prepared"], [])
    crew.close()


def test_fewer_are_kept_where_fewer_are_of_use(crew: Crew) -> None:
    stage = gather(CONTEXT, [WHO] * 6, no_mask, concurrency=2, crew=crew)
    pids = {int(one.items[0].data.split()[0]) for one in stage}
    crew.keep(1)
    assert sum(is_there(pid) for pid in pids) == 1
    crew.keep(2)
    assert int(told(crew)[0]) in pids


def test_closing_ends_all(crew: Crew) -> None:
    pid = int(told(crew)[0])
    crew.close()
    assert not is_there(pid)


def test_those_that_wait_are_renewed_with_what_was_imported_since(crew: Crew) -> None:
    before = int(told(crew)[0])
    _done.append("imported")
    try:
        crew.renew(5)
    finally:
        _done.clear()
    assert not is_there(before)
    stage = gather(CONTEXT, [WHO] * 4, no_mask, concurrency=2, crew=crew)
    said = [one.items[0].data.decode().split() for one in stage]
    assert {tuple(words[2:]) for words in said} == {("imported",)}
    assert 1 <= len({words[0] for words in said}) <= 2  # no more than the crew keeps
