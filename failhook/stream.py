# SPDX-License-Identifier: MIT
"""A child process whose output is worked off while it comes, and that is stopped when it is enough.

`proc.run` for output that may be larger than memory: the same rules (argv, no shell, a built
environment, a time limit), but every chunk goes to a function and nothing is kept. The caller owns
the process group (a collector), so that the child dies with it.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import subprocess  # noqa: TID251 - the second half of the one door; see proc.py
import time
from collections.abc import Callable, Sequence

from failhook import proc

_CHUNK = 1 << 18
_MAX_STDERR = 4096


def stream(
    argv: Sequence[str], feed: Callable[[bytes], bool], *, timeout_s: float
) -> proc.Completed:
    """Run ``argv`` and give each piece of its output to ``feed`` until that returns False.

    Never raises for what the child does. ``truncated`` says that ``feed`` had enough.
    """
    start = time.monotonic()
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=proc.environment(),
            cwd="/",
            bufsize=0,
        )
    except (OSError, ValueError) as error:  # ValueError: NUL in an argument
        return proc.Completed(tuple(argv), None, b"", str(error).encode())
    assert child.stdout is not None
    assert child.stderr is not None
    said = bytearray()
    outputs = {child.stdout.fileno(): feed, child.stderr.fileno(): _keeper(said)}
    late, enough = True, False
    try:
        late, enough = _pump(outputs, child.stdout.fileno(), start + timeout_s)
    finally:
        child.stdout.close()
        child.stderr.close()
        code = _reap(child, 0.0 if late or enough else start + timeout_s)
    took_s = time.monotonic() - start
    expired = late or (code is None and not enough)
    return proc.Completed(tuple(argv), code, b"", bytes(said), enough, expired, took_s)


def _keeper(said: bytearray) -> Callable[[bytes], bool]:
    """Keeps the end of what comes, for `Completed.why`."""

    def keep(chunk: bytes) -> bool:
        said.extend(chunk)
        del said[:-_MAX_STDERR]
        return True

    return keep


def _pump(
    outputs: dict[int, Callable[[bytes], bool]], main: int, deadline: float
) -> tuple[bool, bool]:
    """Read until both ends; returns (time is over, stopped because it was enough)."""
    with selectors.DefaultSelector() as selector:
        for fd in outputs:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return True, False
            for key, _ in selector.select(left_s):
                chunk = os.read(key.fd, _CHUNK)
                if not chunk:
                    selector.unregister(key.fd)
                elif not outputs[key.fd](chunk) and key.fd == main:
                    return False, True
    return False, False


def _reap(child: subprocess.Popen[bytes], until: float) -> int | None:
    """Wait until ``until`` (monotonic), then kill it: None."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return child.wait(timeout=max(0.0, until - time.monotonic()))
    child.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=0.2)
    return None
