# SPDX-License-Identifier: MIT
"""The collect stage: runs collectors side by side and yields what each of them gave.

A collector runs in a process and a process group that can be ended, because nothing else can be
ended for sure: it may block in a dead mount, start programs that ignore SIGTERM, or crash. Since a
fork costs more than most collectors, those that allow it share one (a lane) as long as all goes
well, also from one incident to the next where the caller keeps a `Crew`; one that fails takes its
lane with it, and the next starts a fresh one. What is sent is kept as it comes, so that a collector
that is killed keeps what it had. A process that even SIGKILL does not end (D state) is left behind
and said to be; nobody waits for it.

Must be called from a process with one thread: it forks without exec.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from failhook.collector import Collector, Context
from failhook.gather import child, lane, offspring
from failhook.gather.frames import End, Lie
from failhook.gather.lane import Assignment, Crew, Lane, Order
from failhook.gather.sink import Mask, one_line
from failhook.incident import Evidence, Status
from failhook.item import Item

_MAX_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one collector gave, and how it did."""

    evidence: Evidence
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Last:
    """One collector more, made of what others gave, while the rest still runs.

    ``make`` is asked first and whenever a result was taken, until it returns one; None: not yet.
    The deadline for the others is none for it. ``crew`` has the processes that wait for it.
    """

    make: Callable[[], Collector | None]
    crew: Crew | None = None


def gather(  # noqa: PLR0913 - what, about what, and within which limits
    context: Context,
    collectors: Sequence[Collector],
    mask: Mask,
    *,
    deadline_s: float = 20.0,
    concurrency: int = 4,
    crew: Crew | None = None,
    last: Last | None = None,
) -> Iterator[Gathered]:
    """Run ``collectors``, at most ``concurrency`` at a time, and yield each when it is done.

    They are started in the order given. Each may take its own ``timeout_s``, but no longer than
    what is left of ``deadline_s`` for all of them; the time that the caller takes between two
    results does not count. Never raises for what a collector does; leaves no process behind when it
    is closed but those that a crew keeps.
    """
    offspring.reap_left_behind()
    works = [Assignment(collectors, context, mask)]
    orders = [Order(works[0], number, crew) for number in range(len(collectors))]
    stage = _Stage(orders, deadline_s, concurrency)
    since = time.monotonic()
    try:
        while True:
            if last is not None and (collector := last.make()) is not None:
                works.append(Assignment([collector], context, mask))
                stage.add(Order(works[1], 0, last.crew, is_bound=False))
                last = None
            stage.forgive(time.monotonic() - since)
            if (done := stage.next()) is None:
                return
            since = time.monotonic()
            yield done
    finally:
        stage.close()
        for work in works:
            work.close()


