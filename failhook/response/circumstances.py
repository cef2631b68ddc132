# SPDX-License-Identifier: MIT
"""What the decision needs to know of the machine and of the other units.

Asked only where a rule makes it matter.
"""

from __future__ import annotations

import datetime
import os
import platform
import time
from collections.abc import Collection, Iterator, Mapping

from failhook import proc
from failhook.actions.table import BUILT_IN, Traits
from failhook.classify import timestamp
from failhook.config.model import Configuration, Quiet
from failhook.incident import Incident, Phase
from failhook.places import Places
from failhook.plan import Circumstances
from failhook.response.ledger import Ledger
from failhook.response.threads import Thread
from failhook.response.unit_words import UnitWords
from failhook.store.incidents import Store
from failhook.systemd import unit, upgrade
from failhook.systemd.unit import UnitState

_VICTIM_S = 120.0  # a dependency that failed so shortly before is the root
_TOGETHER_S = 2.0  # a start this close to its timer's elapse was the timer's
_ON_WHOM = ("Requires", "Requisite", "BindsTo", "PartOf")
_WHOSE = ("RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf")


def gather(
    store: Store,
    configuration: Configuration,
    incident: Incident,
    state: UnitState,
    thread: Thread,
    words: UnitWords,
) -> Circumstances:
    """All of it, for one incident. Raises OSError and StoreError as the history does."""
    now = time.time()
    ledger = Ledger(store.places)
    rules = configuration.rules
    victim = _victim_of(store, incident, state)
    return Circumstances(
        now=now,
        host=host_facts({fact for rule in rules for fact, _ in rule.host}),
        started=started_by(incident, state) if any(rule.started for rule in rules) else None,
        upgrading=upgrade.in_progress(),
        paused=paused_text(ledger, now),
        muted=muted_text(ledger, incident, now),
        acked=thread.acked,
        cascade=_cascade(store, configuration, incident, state),
        victim_of=victim,
        quiet_until=quiet_until(configuration.quiet, now),
        unit_rules=words.rules,
        unit_steps=words.steps,
        traits=traits_of(store.places, configuration),
    )


def traits_of(places: Places, configuration: Configuration) -> Mapping[str, Traits]:
    """What the plan has to know of each type of action; plugins are asked where one is used."""
    others = {one.type for one in configuration.actions.values()} - BUILT_IN.keys()
    if not others:
        return BUILT_IN
    from failhook.plugins import find  # nobody else pays for it

    found = {name: find.traits(places, configuration, name) for name in others}
    return {**BUILT_IN, **{name: one for name, one in found.items() if one is not None}}


# -- other units --------------------------------------------------------------------------------


def _victim_of(store: Store, incident: Incident, state: UnitState) -> str | None:
    """The unit that this one needs, which failed just before and has its own incident."""
    if incident.phase is not Phase.DEPENDENCY:
        return None
    needed = {name for key in _ON_WHOM for name in (state.get(key) or "").split()}
    since = incident.first_seen - _VICTIM_S
    for row in store.rows("at > ? AND at <= ?", (since, incident.first_seen + 1.0), 500):
        if row.unit in needed and row.unit != incident.unit:
            return f"{row.unit} ({row.id})"
    return None


def _cascade(
    store: Store, configuration: Configuration, incident: Incident, state: UnitState
) -> str | None:
    """So many units failed at once that only their root is acted upon."""
    brake = configuration.limits.brake
    span = (incident.first_seen - brake.within_s, incident.first_seen)
    failing = store.ask(lambda index: index.units("at > ? AND at <= ?", span))
    if len(failing) <= brake.count:
        return None
    theirs = {name for key in _WHOSE for name in (state.get(key) or "").split()}
    if theirs & set(failing) and incident.phase is not Phase.DEPENDENCY:
        return None  # others failed because of it: it is the one to act upon
    return f"{len(failing)} units failed within {brake.within_s:.0f} s"


# -- people -------------------------------------------------------------------------------------


