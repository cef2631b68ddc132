# SPDX-License-Identifier: MIT
"""The only door to child processes: argv, a built environment, a time limit, a size limit.

A child never gets a shell, our standard input, or the environment that we were started with (the
hook's is the failing service's own: anchors T32). Output is bounded while it is read, so that a
program that prints without end costs memory up to the limit and no more.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What a child may inherit: who we are for the user manager's sake, nothing that changes code.
_INHERITED = ("HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "TZ", "SSL_CERT_FILE")
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Completed:
    """How a child ended. ``returncode`` is None where it was killed by us or never started."""

    argv: tuple[str, ...]
    returncode: int | None
    stdout: bytes
    stderr: bytes
    truncated: bool = False
    timed_out: bool = False
    took_s: float = 0.0

    @property
    def ok(self) -> bool:
        """It ran to its end and said so with 0."""
        return self.returncode == 0

    @property
    def text(self) -> str:
        """Standard output, undecodable bytes replaced."""
        return self.stdout.decode("utf-8", "replace")

    def why(self) -> str:
        """One line for a person: what went wrong with this call."""
        name = self.argv[0]
        if self.timed_out:
            return f"{name} did not finish within {self.took_s:.1f} s"
        said = self.stderr.decode("utf-8", "replace").strip().splitlines()
        tail = f": {said[-1][:300]}" if said else ""
        if self.returncode is None:
            return f"{name} could not be started{tail}"
        return f"{name} ended with status {self.returncode}{tail}"


def find(name: str) -> str | None:
    """The program that `run` would start for ``name``; None where there is none."""
    for directory in SEARCH_PATH.split(":"):
        path = f"{directory}/{name}"
        if os.access(path, os.X_OK) and os.path.isfile(path):  # noqa: PTH113 - at every failure
            return path
    return None


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment every child gets: fixed search path and locale, nothing of the caller's."""
    built = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    built |= {"PATH": SEARCH_PATH, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"}
    built |= {"SYSTEMD_PAGER": "cat", "PAGER": "cat", "SYSTEMD_LESS": "", "TERM": "dumb"}
    return built | dict(extra or {})


def run(  # noqa: PLR0913 - the one call everybody makes; each word is a limit
    argv: Sequence[str],
    *,
    timeout_s: float = 10.0,
    max_bytes: int = 4 << 20,
    keep: str = "head",
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    own_group: bool = True,
    linger_s: float | None = None,
) -> Completed:
    """Run ``argv`` and return how it went; never raises for what the child does.

    ``keep`` says which end of an output longer than ``max_bytes`` stays: "head" (the child is
    stopped there) or "tail" (it is read to its end). With ``own_group`` the child's whole process
    group is killed when the time is over; without, the caller owns the group (collectors).
    ``linger_s`` is how long to read on after the child has ended, where something that it started
    holds its output; None: as long as for the child.
    """
    begun = start(
        argv,
        timeout_s=timeout_s,
        max_bytes=max_bytes,
        keep=keep,
        stdin=stdin,
        env=env,
        own_group=own_group,
        linger_s=linger_s,
    )
    return begun()


def start(  # noqa: PLR0913 - as `run`
    argv: Sequence[str],
    *,
    timeout_s: float = 10.0,
    max_bytes: int = 4 << 20,
    keep: str = "head",
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    own_group: bool = True,
    linger_s: float | None = None,
) -> Callable[[], Completed]:
    """As `run`, but returns as soon as the child is started: call what it returns, once, to read
    and wait. Until then the child can do no more than fill its pipe."""
    began = time.monotonic()
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(env),
            cwd="/",
            process_group=0 if own_group else None,
        )
    except (OSError, ValueError) as error:  # ValueError: NUL in an argument
        failed = Completed(tuple(argv), None, b"", str(error).encode())
        return lambda: failed
    reader = _Reader(child, max_bytes, keep, began + timeout_s, linger_s)

    def finish() -> Completed:
        timed_out, cut = reader.run(stdin)
        reader.close()
        code = _reap(child, own_group, grace_s=0.0 if timed_out or cut else began + timeout_s)
        took = time.monotonic() - began
        expired = timed_out or (code is None and not cut)
        return Completed(tuple(argv), code, *reader.output(), reader.truncated, expired, took)

    return finish


