# SPDX-License-Identifier: MIT
"""The runner's workers, seen from outside: hired by a fork, given jobs, dismissed when idle.

A worker that did its job waits for the next one, with its memory warm and its collectors' processes
at hand: a fork per job costs as much CPU as the job itself. One that fails a job is gone with it.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import logging
import os
import pickle
import select
import selectors
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from failhook import worker
from failhook.config.model import Configuration
from failhook.diagnose import stage as diagnosis
from failhook.gather import offspring
from failhook.places import Places
from failhook.worker import Job

logger = logging.getLogger(__name__)
NO_SPACE = 75  # how a worker ends that could not write (EX_TEMPFAIL of sysexits.h)
MOST_JOBS = 50  # of one worker: what leaks ends with it
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_MAX_JOB = 64 << 10
# Collectors side by side. Where several workers are busy, or will be, they keep the processors
# busy: more would only be more processes.
_LANES, _LANES_OF_MANY = 3, 1
_DONE = b"done"


@dataclass(eq=False, slots=True)
class Worker:
    """One process. ``job`` is what it is busy with, ``until`` when that counts as stuck."""

    pid: int
    channel: socket.socket
    job: Job | None = None
    until: float = 0.0
    jobs: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that is over; ``code`` 0 where all of it was done."""

    job: Job
    code: int


class Staff:
    """All workers of one runner, at most ``most``."""

    def __init__(
        self,
        places: Places,
        configuration: Configuration,
        most: int,
        recruit: tuple[int, socket.socket] | None = None,
    ) -> None:
        """``recruit``: one who was forked before, and our end of the channel to it."""
        self._places = places
        self._configuration = configuration
        self._most = most
        self._workers: list[Worker] = []
        if recruit is not None:
            pid, channel = recruit
            channel.setblocking(False)
            self._workers.append(Worker(pid, channel))
        self._leaving: list[int] = []
        self._selector: selectors.BaseSelector | None = None

    def wake(self, selector: selectors.BaseSelector) -> None:
        """From now on ``selector`` returns when a worker has something to say."""
        self._selector = selector
        for one in self._workers:
            selector.register(one.channel, selectors.EVENT_READ, lambda _: None)

    @property
    def busy(self) -> list[Job]:
        """What is being worked on."""
        return [one.job for one in self._workers if one.job is not None]

    @property
    def is_full(self) -> bool:
        """Nobody can take a job now."""
        return len(self.busy) >= self._most

    @property
    def size(self) -> int:
        """How many there are, busy or not."""
        return len(self._workers)

    @property
    def would_hire(self) -> bool:
        """The next job needs a fork."""
        return all(one.job is not None for one in self._workers)

    def give(self, job: Job, limit_s: float, *, in_storm: bool = False) -> None:
        """Have ``job`` done, by one who waits or by a new one; ``in_storm``: there is more where it
        came from. Raises OSError."""
        one = next((each for each in self._workers if each.job is None), None) or self.hire()
        alone = not (self.busy or in_storm)
        one.job, one.until, one.jobs = job, time.monotonic() + limit_s, one.jobs + 1
        with contextlib.suppress(OSError):  # it has ended, which `ended` tells
            one.channel.send(pickle.dumps((job, _LANES if alone else _LANES_OF_MANY)))

    def hire(self) -> Worker:
        """Fork one that waits for its first job. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            serve(self._places, self._configuration, theirs)
        theirs.close()
        ours.setblocking(False)
        one = Worker(pid, ours)
        self._workers.append(one)
        if self._selector is not None:
            self._selector.register(ours, selectors.EVENT_READ, lambda _: None)
        return one

    def ended(self) -> Iterator[Ended]:
        """The jobs that are over; kills those who are stuck."""
        now = time.monotonic()
        self._leaving = [pid for pid in self._leaving if _status(pid) is None]
        for one in list(self._workers):
            if one.job is not None and now > one.until:
                logger.error("%s: its worker is stuck and is killed", one.job.unit)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)
                one.until = now + 5.0
            job, done = one.job, self._heard(one)
            if done and job is not None:
                one.job = None
                if one.jobs >= MOST_JOBS:
                    self._dismiss(one)
                yield Ended(job, 0)
            elif (code := self._left(one)) is not None and job is not None:
                yield Ended(job, code)

    def _heard(self, one: Worker) -> bool:
        try:
            return one.channel.recv(len(_DONE)) == _DONE
        except OSError:
            return False

    def _left(self, one: Worker) -> int | None:
        """How its process ended; None while it lives."""
        if one not in self._workers or (status := _status(one.pid)) is None:
            return None
        self._forget(one)
        return status or 1  # it does not leave by itself

    def _dismiss(self, one: Worker) -> None:
        """It ends when it finds nobody at the other end."""
        self._forget(one)
        self._leaving.append(one.pid)

    def _forget(self, one: Worker) -> None:
        self._workers.remove(one)
        if self._selector is not None:
            self._selector.unregister(one.channel)
        one.channel.close()

    def close(self, *, kill: bool) -> None:
        """Dismiss all; with ``kill`` those who are busy as well, at once."""
        self._selector = None
        for one in list(self._workers):
            if kill and one.job is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one.pid, signal.SIGKILL)
            self._dismiss(one)


def _status(pid: int) -> int | None:
    """The exit code of our child ``pid``; None while it lives."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # somebody else reaped it
        return 1
    return os.waitstatus_to_exitcode(status) if ended else None


# -- in the worker ------------------------------------------------------------------------------


def serve(places: Places, configuration: Configuration, channel: socket.socket) -> NoReturn:
    """In the child: one job after the other until the runner has gone, or one fails."""
    from failhook.gather.lane import Crew, Crews

    code, unit = 0, "a worker"
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        offspring.close_all_but(channel.fileno())  # a peer would wait for us as well
        hands, head = Crew(_LANES), Crew(1, _warm_head)
        with contextlib.closing(hands), contextlib.closing(head):
            side_by_side, one_by_one = Crews(hands, head), Crews(head, head)
            if is_warm := _warm(channel):
                head.prepare()
            gc.freeze()
            gc.enable()
            while message := _next(channel):
                job, concurrency = pickle.loads(message)  # noqa: S301 - of the runner, our parent
                unit = job.unit
                is_storm = concurrency == _LANES_OF_MANY
                hands.keep(0 if is_storm else concurrency)  # none waits that has nothing to do
                crews = one_by_one if is_storm else side_by_side
                worker.run(places, configuration, job, concurrency=concurrency, crews=crews)
                with contextlib.suppress(ConnectionError):  # the runner has gone meanwhile
                    channel.send(_DONE)
                if not is_warm and (is_warm := _warm(channel)):
                    gc.freeze()
                    hands.renew(_LANES)
    except OSError as error:
        logger.error("%s: %s", unit, error)
        code = NO_SPACE if error.errno in _FULL else 1
    except Exception:
        logger.exception("%s: the work failed and is tried again", unit)
        code = 1
    finally:
        os._exit(code)


def _next(channel: socket.socket) -> bytes:
    """The next job; empty when the runner has gone."""
    try:
        return channel.recv(_MAX_JOB)
    except ConnectionError:
        return b""


def _warm_head() -> None:
    """What a verdict needs, in its own process."""
    from failhook import redact  # noqa: F401

    diagnosis.warm()


def _warm(channel: socket.socket) -> bool:
    """Import what jobs need until one comes: it asks systemd before it needs the rest. True where
    all of it is there."""
    for step in worker.STEPS:
        if select.select([channel], [], [], 0)[0]:
            return False
        step()
    return True
