# SPDX-License-Identifier: MIT
"""``failhook deliver``: brings what is due in the outbox to its destinations, side by side.

A process per destination, at most `MOST_LANES`, so that one that hangs holds nobody up; one that
takes longer than its action may is killed, and that is a failed try. Leaves when nothing is due:
what has to wait is moved into ``now/`` by failhook-later.timer, and a directory that is not empty
starts us again (failhook-deliver.path). Nobody waits for hours, but for room on a full disk.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import selectors
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from failhook.config import stamp
from failhook.config.model import ActionTable, Configuration
from failhook.deliver import attempt, destination, room, schedule
from failhook.deliver.lane import Lane
from failhook.gather import offspring
from failhook.places import Places
from failhook.queue import Queue, name_of
from failhook.waking import Watch, waking

logger = logging.getLogger(__name__)
MOST_LANES = 8
IDLE_S = 5.0  # for the next message of the same trouble, which then finds us warm
GRACE_S = 3.0  # beyond an action's limit
_STOP_S = 5.0  # for a try that is being made when we are asked to stop
_PAUSE_S = 5.0  # after a process ended badly, or somebody else is at its queue
_MISTAKE_S = 300.0  # until a mistake in the configuration may be mended
_BUSY = 75  # how a lane ends whose destination somebody else works (EX_TEMPFAIL)
_FULL = 74  # and one that could not write, which it said (EX_IOERR)
_CHUNK = 65536
_FURTHEST_S = 60 * 86400.0  # nothing is planned that far ahead: a clock was wrong
# What the lanes of a type need, imported once for all of them.
_NEEDS: Mapping[str, str] = {
    "webhook": "failhook.http_client",
    "upload": "failhook.http_client",
    "mail": "smtplib",
}


@dataclass(eq=False, slots=True)
class _Lane:
    """A process that works one destination's queue. ``until``: its try takes too long then."""

    table: ActionTable
    pid: int
    reports: int  # its side of a pipe: a line per try
    stop: int  # ours of another: closed, and it ends after its try
    item: str = ""
    until: float = float("inf")
    rest: bytes = b""
    killed: bool = False


