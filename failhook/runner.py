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
import socket
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from failhook import files, open_list, worker
from failhook.changes.watch import Watcher
from failhook.config import load, stamp
from failhook.incident import Incident
from failhook.intake import Intake
from failhook.places import Places
from failhook.record import is_plain, record, recovered
from failhook.spool import Spool
from failhook.staff import NO_SPACE, Staff
from failhook.store import retention
from failhook.store.incidents import Store
from failhook.trigger import Kind, Trigger
from failhook.waking import drain_fifo, waking
from failhook.worker import Job

logger = logging.getLogger(__name__)
WORKERS = max(2, min(3, os.cpu_count() or 2))
SETTLE_S = 2.0
LOOP_PAUSE_S = 2.0  # a looping unit's batches: recorded at once, worked this far apart
_TAKE_S = 0.05  # at a stretch; then those at the socket have their turn
_FULL_DISK_PAUSE_S = 10.0
_MAX_JOB = 200  # triggers, and incidents, of one job
_GRACE_S = 20.0  # beyond the collectors' deadline a worker is stuck


@dataclass(slots=True)
class _Unit:
    """What waits for one unit, and how busy it kept us."""

    triggers: list[Path] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)
    batches: list[float] = field(default_factory=list)

    @property
    def waits(self) -> bool:
        """There is work."""
        return bool(self.triggers or self.incidents)

    @property
    def loops(self) -> bool:
        """It keeps failing."""
        return len(self.batches) >= worker.FULL_IN_A_ROW

    def pause(self, now: float) -> float:
        """Seconds until the next batch may start: none, unless the unit loops."""
        self.batches = [at for at in self.batches if now - at < 30.0]
        if not self.loops:
            return 0.0
        return max(0.0, self.batches[-1] + LOOP_PAUSE_S - now)


