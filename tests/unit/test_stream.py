# SPDX-License-Identifier: MIT
"""Output that is worked off while it comes."""

import os
import time
import tracemalloc

from failhook.stream import stream


def _fds() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_everything_arrives() -> None:
    got = bytearray()

    def feed(chunk: bytes) -> bool:
        got.extend(chunk)
        return True

    done = stream(["sh", "-c", "echo out; echo err >&2; exit 3"], feed, timeout_s=10)
    assert bytes(got) == b"out\n"
    assert (done.returncode, done.stderr, done.truncated, done.timed_out) == (
        3,
        b"err\n",
        False,
        False,
    )


def test_enough_ends_it_at_once_and_memory_stays_small() -> None:
    size = 0

    def feed(chunk: bytes) -> bool:
        nonlocal size
        size += len(chunk)
        return size < 50 << 20

    tracemalloc.start()
    started, before = time.monotonic(), _fds()
    done = stream(["cat", "/dev/zero"], feed, timeout_s=30)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert done.truncated
    assert not done.timed_out
    assert time.monotonic() - started < 10
    assert peak < 2 << 20
    assert _fds() == before


def test_time_is_over() -> None:
    argv = ["sh", "-c", "trap '' TERM PIPE; echo x; exec sleep 60"]
    got = bytearray()

    def feed(chunk: bytes) -> bool:
        got.extend(chunk)
        return True

    started = time.monotonic()
    done = stream(argv, feed, timeout_s=0.3)
    assert time.monotonic() - started < 2
    assert done.timed_out
    assert done.returncode is None
    assert got == b"x\n"


def test_a_child_that_closes_its_output_and_stays() -> None:
    started = time.monotonic()
    done = stream(["sh", "-c", "exec >&- 2>&-; sleep 60"], lambda _: True, timeout_s=0.3)
    assert done.timed_out
    assert time.monotonic() - started < 2


def test_endless_errors_are_bounded() -> None:
    done = stream(
        ["sh", "-c", "yes >&2 & sleep 0.3; kill $!; wait; echo last >&2"],
        lambda _: True,
        timeout_s=10,
    )
    assert done.stderr.endswith(b"last\n")
    assert len(done.stderr) <= 4096


def test_what_cannot_be_started() -> None:
    for argv in (["/nonexistent/program"], ["true", "nul\0"]):
        done = stream(argv, lambda _: True, timeout_s=1)
        assert done.returncode is None
        assert "could not be started" in done.why()
