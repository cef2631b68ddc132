# SPDX-License-Identifier: MIT
"""The process that works incidents off: started on demand, gone when idle.

One thread, one loop: take triggers from the spool and from the socket, record those that name
their run at once, and give each unit's failures to a worker process, a few at a time, one at a
time per unit. Everything that is due is on disk, so that being killed at any point costs nothing:
failhook.path starts the next runner as long as something waits.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import logging
import os
import selectors
import signal
import socket
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from failhook import files, worker
from failhook.config import load
from failhook.intake import Intake
from failhook.places import Places
from failhook.record import is_plain, record, recovered
from failhook.settle import settle
from failhook.spool import Spool, Watch
from failhook.store import retention
from failhook.store.incidents import Store
from failhook.trigger import Kind, Trigger
from failhook.worker import Job

logger = logging.getLogger(__name__)
WORKERS = max(2, min(3, os.cpu_count() or 2))
IDLE_S = 15.0  # warm for the next failure of a storm or of a restart, then gone
SETTLE_S = 2.0
LOOP_PAUSE_S = 2.0  # a looping unit's batches: recorded at once, worked this far apart
_TAKE_S = 0.05  # at a stretch; then those at the socket have their turn
_FULL_DISK_PAUSE_S = 10.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_NO_SPACE = 75  # how a worker ends that could not write (EX_TEMPFAIL of sysexits.h)
_GRACE_S = 20.0  # beyond the collectors' deadline a worker is stuck


@dataclass(slots=True)
class _Unit:
    """What waits for one unit, and how busy it kept us."""

    triggers: list[Path] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)
    batches: list[float] = field(default_factory=list)

    def pause(self, now: float) -> float:
        """Seconds until the next batch may start: none, unless the unit keeps failing."""
        self.batches = [at for at in self.batches if now - at < 30.0]
        if len(self.batches) < worker.FULL_IN_A_ROW:
            return 0.0
        return max(0.0, self.batches[-1] + LOOP_PAUSE_S - now)


@dataclass(slots=True)
class _Busy:
    unit: str
    job: Job
    until: float


def _drain(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(fd, 4096)


class Runner:
    """The loop. `run` returns when there is nothing to do, or after SIGTERM."""

    def __init__(
        self, places: Places, listeners: list[socket.socket], *, idle_s: float = IDLE_S
    ) -> None:
        self._places = places
        self._listeners = listeners
        self._idle_s = idle_s
        self._configuration = load.load(places)
        self._store = Store(places)
        self._spool = Spool(places)
        self._units: OrderedDict[str, _Unit] = OrderedDict()
        self._busy: dict[int, _Busy] = {}
        self._seen: set[Path] = set()
        self._tries: dict[Path, int] = {}
        self._stop = False
        self._blocked_until = 0.0
        self._more = False
        self._is_warm = False
        self._last_work = time.monotonic()
        self._settled = 0
        self._since_prune = 0
        self._open: list[str] | None = None

    def run(self) -> None:
        """Work until idle. Raises StoreError or OSError only where nothing can be kept at all."""
        for problem in self._configuration.problems:
            logger.error("%s", problem)
        self._spool.make()
        self._store.keep_reserve()
        self._store.sweep()
        with contextlib.suppress(FileNotFoundError):  # it is there: a former runner was killed
            self._store.recheck(self._places.unfinished.stat().st_mtime)
        self._resume()
        with selectors.DefaultSelector() as selector, self._waking(selector):
            intake = Intake(self._listeners, str(self._places.run), selector)
            while not self._stop and not self._is_over():
                self._turn(selector, intake)
        self._end()

    def _turn(self, selector: selectors.BaseSelector, intake: Intake) -> None:
        self._take()
        self._dispatch()
        for key, _ in selector.select(self._patience(intake)):
            key.data(key.fileobj)
        intake.expire()
        self._reap()
        self._rest()

    @contextlib.contextmanager
    def _waking(self, selector: selectors.BaseSelector):  # type: ignore[no-untyped-def]
        """Everything that ends a wait: peers, the spool, ended workers, SIGTERM."""
        watch = Watch(self._places.spool)
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        selector.register(watch, selectors.EVENT_READ, Watch.drain)
        selector.register(wake_read, selectors.EVENT_READ, _drain)
        before = signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        handlers = {
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda *_: None),
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._asked_to_stop),
            signal.SIGINT: signal.signal(signal.SIGINT, self._asked_to_stop),
        }
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            watch.close()
            os.close(wake_read)
            os.close(wake_write)

    def _asked_to_stop(self, *_: object) -> None:
        self._stop = True

    # -- taking ---------------------------------------------------------------------------------

    def _resume(self) -> None:
        """What a former runner recorded and did not finish."""
        for row in self._store.rows("stage != 'done'"):
            self._units.setdefault(row.unit, _Unit()).incidents.append(row.name)

    def _take(self) -> None:
        if time.monotonic() < self._blocked_until:
            return
        waiting = [path for path in self._spool.waiting() if path not in self._seen]
        if waiting and not self._places.unfinished.exists():
            with contextlib.suppress(OSError):
                files.write(self._places.unfinished, b"")
        until = time.monotonic() + _TAKE_S
        for number, path in enumerate(waiting, 1):
            try:
                read = self._spool.read(path)
                if read is not None:
                    self._place(path, *read)
            except OSError as error:
                self._cannot_write(error)
                return
            if time.monotonic() > until:
                self._more = number < len(waiting)
                return
        self._more = False

    def _place(self, path: Path, trigger: Trigger, raw: bytes) -> None:
        """A clean stop ends what was open; a plain failure is recorded; the rest is asked about."""
        self._last_work = time.monotonic()
        self._settled = 0
        if trigger.kind is Kind.CLEAN_STOP:
            recovered(self._store, trigger.unit, trigger.realtime)
            self._spool.done(path)
            self._open = None
            return
        waiting = self._units.setdefault(trigger.unit, _Unit())
        if is_plain(trigger) and trigger.kind is Kind.STOP_POST and not trigger.unproven:
            incident = record(self._store, trigger, raw)
            self._spool.done(path)
            waiting.incidents.append(self._store.directory(incident).name)
        else:
            self._seen.add(path)
            waiting.triggers.append(path)

    def _cannot_write(self, error: OSError) -> None:
        """A full or read-only disk: the spool keeps what waits; release the reserve, try again."""
        logger.error("cannot record, trying again in %.0f s: %s", _FULL_DISK_PAUSE_S, error)
        pause, self._more = _FULL_DISK_PAUSE_S, False
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            self._store.release_reserve()
            with contextlib.suppress(OSError):
                retention.prune(self._store, self._configuration.keep)
            pause = 0.1 if not self._blocked_until else pause
        self._blocked_until = time.monotonic() + pause

    # -- working --------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        if time.monotonic() < self._blocked_until:
            return
        busy_units = {one.unit for one in self._busy.values()}
        for name, waiting in list(self._units.items()):
            if len(self._busy) >= WORKERS:
                return
            has_work = bool(waiting.triggers or waiting.incidents)
            if name in busy_units or not has_work or waiting.pause(time.monotonic()):
                continue
            self._start(name, waiting)

    def _start(self, name: str, waiting: _Unit) -> None:
        if self._busy:
            self._warm()
        job = Job(name, tuple(waiting.triggers), tuple(dict.fromkeys(waiting.incidents)))
        waiting.triggers, waiting.incidents = [], []
        waiting.batches.append(time.monotonic())
        self._units.move_to_end(name)
        self._store.close()  # an SQLite connection must not cross a fork
        pid = os.fork()
        if pid == 0:
            self._be_worker(job)
        limit = self._configuration.collect.deadline_s + _GRACE_S
        size = max(1, len(job.incidents) + len(job.triggers))
        self._busy[pid] = _Busy(name, job, time.monotonic() + limit + size)

    def _warm(self) -> None:
        """Once, when it delays nobody: after the first worker ended, or before a second one would
        do the same imports beside it."""
        if not self._is_warm:
            self._is_warm = True
            worker.warm()
            gc.freeze()  # forked workers then share these pages instead of copying them

    def _be_worker(self, job: Job) -> None:
        """In the child: never returns."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            concurrency = 4 if len(self._busy) == 0 else 2
            worker.run(self._places, self._configuration, job, concurrency=concurrency)
            code = 0
        except OSError as error:
            logger.error("%s: %s", job.unit, error)
            code = _NO_SPACE if error.errno in _FULL else 1
        except Exception:
            logger.exception("%s: the work failed and is tried again", job.unit)
        finally:
            os._exit(code)

    def _reap(self) -> None:
        now = time.monotonic()
        for pid, busy in list(self._busy.items()):
            if now > busy.until:
                logger.error("%s: its worker is stuck and is killed", busy.unit)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                busy.until = now + 5.0
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._busy[pid]
                self._last_work = now
                self._ended(busy, os.waitstatus_to_exitcode(status))
                self._warm()

    def _ended(self, busy: _Busy, code: int) -> None:
        self._since_prune += len(busy.job.incidents) + len(busy.job.triggers)
        self._open = None
        if code == _NO_SPACE:
            self._cannot_write(OSError(errno.ENOSPC, f"no space for what {busy.unit} needs"))
        if code != 0:
            self._again(busy, counts=code != _NO_SPACE)
        self._seen -= set(busy.job.triggers) if code == 0 else set()
        waiting = self._units.get(busy.unit)
        if waiting and not (waiting.triggers or waiting.incidents or waiting.batches):
            del self._units[busy.unit]

    def _again(self, busy: _Busy, *, counts: bool) -> None:
        """A worker failed: its triggers and incidents wait for the next, up to a limit.

        What a full disk did to it does not count: it waits as long as that lasts.
        """
        waiting = self._units.setdefault(busy.unit, _Unit())
        for path in busy.job.triggers:
            self._tries[path] = self._tries.get(path, 0) + counts
            if self._tries[path] >= worker.MAX_TRIES and self._set_aside(path):
                continue
            if path.exists():
                waiting.triggers.append(path)
        for name in busy.job.incidents:
            incident = self._store.load(name)
            if incident is not None and incident.stage != "done":
                waiting.incidents.append(name)

    def _set_aside(self, path: Path) -> bool:
        """False: there is no place for it either."""
        try:
            self._spool.set_aside(path, f"working on it failed {worker.MAX_TRIES} times")
        except FileNotFoundError:
            return True
        except OSError as error:
            self._cannot_write(error)
            return False
        return True

    # -- resting --------------------------------------------------------------------------------

    def _patience(self, intake: Intake) -> float:
        """How long the next wait may be."""
        now = time.monotonic()
        if self._more:
            return 0.0
        if intake.busy:
            return 0.1
        if self._blocked_until > now:
            return self._blocked_until - now
        pauses = [
            unit.pause(now) for unit in self._units.values() if unit.triggers or unit.incidents
        ]
        due = [pause for pause in pauses if pause > 0]
        if self._busy:
            return max(0.01, min([5.0, *due]))
        quiet = now - self._last_work
        until = SETTLE_S if not self._settled else self._idle_s
        return max(0.01, min([until - quiet, 5.0, *due]))

    def _has_work(self) -> bool:
        if self._busy or self._blocked_until > time.monotonic():
            return True
        return any(unit.triggers or unit.incidents for unit in self._units.values())

    def _rest(self) -> None:
        """Between the work: the list of units that are waited for, a later look, retention."""
        if self._open is None:
            self._write_open_list()
        if self._since_prune >= 200:
            self._prune()
        quiet = time.monotonic() - self._last_work
        if not self._has_work() and not self._settled and quiet >= SETTLE_S:
            self._settled = 1
            self._look_again()

    def _look_again(self) -> None:
        with contextlib.suppress(OSError):
            if settle(self._store):
                self._write_open_list()

    def _write_open_list(self) -> None:
        units = sorted({row.unit for row in self._store.rows("state = 'open'", (), 10000)})
        if units == self._open:
            return
        self._open = units
        with contextlib.suppress(OSError):
            if units:
                files.write(self._places.open_list, "\n".join(units) + "\n", mode=0o644)
            else:
                self._places.open_list.unlink(missing_ok=True)

    def _prune(self) -> None:
        self._since_prune = 0
        try:
            retention.prune(self._store, self._configuration.keep)
        except OSError as error:
            logger.error("cannot bring the history within its limits: %s", error)

    def _is_over(self) -> bool:
        if self._has_work() or self._spool.waiting():
            return False
        return time.monotonic() - self._last_work >= self._idle_s

    def _end(self) -> None:
        if self._stop:
            for pid in self._busy:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        else:
            self._look_again()
            self._prune()
            self._store.keep_reserve()
            with contextlib.suppress(OSError):
                self._places.unfinished.unlink(missing_ok=True)
        self._store.close()
