# SPDX-License-Identifier: MIT
"""Collectors that hang, crash, lie, print without end and leave processes behind: real forks."""

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from failhook.collector import Collector, Context, Sink, Skipped
from failhook.gather import frames, offspring
from failhook.gather.stage import Gathered, Last, gather
from failhook.incident import Status
from failhook.item import Item
from tests.unit.collect.bench import context

CONTEXT = context()
Function = Callable[[Context, Sink], None]


def no_mask(data: bytes, _: str) -> tuple[bytes, dict[str, int]]:
    """Nothing is secret."""
    return data, {}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After each test: no child, no zombie, no descriptor more than before."""
    before = os.listdir("/proc/self/fd")
    yield
    until = time.monotonic() + 5  # the end of a killed process takes its time on a busy machine
    while _has_children() and time.monotonic() < until:
        time.sleep(0.01)
        offspring.reap_left_behind()
    assert not _has_children()
    assert len(os.listdir("/proc/self/fd")) <= len(before)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def one(collect: Function, *, timeout_s: float = 20.0, max_bytes: int = 1000) -> Gathered:
    """What a single collector gives."""
    (gathered,) = gather(CONTEXT, [Collector("c", "", collect, timeout_s, max_bytes)], no_mask)
    return gathered


def alive(pid: int) -> bool:
    """Whether ``pid`` is there and no zombie."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid: int) -> bool:
    """Whether ``pid`` goes within ten seconds: a kill of an orphan takes a moment to be seen."""
    until = time.monotonic() + 10
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not alive(pid)


def test_items_and_how_it_went() -> None:
    def collect(_: Context, sink: Sink) -> None:
        sink.put("a", "one")
        sink.put("b", b"two", truncated=True, reason="half")

    gathered = one(collect)
    assert gathered.items == (
        Item("a", b"one", "c", gathered.items[0].took_ms),
        Item("b", b"two", "c", gathered.items[1].took_ms, True, "half"),
    )
    assert gathered.evidence.name == "c"
    assert gathered.evidence.status is Status.OK
    assert gathered.evidence.bytes == 6
    assert gathered.evidence.truncated
    assert gathered.evidence.reason is None


def test_masked_before_it_leaves_the_process() -> None:
    def mask(data: bytes, path: str) -> tuple[bytes, dict[str, int]]:
        return data.replace(b"hunter2", b"***"), {f"rule of {path}": data.count(b"hunter2")}

    def collect(_: Context, sink: Sink) -> None:
        sink.put("a", "hunter2 hunter2")
        sink.problem("no hunter2")
        raise ValueError("hunter2 is wrong")

    (gathered,) = gather(CONTEXT, [Collector("c", "", collect)], mask)
    assert gathered.items[0].data == b"*** ***"
    assert gathered.items[0].masked == {"rule of a": 2}
    assert gathered.evidence.reason == "ValueError: *** is wrong; no ***"
    assert b"hunter2" not in gathered.items[1].data


def test_skipped() -> None:
    def collect(_: Context, sink: Sink) -> None:
        raise Skipped("nothing\nto see")

    gathered = one(collect)
    assert gathered.evidence.status is Status.SKIPPED
    assert gathered.evidence.reason == "nothing to see"
    assert gathered.items == ()


def test_problems_are_the_reason_and_without_items_a_failure() -> None:
    def complain(_: Context, sink: Sink) -> None:
        sink.problem("one")
        sink.problem("two")
        sink.problem("one")

    def complain_and_put(given: Context, sink: Sink) -> None:
        complain(given, sink)
        sink.put("a", "x")

    assert one(complain).evidence.status is Status.FAILED
    evidence = one(complain_and_put).evidence
    assert evidence.status is Status.OK
    assert evidence.reason == "one; two"


# -- crashes ------------------------------------------------------------------------------------


