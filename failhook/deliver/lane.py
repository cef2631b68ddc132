# SPDX-License-Identifier: MIT
"""One destination's queue, worked from its oldest item on, in a process of its own.

What fails holds up what comes after it, because they are told in order; a message that the
destination refuses while it takes others steps aside. Whoever works a queue holds the destination
(`Queue.hold`), so that an old process and its successor cannot mix up the order.

What became of a try is written down before the next one begins. On a full disk that is waited for:
a message that was taken must not be told every few seconds because nobody could remember it.
"""

from __future__ import annotations

import contextlib
import logging
import math
import random
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from failhook.action import Outcome
from failhook.config.model import ActionTable
from failhook.deliver import attempt, destination, room, schedule
from failhook.deliver.parcel import Parcel, pack
from failhook.deliver.record import Record, Result
from failhook.incident import JsonObject, rfc3339
from failhook.outcomes import Done
from failhook.places import Places
from failhook.queue import Item, Queue, name_of

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
ABOUT_MESSAGE = "message"  # in Outcome.data["about"]: refused, while others would be taken


@dataclass(frozen=True, slots=True)
class _Tried:
    """How one try went, and when it was."""

    outcome: Outcome
    started: float  # Unix seconds
    took_s: float = 0.0

    def result(self, state: Done, *, until: float | None = None) -> Result:
        """As it is written down."""
        data: JsonObject = {
            key: value
            for key, value in self.outcome.data.items()
            if key != "about" and isinstance(value, str | int | float | bool)
        }
        if until is not None:
            data["until"] = rfc3339(until)
        took_ms = round(self.took_s * 1000)
        return Result(state, self.outcome.detail, self.started, took_ms, data or None)


