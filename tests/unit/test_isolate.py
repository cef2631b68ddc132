# SPDX-License-Identifier: MIT
"""An action that hangs, crashes, forks away, floods, lies: its own outcome and nothing else."""

import contextlib
import ctypes
import os
import signal
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from failhook import answer, isolate
from failhook.action import Outcome, done, failed
from failhook.gather import offspring
from failhook.secret import Secret

Call = Callable[[], Outcome]


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """After each test: no child, no zombie, no descriptor more than before, no subreaper."""
    isolate.run_isolated(lambda: done(""), timeout_s=20)  # imports open and close files
    before = os.listdir("/proc/self/fd")
    known = offspring.own_children()  # other tests' may be there
    yield
    until = time.monotonic() + 10
    while offspring.own_children() - known and time.monotonic() < until:
        offspring.reap_left_behind()  # as its next call does: killed they are, and not yet gone
        time.sleep(0.01)
    assert offspring.own_children() <= known
    assert len(os.listdir("/proc/self/fd")) <= len(before)
    assert not offspring.keeps_in_reach()


def run(call: Call, timeout_s: float = 20.0, **limits: Any) -> Outcome:
    """The outcome of ``call``."""
    return isolate.run_isolated(call, timeout_s=timeout_s, **limits)


def hang() -> Outcome:
    """Never ends by itself."""
    while True:
        time.sleep(100)


def gone(pid: int) -> bool:
    """Whether ``pid`` is no more; one that was killed may take a moment."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if not Path(f"/proc/{pid}").exists():
            return True
        offspring.reap_left_behind()
        time.sleep(0.01)
    return False


def start_stray(path: Path, *, session: bool) -> None:
    """Leave a process behind: forked twice, ignoring SIGTERM, its number in ``path``."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        if session:
            os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            path.write_text(str(os.getpid()))
            os.write(writing, b"x")
            hang()
        os._exit(0)
    os.read(reading, 1)  # it is up


# -- what an honest one gets --------------------------------------------------------------------


@pytest.mark.parametrize(
    "outcome",
    [
        done("it shines", helped=True, before=10, after={"bytes": 3, "names": ["a", None]}),
        done("not looked at"),
        failed("no lamp", final=True),
        failed("later", retry_after_s=30.5),
        Outcome(False, "nobody lives there", gone=True, helped=False),
    ],
)
def test_an_outcome_comes_back_as_it_is(outcome: Outcome) -> None:
    assert run(lambda: outcome) == outcome


def test_what_it_printed_is_kept_beside_the_outcome() -> None:
    def call() -> Outcome:
        print("one")
        print("two", file=sys.stderr)
        os.write(1, b"three\n")
        return done("ok")

    report = isolate.watched(call, timeout_s=20)
    assert report.outcome == done("ok")
    assert report.output.splitlines() == ["one", "two", "three"]
    assert not report.timed_out
    assert 0 < report.took_s < 20


def test_it_changes_nothing_of_the_caller(tmp_path: Path) -> None:
    state: dict[str, int] = {}

    def call() -> Outcome:
        state["x"] = 1
        os.environ["FAILHOOK_TEST"] = "1"
        os.chdir(tmp_path)
        sys.path.clear()
        return done("ok")

    cwd, path = Path.cwd(), list(sys.path)
    assert run(call).ok
    assert state == {}
    assert "FAILHOOK_TEST" not in os.environ
    assert (Path.cwd(), sys.path) == (cwd, path)


