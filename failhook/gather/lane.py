# SPDX-License-Identifier: MIT
"""The processes in which collectors run, seen from outside: to start, to instruct, to keep.

A fork costs more than most collectors: its page tables, and every page that either side touches
afterwards. So a lane in which all went well takes the next collector, and a `Crew` keeps such lanes
for the next incident. What that one is about is then sent to them; nothing of the former stays.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pickle
import select
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from failhook.collector import Collector, Context
from failhook.gather import child, offspring
from failhook.gather.child import Task, Terms
from failhook.gather.frames import End, FrameReader, Lie, Problem
from failhook.gather.sink import Mask
from failhook.item import Item

_MAX_FRAMES = 4096
_CHUNK = 1 << 18
_PIPE_BYTES = 1 << 20
_MOST_TASKS = 32  # of one lane: what a collector leaks ends with it


class Assignment:
    """What all collectors of one stage are told, as this process has it and as it can be sent."""

    def __init__(self, collectors: Sequence[Collector], context: Context, mask: Mask) -> None:
        self.task = Task(tuple(collectors), context, mask)
        self._sealed: int | None = None
        self._unfit = False

    def sealed(self) -> int | None:
        """A descriptor of a file in memory that holds the task; None where it cannot be sent: a
        function of a collector may be one that no other process has."""
        if self._sealed is None and not self._unfit:
            shared = tuple(
                each if each and each.shares_process else None for each in self.task.collectors
            )
            try:
                data = pickle.dumps(Task(shared, self.task.context, self.task.mask), protocol=5)
                self._sealed = _in_memory(data)
            except (pickle.PicklingError, AttributeError, TypeError, OSError):
                self._unfit = True
        return self._sealed

    def close(self) -> None:
        """Let go of the file in memory."""
        if self._sealed is not None:
            os.close(self._sealed)
            self._sealed = None


def _in_memory(data: bytes) -> int:
    fd = os.memfd_create("failhook-task", os.MFD_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        os.close(fd)
        raise
    return fd


@dataclass(frozen=True, slots=True)
class Order:
    """A collector that is to run: which one of an assignment, and in whose processes."""

    work: Assignment
    number: int
    crew: Crew | None = None
    is_bound: bool = True  # the deadline for all of its stage is one for it as well

    @property
    def collector(self) -> Collector:
        """Who is to run."""
        collector = self.work.task.collectors[self.number]
        assert collector is not None
        return collector


@dataclass(slots=True)
class Lane:
    """One forked process and the collector that it is busy with."""

    pid: int
    pidfd: int | None
    orders: socket.socket
    pipe: int
    knows: Assignment | None
    tasks: int = 1
    order: Order | None = None
    reader: FrameReader = field(default_factory=lambda: FrameReader("", 0))
    started: float = 0.0
    expires: float = 0.0
    items: list[Item] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    frames: int = 0
    end: End | None = None

    @property
    def collector(self) -> Collector:
        """What it is busy with."""
        assert self.order is not None
        return self.order.collector

    def begin(self, order: Order, now: float, left_s: float) -> None:
        """Give it its next collector. Raises OSError where the process has gone."""
        self.order = order
        limit = self.collector.max_bytes + child.ERROR_BYTES
        self.reader = FrameReader(self.collector.name, limit)
        self.started, self.expires = now, now + left_s
        self.items, self.problems, self.frames, self.end = [], [], 0, None
        sealed = None
        if self.knows is not order.work:
            sealed = order.work.sealed()
            assert sealed is not None
            self.knows, self.tasks = order.work, self.tasks + 1
        child.send_order(self.orders, order.number, left_s, sealed)

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

    @property
    def is_sound(self) -> bool:
        """All is over and went as it should: the process may take another collector."""
        return (
            self.end is not None
            and self.end.status in child.SOUND
            and self.reader.empty
            and self.collector.shares_process
        )

    def close(self) -> None:
        """Let go of its descriptors."""
        self.orders.close()
        os.close(self.pipe)
        if self.pidfd is not None:
            os.close(self.pidfd)


def fork(
    work: Assignment | None, handled: Sequence[int], first: Callable[[], None] | None = None
) -> Lane:
    """A lane that waits for orders about ``work``, after it did ``first``. Raises OSError."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with contextlib.suppress(OSError):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    terms = Terms(theirs, writing, os.getpid(), handled)
    # A signal between fork and the child's own settings would run our handler in the child.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            child.serve_and_exit(work.task if work else None, terms, first)
    except OSError:
        os.close(reading)
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(writing)
        theirs.close()
    with contextlib.suppress(OSError):  # the child does the same; whoever comes first
        os.setpgid(pid, pid)
    os.set_blocking(reading, False)
    return Lane(pid, offspring.pidfd_of(pid), ours, reading, work)


class Crew:
    """Lanes without work, for a process that sees one incident after the other.

    ``keep`` of them at most wait at a time; `close` ends them. ``first``, imports mostly, is what
    one does that `prepare` forks.
    """

    def __init__(self, keep: int, first: Callable[[], None] | None = None) -> None:
        self._keep = keep
        self._first = first
        self._idle: list[Lane] = []

    def prepare(self) -> None:
        """Have one at hand that gets ready while this process waits for others. Raises OSError."""
        if not self._idle:
            offspring.prepare()
            self._idle.append(fork(None, child.handled_signals(), self._first))

    def keep(self, number: int) -> None:
        """From now on ``number`` of them at most: the others end."""
        self._keep = number
        for lane in self._idle[number:]:
            _end(lane)
        del self._idle[number:]

    def renew(self, number: int) -> None:
        """Put ``number`` new ones in the place of those that wait: with what this process has
        imported since it forked them. Raises OSError."""
        self.close()
        offspring.prepare()
        handled = child.handled_signals()
        self._idle += [fork(None, handled) for _ in range(min(number, self._keep))]

    def take(self, work: Assignment) -> Lane | None:
        """One that can do ``work``; None where there is none."""
        while self._idle:
            if work.sealed() is None:
                return None
            lane = self._idle.pop()
            if lane.pidfd is None or not select.select([lane.pidfd], [], [], 0)[0]:
                return lane
            _end(lane)
        return None

    def give(self, lane: Lane) -> bool:
        """Keep a sound lane for the next incident; False where it is not wanted."""
        if len(self._idle) >= self._keep or lane.tasks >= _MOST_TASKS or lane.pidfd is None:
            return False
        lane.items, lane.problems, lane.knows, lane.order = [], [], None, None
        self._idle.append(lane)
        return True

    def close(self) -> None:
        """End those that wait."""
        for lane in self._idle:
            _end(lane)
        self._idle.clear()


def _end(lane: Lane) -> None:
    offspring.end(lane.pid, lane.pidfd, child.KILL_WAIT_S)
    lane.close()


@dataclass(frozen=True, slots=True)
class Crews:
    """Who waits for the next incident, by what they have in memory; None: nobody does."""

    collectors: Crew | None = None
    causes: Crew | None = None

    def prepare(self) -> None:
        """Have somebody read what a verdict needs while others collect what it is about."""
        if self.causes is not None:
            with contextlib.suppress(OSError):  # whoever needs one tries again, and says so
                self.causes.prepare()