def test_an_exception_keeps_what_came_before() -> None:
    def collect(_: Context, sink: Sink) -> None:
        sink.put("a", "early")
        raise LookupError("lost")

    gathered = one(collect, max_bytes=5)
    assert gathered.evidence.status is Status.FAILED
    assert gathered.evidence.reason == "LookupError: lost"
    assert [item.path for item in gathered.items] == ["a", "collectors/c.error.txt"]
    assert b"Traceback" in gathered.items[1].data


@pytest.mark.parametrize("end", [SystemExit(3), SystemExit(), RecursionError("deep")])
def test_other_ways_to_raise(end: BaseException) -> None:
    def collect(_: Context, sink: Sink) -> None:
        raise end

    gathered = one(collect)
    assert gathered.evidence.status is Status.FAILED
    assert (gathered.evidence.reason or "").startswith(type(end).__name__)


def test_death_by_signal_and_by_exit() -> None:
    def die(_: Context, sink: Sink) -> None:
        sink.put("a", "early")
        os.kill(os.getpid(), signal.SIGSEGV)

    def leave(_: Context, sink: Sink) -> None:
        os._exit(7)

    gathered = one(die)
    assert gathered.evidence.status is Status.FAILED
    assert gathered.evidence.reason == "its process was ended by SIGSEGV"
    assert [item.path for item in gathered.items] == ["a"]
    assert one(leave).evidence.reason == "its process ended by itself with status 7"


# -- time ---------------------------------------------------------------------------------------


def _sleep(_: Context, sink: Sink) -> None:
    sink.put("a", "early")
    time.sleep(60)


def _deaf(_: Context, sink: Sink) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    _sleep(_, sink)


def _fifo(_: Context, sink: Sink) -> None:
    path = Path(tempfile.mkdtemp(), "fifo")
    os.mkfifo(path)
    sink.put("a", "early")
    path.read_bytes()


def _command(_: Context, sink: Sink) -> None:
    sink.put("a", "early")
    subprocess.run(["sh", "-c", "trap '' TERM; sleep 60; :"], check=False)


@pytest.mark.parametrize("collect", [_sleep, _deaf, _fifo, _command])
def test_a_collector_that_hangs_is_ended_and_keeps_what_came(collect: Function) -> None:
    started = time.monotonic()
    gathered = one(collect, timeout_s=0.3)
    assert time.monotonic() - started < 2
    assert gathered.evidence.status is Status.TIMEOUT
    assert "did not finish within 0." in (gathered.evidence.reason or "")
    assert [item.data for item in gathered.items] == [b"early"]
    assert 250 < gathered.evidence.took_ms < 1500


def test_all_share_one_deadline() -> None:
    collectors = [Collector(f"c{n}", "", _sleep, 10.0) for n in range(6)]
    started = time.monotonic()
    gathered = list(gather(CONTEXT, collectors, no_mask, deadline_s=0.5, concurrency=2))
    assert time.monotonic() - started < 3
    assert [one.evidence.status for one in gathered] == [Status.TIMEOUT] * 6
    reasons = [one.evidence.reason or "" for one in gathered]
    assert sum("was left of the 0.5 s for all" in reason for reason in reasons) == 2
    assert sum("not started: the 0.5 s for all" in reason for reason in reasons) == 4


def test_one_that_hangs_does_not_delay_the_others() -> None:
    def quick(_: Context, sink: Sink) -> None:
        sink.put("a", "x")

    collectors = [Collector("slow", "", _sleep, 1.0)]
    collectors += [Collector(f"quick{n}", "", quick) for n in range(5)]
    names = [g.evidence.name for g in gather(CONTEXT, collectors, no_mask, concurrency=2)]
    assert names == ["quick0", "quick1", "quick2", "quick3", "quick4", "slow"]


def test_a_slow_reader_costs_the_collectors_nothing() -> None:
    def collect(_: Context, sink: Sink) -> None:
        time.sleep(0.3)
        sink.put("a", b"x" * 200_000)

    def quick(_: Context, sink: Sink) -> None:
        sink.put("a", "x")

    collectors = [Collector("slow", "", collect, 1.0), Collector("quick", "", quick)]
    seen = []
    for gathered in gather(CONTEXT, collectors, no_mask, deadline_s=1.2):
        seen.append((gathered.evidence.name, gathered.evidence.status))
        time.sleep(1.5)
    assert seen == [("quick", Status.OK), ("slow", Status.OK)]


