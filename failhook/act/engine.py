# SPDX-License-Identifier: MIT
"""``failhook act``: works what is due, one unit's steps in their order, a few units at a time.

A process per unit, so that a step that hangs up to its time limit holds no other unit up. Leaves
when nothing is due; failhook-act.path starts it again as long as ``due/now`` is not empty, and
failhook-later.timer moves what had to wait.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import selectors
import signal
import time
from pathlib import Path
from typing import NoReturn

from failhook.act.step import Find, Steps
from failhook.config import stamp
from failhook.config.model import Configuration
from failhook.places import Places
from failhook.queue import Queue
from failhook.store.incidents import Store, StoreError
from failhook.waking import waking

logger = logging.getLogger(__name__)
MOST_UNITS = 4
IDLE_S = 5.0  # warm for the next failure of the same trouble
_PAUSE_S = 5.0  # after a process ended badly: a full disk, a defect


class Actor:
    """The process. `run` returns when nothing is due, or after SIGTERM."""

    def __init__(
        self, places: Places, configuration: Configuration, find: Find, *, idle_s: float = IDLE_S
    ) -> None:
        """``find`` gives the action of a type."""
        self._places = places
        self._configuration = configuration
        self._find = find
        self._idle_s = idle_s
        self._queue = Queue(places.due)
        self._busy: dict[int, str] = {}  # process -> the unit that it works
        self._blocked: dict[str, float] = {}  # unit -> until when (monotonic)
        self._stop = False
        self._is_outdated = False  # there is work, for another configuration than ours

    def run(self) -> None:
        """Work until idle. Raises OSError where the queue cannot be read at all."""
        self._queue.make()
        self._queue.tidy()
        last = time.monotonic()
        with (
            selectors.DefaultSelector() as selector,
            waking(selector, self._queue.now, self._asked_to_stop),
        ):
            while not self._stop:
                if self._dispatch() or self._busy:
                    last = time.monotonic()
                if not self._busy and self._is_outdated:
                    break
                if not self._busy and time.monotonic() - last >= self._idle_s:
                    break
                for key, _ in selector.select(0.2 if self._busy or self._blocked else self._idle_s):
                    key.data(key.fileobj)
                self._reap()
            while self._busy:  # what is begun is brought to its end
                selector.select(0.2)
                self._reap()

    def _dispatch(self) -> bool:
        """Give what is due to a process per unit; True where there was something."""
        found = False
        now = time.monotonic()
        self._blocked = {unit: until for unit, until in self._blocked.items() if until > now}
        due = self._by_unit()
        if due and not self._is_outdated:
            self._is_outdated = stamp.has_changed(self._places, self._configuration)
        if self._is_outdated:
            return False
        for unit, paths in due.items():
            found = True
            if len(self._busy) >= MOST_UNITS:
                break
            if unit not in self._busy.values() and unit not in self._blocked:
                self._start(unit, paths)
        return found

    def _by_unit(self) -> dict[str, list[Path]]:
        """What is due, in order, by unit; a step whose incident is gone stands for itself."""
        due: dict[str, list[Path]] = {}
        units: dict[str, str] = {}
        for path in self._queue.waiting():
            item = self._queue.read(path)
            if item is None:
                continue
            if item.incident not in units:
                units[item.incident] = self._unit_of(item.incident)
            due.setdefault(units[item.incident], []).append(path)
        return due

    def _unit_of(self, incident: str) -> str:
        with contextlib.suppress(StoreError):
            store = Store(self._places)
            try:
                known = store.load(incident)
            finally:
                store.close()
            if known is not None:
                return f"{known.manager} {known.unit}"
        return incident

    def _start(self, unit: str, paths: list[Path]) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            logger.error("no process for %s, trying again: %s", unit, error)
            self._blocked[unit] = time.monotonic() + _PAUSE_S
            return
        if pid == 0:
            self._work(unit, paths)
        self._busy[pid] = unit

    def _work(self, unit: str, paths: list[Path]) -> NoReturn:
        """In the child: one unit's steps, one after the other."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            gc.freeze()
            steps = Steps(self._places, self._configuration, self._find)
            for path in paths:
                with self._queue.claim(path) as is_ours:
                    if is_ours:
                        steps.work(path)
            steps.close()
            code = 0
        except OSError as error:
            logger.error("%s: %s", unit, error)
        except Exception:
            logger.exception("%s: its step failed and is tried again", unit)
        finally:
            os._exit(code)

    def _reap(self) -> None:
        for pid in list(self._busy):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                unit = self._busy.pop(pid)
                if os.waitstatus_to_exitcode(status) != 0:
                    self._blocked[unit] = time.monotonic() + _PAUSE_S

    def _asked_to_stop(self) -> None:
        self._stop = True
