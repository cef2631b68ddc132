# SPDX-License-Identifier: MIT
"""The collect stage: runs collectors side by side and yields what each of them gave.

A collector runs in a process and a process group that can be ended, because nothing else can be
ended for sure: it may block in a dead mount, start programs that ignore SIGTERM, or crash. Since a
fork costs more than most collectors, those that allow it share one (a lane) as long as all goes
well; one that fails takes its lane with it, and the next starts a fresh one. What is sent is kept
as it comes, so that a collector that is killed keeps what it had. A process that even SIGKILL does
not end (D state) is left behind and said to be; nobody waits for it.

Must be called from a process with one thread: it forks without exec.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from failhook.gather import child, offspring
from failhook.gather.child import Terms
from failhook.gather.frames import End, FrameReader, Lie, Problem
from failhook.gather.sink import Mask, one_line
from failhook.incident import Evidence, Status
from failhook.item import Item
from failhook.plugin import Collector, Context

_MAX_FRAMES = 4096
_MAX_PROBLEMS = 20
_CHUNK = 1 << 18
_PIPE_BYTES = 1 << 20
_KILL_WAIT_S = 0.2


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one collector gave, and how it did."""

    evidence: Evidence
    items: tuple[Item, ...]


def gather(
    context: Context,
    collectors: Sequence[Collector],
    mask: Mask,
    *,
    deadline_s: float = 20.0,
    concurrency: int = 4,
) -> Iterator[Gathered]:
    """Run ``collectors``, at most ``concurrency`` at a time, and yield each when it is done.

    They are started in the order given. Each may take its own ``timeout_s``, but no longer than
    what is left of ``deadline_s`` for all of them; the time that the caller takes between two
    results does not count. Never raises for what a collector does; leaves no process behind when it
    is closed.
    """
    offspring.reap_left_behind()
    stage = _Stage(context, collectors, mask, deadline_s, concurrency)
    try:
        while (done := stage.next()) is not None:
            since = time.monotonic()
            yield done
            stage.forgive(time.monotonic() - since)
    finally:
        stage.close()


@dataclass(slots=True)
class _Lane:
    """One forked process and the collector that it is busy with."""

    pid: int
    pidfd: int | None
    orders: int
    pipe: int
    collector: Collector
    reader: FrameReader
    started: float
    expires: float
    items: list[Item] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    frames: int = 0
    end: End | None = None

    def begin(self, collector: Collector, number: int, left_s: float) -> None:
        """Give it its next collector. Raises OSError where the process has gone."""
        child.send_order(self.orders, number, left_s)
        self.collector, self.reader = collector, _reader(collector)
        self.started = time.monotonic()
        self.expires = self.started + left_s
        self.items, self.problems, self.frames, self.end = [], [], 0, None

    def take(self, chunk: bytes) -> None:
        """Work off what came through the pipe. Raises Lie."""
        for frame in self.reader.feed(chunk):
            self.frames += 1
            if self.frames > _MAX_FRAMES or self.end is not None:
                raise Lie("it sent more than it may")
            if isinstance(frame, Item):
                self.items.append(frame)
            elif isinstance(frame, Problem):
                self.problems.append(frame.reason)
            else:
                self.end = frame

    def drain(self) -> bool:
        """Read what is there without waiting; True at the end of the pipe. Raises Lie."""
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.pipe, _CHUNK):
                self.take(chunk)
            return True
        return False


def _reader(collector: Collector) -> FrameReader:
    return FrameReader(collector.name, collector.max_bytes + child.ERROR_BYTES)