class Deliverer:
    """The process. `run` returns when nothing is due, or after SIGTERM."""

    def __init__(
        self,
        places: Places,
        configuration: Configuration,
        *,
        find: attempt.Find = attempt.find_built_in,
        idle_s: float = IDLE_S,
    ) -> None:
        """``find`` gives the action of a type."""
        self._places = places
        self._configuration = configuration
        self._find = find
        self._idle_s = idle_s
        self._queue = Queue(places.outbox)
        self._lanes: dict[str, _Lane] = {}
        self._pauses: dict[str, float] = {}
        self._lacking: set[str] = set()  # those for which there was no room the last time
        self._selector = selectors.DefaultSelector()
        self._stop = False
        self._is_outdated = False  # there is work, for another configuration than ours
        self._last_work = time.monotonic()

    def run(self) -> None:
        """Work until idle. Raises OSError where nothing can be written at all."""
        self._queue.make()
        self._queue.tidy()
        self._mend_times()
        with (
            contextlib.closing(self._selector),
            waking(self._selector, self._queue.now, self._asked_to_stop),
        ):
            while not self._stop:
                self._start_lanes()
                if not self._lanes and (self._is_outdated or self._idle_for() <= 0):
                    break  # what is still there begins a new process, after its unit's pause
                self._wait(self._patience())
            self._end()

    def _asked_to_stop(self) -> None:
        self._stop = True

    def _mend_times(self) -> None:
        """What a wrong clock sent into a far future is due when its plan says."""
        far = time.time() + _FURTHEST_S
        for path in self._queue.later():
            name = name_of(path)
            if name is None or name.due <= far:
                continue
            path = self._queue.postpone(path, 0.0)  # noqa: PLW2901 - only there it may be read
            item = self._queue.read(path)
            if item is not None and time.time() < item.not_before <= far:
                self._queue.postpone(path, item.not_before)

    # -- which destinations ---------------------------------------------------------------------

    def _start_lanes(self) -> None:
        due: dict[str, list[Path]] = {}
        for path in self._queue.waiting():
            name = name_of(path)
            if name is not None:
                due.setdefault(name.action, []).append(path)
        if due and not self._is_outdated:
            self._is_outdated = stamp.has_changed(self._places, self._configuration)
        if self._is_outdated:
            return
        for action, paths in due.items():
            if action in self._lanes or self._pauses.get(action, 0.0) > time.monotonic():
                continue
            self._last_work = time.monotonic()
            try:
                self._begin_with(action, paths)
            except OSError as error:
                self._cannot_write(action, error)

    def _begin_with(self, action: str, paths: list[Path]) -> None:
        table = self._configuration.actions.get(action)
        if table is None:
            self._without_action(action, paths)
        elif self._may_try(table, paths) and len(self._lanes) < MOST_LANES:
            self._start(table)

    def _cannot_write(self, action: str, error: OSError) -> None:
        """One destination's trouble is no other's. Raises ``error`` where it is not about room."""
        if not room.is_lack(error):
            raise error
        if action not in self._lacking:
            logger.error("%s: %s", action, room.told(error, self._places.state))
        self._lacking.add(action)
        self._pauses[action] = time.monotonic() + room.AGAIN_S

    def _without_action(self, action: str, paths: list[Path]) -> None:
        if self._configuration.problems:  # it may be what could not be read
            self._queue.postpone_all(paths, time.time() + _MISTAKE_S)
            logger.error("%s: not in the configuration, which has mistakes: failhook check", action)
            return
        reason = "the configuration has no such action any more"
        Lane(self._places, ActionTable(action, ""), self._find).leave_out(paths, reason)

    def _may_try(self, table: ActionTable, paths: list[Path]) -> bool:
        """Whether the destination is tried now; where it is not, ``paths`` are put off."""
        known = destination.load(self._places, table.name)
        if known.gone:
            if known.gone == destination.fingerprint(table):
                Lane(self._places, table, self._find).leave_out(paths, known.reason)
                return False
            destination.save(self._places, known.answered())
        now = time.time()
        waits = now < known.until <= now + schedule.LONGEST_S * 2
        if waits and 0 <= now - known.tried < schedule.EARLY_S:
            self._queue.postpone_all(paths, known.until)
            return False
        return True

    def _start(self, table: ActionTable) -> None:
        needed = _NEEDS.get(table.type)
        if needed is not None:
            with contextlib.suppress(ImportError):  # the action says what is missing
                importlib.import_module(needed)
        if not self._lanes:
            gc.freeze()
        reports, theirs = os.pipe2(os.O_CLOEXEC)
        stop_read, stop = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            self._be_lane(table, theirs, stop_read)
        os.close(theirs)
        os.close(stop_read)
        os.set_blocking(reports, False)
        self._lacking.discard(table.name)
        one = _Lane(table, pid, reports, stop)
        self._lanes[table.name] = one
        self._selector.register(reports, selectors.EVENT_READ, one)

    # -- the processes --------------------------------------------------------------------------

    def _wait(self, patience_s: float) -> None:
        for key, _ in self._selector.select(patience_s):
            if isinstance(key.data, _Lane):
                _hear(key.data)
            else:
                key.data(key.fileobj)
            if isinstance(key.fileobj, Watch):
                self._last_work = time.monotonic()
        for one in list(self._lanes.values()):
            if time.monotonic() > one.until and not one.killed:
                one.killed = True
                _kill(one.pid)
            code = _status(one.pid)
            if code is not None:
                self._ended(one, code)

    def _ended(self, one: _Lane, code: int) -> None:
        self._last_work = time.monotonic()
        _hear(one)
        self._selector.unregister(one.reports)
        os.close(one.reports)
        os.close(one.stop)
        del self._lanes[one.table.name]
        if code == 0 or self._stop:
            return
        self._pauses[one.table.name] = time.monotonic() + _PAUSE_S
        if code in (_BUSY, _FULL):
            return
        reason = f"its process ended with {code}"
        if one.killed:
            reason = "no end of it within its time limit; killed"
        logger.error("%s: %s", one.table.name, reason)
        if one.item:
            path = self._queue.now / one.item
            try:
                Lane(self._places, one.table, self._find).failed_outside(path, reason)
            except OSError as error:  # as if it had not been tried
                self._cannot_write(one.table.name, error)

    def _idle_for(self) -> float:
        over = max((self._last_work + self._idle_s, *self._pauses.values()))
        return over - time.monotonic()

    def _patience(self) -> float:
        now = time.monotonic()
        ends = [one.until for one in self._lanes.values() if not one.killed]
        ends += [at for at in self._pauses.values() if at > now]
        if not self._lanes:
            ends.append(now + max(0.0, self._idle_for()))
        return max(0.01, min([*ends, now + 60.0]) - now)

    def _end(self) -> None:
        """A try that is being made may end; an item whose end nobody saw is due again."""
        for one in self._lanes.values():
            os.close(one.stop)
        until = time.monotonic() + _STOP_S
        for one in list(self._lanes.values()):
            while _status(one.pid) is None:
                left = until - time.monotonic()
                pidfd = offspring.pidfd_of(one.pid)
                if left <= 0 or pidfd is None:
                    offspring.kill_descendants(one.pid)
                    offspring.end(one.pid, pidfd, 1.0)
                    break
                with selectors.DefaultSelector() as ended:
                    ended.register(pidfd, selectors.EVENT_READ)
                    ended.select(left)
                os.close(pidfd)
            os.close(one.reports)
        self._lanes.clear()

    # -- in the child ---------------------------------------------------------------------------

    def _be_lane(self, table: ActionTable, reports: int, stop: int) -> NoReturn:
        code = 1
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)  # the parent tells us by the pipe
            offspring.close_all_but(reports, stop)

            def begin(path: Path, limit: float) -> None:
                os.write(reports, f"{path.name} {limit:.3f}\n".encode())

            is_done = Lane(self._places, table, self._find, begin=begin, stop=stop).run()
            code = 0 if is_done else _BUSY
        except BrokenPipeError:  # nobody supervises us any more
            code = 1
        except OSError as error:
            lacks = room.is_lack(error)
            code = _FULL if lacks else 1
            said = room.told(error, self._places.state) if lacks else f"{error}; tried again"
            logger.error("%s: %s", table.name, said)
        except Exception:
            logger.exception("%s: delivering failed and is tried again", table.name)
        finally:
            os._exit(code)


def _kill(pid: int) -> None:
    """With what it started: a plugin is in a session of its own, and what it left is below."""
    offspring.kill_descendants(pid)
    offspring.kill(pid)


def _hear(one: _Lane) -> None:
    """Take what a lane says: which item it tries, and how long that may take."""
    with contextlib.suppress(BlockingIOError):
        while data := os.read(one.reports, _CHUNK):
            one.rest += data
    *lines, one.rest = one.rest.split(b"\n")
    if lines:
        item, _, limit = lines[-1].decode().partition(" ")
        one.item = item
        one.until = time.monotonic() + float(limit or "inf") + GRACE_S


def _status(pid: int) -> int | None:
    """The exit code of our child; None while it lives. What it left behind ends with it."""
    try:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return None
        offspring.kill(pid)  # not reaped yet: nobody else can have its number
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except ChildProcessError:
        return 1