class Runner:
    """The loop. `run` returns when there is nothing to do, or after SIGTERM."""

    def __init__(
        self,
        places: Places,
        listeners: list[socket.socket],
        *,
        idle_s: float,
        recruit: tuple[int, socket.socket] | None = None,
    ) -> None:
        self._places = places
        self._listeners = listeners
        self._idle_s = idle_s
        self._configuration = load.load(places)
        self._store = Store(places)
        self._spool = Spool(places)
        self._units: OrderedDict[str, _Unit] = OrderedDict()
        self._staff = Staff(places, self._configuration, WORKERS, recruit)
        self._seen: set[Path] = set()
        self._tries: dict[Path, int] = {}
        self._stop = False
        self._is_outdated = False  # there is work, for another configuration than ours
        self._blocked_until = 0.0
        self._more = False
        self._is_warm = False
        self._last_work = time.monotonic()
        self._settled = 0
        self._since_prune = 0
        self._open: list[str] | None = None
        self._watcher = Watcher(places)
        self._well: set[str] = set()  # units whose clean stop was reported

    def run(self) -> None:
        """Work until idle. Raises StoreError or OSError only where nothing can be kept at all."""
        for problem in self._configuration.problems:
            logger.error("%s", problem)
        self._spool.make()
        self._store.keep_reserve()
        self._store.sweep()
        drain_fifo(self._places.wake)
        with contextlib.suppress(FileNotFoundError):  # it is there: a former runner was killed
            self._store.recheck(self._places.unfinished.stat().st_mtime)
        self._resume()
        with (
            selectors.DefaultSelector() as selector,
            waking(selector, self._places.spool, self._asked_to_stop),
        ):
            self._staff.wake(selector)
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

    def _asked_to_stop(self) -> None:
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
        if waiting and not self._is_outdated:
            self._is_outdated = stamp.has_changed(self._places, self._configuration)
        if self._is_outdated:
            return
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
            self._tell(recovered(self._store, trigger.unit, trigger.realtime))
            self._well.add(trigger.unit)
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
        busy_units = {job.unit for job in self._staff.busy}
        for name, waiting in list(self._units.items()):
            if self._staff.is_full:
                return
            if name in busy_units or not waiting.waits or waiting.pause(time.monotonic()):
                continue
            self._start(name, waiting)

    def _start(self, name: str, waiting: _Unit) -> None:
        incidents = list(dict.fromkeys(waiting.incidents))
        job = Job(name, tuple(waiting.triggers[:_MAX_JOB]), tuple(incidents[:_MAX_JOB]))
        waiting.triggers, waiting.incidents = waiting.triggers[_MAX_JOB:], incidents[_MAX_JOB:]
        waiting.batches.append(time.monotonic())
        self._units.move_to_end(name)
        if self._staff.would_hire:
            self._store.close()  # an SQLite connection must not cross a fork
            if self._staff.busy:
                self._warm()
        limit_s = self._configuration.collect.deadline_s + _GRACE_S
        limit_s += max(1, len(job.incidents) + len(job.triggers))
        others = (unit for other, unit in self._units.items() if other != name)
        in_storm = waiting.loops or any(unit.waits for unit in others)
        self._staff.give(job, limit_s, in_storm=in_storm)

    def _warm(self) -> None:
        """Once, when a second worker is needed: it and the next ones then share our memory instead
        of doing the same imports each."""
        if not self._is_warm:
            self._is_warm = True
            worker.warm()
            gc.freeze()

    def _make_ready(self) -> None:
        """A unit that loops keeps one busy: the first failure of another finds a second one."""
        if not self._is_warm and any(unit.loops for unit in self._units.values()):
            self._warm()
            if self._staff.size < WORKERS:
                self._store.close()  # an SQLite connection must not cross a fork
                with contextlib.suppress(OSError):  # who needs it tries again, and says so
                    self._staff.hire()

    def _reap(self) -> None:
        self._watcher.reap()
        for ended in self._staff.ended():
            self._last_work = time.monotonic()
            self._ended(ended.job, ended.code)

    def _ended(self, job: Job, code: int) -> None:
        self._since_prune += len(job.incidents) + len(job.triggers)
        self._open = None
        if code == NO_SPACE:
            self._cannot_write(OSError(errno.ENOSPC, f"no space for what {job.unit} needs"))
        if code != 0:
            self._again(job, counts=code != NO_SPACE)
        self._seen -= set(job.triggers) if code == 0 else set()
        waiting = self._units.get(job.unit)
        if waiting and not (waiting.waits or waiting.batches):
            del self._units[job.unit]

    def _again(self, job: Job, *, counts: bool) -> None:
        """A worker failed: its triggers and incidents wait for the next, up to a limit.

        What a full disk did to it does not count: it waits as long as that lasts.
        """
        waiting = self._units.setdefault(job.unit, _Unit())
        for path in job.triggers:
            self._tries[path] = self._tries.get(path, 0) + counts
            if self._tries[path] >= worker.MAX_TRIES and self._set_aside(path):
                continue
            if path.exists():
                waiting.triggers.append(path)
        for name in job.incidents:
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
        if self._more or (self._is_outdated and not self._has_work()):
            return 0.0
        if intake.busy:
            return 0.1
        if self._blocked_until > now:
            return self._blocked_until - now
        pauses = [unit.pause(now) for unit in self._units.values() if unit.waits]
        due = [pause for pause in pauses if pause > 0]
        if self._staff.busy:
            return max(0.01, min([5.0, *due]))
        quiet = now - self._last_work
        until = SETTLE_S if not self._settled else self._idle_s
        return max(0.01, min([until - quiet, 5.0, *due]))

    def _has_work(self) -> bool:
        if self._staff.busy or self._blocked_until > time.monotonic():
            return True
        return any(unit.waits for unit in self._units.values())

    def _rest(self) -> None:
        """Between the work: the list of units that are waited for, a later look, retention."""
        if self._open is None:
            self._write_open_list()
        if self._since_prune >= 200:
            self._prune()
        self._make_ready()
        quiet = time.monotonic() - self._last_work
        if not self._has_work() and not self._settled and quiet >= SETTLE_S:
            self._settled = 1
            self._look_again()
        if self._settled == 1 and not self._has_work() and self._watcher.is_due(quiet):
            self._settled = 2
            self._store.close()  # an SQLite connection must not cross a fork
            self._watcher.start(self._well)
            self._well.clear()

    def _look_again(self) -> None:
        from failhook import settle  # when a failure no longer waits for us

        with contextlib.suppress(OSError):
            if changed := settle.settle(self._store):
                self._write_open_list()
                self._tell(changed)

    def _tell(self, changed: list[Incident]) -> None:
        """Who heard of a trouble hears how it ended."""
        if changed and self._configuration.actions:
            from failhook.act import later  # nobody else pays for it

            with contextlib.suppress(OSError):
                later.tell(self._store, self._configuration, changed)

    def _write_open_list(self) -> None:
        self._open = open_list.publish(self._store, self._open)

    def _prune(self) -> None:
        self._since_prune = 0
        try:
            retention.prune(self._store, self._configuration.keep)
            if self._configuration.rules:
                from failhook.response.ledger import Ledger  # nobody else pays for it

                windows = [rule.within_s for rule in self._configuration.rules]
                Ledger(self._places).forget(max(self._configuration.keep.age_s, *windows))
        except OSError as error:
            logger.error("cannot bring the history within its limits: %s", error)

    def _is_over(self) -> bool:
        if self._is_outdated:
            return not self._has_work()
        if self._has_work() or time.monotonic() - self._last_work < self._idle_s:
            return False
        return not self._spool.waiting()

    def _end(self) -> None:
        self._staff.close(kill=self._stop)
        self._watcher.end()
        if not self._stop:
            self._look_again()
            self._prune()
            self._store.keep_reserve()
            with contextlib.suppress(OSError):
                self._places.unfinished.unlink(missing_ok=True)
        self._store.close()
        drain_fifo(self._places.wake)  # what it says was done: it would start the next one at once
