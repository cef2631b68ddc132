# SPDX-License-Identifier: MIT
"""Decide and hand over: the last stage of an incident.

The decision is on disk with the incident before anything of it is queued, and the queue takes each
step once under its id, so that a kill at any point ends with every step queued once. Nothing is
done here: `failhook act` and `failhook deliver` do, each in a sandbox of its own.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path

from failhook import files, hook
from failhook.config.model import Configuration, Rule
from failhook.decide import decide, look
from failhook.incident import Incident, JsonObject, Stage, State
from failhook.outcomes import Done, Entry, with_entry
from failhook.places import Places
from failhook.plan import Circumstances, Decision, Looked, Memory, Planned, planned_of
from failhook.queue import Item, Queue, QueueFull
from failhook.response import circumstances, messages, moment, unit_words
from failhook.response.ledger import Ledger
from failhook.response.moment import Moment
from failhook.response.threads import Thread, Threads
from failhook.store.incidents import Store, directory_name
from failhook.systemd import unit
from failhook.systemd.unit import UnitState

logger = logging.getLogger(__name__)
UPGRADE_S = 60.0  # a failure during a package upgrade is looked at again after so long
_SEE_THE_END = ("metrics", "wall")  # types of action that are not over when they are done
_FORGOTTEN_S = 600.0  # no hook waits so long
# And a trouble that somebody heard of: is the unit well, whoever did that? A few looks, ever later;
# what happens after the last of them is told by the unit's next stop or failure.
LOOKS_S = (60.0, 300.0, 1800.0, 7200.0, 21600.0, 86400.0)


def respond(
    store: Store,
    configuration: Configuration,
    incident: Incident,
    state: UnitState | None = None,
) -> Incident:
    """Decide about a packed incident, queue what follows, and return it as done. Raises OSError."""
    is_open = incident.decision is None or bool(incident.decision.get("again"))
    if is_open and state is None:
        state = unit.show(incident.unit, user=incident.manager == "user")
    with Ledger(store.places).locked():
        if is_open and state is not None:
            incident = _decided(store, configuration, incident, state)
        _remember(store.places, configuration, incident)
    _queue(store, configuration, incident)
    after = store.update(incident, lambda one: replace(one, stage=Stage.DONE))
    if not any(_holds(entry) for entry in after.actions):
        let_go(store.places, after)
    return after


def _decided(
    store: Store, configuration: Configuration, incident: Incident, state: UnitState
) -> Incident:
    """The incident with its decision, on disk; the thread and the limits follow it."""
    facts = _facts(store, configuration, incident, state)
    if facts.upgrading is not None and incident.state is State.OPEN:
        return _put_off(store, incident, facts)
    decision = _decision(store, configuration, incident, state, facts)
    words = unit_words.read(state)
    incident = replace(
        incident, decision={**decision.to_json(), "unit_problems": list(words.problems)}
    )
    for planned in decision.steps:
        incident = with_entry(incident, _entry(incident, planned))
    store.save(incident)
    return incident


def _facts(
    store: Store, configuration: Configuration, incident: Incident, state: UnitState
) -> Circumstances:
    thread = Threads(store.places).joined(incident)
    words = unit_words.read(state)
    return circumstances.gather(store, configuration, incident, state, thread, words)


def _decision(
    store: Store,
    configuration: Configuration,
    incident: Incident,
    state: UnitState,
    facts: Circumstances | None = None,
) -> Decision:
    """Ask `decide` with all that is known and remembered; counts this failure, once."""
    facts = facts or _facts(store, configuration, incident, state)
    threads = Threads(store.places)
    before, thread = threads.find(incident.unit, incident.manager), threads.joined(incident)
    looked = look(configuration.rules, incident, facts)
    well_s = _well_for(incident, before)
    ledger, now = Ledger(store.places), moment.now()
    memory = _memory(ledger, configuration, incident, looked, thread, (well_s, now))
    return decide(configuration, incident, looked, facts, memory)


def _remember(places: Places, configuration: Configuration, incident: Incident) -> None:
    """What the decision uses up and whom it tells, in the ledger; once for each incident."""
    if incident.decision is None or incident.decision.get("again"):
        return  # it is decided later
    steps = planned_of(incident.decision)
    _use_up(places, configuration, incident, steps)
    threads = Threads(places)
    before = threads.find(incident.unit, incident.manager)
    if before is None or incident.id not in before.recent:
        _tell_thread(threads, incident, steps)


def _use_up(
    places: Places, configuration: Configuration, incident: Incident, steps: Sequence[Planned]
) -> None:
    """What counts in a limit takes its place there."""
    ledger, now, limits = Ledger(places), moment.now(), configuration.limits
    for planned in steps:
        rate = {"restarts": limits.restarts, "reboots": limits.reboots}.get(planned.counts_as or "")
        if rate is not None and planned.counts_as and planned.state is Done.DUE:
            ledger.take(planned.counts_as, step_id(incident, planned.action), rate, now)


def _tell_thread(threads: Threads, incident: Incident, steps: Sequence[Planned]) -> None:
    """The thread has this failure in it, and knows who is told."""
    thread = threads.joined(incident)
    at = time.time()
    told = {
        one.action: messages.told_of(one, at)
        for one in steps
        if one.event is not None and one.state is not Done.LEFT_OUT
    }
    threads.save(replace(thread, told={**thread.told, **told}))


def reconsider(store: Store, configuration: Configuration, incident: Incident) -> Incident:
    """Decide once more about an incident of which more is known now: systemd gave up.

    What was done or is on its way stays; what was left out before may follow now. Raises OSError.
    """
    if incident.decision is None or incident.decision.get("again"):
        return incident
    state = unit.show(incident.unit, user=incident.manager == "user")
    with Ledger(store.places).locked():
        before = {str(entry.get("id")): entry.get("state") for entry in incident.actions}
        decision = _decision(store, configuration, incident, state)
        news = [
            one
            for one in decision.steps
            if one.state is not Done.LEFT_OUT
            and before.get(_id(incident, one), Done.LEFT_OUT) == Done.LEFT_OUT
        ]
        if not news:
            return incident
        entries = [_entry(incident, one) for one in news]
        known = [one for one in planned_of(incident.decision) if _id(incident, one) in before]
        kept = [one for one in known if _id(incident, one) not in {entry.id for entry in entries}]
        merged = replace(decision, steps=(*kept, *news)).to_json()
        incident = store.update(
            incident,
            lambda one: reduce(with_entry, entries, replace(one, decision=merged)),
        )
        _use_up(store.places, configuration, incident, news)
        _tell_thread(Threads(store.places), incident, news)
    _queue(store, configuration, incident)
    return incident


def _put_off(store: Store, incident: Incident, facts: Circumstances) -> Incident:
    """A package manager is at work: what fails then is looked at again when it is done."""
    remark = f"a package upgrade is in progress ({facts.upgrading}): decided when it is over"
    decision = Decision((), (), remark)
    before = (incident.decision or {}).get("again")
    again = before + 1 if isinstance(before, int) else 1  # how often it was put off
    incident = replace(incident, decision={**decision.to_json(), "again": again})
    store.save(incident)
    return incident


def _well_for(incident: Incident, before: Thread | None) -> float:
    """For how many seconds the unit ran well before this: in this run, or since it recovered."""
    started, exited = incident.main.started, incident.main.exited or incident.first_seen
    ran = max(0.0, exited - started) if started is not None else 0.0
    if before is None or before.recovered_at is None:
        return ran
    return max(ran, incident.first_seen - before.recovered_at)


def _memory(
    ledger: Ledger,
    configuration: Configuration,
    incident: Incident,
    looked: tuple[Looked, ...],
    thread: Thread,
    at: tuple[float, Moment],
) -> Memory:
    """What the ledger knows, with this failure counted in each ladder that speaks of it."""
    well_s, now = at
    matched = [one.rule for one in looked if one.matched]
    if any(well_s >= rule.forgive_after_s for rule in matched):
        ledger.well_again(incident)
    limits = configuration.limits
    return Memory(
        counts={rule.name: _count(ledger, rule, incident, well_s, now) for rule in matched},
        told=thread.told,
        useless=ledger.useless(incident),
        room={
            "restarts": ledger.room("restarts", limits.restarts, now),
            "reboots": ledger.room("reboots", limits.reboots, now),
        },
    )


def _count(ledger: Ledger, rule: Rule, incident: Incident, well_s: float, now: Moment) -> int:
    forgiven = well_s >= rule.forgive_after_s
    return ledger.count(rule.name, incident, rule.within_s, forgiven=forgiven, now=now)


def _entry(incident: Incident, planned: Planned) -> Entry:
    return Entry(
        id=_id(incident, planned),
        name=planned.action,
        type=planned.type,
        state=planned.state,
        detail=planned.reason,
        step=planned.step,
        event=None if planned.event is None else str(planned.event),
        before_restart=planned.before_restart,
    )


def step_id(incident: Incident, action: str) -> str:
    """The id of a step of this incident: the same after every crash."""
    return f"{incident.id}-{action}"[:80]


def _id(incident: Incident, planned: Planned) -> str:
    if planned.event is None:
        return step_id(incident, planned.action)
    return messages.item_id(incident, planned.action, planned.event)


# -- handing over -------------------------------------------------------------------------------


def _queue(store: Store, configuration: Configuration, incident: Incident) -> None:
    """Queue every entry that nobody has begun. Raises OSError."""
    decision = incident.decision or {}
    name = directory_name(incident)
    due = {entry["id"] for entry in incident.actions if entry["state"] in (Done.DUE, Done.WAITING)}
    thread = Threads(store.places).find(incident.unit, incident.manager)
    queue = Queue(store.places.due)
    queue.make()
    for planned in planned_of(decision):
        key = _id(incident, planned)
        if key not in due:
            continue
        with contextlib.suppress(QueueFull):  # which says so itself; the entry stays due
            if planned.event is not None and thread is not None:
                table = configuration.actions[planned.action]
                told = messages.of_plan(incident, thread, planned, table)
                messages.send(
                    store.places, told, not_before=planned.not_before, group=planned.group
                )
            else:
                queue.put(_item(key, name, planned))
    again = decision.get("again")
    if isinstance(again, int):
        _put_look(queue, incident, "decide", UPGRADE_S, again)
    elif incident.state is State.OPEN and thread is not None and thread.is_open and due:
        _put_look(queue, incident, "look", LOOKS_S[0], 0)


def _item(key: str, incident: str, planned: Planned) -> Item:
    return Item(
        id=key,
        action=planned.action,
        kind="step",
        incident=incident,
        created=time.time(),
        step=planned.step,
        payload={"before_restart": planned.before_restart},
    )


def look_again(places: Places, incident: Incident, number: int) -> None:
    """After the ``number``-th later look at an incident, from 0: the next one, if there is one.

    Raises OSError.
    """
    thread = Threads(places).find(incident.unit, incident.manager)
    waits = incident.state is State.OPEN and thread is not None and thread.is_open
    if waits and number + 1 < len(LOOKS_S):
        _put_look(Queue(places.due), incident, "look", LOOKS_S[number + 1], number + 1)


def _put_look(queue: Queue, incident: Incident, what: str, seconds: float, number: int) -> None:
    with contextlib.suppress(QueueFull):
        queue.put(
            Item(
                id=f"{incident.id}-{what}-{number}",
                action=what,
                kind="look",
                incident=directory_name(incident),
                created=time.time(),
                not_before=time.time() + seconds if seconds else 0.0,
                payload={"what": what, "number": number},
            )
        )


def over(places: Places, incident: Incident) -> None:
    """The incident is over: who counts it or shows it at login has to know. Raises OSError."""
    if any(entry.get("type") in _SEE_THE_END for entry in incident.actions):
        queue = Queue(places.due)
        queue.make()
        _put_look(queue, incident, "over", 0.0, 0)


# -- `failhook --wait` --------------------------------------------------------------------------


def _holds(entry: JsonObject) -> bool:
    """Systemd's restart waits for this step."""
    waiting = entry.get("state") in (Done.DUE, Done.RUNNING, Done.WAITING)
    return bool(entry.get("before_restart")) and waiting


def holds(incident: Incident) -> bool:
    """A step before the restart is not done yet."""
    return any(_holds(entry) for entry in incident.actions)


def let_go(places: Places, incident: Incident) -> None:
    """Tell the hook that waits with this run that its unit may go on."""
    if incident.invocation_id is None or not any(one.waits for one in incident.triggers):
        return
    with contextlib.suppress(OSError):
        signal = waiting_place(places) / incident.invocation_id
        signal.parent.mkdir(exist_ok=True)
        signal.parent.chmod(0o755)  # whatever the umask took away: units of others look here
        files.write(signal, b"", mode=0o644)
        for old in signal.parent.iterdir():
            if time.time() - old.stat().st_mtime > _FORGOTTEN_S:
                old.unlink(missing_ok=True)


def waiting_place(places: Places) -> Path:
    """Where a hook looks for the word to go on; everybody may see that there is a file."""
    return places.run / hook.DONE