def test_its_surroundings() -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)

    def call() -> Outcome:
        open_fds = [int(fd) for fd in os.listdir("/proc/self/fd")]
        return done(
            "ok",
            fds=len([fd for fd in open_fds if fd > 2]),
            has_ours=writing in open_fds,
            leader=os.getsid(0) == os.getpid() == os.getpgrp(),
            cwd=str(Path.cwd()),
            stdin=sys.stdin.read(),
            blocked=len(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
            usr1=signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL,
            umask=os.umask(0),
        )

    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        data = run(call).data
    finally:
        signal.signal(signal.SIGUSR1, before)
        os.close(reading)
        os.close(writing)
    assert data == {
        "fds": 2,  # the pipe for its answer, and the directory that is being listed
        "has_ours": False,
        "leader": True,
        "cwd": "/",
        "stdin": "",
        "blocked": 0,
        "usr1": True,
        "umask": 0o077,
    }


def test_a_call_in_a_call() -> None:
    def call() -> Outcome:
        inner = run(lambda: done("inner"))
        return done(f"outer of {inner.detail}")

    assert run(call) == done("outer of inner")


# -- crashes ------------------------------------------------------------------------------------


def _raise(error: BaseException) -> Call:
    def call() -> Outcome:
        raise error

    return call


def _recurse() -> Outcome:
    return _recurse()


def _segfault() -> Outcome:
    ctypes.string_at(0)
    return done("not reached")


def _leave(status: int) -> Call:
    def call() -> Outcome:
        os._exit(status)

    return call


def _kill_itself() -> Outcome:
    os.kill(os.getpid(), signal.SIGKILL)
    return done("not reached")


class _Unsayable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        (_raise(ValueError("no lamp")), "ValueError: no lamp"),
        (_raise(KeyboardInterrupt()), "KeyboardInterrupt"),
        (_raise(MemoryError()), "MemoryError"),
        (_raise(_Unsayable()), "_Unsayable"),
        (_raise(SystemExit(3)), "it left with status 3 instead of saying how it went"),
        (_raise(SystemExit()), "it left with status None instead of saying how it went"),
        (_recurse, "RecursionError: maximum recursion depth exceeded"),
        (_segfault, "ended without saying how it went (SIGSEGV)"),
        (_kill_itself, "ended without saying how it went (SIGKILL)"),
        (_leave(0), "ended without saying how it went (status 0)"),
        (_leave(7), "ended without saying how it went (status 7)"),
    ],
)
def test_a_crash_is_its_outcome(call: Call, detail: str) -> None:
    outcome = run(call)
    assert not outcome.ok
    assert not outcome.final
    assert outcome.detail == detail


def test_a_crash_shows_its_traceback_and_its_last_words() -> None:
    report = isolate.watched(_raise(ValueError("no lamp")), timeout_s=20)
    assert "test_isolate.py" in report.output
    assert report.output.endswith("ValueError: no lamp")

    def call() -> Outcome:
        print("\n".join(f"line {number}" for number in range(9)), flush=True)
        os._exit(4)

    assert run(call).detail == (
        "ended without saying how it went (status 4); its last words: line 6 | line 7 | line 8"
    )


def test_too_much_memory() -> None:
    def call() -> Outcome:
        return done(str(len(bytearray(1 << 34))))

    assert run(call, memory_max=1 << 32).detail == "MemoryError"


# -- hanging ------------------------------------------------------------------------------------


def test_a_hanging_one_is_ended() -> None:
    began = time.monotonic()

    def call() -> Outcome:
        print("waiting for the lamp", flush=True)
        return hang()

    report = isolate.watched(call, timeout_s=0.3)
    assert report.outcome == failed(
        "did not finish within 0.3 s and was ended; its last words: waiting for the lamp"
    )
    assert report.timed_out
    assert time.monotonic() - began < 0.3 + isolate.TERM_S


def test_sigterm_is_ignored() -> None:
    def call() -> Outcome:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return hang()

    began = time.monotonic()
    assert run(call, 0.2).detail == "did not finish within 0.2 s and was ended"
    assert isolate.TERM_S < time.monotonic() - began < isolate.TERM_S + 5


def test_an_answer_that_comes_too_late_is_no_success(tmp_path: Path) -> None:
    def call() -> Outcome:
        signal.signal(signal.SIGTERM, lambda *_: (tmp_path / "cleaned up").touch())
        time.sleep(100)
        return done("late")

    def stubborn() -> Outcome:
        with contextlib.suppress(TimeoutError):
            signal.signal(signal.SIGTERM, _raises)
            time.sleep(100)
        (tmp_path / "cleaned up").touch()
        return done("late")

    assert not run(stubborn, 0.2).ok
    assert (tmp_path / "cleaned up").exists()
    assert not run(call, 0.2).ok


def _raises(*_: object) -> None:
    raise TimeoutError