def _reap(child: subprocess.Popen[bytes], own_group: bool, grace_s: float) -> int | None:
    """Wait until ``grace_s`` (monotonic), then kill. None: it was killed or cannot be (D state)."""
    left_s = grace_s - time.monotonic()
    if left_s > 0:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(timeout=left_s)
    # Not reaped yet, so that its number, which is the group's, cannot be somebody else's.
    ended = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if own_group:  # also when it has ended itself: something that it started holds our pipe
            os.killpg(child.pid, signal.SIGKILL)
        elif not ended:
            child.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        code = child.wait(timeout=0.5)
        return code if ended else None
    # A child in D state is left behind on purpose: waiting for it would hang us as well.
    return None


class _Reader:
    """Reads both outputs until their end, the deadline, or the limit."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        max_bytes: int,
        keep: str,
        deadline: float,
        linger_s: float | None,
    ) -> None:
        assert child.stdout is not None
        assert child.stderr is not None
        self._child = child
        self._max = max_bytes
        self._tail = keep == "tail"
        self._deadline = deadline
        self._linger_s = linger_s
        self._pidfd: int | None = None
        if linger_s is not None:
            with contextlib.suppress(OSError):
                self._pidfd = os.pidfd_open(child.pid)
        self._data: dict[IO[bytes], bytearray] = {
            child.stdout: bytearray(),
            child.stderr: bytearray(),
        }
        self.truncated = False

    def output(self) -> tuple[bytes, bytes]:
        """Standard output and standard error, as kept."""
        out, err = (
            bytes(kept[-self._max :] if self._tail else kept) for kept in self._data.values()
        )
        return out, err

    def close(self) -> None:
        """Let go of the pipes; a child that still writes gets SIGPIPE."""
        if self._pidfd is not None:
            os.close(self._pidfd)
        for stream in (*self._data, self._child.stdin):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def run(self, stdin: bytes | None) -> tuple[bool, bool]:
        """Read; returns (time is over, limit reached with the head kept)."""
        with selectors.DefaultSelector() as selector:
            for stream in self._data:
                selector.register(stream, selectors.EVENT_READ)
            pending = memoryview(stdin or b"")
            if self._child.stdin is not None:
                os.set_blocking(self._child.stdin.fileno(), False)
                selector.register(self._child.stdin, selectors.EVENT_WRITE)
            ended = False
            if self._pidfd is not None:
                selector.register(self._pidfd, selectors.EVENT_READ)
            while len(selector.get_map()) > (self._pidfd is not None and not ended):
                left = self._deadline - time.monotonic()
                if left <= 0:
                    return not ended, False
                for key, _ in selector.select(left):
                    if key.fileobj == self._pidfd:
                        selector.unregister(key.fileobj)
                        ended = True
                        self._linger()
                    elif key.fileobj is self._child.stdin:
                        pending = self._feed(selector, pending)
                    elif self._take(selector, key.fileobj):  # type: ignore[arg-type]
                        return False, True
        return False, False

    def _linger(self) -> None:
        """The child has ended: what it wrote is in the pipes already."""
        self._deadline = min(self._deadline, time.monotonic() + (self._linger_s or 0.0))

    def _feed(self, selector: selectors.BaseSelector, pending: memoryview) -> memoryview:
        stream = self._child.stdin
        assert stream is not None
        try:
            written = os.write(stream.fileno(), pending[:_CHUNK]) if pending else 0
        except BrokenPipeError:
            pending, written = pending[:0], 0
        except BlockingIOError:
            return pending
        if len(pending) == written:
            selector.unregister(stream)
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        return pending[written:]

    def _take(self, selector: selectors.BaseSelector, stream: IO[bytes]) -> bool:
        """Read once from ``stream``; True where the head is full and the child should end."""
        chunk = os.read(stream.fileno(), _CHUNK)
        if not chunk:
            selector.unregister(stream)
            stream.close()
            return False
        kept = self._data[stream]
        kept += chunk
        if len(kept) <= self._max:
            return False
        if stream is self._child.stdout:
            self.truncated = True
        if self._tail:
            if len(kept) > 2 * self._max:  # trimmed now and then: amortised, never quadratic
                del kept[: -self._max]
            return False
        del kept[self._max :]
        return stream is self._child.stdout