class Lane:
    """Works the queue of ``table``.

    ``begin`` is told of each try: its item and how many seconds it may take ("-" and no limit while
    nothing is tried).
    """

    def __init__(
        self,
        places: Places,
        table: ActionTable,
        find: attempt.Find,
        *,
        begin: Callable[[Path, float], None] = lambda *_: None,
        stop: int | None = None,
    ) -> None:
        """``stop`` is a descriptor that becomes readable when this is to end. Only with one is room
        on the disk waited for: who has none has other things to do."""
        self._places = places
        self._table = table
        self._find = find
        self._begin = begin
        self._stop = stop
        self._queue = Queue(places.outbox)
        self._record = Record(places)
        self._state = destination.load(places, table.name)
        self._was_due = True

    def run(self) -> bool:
        """Work until nothing is due or the destination has to be left alone for a while.

        False: somebody else is at it. Raises OSError (a full disk, when asked to stop or before
        the first try).
        """
        with contextlib.closing(self._record), self._queue.hold(_word(self._table)) as is_ours:
            if is_ours:
                self._state = destination.load(self._places, self._table.name)
                self._work()
            return is_ours

    def failed_outside(self, path: Path, reason: str) -> None:
        """A process ended in the middle of the try of ``path``: that is a failed try."""
        with contextlib.closing(self._record), self._queue.hold(_word(self._table)) as is_ours:
            parcel = pack(self._queue, path, self._state.composed) if is_ours else None
            if parcel is not None:
                self._was_due = self._state.until <= time.time()
                self._failed(parcel, _Tried(Outcome(False, reason), time.time()))

    def leave_out(self, paths: Sequence[Path], reason: str) -> None:
        """Not even tried: given up at once, with the reason. Raises OSError."""
        with contextlib.closing(self._record):
            for path in paths:
                item = self._queue.read(path)
                if item is not None:
                    result = _left_out(reason)
                    self._write(self._record.note, item, self._table, item.attempts, result)
                    with contextlib.suppress(FileNotFoundError):
                        self._write(self._queue.bury, path, item)

    def _work(self) -> None:
        while not self._is_stopped(0.0):
            paths = self._due()
            if not paths:
                return
            for path in paths:
                if not self._one(path):
                    break
                if self._is_stopped(0.0):
                    return
            # At a failure: a short pause is waited for here, a long one by nobody.
            pause_s = self._state.until - time.time()
            self._begin(Path("-"), math.inf)
            if pause_s > schedule.IN_PROCESS_S or self._is_stopped(pause_s):
                return

    def _is_stopped(self, wait_s: float) -> bool:
        wait_s = max(0.0, wait_s + 0.02) if wait_s > 0 else 0.0  # never awake before the time
        if self._stop is None:
            time.sleep(wait_s)
            return False
        return bool(select.select([self._stop], [], [], wait_s)[0])

    # -- which ----------------------------------------------------------------------------------

    def _due(self) -> list[Path]:
        """What is due in order; of a destination that waits, its head first and alone."""
        due = self._ours(self._queue.waiting())
        self._was_due = self._state.until <= time.time()
        held = self._held()
        if not held:
            return due
        head = min((*held, *due), key=_sequence)
        if head in held:
            try:
                head = self._queue.postpone(head, 0.0)
            except FileNotFoundError:  # the timer was quicker: it is in now/
                return self._ours(self._queue.waiting())[:1]
        return [head]

    def _held(self) -> list[Path]:
        """What was put off with the whole destination and is not due by itself."""
        if not self._state.until:
            return []
        due = math.ceil(self._state.until)
        later = self._ours(self._queue.later())
        return [path for path in later if (name := name_of(path)) and name.due == due]

    def _ours(self, paths: Sequence[Path]) -> list[Path]:
        named = [(name_of(path), path) for path in paths]
        return [path for name, path in named if name and name.action == self._table.name]

    # -- one ------------------------------------------------------------------------------------

    def _one(self, path: Path) -> bool:
        """Deliver it. False: look again before the next one, for the order may have changed."""
        with self._queue.claim(path) as is_ours:
            if not is_ours:
                return True
            parcel = pack(self._queue, path, self._state.composed)
            if parcel is None:
                return True
            self._compose(parcel)
            if self._table.type not in attempt.OURS:
                self._record.close()  # an SQLite connection must not cross a fork
            self._begin(path, attempt.longest_s(self._table, self._find))
            started, began = time.time(), time.monotonic()
            what = attempt.Try(parcel.message, parcel.items[0][1].incident, parcel.attempts + 1)
            outcome = attempt.attempt(self._places, self._table, self._find, what)
            tried = _Tried(outcome, started, time.monotonic() - began)
            return self._done(parcel, tried) if outcome.ok else self._failed(parcel, tried)

    def _compose(self, parcel: Parcel) -> None:
        """Remember what a digest is made of before it is tried: then a repeat has the same id."""
        if parcel.group is None or self._state.composed.get(parcel.group) == parcel.ids:
            return
        composed = {**self._state.composed, parcel.group: parcel.ids}
        self._save(replace(self._state, composed=composed))

    def _done(self, parcel: Parcel, tried: _Tried) -> bool:
        state = Done.DRY_RUN if self._table.dry_run else Done.DONE
        for path, item in parcel.items:
            # Written down before it leaves the queue: a kill in between delivers it once more.
            result = tried.result(state)
            self._write(self._record.note, item, self._table, parcel.attempts + 1, result)
            self._write(self._queue.done, path)
        return self._answered(parcel)

    def _answered(self, parcel: Parcel) -> bool:
        """The destination is there: what was held up by it is due. False: and there was some."""
        held = self._held()
        composed = dict(self._state.composed)
        composed.pop(parcel.group or "", None)
        self._save(replace(self._state.answered(), composed=composed))
        if held:
            self._write(self._queue.postpone_all, held, 0.0)
        return not held and len(parcel.items) == 1

    def _save(self, state: destination.Destination) -> None:
        if state != self._state:
            self._write(destination.save, self._places, state)
        self._state = state

    def _write(self, do: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """What has to be on the disk before anything else is done; where that is full, as soon as
        there is room. Raises OSError where that is not waited for, and for all else."""
        is_told = False
        while True:
            try:
                return do(*args, **named)
            except OSError as error:
                if self._stop is None or not room.is_lack(error):
                    raise
                if not is_told:
                    logger.error("%s: %s", self._table.name, room.told(error, self._places.state))
                is_told = True
                self._begin(Path("-"), math.inf)  # the try is over: its limit is as well
                if self._is_stopped(room.AGAIN_S):
                    raise

    # -- a failure ------------------------------------------------------------------------------

    def _failed(self, parcel: Parcel, tried: _Tried) -> bool:
        if tried.outcome.gone:
            return self._gone(parcel, tried)
        if tried.outcome.final:
            self._give_up(parcel, tried)
            return self._answered(parcel)
        if tried.outcome.data.get("about") == ABOUT_MESSAGE:
            return self._step_aside(parcel, tried)
        return self._put_off(parcel, tried)

    def _gone(self, parcel: Parcel, tried: _Tried) -> bool:
        """It wants nothing any more, until somebody changes its configuration or says retry."""
        self._give_up(parcel, tried)
        mark = destination.fingerprint(self._table)
        reason = tried.outcome.detail
        self._save(replace(self._state.answered(), gone=mark, reason=reason, composed={}))
        self.leave_out(self._ours(self._queue.waiting()), reason)
        return False

    def _give_up(self, parcel: Parcel, tried: _Tried) -> None:
        for path, item in parcel.items:
            self._bury(path, replace(item, attempts=parcel.attempts + 1), tried)

    def _bury(self, path: Path, item: Item, tried: _Tried) -> None:
        result = tried.result(Done.FAILED)
        self._write(self._record.note, item, self._table, item.attempts, result)
        with contextlib.suppress(FileNotFoundError):  # a person was quicker
            self._write(self._queue.bury, path, item)

    def _step_aside(self, parcel: Parcel, tried: _Tried) -> bool:
        """It is refused and the next one may not be: on a schedule of its own from here on."""
        attempts = parcel.attempts + 1
        if attempts >= schedule.tries(self._table.retries):
            self._give_up(parcel, tried)
            return self._answered(parcel)
        pause = schedule.delay_s(attempts, tried.outcome.retry_after_s, random.random())  # noqa: S311
        until = time.time() + pause
        self._note_waiting(parcel, tried, until, due=until)
        return self._answered(parcel)

    def _put_off(self, parcel: Parcel, tried: _Tried) -> bool:
        """The whole destination waits; what has waited for it for three days is given up."""
        now, before = time.time(), self._state
        failures, until, asked = before.failures, before.until, tried.outcome.retry_after_s
        if self._was_due or not failures:  # else something new had it tried before its time
            failures += 1
            until = now + schedule.delay_s(failures, asked, random.random())  # noqa: S311
        elif asked is not None:
            until = max(until, now + min(asked, schedule.LONGEST_S))
        state = replace(before, failures=failures, tried=now, until=until)
        self._save(replace(state, reason=tried.outcome.detail))
        if schedule.is_over(failures, now - _since(parcel.items[0][1]), self._table.retries):
            self._give_up(parcel, tried)
            self._give_up_older(now, tried)
        else:
            self._note_waiting(parcel, tried, until, due=0.0)
        if until - now > schedule.IN_PROCESS_S:
            self._write(self._queue.postpone_all, self._ours(self._queue.waiting()), until)
        return False

    def _note_waiting(self, parcel: Parcel, tried: _Tried, until: float, *, due: float) -> None:
        result = tried.result(Done.WAITING, until=until)
        for path, item in parcel.items:
            again = replace(item, attempts=parcel.attempts + 1)
            with contextlib.suppress(FileNotFoundError):
                self._write(self._queue.replace, path, again, due=due)
            self._write(self._record.note, again, self._table, again.attempts, result)

    def _give_up_older(self, now: float, tried: _Tried) -> None:
        """Those that wait as long as the one that was just given up, untried: nobody answered."""
        whole_s = schedule.whole_s(self._table.retries)
        old = [
            path
            for path in self._ours([*self._queue.waiting(), *self._queue.later()])
            if now - _sequence(path) / 1e9 >= whole_s
        ]
        self._write(self._queue.postpone_all, old, 0.0)  # only what is in now/ may be written
        for path in self._ours(self._queue.waiting()):
            if now - _sequence(path) / 1e9 < whole_s:
                continue
            item = self._queue.read(path)
            if item is not None and now - _since(item) >= whole_s:
                self._bury(path, item, tried)


def _word(table: ActionTable) -> str:
    return f"destination {table.name}"


def _since(item: Item) -> float:
    """Since when it could have been delivered."""
    return max(item.created, item.not_before)


def _sequence(path: Path) -> int:
    name = name_of(path)
    return name.sequence if name is not None else 0


def _left_out(reason: str) -> Result:
    return Result(Done.LEFT_OUT, f"left out: {reason}")