def test_its_programs_hear_of_the_end_too(tmp_path: Path) -> None:
    heard = tmp_path / "heard"

    def call() -> Outcome:
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, lambda *_: (heard.touch(), os._exit(0)))  # type: ignore[func-returns-value]
            (tmp_path / "up").touch()
            hang()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        return hang()

    run(call, 1.0)
    assert (tmp_path / "up").exists()
    assert heard.exists()


# -- what it leaves behind ----------------------------------------------------------------------


@pytest.mark.parametrize("session", [True, False], ids=["own session", "same session"])
@pytest.mark.parametrize("end", [lambda: done("ok"), _segfault, hang], ids=["ok", "crash", "hang"])
def test_who_forks_away_is_found(tmp_path: Path, session: bool, end: Call) -> None:
    path = tmp_path / "stray"

    def call() -> Outcome:
        start_stray(path, session=session)
        return end()

    outcome = run(call, 2.0)
    assert outcome.ok == (outcome.detail == "ok")
    assert gone(int(path.read_text()))


def test_others_children_are_spared() -> None:
    other = os.fork()
    if other == 0:
        try:
            hang()
        finally:
            os._exit(1)
    try:
        assert run(lambda: done("ok")).ok
        assert run(_segfault).detail
        assert os.waitpid(other, os.WNOHANG) == (0, 0)
    finally:
        os.kill(other, signal.SIGKILL)
        os.waitpid(other, 0)


def test_many_that_fork_on() -> None:
    def call() -> Outcome:
        for _ in range(30):
            if os.fork() == 0:
                while True:
                    with contextlib.suppress(OSError):
                        if os.fork() == 0:
                            time.sleep(0.01)
                        else:
                            os.wait()
                            os._exit(0)
        return done("ok")

    assert run(call) == done("ok")


# -- what it prints -----------------------------------------------------------------------------


def test_a_gigabyte_costs_no_memory() -> None:
    def call() -> Outcome:
        chunk = b"x" * (1 << 16)
        for _ in range(1 << 14):
            os.write(1, chunk)
        os.write(1, b"\nthe end\n")
        return done("printed it")

    tracemalloc.start()
    report = isolate.watched(call, timeout_s=60)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.outcome == done("printed it")
    assert report.output == "the end"
    assert peak < 4 << 20


def test_output_without_end_ends_with_the_time() -> None:
    def call() -> Outcome:
        while True:
            os.write(1, b"again and again\n" * 100)

    report = isolate.watched(call, timeout_s=0.5, max_output=1000)
    assert report.timed_out
    assert report.outcome.detail.startswith("did not finish within 0.5 s and was ended; its last")
    assert set(report.output.splitlines()) == {"again and again"}
    assert len(report.output) <= 1000


def test_output_cannot_steer_a_terminal() -> None:
    def call() -> Outcome:
        os.write(1, b"\x1b]0;title\x07 \xff\xe2\x80\xae \x00 red\nsecond\r\n")
        os._exit(1)

    report = isolate.watched(call, timeout_s=20)
    assert report.output == "\\x1b]0;title\\x07 \ufffd\\u202e \\x00 red\nsecond\\x0d"
    assert "\x1b" not in report.outcome.detail
    assert "\n" not in report.outcome.detail


# -- rubbish ------------------------------------------------------------------------------------


@pytest.mark.parametrize("returned", [None, 0, "done", {"ok": True}, Outcome], ids=repr)
def test_what_is_no_outcome(returned: Any) -> None:
    outcome = run(lambda: returned)
    assert not outcome.ok
    assert outcome.final
    assert outcome.detail == f"it returned {type(returned).__name__}, not an Outcome"


def test_fields_that_are_not_what_they_should_be() -> None:
    wrong: Any = Outcome
    assert run(lambda: wrong("yes", 7, "x", "soon", 1, None, [1])) == failed("")
    assert run(lambda: wrong(True, "x", retry_after_s=float("nan"))) == done("x")
    assert run(lambda: wrong(True, "x", retry_after_s=float("inf"))) == done("x")
    assert run(lambda: failed("x", retry_after_s=1e18)).retry_after_s == 30 * 86400
    assert run(lambda: failed("x", retry_after_s=-5)).retry_after_s == 0


