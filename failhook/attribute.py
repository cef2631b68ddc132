# SPDX-License-Identifier: MIT
"""Which run does a trigger speak of, where it does not say so itself; and which ones did none tell?

The answer is triggers again, each naming its run (or none, where nothing ran), for `record`.
"""

from __future__ import annotations

from dataclasses import replace

from failhook.store.incidents import Store
from failhook.systemd import history, unit
from failhook.systemd.unit import UnitState
from failhook.trigger import Kind, Trigger

# An OnFailure= start job is spawned at once; a run that failed longer ago is not what it means.
_FRESH_S = 30.0


def resolve(store: Store, trigger: Trigger) -> list[Trigger]:
    """The same trigger with its run named, after those of failed runs that nobody told of."""
    state = unit.show(trigger.unit, user=trigger.user)
    runs = history.failed_runs(trigger.unit, trigger.boot_id, user=trigger.user)
    own = _named(trigger, state, runs)
    missed = _missed(store, own, state, runs)
    if own.invocation_id is None and own.result == "success" and missed:
        return missed  # a restart overtook the handler: what it meant is among these
    return [*missed, own]


def is_proven(trigger: Trigger) -> bool:
    """Did whoever sent it run in the unit? Only asked where that could not be seen at once."""
    if not trigger.unproven:
        return True
    run = trigger.invocation_id
    return run is not None and history.ran_as(trigger.unit, trigger.boot_id, run, trigger.uid)


def _named(trigger: Trigger, state: UnitState, runs: list[history.FailedRun]) -> Trigger:
    if trigger.invocation_id is not None and trigger.result not in (None, "success"):
        return trigger
    result = state.get("Result")
    if trigger.result is None and result not in (None, "success"):
        # not a service, or a manager without MONITOR_*: the unit still is as it failed
        return replace(trigger, invocation_id=state.get("InvocationID"), result=result)
    recent = [run for run in runs if trigger.realtime - run.at < _FRESH_S]
    failed_now = recent and state.get("ActiveState") != "inactive"
    if failed_now:
        return _with_run(trigger, recent[-1])
    return replace(trigger, invocation_id=None, result="success")


def _with_run(trigger: Trigger, run: history.FailedRun) -> Trigger:
    return replace(
        trigger,
        invocation_id=run.invocation_id,
        result=run.result,
        exit_code=run.exit_code,
        exit_status=run.exit_status,
    )


def _missed(
    store: Store, own: Trigger, state: UnitState, runs: list[history.FailedRun]
) -> list[Trigger]:
    """Failed runs of this chain of restarts that have no incident yet, oldest first."""
    rows = store.rows("unit = ?", (own.unit,), 200)
    known = {str(row.parsed().get("invocation_id")) for row in rows}
    restarts = state.number("NRestarts") or 0
    newest = max((row.at for row in rows), default=None)
    chain = runs[-(restarts + 1) :]
    if newest is not None:
        chain = [run for run in runs if run.at > newest - _FRESH_S]
    return [
        replace(
            _with_run(own, run),
            id=f"{own.id}+{run.invocation_id[:8]}",
            kind=Kind.JOURNAL,
            realtime=run.at,
            cgroup_path=None,
        )
        for run in chain
        if run.invocation_id not in known
        and run.invocation_id != own.invocation_id
        and run.at <= own.realtime + _FRESH_S
    ]
