# SPDX-License-Identifier: MIT
"""One unit's failures, worked off one after the other in a process of their own.

A worker is busy with one unit at a time, so that one that hangs, crashes or is killed costs that
unit a second try and the others nothing. What only a worker needs is imported where it is used:
the first one of a cold runner does that itself, while the runner already listens.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from failhook import files
from failhook.config.model import Configuration
from failhook.diagnose import stage as diagnosis
from failhook.incident import Incident, Stage, State
from failhook.places import Places
from failhook.record import record
from failhook.spool import Spool
from failhook.store.incidents import BUNDLE, Store

if TYPE_CHECKING:
    from failhook.gather.lane import Crews

logger = logging.getLogger(__name__)
MAX_TRIES = 3
# A looping unit: the first few failures in full, then the newest of each batch.
FULL_IN_A_ROW = 3
_LOOP_S = 60.0


@dataclass(frozen=True, slots=True)
class Job:
    """What waits for one unit: triggers whose run is not clear, and incidents to be worked."""

    unit: str
    triggers: tuple[Path, ...] = ()
    incidents: tuple[str, ...] = ()  # directory names


def warm() -> None:
    """Import all that workers and collectors need, for a process that will fork many of them.

    Saves each of them some 100 ms of CPU.
    """
    for step in STEPS:
        step()
    diagnosis.warm()


def _warm_pipeline() -> None:
    from failhook import attribute, pipeline  # noqa: F401


def _warm_collectors() -> None:
    from failhook.collect import table

    table.warm()


# What a worker imports while it waits; between two of them it looks whether a job has come.
STEPS = (_warm_pipeline, _warm_collectors)


def run(
    places: Places,
    configuration: Configuration,
    job: Job,
    *,
    concurrency: int,
    crews: Crews | None = None,
) -> None:
    """Work a job off. Raises what one incident raises; the rest waits for the next try."""
    from failhook import pipeline

    store = Store(places)
    try:
        names = [*job.incidents, *_record(store, Spool(places), job.triggers)]
        waiting = [one for name in dict.fromkeys(names) if (one := store.load(name)) is not None]
        waiting = [one for one in waiting if one.stage is not Stage.DONE]
        waiting.sort(key=lambda one: one.first_seen)
        for position, incident in enumerate(waiting):
            newest = position == len(waiting) - 1
            with store.lock(incident) as ours:
                if ours:
                    _clear(store.directory(incident), incident)
                    how = partial(pipeline.work, concurrency=concurrency, crews=crews)
                    done = _one(store, configuration, incident, how, newest=newest)
                    _close_older(store, done)
                    say(done)
    finally:
        store.close()


def _clear(directory: Path, incident: Incident) -> None:
    """Take away what a killed worker left: half a bundle, or a whole one that nobody knows of."""
    files.sweep_temporaries(directory)
    if incident.bundle is None:
        (directory / BUNDLE).unlink(missing_ok=True)


def _record(store: Store, spool: Spool, triggers: Sequence[Path]) -> list[str]:
    """Name the runs that unclear triggers speak of and record them; returns directory names."""
    names: list[str] = []
    if not triggers:
        return names
    from failhook import attribute

    for path in triggers:
        read = spool.read(path)
        if read is None:
            continue
        if not attribute.is_proven(read[0]):
            logger.warning("refused a report of uid %d for %s", read[0].uid, read[0].unit)
            spool.done(path)
            continue
        for trigger in attribute.resolve(store, read[0]):
            incident = record(store, trigger, read[1])
            names.append(store.directory(incident).name)
        spool.done(path)
    return names


def _one(
    store: Store,
    configuration: Configuration,
    incident: Incident,
    work: Callable[[Store, Configuration, Incident], Incident],
    *,
    newest: bool,
) -> Incident:
    from failhook import pipeline

    if incident.stage is Stage.PACKED:
        return pipeline.answer(store, configuration, incident)
    if incident.tries >= MAX_TRIES:
        reason = f"collecting failed {MAX_TRIES} times"
        return pipeline.give_up(store, configuration, incident, reason)
    if not newest and (like := _same_before(store, incident)) is not None:
        return pipeline.fold(store, configuration, incident, like)
    return work(store, configuration, incident)


def _same_before(store: Store, incident: Incident) -> Incident | None:
    """The evidence that already stands for this repeat, if the unit is looping."""
    rows = store.rows(
        "unit = ? AND at > ? AND at < ? AND stage = 'done' AND bytes > 0",
        (incident.unit, incident.first_seen - _LOOP_S, incident.first_seen),
        FULL_IN_A_ROW,
    )
    if len(rows) < FULL_IN_A_ROW:
        return None
    like = store.load(rows[0].name)
    if like is None or _ending(like) != _ending(incident):
        return None
    return like


def _ending(incident: Incident) -> tuple[str | None, ...]:
    return (incident.result, incident.exit_code, incident.exit_status)


def _close_older(store: Store, incident: Incident) -> None:
    """The newest failure of a unit is the one that waits for its recovery."""
    older = store.rows(
        "state = 'open' AND unit = ? AND at < ? AND stage = 'done'",
        (incident.unit, incident.first_seen),
    )
    for row in older:
        found = store.load(row.name)
        if found is not None:
            with contextlib.suppress(OSError):
                store.update(found, _closed)


def _closed(incident: Incident) -> Incident:
    return replace(incident, state=State.CLOSED) if incident.state is State.OPEN else incident


def say(incident: Incident) -> None:
    """One line in the journal per incident; a repeat in a loop is counted, not repeated."""
    sentence = incident.verdict.summary if incident.verdict else incident.unit
    repeat = incident.bundle is None and incident.count > FULL_IN_A_ROW
    level = logging.INFO if repeat else logging.WARNING
    logger.log(level, "%s (failhook show %s)", sentence, incident.id)
    for problem in incident.problems if not repeat else ():
        logger.error("%s: %s", incident.id, problem)
