# SPDX-License-Identifier: MIT
"""Fingerprints of the watched units that run well, taken by a process that may hang or be killed.

A watched unit calls us when it fails, or has failed before. Nothing waits for this: the
runner starts it when it has come to rest, and ends it when its time is over. So little is imported
here: the process that does the work imports the rest.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from failhook import files
from failhook.gather import offspring
from failhook.places import Places

if TYPE_CHECKING:
    from failhook.changes.keep import Keep
    from failhook.changes.packages import Packages
    from failhook.systemd.unit import UnitState

logger = logging.getLogger(__name__)
LIMIT_S = 2.0
QUIET_S = 11.0  # those that were started when the last work ended run well by now, or not at all
_SELDOM_S = 300.0  # where it is never quiet for so long
MAX_UNITS = 32
MAX_ASKED = 500
_MAX_ROWS = 5000
_REFRESH_S = 300.0
_CAN_FAIL = ("*.service", "*.mount", "*.socket", "*.timer", "*.path", "*.swap")
_KEPT_S = 90 * 86400.0  # as incidents are by default


class Watcher:
    """The process that looks, seen from the runner: `start` it, `reap` it, `end` it."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._pid = 0
        self._until = 0.0
        self._killed = False
        self._last = time.monotonic()

    def is_due(self, quiet_s: float) -> bool:
        """Is it time to look, when nothing has happened for ``quiet_s``?"""
        seldom = time.monotonic() - self._last >= _SELDOM_S
        return not self._pid and (quiet_s >= QUIET_S or seldom)

    @property
    def busy(self) -> bool:
        """It still looks."""
        return self._pid != 0

    def start(self, well: Collection[str]) -> None:
        """Look at all watched units; those in ``well`` are known to have run well just now."""
        if self._pid:
            return
        try:
            pid = os.fork()
        except OSError as error:
            logger.warning("no process to look at the units that run well: %s", error)
            return
        if pid == 0:
            self._be_it(well)
        self._pid, self._last, self._killed = pid, time.monotonic(), False
        self._until = self._last + LIMIT_S

    def _be_it(self, well: Collection[str]) -> None:
        """In the child: never returns."""
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            offspring.close_all_but()  # a peer of the runner would wait for us as well
            with contextlib.suppress(OSError):
                os.nice(10)
            look(self._places, well)
        except Exception:
            logger.exception("the units that run well could not be looked at")
        finally:
            os._exit(0)

    def reap(self) -> None:
        """Take note of its end; kill it when its time is over, and leave it if even that fails."""
        if not self._pid:
            return
        late = time.monotonic() - self._until
        if late > 0 and not self._killed:
            self._kill()
        ended = 0
        with contextlib.suppress(ChildProcessError):
            ended, _ = os.waitpid(self._pid, os.WNOHANG)
        if ended or late > LIMIT_S:
            self._pid = 0

    def end(self) -> None:
        """Its time is over now."""
        if self._pid:
            self._kill()

    def _kill(self) -> None:
        self._killed = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)


def look_once(places: Places, units: Collection[str], *, limit_s: float = LIMIT_S) -> bool:
    """Look at ``units``, or at all watched ones where there is none, in a process of its own, and
    wait for that, no longer than ``limit_s``."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if units:
                look_at(places, units)
            else:
                look(places, ())
            code = 0
        finally:
            os._exit(code)
    pidfd = os.pidfd_open(pid)
    try:
        if not select.select([pidfd], [], [], limit_s)[0]:
            os.kill(pid, signal.SIGKILL)
            return False  # reaped by whoever comes after us
        return os.waitpid(pid, 0)[1] == 0
    finally:
        os.close(pidfd)


def look(places: Places, well: Iterable[str]) -> None:
    """Look at every watched unit of ``places``' manager, as many as there is time for."""
    from failhook.changes import healthy
    from failhook.changes.keep import Keep
    from failhook.store.incidents import Store

    store = Store(places)
    try:
        rows = store.rows("1", (), _MAX_ROWS)
    finally:
        store.close()
    patience = healthy.patience(rows, time.time())
    units = [*dict.fromkeys([*well, *_hooked(places), *(row.unit for row in rows)])]
    look_at(places, units[:MAX_ASKED], patience=patience, well=set(well))
    Keep(places).sweep(units, _KEPT_S)


