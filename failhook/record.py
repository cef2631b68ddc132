# SPDX-License-Identifier: MIT
"""From triggers to incidents: one per failed run, whichever and however many triggers came.

A trigger that names its run is recorded at once. One that does not is asked about first, because
``MONITOR_*`` speaks of the unit as it is when the handler is spawned, which may be a later run
(service.c, service_get_triggering_service); and because systemd before 254 calls OnFailure= once
for all restarts, and newer ones lose a call when the handler is still busy, the journal is asked
for failed runs that nobody told of. So both models give the same incidents.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace

from failhook import files
from failhook.incident import Incident, Phase, State, TriggerNote, incident_id
from failhook.store.incidents import HOOK, Store
from failhook.trigger import Kind, Trigger


def is_plain(trigger: Trigger) -> bool:
    """It names the run that failed: no question is open before it can be recorded."""
    return trigger.invocation_id is not None and trigger.result not in (None, "success")


def record(store: Store, trigger: Trigger, raw: bytes | None = None) -> Incident:
    """Create the incident of this trigger's run, or add the trigger to it. Raises OSError.

    Safe to repeat: a trigger that is known already changes nothing. ``raw`` is kept beside the
    incident until the bundle is packed, where the hook saw more than the environment.
    """
    by_hand = trigger.kind is Kind.MANUAL  # never mixed with what was collected at the failure
    run = trigger.id if by_hand else trigger.invocation_id or trigger.id
    key = incident_id(trigger.boot_id, trigger.unit, run)
    with store.recording():
        known = store.by_id(key)
        if known is None:
            fresh = _fresh(key, trigger)
            store.create(fresh, raw if trigger.cgroup_path else None)
            return fresh
    if raw is not None and trigger.cgroup_path and known.bundle is None:
        with contextlib.suppress(OSError):
            files.write(store.directory(known) / HOOK, raw)
    return store.update(known, lambda one: _merged(one, trigger))


def _fresh(key: str, trigger: Trigger) -> Incident:
    return Incident(
        id=key,
        host=os.uname().nodename,
        boot_id=trigger.boot_id,
        unit=trigger.unit,
        first_seen=trigger.realtime,
        last_seen=trigger.realtime,
        manager=trigger.manager,
        invocation_id=trigger.invocation_id,
        triggers=(_note(trigger),),
        result=_failure(trigger.result),
        exit_code=trigger.exit_code,
        exit_status=trigger.exit_status,
        trigger_unit=trigger.trigger_unit,
        phase=Phase.SHUTDOWN if trigger.during_shutdown else Phase.UNKNOWN,
        state=State.CLOSED if trigger.kind is Kind.MANUAL else State.OPEN,
    )


def _merged(known: Incident, trigger: Trigger) -> Incident:
    if any(note.id == trigger.id for note in known.triggers):
        return known
    return replace(
        known,
        triggers=(*known.triggers, _note(trigger))[:32],
        last_seen=max(known.last_seen, trigger.realtime),
        result=known.result or _failure(trigger.result),
        exit_code=known.exit_code or trigger.exit_code,
        exit_status=known.exit_status or trigger.exit_status,
        trigger_unit=known.trigger_unit or trigger.trigger_unit,
    )


def _note(trigger: Trigger) -> TriggerNote:
    return TriggerNote(trigger.id, trigger.kind, trigger.realtime, trigger.result, trigger.waits)


def _failure(result: str | None) -> str | None:
    """A result that says failure; "success" in a handler means: not known from here."""
    return None if result == "success" else result


def recovered(store: Store, unit: str, at: float) -> list[Incident]:
    """Every open incident of ``unit`` from before ``at`` is over: it ran, and ended well."""
    done = []
    for row in store.rows("state = 'open' AND unit = ? AND at < ?", (unit, at)):
        incident = store.load(row.name)
        if incident is not None and incident.state is State.OPEN:
            done.append(store.update(incident, lambda one: _recovered(one, at)))
    return done


def _recovered(incident: Incident, at: float) -> Incident:
    if incident.state is not State.OPEN:
        return incident
    return replace(incident, state=State.RECOVERED, recovered_at=at)