def paused_text(ledger: Ledger, now: float) -> str | None:
    """Why nothing is done now, and until when."""
    pause = ledger.paused(now)
    if pause is None:
        return None
    until = pause.get("until")
    end = f", until {_local(float(until))}" if isinstance(until, int | float) else ""
    return f"{pause.get('reason') or 'no reason given'}{end}"


def muted_text(ledger: Ledger, incident: Incident, now: float) -> str | None:
    """Which mute means this incident, why, and until when."""
    for one in ledger.mutes(now):
        if one.covers(incident, now):
            end = f", until {_local(one.until)}" if one.until is not None else ""
            return f"{one.what}{f', {one.reason}' if one.reason else ''}{end}"
    return None


def quiet_until(quiet: Quiet, now: float) -> float | None:
    """When the quiet hours end that ``now`` is in; None outside of them. Local time, as people
    mean it: a day has 23 or 25 hours now and then."""
    local = datetime.datetime.fromtimestamp(now).astimezone()
    minute = local.hour * 60 + local.minute
    for start, end in quiet.spans:
        over_midnight = start > end
        if over_midnight and minute < end:  # it began yesterday
            began = local.date() - datetime.timedelta(days=1)
            ends = local.date()
        elif minute >= start and (over_midnight or minute < end):
            began = local.date()
            ends = began + datetime.timedelta(days=over_midnight)
        else:
            continue
        if began.weekday() in quiet.days:
            midnight = datetime.datetime.combine(ends, datetime.time())
            return (midnight + datetime.timedelta(minutes=end)).astimezone().timestamp()
    return None


def _local(at: float) -> str:
    return datetime.datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")


# -- the machine --------------------------------------------------------------------------------


def host_facts(wanted: Collection[str]) -> dict[str, str]:
    """What rules may ask of the machine (`config.rules.FACTS`), as far as it is wanted."""
    if not wanted:
        return {}
    known = os.uname()
    release = platform.freedesktop_os_release() if wanted & {"os", "os_version"} else {}  # type: ignore[operator]
    facts = {
        "name": known.nodename,
        "kernel": known.release,
        "architecture": known.machine,
        "os": release.get("ID", "unknown"),
        "os_version": release.get("VERSION_ID", "unknown"),
    }
    if "virtualization" in wanted:
        # "none" and status 1 on bare metal: systemd-detect-virt(1)
        facts["virtualization"] = proc.run(["systemd-detect-virt"], timeout_s=3.0).text.strip()
    return facts


def started_by(incident: Incident, state: UnitState) -> str | None:
    """How this run was started: "timer", "path", "socket", "restart", "boot" or "hand".

    systemd says it from 252 on (TRIGGER_UNIT, systemd.exec(5)); before, a timer is known by when it
    elapsed. None where nothing of it is known.
    """
    trigger = incident.trigger_unit
    if trigger is not None:
        return trigger.rpartition(".")[2]
    if incident.attempt is not None and incident.attempt > 1:
        return "restart"
    started = incident.main.started
    if started is None:
        return None
    for kind, last in _elapsed(state, user=incident.manager == "user"):
        if abs(started - last) <= _TOGETHER_S:
            return kind
    return "boot" if started <= (_boot_finished(user=incident.manager == "user") or 0) else "hand"


def _elapsed(state: UnitState, *, user: bool) -> Iterator[tuple[str, float]]:
    """When the units that trigger this one did so last."""
    names = [name for name in (state.get("TriggeredBy") or "").split() if name]
    found = unit.show_many(names, ("LastTriggerUSec", "ActiveEnterTimestamp"), user=user)
    for name, one in found.items():
        if (at := timestamp(one.get("LastTriggerUSec"))) is not None:
            yield name.rpartition(".")[2], at


def _boot_finished(*, user: bool) -> float | None:
    """When the manager was done with its first transaction."""
    scope = ["--user"] if user else []
    argv = ["systemctl", *scope, "show", "--timestamp=us+utc", "-p", "FinishTimestamp", "--value"]
    return timestamp(proc.run(argv, timeout_s=3.0).text.strip())