class _Stage:
    """Starts, listens to and ends the collectors of one `gather`."""

    def __init__(self, orders: Sequence[Order], deadline_s: float, concurrency: int) -> None:
        self._waiting = deque(orders)
        self._deadline_s = deadline_s
        self._deadline = time.monotonic() + deadline_s
        self._concurrency = max(1, concurrency)
        self._running: list[Lane] = []
        self._dying: list[Lane] = []
        self._done: deque[Gathered] = deque()
        self._selector = selectors.DefaultSelector()
        self._handled: list[int] | None = None  # known where there was a fork
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

    def add(self, order: Order) -> None:
        """One more, which is the next to run."""
        self._waiting.appendleft(order)

    def forgive(self, seconds: float) -> None:
        """Nobody listened for so long: it counts for nobody."""
        self._deadline += seconds
        for one in self._running:
            one.expires += seconds

    def close(self) -> None:
        """End what still runs."""
        for one in list(self._running):
            self._stop(one, strays=True)
        self._bury()
        self._selector.close()

    def _start_some(self) -> None:
        while self._waiting and len(self._running) < self._concurrency:
            order = self._waiting.popleft()
            if not self._is_in_time(order):
                continue
            if order.collector.in_process:
                since = time.monotonic()
                task = order.work.task
                items, problems, end = child.run_here(order.collector, task.context, task.mask)
                self._report(order.collector, time.monotonic() - since, items, end, problems)
            else:
                self._start(order)

    def _is_in_time(self, order: Order) -> bool:
        if not order.is_bound or time.monotonic() < self._deadline:
            return True
        why = f"not started: the {self._deadline_s:g} s for all collectors were used up"
        self._report(order.collector, 0.0, [], End(Status.TIMEOUT, why), [])
        return False

    def _left_s(self, order: Order, now: float) -> float:
        own = order.collector.timeout_s
        return min(own, self._deadline - now) if order.is_bound else own

    def _start(self, order: Order) -> None:
        try:
            one = self._lane(order)
        except OSError as error:
            why = f"no process for it: {error.strerror}"
            self._report(order.collector, 0.0, [], End(Status.FAILED, why), [])
            return
        self._running.append(one)
        self._selector.register(one.pipe, selectors.EVENT_READ, one)
        if one.pidfd is not None:
            self._selector.register(one.pidfd, selectors.EVENT_READ, one)
        now = time.monotonic()
        with contextlib.suppress(OSError):  # it has ended already, which is heard of
            one.begin(order, now, self._left_s(order, now))

    def _lane(self, order: Order) -> Lane:
        """A process for it: one that waits, or a new one. Raises OSError."""
        if order.crew is not None and order.collector.shares_process:
            waiting = order.crew.take(order.work)
            if waiting is not None:
                return waiting
        if self._handled is None:
            self._handled = child.handled_signals()
        return lane.fork(order.work, self._handled)

    def _listen(self) -> None:
        """Wait for news or for the first limit, and work off what came."""
        expires = min(one.expires for one in self._running)
        events = self._selector.select(max(0.0, expires - time.monotonic()))
        for one in {id(key.data): key.data for key, _ in events}.values():
            ended = one.pidfd is not None and any(key.fd == one.pidfd for key, _ in events)
            self._hear(one, ended)
        now = time.monotonic()
        for one in [each for each in self._running if each.expires <= now]:
            self._expire(one)

    def _hear(self, one: Lane, ended: bool) -> None:
        try:
            closed = one.drain()
        except Lie as lie:
            self._stop(one, strays=True)
            self._finish(one, End(Status.FAILED, f"stopped: {lie}"))
            return
        if (end := one.end) is not None:
            self._finish(one, end)
            sound = one.is_sound
            if sound and end.strays:
                offspring.kill_descendants(one.pid)
            if not (sound and (self._goes_on(one) or self._rests(one))):
                self._let_go(one, strays=end.strays)
        elif closed or ended:
            status = self._stop(one, strays=not ended)
            self._finish(one, End(Status.FAILED, _how(status)))

    def _goes_on(self, one: Lane) -> bool:
        """Give a lane in which all went well the next collector; False where there is none."""
        now = time.monotonic()
        if one.order is None or now >= self._deadline:
            return False
        work = one.order.work
        for order in self._waiting:
            if order.collector.shares_process and order.work is work:
                try:
                    one.begin(order, now, self._left_s(order, now))
                except OSError:
                    return False
                self._waiting.remove(order)
                return True
        return False

    def _rests(self, one: Lane) -> bool:
        """Leave a lane in which all went well to the next incident; False where nobody keeps it."""
        crew = one.order.crew if one.order else None
        if crew is None or not crew.give(one):
            return False
        self._running.remove(one)
        self._selector.unregister(one.pipe)
        if one.pidfd is not None:
            self._selector.unregister(one.pidfd)
        return True

    def _expire(self, one: Lane) -> None:
        took_s = time.monotonic() - one.started
        status = self._stop(one, strays=True)
        why = f"did not finish within {took_s:.1f} s"
        is_bound = one.order is not None and one.order.is_bound
        if is_bound and one.expires > self._deadline - 1e-6:  # that sum was rounded
            why += f", which was left of the {self._deadline_s:g} s for all collectors"
        if status is None:
            why += f"; process {one.pid} cannot be killed (D state) and was left behind"
        self._finish(one, End(Status.TIMEOUT, why))

    def _stop(self, one: Lane, *, strays: bool) -> int | None:
        """Kill it and all that it started; its wait status, None where it cannot be killed."""
        self._running.remove(one)
        if strays:
            offspring.kill_descendants(one.pid)
        status = offspring.end(one.pid, one.pidfd, child.KILL_WAIT_S)
        with contextlib.suppress(Lie):
            one.drain()  # what it sent just before
        for fd in (one.pipe, one.pidfd):
            if fd is not None:
                self._selector.unregister(fd)
        one.close()
        return status

    def _let_go(self, one: Lane, *, strays: bool) -> None:
        """As `_stop` for one that said its last word: its end is not waited for here, because
        taking its memory apart costs the next one more time than a whole collector."""
        self._running.remove(one)
        if strays:
            offspring.kill_descendants(one.pid)
        offspring.kill(one.pid)
        self._selector.unregister(one.pipe)
        if one.pidfd is not None:
            self._selector.unregister(one.pidfd)
        self._dying.append(one)

    def _bury(self) -> None:
        """Reap those that were let go."""
        for one in self._dying:
            offspring.end(one.pid, one.pidfd, child.KILL_WAIT_S)
            one.close()
        self._dying.clear()

    def _finish(self, one: Lane, end: End) -> None:
        took_s = time.monotonic() - one.started
        self._report(one.collector, took_s, one.items, end, one.problems)

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