def test_no_more_at_a_time_than_asked_for(tmp_path: Path) -> None:
    def collect(_: Context, sink: Sink) -> None:
        mark = tmp_path / str(os.getpid())
        mark.touch()
        time.sleep(0.05)
        sink.put("n", str(len(list(tmp_path.iterdir()))))
        mark.unlink()

    collectors = [Collector(f"c{n}", "", collect) for n in range(9)]
    gathered = list(gather(CONTEXT, collectors, no_mask, concurrency=3))
    assert max(int(one.items[0].data) for one in gathered) in (2, 3)


def test_fifty_collectors() -> None:
    def collect(_: Context, sink: Sink) -> None:
        sink.put("a", b"x" * 3000)

    collectors = [Collector(f"c{n}", "", collect, max_bytes=5000) for n in range(50)]
    gathered = list(gather(CONTEXT, collectors, no_mask))
    assert {one.evidence.name for one in gathered} == {f"c{n}" for n in range(50)}
    assert all(one.evidence.status is Status.OK for one in gathered)
    assert all(one.evidence.bytes == 3000 for one in gathered)


def test_the_last_one_is_made_of_the_others_and_does_not_wait_for_all(tmp_path: Path) -> None:
    gone_on = tmp_path / "gone-on"

    def quick(_: Context, sink: Sink) -> None:
        sink.put("a", "x")

    def slow(_: Context, sink: Sink) -> None:
        while not gone_on.exists():
            time.sleep(0.01)
        sink.put("b", "y")

    seen: list[str] = []

    def made() -> Collector | None:
        def judge(_: Context, sink: Sink) -> None:
            sink.put("c", " ".join(seen))
            gone_on.touch()

        return Collector("judge", "", judge) if "quick" in seen else None

    collectors = [Collector("slow", "", slow), Collector("quick", "", quick)]
    for gathered in gather(CONTEXT, collectors, no_mask, concurrency=2, last=Last(made)):
        seen.append(gathered.evidence.name)
        if gathered.evidence.name == "judge":
            assert gathered.items[0].data == b"quick"
    assert seen == ["quick", "judge", "slow"]


def test_the_deadline_of_the_others_is_none_for_the_last_one() -> None:
    seen: list[Status] = []

    def judge(_: Context, sink: Sink) -> None:
        time.sleep(0.3)
        sink.put("c", "z")

    def made() -> Collector | None:
        return Collector("judge", "", judge, 5.0) if seen else None

    collectors = [Collector("slow", "", _sleep, 10.0)]
    stage = gather(CONTEXT, collectors, no_mask, deadline_s=0.2, last=Last(made))
    seen.append(next(stage).evidence.status)
    assert [*seen, next(stage).evidence.status] == [Status.TIMEOUT, Status.OK]


def test_the_last_one_alone() -> None:
    def judge(_: Context, sink: Sink) -> None:
        sink.put("c", "z")

    (gathered,) = gather(CONTEXT, [], no_mask, last=Last(lambda: Collector("judge", "", judge)))
    assert gathered.evidence.status is Status.OK


def test_nobody_wants_the_rest() -> None:
    pids: list[int] = []

    def collect(_: Context, sink: Sink) -> None:
        sink.put("pid", str(os.getpid()))

    stage = gather(
        CONTEXT, [Collector("a", "", collect), Collector("b", "", _sleep, 30.0)], no_mask
    )
    pids.append(int(next(stage).items[0].data))
    stage.close()  # type: ignore[attr-defined]
    assert all(gone(pid) for pid in pids)


# -- size ---------------------------------------------------------------------------------------