def test_data_is_json_or_what_it_was_called() -> None:
    loop: list[Any] = []
    loop.append(loop)
    data = run(
        lambda: done("x", nan=float("nan"), big=1 << 70, odd=object(), bytes=b"x", loop=loop)
    ).data
    assert data["nan"] == "float"
    assert data["big"] == "int"
    assert data["odd"] == "object"
    assert data["bytes"] == "bytes"
    assert str(data["loop"]).count("[") < 10
    assert run(lambda: done("x", much=["y" * 1000] * 190)).data == {
        "left_out": "the figures were too large"
    }


def test_a_huge_detail_is_one_bounded_line() -> None:
    detail = run(lambda: done("a\nb\x1b[31m\u202e " + "x" * 10_000_000)).detail
    assert detail.startswith("a b\\x1b[31m\\u202e x")
    assert len(detail) == answer.MAX_DETAIL
    assert detail.endswith("…")


def test_closed_descriptors() -> None:
    def call() -> Outcome:
        os.closerange(0, 1024)
        return done("ok")

    assert run(call) == failed("ended without saying how it went (status 1)")


def test_another_file_under_the_number_of_the_pipe_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("precious")

    def call() -> Outcome:
        os.closerange(3, 1024)
        for _ in range(200):
            os.open(path, os.O_RDWR)
        return done("ok")

    assert run(call) == failed("ended without saying how it went (status 1)")
    assert path.read_text() == "precious"


def _forge(text: bytes) -> Call:
    def call() -> Outcome:
        for fd in (int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2):
            with contextlib.suppress(OSError):
                os.write(fd, text)
        return done("ok")

    return call


@pytest.mark.parametrize(
    "text", [b"garbage!", b"fh1\n\xff\xff\xff\xff", b"fh1\n\x00\x00\x00\x02{}"]
)
def test_what_comes_through_the_pipe_is_not_believed(text: bytes) -> None:
    detail = run(_forge(text)).detail
    assert detail in (
        "something else than its answer came through its pipe",
        "its answer cannot be read",  # where the forged one was heard before the other came
    )


# -- secrets ------------------------------------------------------------------------------------


def test_a_secret_that_was_read_is_not_told() -> None:
    def call() -> Outcome:
        word = Secret("text", "correct horse battery").read()
        return done(f"sent {word}", url=f"https://x/{word.replace(' ', '%20')}")

    outcome = run(call)
    assert "horse" not in outcome.detail
    assert "horse" not in str(outcome.data)

    def crash() -> Outcome:
        raise ValueError(Secret("text", "correct horse battery").read())

    assert "horse" not in run(crash).detail


def test_a_secret_in_what_a_crashed_one_printed_is_not_told() -> None:
    def call() -> Outcome:
        print("the word is correct horse battery", "password=hunter2hunter2", flush=True)
        os._exit(1)

    report = isolate.watched(
        call, timeout_s=20, secrets=[Secret("text", "correct horse battery"), Secret("env", "NO")]
    )
    for said in (report.output, report.outcome.detail):
        assert "horse" not in said
        assert "hunter2" not in said
        assert "the word is" in said


# -- the caller ---------------------------------------------------------------------------------


def test_no_process_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    assert run(lambda: done("ok")).detail == "no process for it: Resource temporarily unavailable"


def test_without_a_pidfd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offspring, "pidfd_of", lambda _: None)
    assert run(lambda: done("ok")) == done("ok")
    assert run(_leave(3)).detail == "ended without saying how it went (status 3)"
    assert not run(hang, 0.2).ok


def test_when_the_caller_is_killed_so_is_the_call(tmp_path: Path) -> None:
    path = tmp_path / "pid"

    def call() -> Outcome:
        fresh = tmp_path / "fresh"
        fresh.write_text(str(os.getpid()))
        fresh.rename(path)
        return hang()

    caller = os.fork()
    if caller == 0:
        try:
            run(call, 100)
        finally:
            os._exit(0)
    until = time.monotonic() + 10
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(caller, signal.SIGKILL)
    os.waitpid(caller, 0)
    assert gone(int(path.read_text()))


def test_it_costs_little() -> None:
    began = time.process_time()
    for _ in range(20):
        run(lambda: done("ok"))
    assert (time.process_time() - began) / 20 < 0.03  # 3 ms, with room for a slow machine
