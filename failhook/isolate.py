# SPDX-License-Identifier: MIT
"""Runs one action in a process of its own and brings back how it went, whatever it does.

Action code may be a plugin: it may hang, crash, leave with `os._exit`, start programs that leave
their session, print without end, close every descriptor, or return what is no outcome. It costs its
own outcome and nothing else. The process has a session of its own; for as long as it runs the
caller is a subreaper (prctl(2)), so that what it leaves behind comes to the caller and is ended.
How it went comes back as JSON through a pipe and is believed as little as anything else from there;
what it printed is read to its end, and only the last of it is kept.

Must be called from a process with one thread: it forks without exec.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import math
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn, TextIO

from failhook import answer, secret
from failhook.action import Outcome, failed
from failhook.gather import child, offspring
from failhook.secret import Secret, SecretError

TERM_S = 1.0  # from SIGTERM to SIGKILL
MAX_OUTPUT = 64 << 10
_KILL_WAIT_S = 0.2
_LAST_LINES = 3
_CHUNK = 1 << 16
_CHUNKS = 16  # a pipe holds 1 MiB at most (pipe(7))


@dataclass(frozen=True, slots=True)
class Report:
    """How a call went, what it printed last (lines, masked, escaped), and how long it took."""

    outcome: Outcome
    output: str = ""
    took_s: float = 0.0
    timed_out: bool = False


def run_isolated(
    call: Callable[[], Outcome],
    *,
    timeout_s: float,
    max_output: int = MAX_OUTPUT,
    memory_max: int | None = None,
    secrets: Sequence[Secret] = (),
    mask: bool = True,
) -> Outcome:
    """Run ``call`` in a process of its own and return its outcome; never raises for what it does.

    After ``timeout_s`` it gets SIGTERM, `TERM_S` later SIGKILL, and so does all that it started.
    ``memory_max`` bounds its address space in bytes (setrlimit(2), RLIMIT_AS). What it says is
    masked, unless ``mask`` is False: what has the shape of a secret, what it read through `Secret`,
    and ``secrets``.
    """
    report = watched(
        call,
        timeout_s=timeout_s,
        max_output=max_output,
        memory_max=memory_max,
        secrets=secrets,
        mask=mask,
    )
    return report.outcome


def watched(
    call: Callable[[], Outcome],
    *,
    timeout_s: float,
    max_output: int = MAX_OUTPUT,
    memory_max: int | None = None,
    secrets: Sequence[Secret] = (),
    mask: bool = True,
) -> Report:
    """As `run_isolated`, with what it printed and how long it took."""
    offspring.prepare()
    answer.prepare()
    offspring.reap_left_behind()
    began = time.monotonic()
    with offspring.adopting() as known:
        try:
            process = _start(call, memory_max, max_output, mask)
        except OSError as error:
            return Report(failed(f"no process for it: {error.strerror}"))
        try:
            timed_out = process.listen(began + timeout_s)
        finally:
            status = offspring.end(process.pid, process.pidfd, _KILL_WAIT_S)
            if status is None:
                offspring.kill_descendants(process.pid)
            strays = offspring.end_strays(known | {process.pid}, _KILL_WAIT_S)
            process.close()
    took_s = time.monotonic() - began
    printed = process.printed()
    output = _lines(printed, secrets) if printed else ""
    outcome = _verdict(process.answer(), status, output, timeout_s if timed_out else None)
    if strays:
        outcome = replace(outcome, detail=f"{outcome.detail} (left running: {_some(strays)})")
    return Report(outcome, output, took_s, timed_out)


# -- outside ------------------------------------------------------------------------------------


def _start(
    call: Callable[[], Outcome], memory_max: int | None, max_output: int, mask: bool
) -> _Process:
    handled = child.handled_signals()
    answering, to_answer = os.pipe2(os.O_CLOEXEC)
    printing, to_print = os.pipe2(os.O_CLOEXEC)
    inside = _Inside(to_answer, to_print, os.getpid(), handled, memory_max, mask)
    # A signal between fork and the child's own settings would run our handler in the child.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            inside.serve_and_exit(call)
    except OSError:
        os.close(answering)
        os.close(printing)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(to_answer)
        os.close(to_print)
    return _Process(pid, answering, printing, max_output)


class _Process:
    """The process seen from outside: what it answers, what it prints, whether it is still there."""

    def __init__(self, pid: int, answering: int, printing: int, max_output: int) -> None:
        self.pid = pid
        self.pidfd = offspring.pidfd_of(pid)
        self._kept: dict[int, bytearray] = {answering: bytearray(), printing: bytearray()}
        self._answer, self._output = answering, printing
        self._max = max_output
        self._whole = True
        self._poll = select.poll()
        for fd in self._kept:
            os.set_blocking(fd, False)
            self._poll.register(fd, select.POLLIN)
        if self.pidfd is not None:
            self._poll.register(self.pidfd, select.POLLIN)

    def listen(self, until: float) -> bool:
        """Until it has answered or ended; True where the time (monotonic) was over first."""
        if self._listen(until):
            return False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGTERM)
        self._listen(time.monotonic() + TERM_S)
        return True

    def _listen(self, until: float) -> bool:
        while not self._is_over():
            left_s = until - time.monotonic()
            if left_s <= 0:
                return False
            if self.pidfd is None:
                left_s = min(left_s, 0.05)
            for fd, _ in self._poll.poll(math.ceil(left_s * 1000)):
                if fd in self._kept and self._read(fd) == 0:
                    self._poll.unregister(fd)
        return True

    def _is_over(self) -> bool:
        if self._complete:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    @property
    def _complete(self) -> bool:
        return answer.is_complete(self._kept[self._answer])

    def _read(self, fd: int) -> int | None:
        """Read once: how many bytes, 0 at the end, None where nothing is there now."""
        try:
            chunk = os.read(fd, _CHUNK)
        except BlockingIOError:
            return None
        kept = self._kept[fd]
        kept += chunk
        if fd == self._output and len(kept) > 2 * self._max:  # amortised, never quadratic
            del kept[: -self._max]
            self._whole = False
        return len(chunk)

    def close(self) -> None:
        """Take what is still in the pipes, no more than they can hold, and let go of them."""
        for fd in self._kept:
            for _ in range(_CHUNKS):
                if not (fd == self._answer and self._complete) and not self._read(fd):
                    break
            os.close(fd)
        if self.pidfd is not None:
            os.close(self.pidfd)

    def printed(self) -> bytes:
        """The end of what it printed, from the start of a line: half a secret has no shape."""
        kept = self._kept[self._output]
        end = bytes(kept[-self._max :])
        return end if self._whole and len(end) == len(kept) else end[end.find(b"\n") + 1 :]

    def answer(self) -> Outcome | str | None:
        """What it answered, what is wrong with that, or None where it did not."""
        try:
            return answer.unpacked(self._kept[self._answer])
        except answer.Untrue as untrue:
            return str(untrue)


def _verdict(
    said: Outcome | str | None, status: int | None, output: str, expired_s: float | None
) -> Outcome:
    """What is reported, from what it said, the wait status, and the limit that it broke."""
    if expired_s is None and isinstance(said, Outcome):
        return said
    if expired_s is not None:
        end = "was ended" if status is not None else "cannot be killed (D state)"
        what = f"did not finish within {expired_s:g} s and {end}"
    elif isinstance(said, str):
        what = said
    else:
        what = f"ended without saying how it went ({_how(status)})"
    last = " | ".join([line for line in output.splitlines() if line.strip()][-_LAST_LINES:])
    if isinstance(said, Outcome):  # when it heard SIGTERM
        last = said.detail or last
    return failed(answer.cleaned(f"{what}; its last words: {last}" if last else what))


def _how(status: int | None) -> str:
    if status is None:
        return "it cannot be killed"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"status {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def _some(pids: Sequence[int]) -> str:
    return ", ".join(str(pid) for pid in pids[:5]) + (", …" if len(pids) > 5 else "")


def _lines(printed: bytes, secrets: Sequence[Secret]) -> str:
    """What it printed, for people: masked, line by line without what steers a terminal."""
    values = []
    for one in secrets:
        with contextlib.suppress(SecretError):
            values.append(one.read())
    text = answer.masked(printed.decode("utf-8", "replace"), values, most=len(printed))
    return "\n".join(answer.escaped(line) for line in text.split("\n")).strip("\n")


# -- inside -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Inside:
    """The process seen from inside."""

    answer: int
    output: int
    parent: int
    handled: Sequence[int]
    memory_max: int | None
    mask: bool

    def serve_and_exit(self, call: Callable[[], Outcome]) -> NoReturn:
        """The whole life of the process."""
        code = 1
        try:
            self._settle()
            pipe = _identity(self.answer)
            seen = secret.watch()
            said = answer.packed(_outcome_of(call), seen if self.mask else None)
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            # The call may have closed our descriptors, and opened something else under the number.
            if _identity(self.answer) == pipe:
                self._send(said)
                code = 0
        finally:
            os._exit(code)

    def _settle(self) -> None:
        os.setsid()
        gc.freeze()  # a collection would copy every page of the parent's memory
        signal.set_wakeup_fd(-1)
        for number in self.handled:
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGTERM):  # also where the caller ignores them
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        logging.disable(logging.CRITICAL)  # its handlers' descriptors are closed below
        nowhere = os.open(os.devnull, os.O_RDONLY)
        for to, source in ((0, nowhere), (1, self.output), (2, self.output)):
            os.dup2(source, to)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        sys.stdout, sys.stderr = _writer(1), _writer(2)
        offspring.close_all_but(self.answer)
        os.umask(0o077)
        os.chdir("/")
        with contextlib.suppress(OSError, ValueError):  # a core would hold secrets
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if self.memory_max is not None:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_AS, (self.memory_max, self.memory_max))
        offspring.die_with(self.parent)

    def _send(self, said: bytes) -> None:
        view = memoryview(said)
        while view:
            view = view[os.write(self.answer, view) :]


def _writer(fd: int) -> TextIO:
    # An encoding that never raises for what is printed.
    return os.fdopen(fd, "w", 1, "utf-8", "backslashreplace", closefd=False)


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        state = os.fstat(fd)
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _outcome_of(call: Callable[[], Outcome]) -> Outcome:
    """Never raises."""
    try:
        returned: object = call()
    except SecretError as error:
        return failed(str(error))
    except SystemExit as ended:
        return failed(f"it left with status {ended.code!r:.100} instead of saying how it went")
    except BaseException as error:  # noqa: BLE001 - somebody else's code
        with contextlib.suppress(Exception):
            traceback.print_exc()
        text = ""
        with contextlib.suppress(Exception):
            text = str(error)
        name = type(error).__name__
        return failed(f"{name}: {text}" if text else name)
    if isinstance(returned, Outcome):
        return returned
    # Whether it did its work is not known: not a second time.
    return failed(f"it returned {type(returned).__name__}, not an Outcome", final=True)