def test_a_gigabyte_of_output_is_cut_while_it_is_read() -> None:
    def collect(_: Context, sink: Sink) -> None:
        sink.command("a", ["sh", "-c", "yes | head -c 1073741824"])
        sink.put("b", "no room left")

    tracemalloc.start()
    gathered = one(collect, max_bytes=1 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert gathered.evidence.status is Status.OK
    assert gathered.evidence.truncated
    assert gathered.evidence.bytes <= 1 << 20
    assert peak < 6 << 20
    assert [item.truncated for item in gathered.items] == [True, True]


def _pipe() -> int:
    """The descriptor that a forked collector sends through."""
    for fd in range(3, 256):
        with contextlib.suppress(OSError):
            writable = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY
            if writable and os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:"):
                return fd
    raise AssertionError("no pipe")


def _endless_frames(_: Context, sink: Sink) -> None:
    while True:
        frames.send_item(_pipe(), Item("a", b"", "c"))


def _too_much(_: Context, sink: Sink) -> None:
    frames.send_item(_pipe(), Item("a", b"x" * (1 << 20), "c"))
    time.sleep(60)


def _upwards(_: Context, sink: Sink) -> None:
    sink.put("good", "x")
    frames.send_item(_pipe(), Item("../../etc/shadow", b"x", "c"))
    time.sleep(60)


def _noise(_: Context, sink: Sink) -> None:
    while True:
        os.write(_pipe(), os.urandom(4096))


@pytest.mark.parametrize("collect", [_endless_frames, _too_much, _upwards, _noise])
def test_a_collector_that_lies_is_stopped(collect: Function) -> None:
    started = time.monotonic()
    gathered = one(collect)
    assert time.monotonic() - started < 10
    assert gathered.evidence.status is Status.FAILED
    assert (gathered.evidence.reason or "").startswith("stopped: it sent ")
    assert all(item.path in ("a", "good") for item in gathered.items)


# -- processes ----------------------------------------------------------------------------------


def _left_behind(argv: list[str], *, session: bool) -> Function:
    def collect(_: Context, sink: Sink) -> None:
        child = subprocess.Popen(
            argv, start_new_session=session, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        sink.put("pid", child.stdout.readline())
        child.returncode = 0  # as if it were not ours to wait for

    return collect


@pytest.mark.parametrize("session", [False, True])
def test_what_a_collector_leaves_behind_is_killed(session: bool) -> None:
    argv = ["sh", "-c", "trap '' TERM HUP; echo $$; sleep 60; :"]
    gathered = one(_left_behind(argv, session=session))
    assert gathered.evidence.status is Status.OK
    assert gone(int(gathered.items[0].data))


def test_a_daemon_with_a_session_of_its_own_is_killed() -> None:
    argv = ["sh", "-c", "setsid sh -c 'echo $$; exec sleep 60' &"]
    gathered = one(_left_behind(argv, session=True))
    assert gone(int(gathered.items[0].data))


def test_a_daemon_of_one_that_hangs_is_killed() -> None:
    def collect(given: Context, sink: Sink) -> None:
        argv = ["sh", "-c", "setsid sh -c 'echo $$; exec sleep 60' &"]
        _left_behind(argv, session=True)(given, sink)
        time.sleep(60)

    gathered = one(collect, timeout_s=0.5)
    assert gathered.evidence.status is Status.TIMEOUT
    assert gone(int(gathered.items[0].data))


def test_the_process_is_clean(tmp_path: Path) -> None:
    def handler(number: int, frame: object) -> None:
        raise AssertionError

    secret = (tmp_path / "secret").open("w")
    before = signal.signal(signal.SIGUSR1, handler)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    wakeup = signal.set_wakeup_fd(writing)

    def collect(_: Context, sink: Sink) -> None:
        targets = set()
        for fd in range(256):
            with contextlib.suppress(OSError):
                targets.add(os.readlink(f"/proc/self/fd/{fd}"))
        print("to nowhere")
        print("to nowhere", file=sys.stderr)
        sink.put("fds", "\n".join(sorted(targets)))
        sink.put("signal", repr(signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL))
        sink.put("mask", repr(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
        sink.put("group", str(os.getpgid(0) == os.getpid()))

    try:
        gathered = one(collect)
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGUSR1, before)
        secret.close()
        os.close(reading)
        os.close(writing)
    given = {item.path: item.data.decode() for item in gathered.items}
    null, answers, orders = given.pop("fds").splitlines()
    assert null == "/dev/null"
    assert answers.startswith("pipe:")
    assert orders.startswith("socket:")
    assert given == {"signal": "True", "mask": "set()", "group": "True"}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


# -- lanes --------------------------------------------------------------------------------------


def _pid(_: Context, sink: Sink) -> None:
    sink.put("pid", str(os.getpid()))


def _lanes(collectors: list[Collector]) -> dict[str, Gathered]:
    found = gather(CONTEXT, collectors, no_mask, concurrency=1)
    return {each.evidence.name: each for each in found}


def test_those_that_allow_it_share_a_process() -> None:
    shared = [Collector(f"s{n}", "", _pid, shares_process=True) for n in range(4)]
    given = _lanes([shared[0], Collector("alone", "", _pid), *shared[1:]])
    pids = {name: each.items[0].data for name, each in given.items()}
    assert pids["alone"] not in {pids[f"s{n}"] for n in range(4)}
    assert len({pids[f"s{n}"] for n in range(4)}) == 1
    assert all(each.evidence.status is Status.OK for each in given.values())


def _fail(_: Context, sink: Sink) -> None:
    raise ValueError("no")


def _segfault(_: Context, sink: Sink) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize("bad", [_fail, _segfault, _sleep, _noise, _upwards])
def test_one_that_goes_wrong_takes_its_process_and_nothing_else(bad: Function) -> None:
    given = _lanes(
        [
            Collector("before", "", _pid, shares_process=True),
            Collector("bad", "", bad, 0.5, 1000, shares_process=True),
            Collector("after", "", _pid, shares_process=True),
        ]
    )
    assert given["bad"].evidence.status in (Status.FAILED, Status.TIMEOUT)
    assert given["before"].items[0].data != given["after"].items[0].data
    assert given["after"].evidence.status is Status.OK
    assert given["after"].evidence.bytes == len(given["after"].items[0].data)


def test_what_one_leaves_behind_is_gone_before_the_next() -> None:
    argv = ["sh", "-c", "trap '' TERM HUP; echo $$; sleep 60; :"]

    def children(_: Context, sink: Sink) -> None:
        sink.put("below", repr(offspring.descendants(os.getpid())))

    given = _lanes(
        [
            Collector("messy", "", _left_behind(argv, session=True), shares_process=True),
            Collector("next", "", children, shares_process=True),
        ]
    )
    assert gone(int(given["messy"].items[0].data))
    assert given["next"].items[0].data == b"[]"


def test_in_process() -> None:
    def collect(_: Context, sink: Sink) -> None:
        sink.put("pid", str(os.getpid()))
        sink.problem("a little")
        raise KeyError("x")

    (gathered,) = gather(CONTEXT, [Collector("c", "", collect, in_process=True)], no_mask)
    assert gathered.items[0].data == str(os.getpid()).encode()
    assert gathered.evidence.status is Status.FAILED
    assert gathered.evidence.reason == "KeyError: 'x'; a little"


def test_collectors_end_with_us() -> None:
    worker = os.fork()
    if worker == 0:
        list(gather(CONTEXT, [Collector("a", "", _sleep)], no_mask))
        os._exit(0)
    until = time.monotonic() + 20
    children: list[int] = []
    while not children and time.monotonic() < until:
        children = offspring.descendants(worker)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    assert len(children) == 1
    assert gone(children[0])


def test_no_process_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    gathered = one(_sleep)
    assert gathered.evidence.status is Status.FAILED
    assert gathered.evidence.reason == "no process for it: Resource temporarily unavailable"


def test_we_are_no_subreaper_ourselves() -> None:
    one(lambda _, sink: sink.put("a", "x"))
    value = ctypes.c_int(-1)
    ctypes.CDLL(None).prctl(37, ctypes.byref(value), 0, 0, 0)  # PR_GET_CHILD_SUBREAPER
    assert value.value == 0