def look_at(
    places: Places,
    units: Collection[str],
    *,
    patience: Mapping[str, float] | None = None,
    well: Collection[str] = (),
) -> int:
    """Take the fingerprint of those of ``units`` that run well; how many were looked at."""
    from failhook.changes import healthy, packages, subjects
    from failhook.changes.keep import Keep
    from failhook.systemd import unit

    keep, installed = Keep(places), packages.manager()
    until = time.monotonic() + LIMIT_S
    states = unit.show_many(units, subjects.PROPERTIES, user=places.user, timeout_s=1.5)
    fit = [
        state
        for name, state in states.items()
        if healthy.runs_well(
            state, time.time(), (patience or {}).get(name, healthy.YOUNG_S), told=name in well
        )
    ]
    fit.sort(key=lambda state: keep.seen(state.name))  # the longest unseen first
    looked = 0
    with _Marker(places) as marker:
        for state in fit[:MAX_UNITS]:
            if time.monotonic() > until - 0.2:
                break
            if marker.begin(state.name):
                _look_at(keep, state, installed, until, user=places.user)
                looked += 1
    return looked


class _Marker:
    """Says at whom we look, for whoever looks next: one that hangs has its turn only every second
    time, so that it costs the others nothing but time."""

    def __init__(self, places: Places) -> None:
        self._path = places.run / "looking"  # tmpfs
        self._stuck = ""

    def __enter__(self) -> _Marker:
        with contextlib.suppress(OSError):
            self._stuck = files.read_bounded(self._path, 1024).decode("utf-8", "surrogateescape")
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()

    def begin(self, unit: str) -> bool:
        """False: the last look did not come back from it."""
        with contextlib.suppress(OSError):
            files.write(self._path, unit.encode("utf-8", "surrogateescape"))
        return unit != self._stuck


def _look_at(
    keep: Keep, state: UnitState, installed: Packages, until: float, *, user: bool
) -> None:
    from failhook.changes import take

    known = keep.load(state.name)
    now = time.time()
    if known is not None and known.invocation == state.get("InvocationID") is not None:
        # The same run as before: it is what it began with, and still runs well.
        if now - known.seen > _REFRESH_S:
            keep.save(replace(known, seen=now))
        return
    machine = take.Machine(key=keep.key(), until=until, packages=installed, system=not user)
    fresh = take.as_begun(take.take(state, machine, known, now=now), known)
    if known is not None:
        now_there = fresh.packages
        differing = [name for name, one in now_there.items() if one != known.packages.get(name)]
        fresh = take.as_installed_then(fresh, known, machine.packages.times(differing))
    if not keep.save(fresh):
        logger.warning("%s: its fingerprint is too large to be kept", state.name)


def _hooked(places: Places) -> list[str]:
    """The units that call us when they fail, however they are told to: by our drop-ins, by their
    own files, or all of them; systemd has put that together."""
    from failhook import proc
    from failhook.systemd.unit import UnitState

    scope = ["--user"] if places.user else []
    # --all: without it a pattern fits only what is active or failed
    asked = ["--all", "--no-pager", "-p", "Id,OnFailure,ExecStopPost", "--", *_CAN_FAIL]
    done = proc.run(["systemctl", *scope, "show", *asked], timeout_s=1, max_bytes=8 << 20)
    states = [UnitState.parse("", block) for block in done.text.split("\n\n") if block.strip()]
    return [state.name for state in states if _calls_us(state)][:MAX_ASKED]


def _calls_us(state: UnitState) -> bool:
    handlers = (state.get("OnFailure") or "").split()
    called = any(name.startswith("failhook@") for name in handlers)
    return called or state.starts("failhook", "ExecStopPost")