class _Stage:
    """Starts, listens to and ends the collectors of one `gather`."""

    def __init__(
        self,
        context: Context,
        collectors: Sequence[Collector],
        mask: Mask,
        deadline_s: float,
        concurrency: int,
    ) -> None:
        self._context = context
        self._collectors = tuple(collectors)
        self._waiting = deque(enumerate(collectors))
        self._mask = mask
        self._deadline_s = deadline_s
        self._deadline = time.monotonic() + deadline_s
        self._concurrency = max(1, concurrency)
        self._running: list[_Lane] = []
        self._dying: list[tuple[int, int | None]] = []
        self._done: deque[Gathered] = deque()
        self._selector = selectors.DefaultSelector()
        self._handled = child.handled_signals()
        offspring.prepare()

    def next(self) -> Gathered | None:
        """The next collector that is done; None when all are."""
        while not self._done:
            self._start_some()
            if self._done:
                break
            if not self._running:
                self._bury()
                return None
            self._listen()
        return self._done.popleft()

    def forgive(self, seconds: float) -> None:
        """Nobody listened for so long: it counts for nobody."""
        self._deadline += seconds
        for lane in self._running:
            lane.expires += seconds

    def close(self) -> None:
        """End what still runs."""
        for lane in list(self._running):
            self._stop(lane, strays=True)
        self._bury()
        self._selector.close()

    def _start_some(self) -> None:
        while self._waiting and len(self._running) < self._concurrency:
            number, collector = self._waiting.popleft()
            if collector.in_process and time.monotonic() < self._deadline:
                since = time.monotonic()
                items, problems, end = child.run_here(collector, self._context, self._mask)
                self._report(collector, time.monotonic() - since, items, end, problems)
            elif self._is_in_time(collector):
                self._start(number, collector)

    def _is_in_time(self, collector: Collector) -> bool:
        if time.monotonic() < self._deadline:
            return True
        why = f"not started: the {self._deadline_s:g} s for all collectors were used up"
        self._report(collector, 0.0, [], End(Status.TIMEOUT, why), [])
        return False

    def _left_s(self, collector: Collector) -> float:
        return min(collector.timeout_s, self._deadline - time.monotonic())

    def _start(self, number: int, collector: Collector) -> None:
        now, left_s = time.monotonic(), self._left_s(collector)
        try:
            pid, orders, pipe = self._fork()
        except OSError as error:
            why = f"no process for it: {error.strerror}"
            self._report(collector, 0.0, [], End(Status.FAILED, why), [])
            return
        pidfd = offspring.pidfd_of(pid)
        lane = _Lane(pid, pidfd, orders, pipe, collector, _reader(collector), now, now + left_s)
        self._running.append(lane)
        self._selector.register(pipe, selectors.EVENT_READ, lane)
        if pidfd is not None:
            self._selector.register(pidfd, selectors.EVENT_READ, lane)
        with contextlib.suppress(OSError):  # it has ended already, which is heard of
            lane.begin(collector, number, left_s)

    def _fork(self) -> tuple[int, int, int]:
        """A lane that waits for orders: its pid, where they go, and where its frames come from."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        orders_in, orders_out = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        terms = Terms(orders_in, writing, os.getpid(), self._handled)
        # A signal between fork and the child's own settings would run our handler in the child.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                child.serve_and_exit(self._collectors, self._context, self._mask, terms)
        except OSError:
            os.close(reading)
            os.close(orders_out)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(writing)
            os.close(orders_in)
        with contextlib.suppress(OSError):  # the child does the same; whoever comes first
            os.setpgid(pid, pid)
        os.set_blocking(reading, False)
        return pid, orders_out, reading

    def _listen(self) -> None:
        """Wait for news or for the first limit, and work off what came."""
        expires = min(lane.expires for lane in self._running)
        events = self._selector.select(max(0.0, expires - time.monotonic()))
        for lane in {id(key.data): key.data for key, _ in events}.values():
            ended = lane.pidfd is not None and any(key.fd == lane.pidfd for key, _ in events)
            self._hear(lane, ended)
        now = time.monotonic()
        for lane in [each for each in self._running if each.expires <= now]:
            self._expire(lane)

    def _hear(self, lane: _Lane, ended: bool) -> None:
        try:
            closed = lane.drain()
        except Lie as lie:
            self._stop(lane, strays=True)
            self._finish(lane, End(Status.FAILED, f"stopped: {lie}"))
            return
        if lane.end is not None:
            self._finish(lane, lane.end)
            if not self._goes_on(lane, lane.end):
                self._let_go(lane, strays=lane.end.strays)
        elif closed or ended:
            status = self._stop(lane, strays=not ended)
            self._finish(lane, End(Status.FAILED, _how(status)))

    def _goes_on(self, lane: _Lane, end: End) -> bool:
        """Give a lane in which all went well the next collector; False where it has to go."""
        sound = end.status in (Status.OK, Status.SKIPPED) and lane.reader.empty
        if not (sound and lane.collector.shares_process):
            return False
        place = next((at for at, (_, one) in enumerate(self._waiting) if one.shares_process), None)
        if place is None:
            return False
        if end.strays:
            offspring.kill_descendants(lane.pid)
        number, collector = self._waiting[place]
        if time.monotonic() >= self._deadline:
            return False
        try:
            lane.begin(collector, number, self._left_s(collector))
        except OSError:
            return False
        del self._waiting[place]
        return True

    def _expire(self, lane: _Lane) -> None:
        took_s = time.monotonic() - lane.started
        status = self._stop(lane, strays=True)
        why = f"did not finish within {took_s:.1f} s"
        if lane.expires >= self._deadline:
            why += f", which was left of the {self._deadline_s:g} s for all collectors"
        if status is None:
            why += f"; process {lane.pid} cannot be killed (D state) and was left behind"
        self._finish(lane, End(Status.TIMEOUT, why))

    def _stop(self, lane: _Lane, *, strays: bool) -> int | None:
        """Kill it and all that it started; its wait status, None where it cannot be killed."""
        self._running.remove(lane)
        if strays:
            offspring.kill_descendants(lane.pid)
        status = offspring.end(lane.pid, lane.pidfd, _KILL_WAIT_S)
        with contextlib.suppress(Lie):
            lane.drain()  # what it sent just before
        for fd in (lane.pipe, lane.pidfd):
            if fd is not None:
                self._selector.unregister(fd)
                os.close(fd)
        os.close(lane.orders)
        return status

    def _let_go(self, lane: _Lane, *, strays: bool) -> None:
        """As `_stop` for one that said its last word: its end is not waited for here, because
        taking its memory apart costs the next one more time than a whole collector."""
        self._running.remove(lane)
        if strays:
            offspring.kill_descendants(lane.pid)
        offspring.kill(lane.pid)
        self._selector.unregister(lane.pipe)
        os.close(lane.pipe)
        os.close(lane.orders)
        if lane.pidfd is not None:
            self._selector.unregister(lane.pidfd)
        self._dying.append((lane.pid, lane.pidfd))

    def _bury(self) -> None:
        """Reap those that were let go."""
        for pid, pidfd in self._dying:
            offspring.end(pid, pidfd, _KILL_WAIT_S)
            if pidfd is not None:
                os.close(pidfd)
        self._dying.clear()

    def _finish(self, lane: _Lane, end: End) -> None:
        took_s = time.monotonic() - lane.started
        self._report(lane.collector, took_s, lane.items, end, lane.problems)

    def _report(
        self, collector: Collector, took_s: float, items: list[Item], end: End, problems: list[str]
    ) -> None:
        status = end.status
        if status is Status.OK and problems and not items:
            status = Status.FAILED
        reasons = list(dict.fromkeys([*([end.reason] if end.reason else []), *problems]))
        evidence = Evidence(
            name=collector.name,
            status=status,
            took_ms=round(took_s * 1000),
            bytes=sum(len(item.data) for item in items),
            truncated=any(item.truncated for item in items),
            reason=one_line("; ".join(reasons[:_MAX_PROBLEMS])) or None,
        )
        self._done.append(Gathered(evidence, tuple(items)))


def _how(status: int | None) -> str:
    """How a collector's process ended that did not say so itself."""
    if status is None:
        return "its process went silent and cannot be killed"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"its process ended by itself with status {code}"
    with contextlib.suppress(ValueError):
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process was ended by signal {-code}"
