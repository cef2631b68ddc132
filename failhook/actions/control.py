# SPDX-License-Identifier: MIT
"""Starting and stopping units for a rule, never against a person and never against systemd itself.

Before anything is asked of systemd, the unit is looked at: is a stop queued, did somebody stop it
since the failure, does systemd restart it anyway, does it run again already? The same once more
after a delay, and while it passes every job that ends is heard of (`failhook.systemd.jobs`): a stop
of a failed unit leaves no other trace. Jobs are queued with ``--job-mode=fail``: where one of
somebody else's is in the way, theirs stays and ours is refused (systemctl(1)).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failhook import proc
from failhook.plugin import Incident, Outcome, Request, done, failed
from failhook.systemd import history, jobs
from failhook.systemd import unit as units
from failhook.systemd.unit import UnitState

PROPERTIES = (
    *("LoadState", "LoadError", "ActiveState", "SubState", "Result", "InvocationID", "NRestarts"),
    *("UnitFileState", "Type", "ControlGroup", "ConditionResult", "CollectMode"),
    *("ExecMainCode", "ExecMainStatus", "StatusText", "RequiredBy", "BoundBy", "ConsistsOf"),
    *("ActiveExitTimestamp", "Restart", "ConditionTimestamp", "After"),
)
_STOPPED = "9d1aaa27d60140bd96365438aad20286"  # MESSAGE_ID of "Stopped …" (sd-messages.h)
_SETTLE_S = 10.0
# Of v2, of v2 beside v1, of systemd's own v1 hierarchy (cgroups(7)).
_CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")
POLL_S = (0.1, 0.5)  # the first looks come quickly, the later ones less so
_MAKES_INACTIVE = ("reset-failed", "stop")  # steps of ours after which a unit is "inactive"


@dataclass(frozen=True, slots=True)
class Sight:
    """A unit at one moment, with what is queued for it."""

    state: UnitState
    job: str | None = None  # type of its queued job: start, stop, restart, …
    manager: str = "running"

    @property
    def active(self) -> str:
        """ActiveState."""
        return self.state.get("ActiveState") or "unknown"

    @property
    def waits_for_restart(self) -> bool:
        """systemd has scheduled its restart (auto-restart, from 254 also auto-restart-queued)."""
        return (self.state.get("SubState") or "").startswith("auto-restart")

    @property
    def runs(self) -> bool:
        """Up; reloading counts."""
        return self.active in ("active", "reloading", "refreshing")


def left_alone(why: str) -> Outcome:
    """Nothing was done, on purpose."""
    return done(f"left alone: {why}", left_out=True)


def look(unit: str, *, user: bool, manager: bool = True) -> Sight:
    """Ask systemd. What it does not answer is unknown; without ``manager`` it counts as running.

    The jobs come first: a state that is asked for after a job was gone is the one it led to.
    """
    mine = [one.type for one in jobs.queued(user=user) if one.unit == unit]
    shown = units.show_many([unit], PROPERTIES, user=user)
    state = shown.get(unit) or UnitState(unit, {})
    running = units.manager_state(user=user) if manager else "running"
    return Sight(state, mine[0] if mine else None, running)


def settled(unit: str, *, user: bool, within_s: float = _SETTLE_S) -> Sight:
    """As `look`, but not while the failed run is still being cleared away (stop-post and the like),
    unless somebody's job does that."""
    until = time.monotonic() + within_s
    while True:
        sight = look(unit, user=user)
        if sight.active != "deactivating" or sight.job or time.monotonic() > until:
            return sight
        time.sleep(POLL_S[0])


def objection(sight: Sight, unit: str) -> Outcome | None:  # noqa: PLR0911 - a list of reasons
    """What speaks against touching this unit at all."""
    state = sight.state
    if not state.properties:
        return failed(f"systemd does not answer about {unit}")
    if sight.manager == "stopping":
        return left_alone("the machine is going down")
    if sight.manager == "maintenance":
        return left_alone("the machine is in rescue or emergency mode")
    load = state.get("LoadState")
    if load == "masked" or (state.get("UnitFileState") or "").startswith("masked"):
        return left_alone(f"{unit} is masked")
    if load == "not-found":
        return failed(f"systemd knows no unit {unit}", final=True)
    if load != "loaded":
        return failed(f"{unit} cannot be used: {state.get('LoadError') or load}", final=True)
    if sight.job == "stop":
        return left_alone(f"somebody stops {unit}: a stop job is queued")
    return None


def may_start(  # noqa: PLR0911 - a list of reasons
    request: Request[Any], sight: Sight, unit: str, *, again: bool
) -> Outcome | None:
    """What speaks against starting ``unit`` now; ``again``: a restart, which a unit that is down on
    purpose does not get. None: go on."""
    incident = request.incident
    own = unit == incident.unit
    if (no := objection(sight, unit)) is not None:
        return no
    if sight.job is not None and sight.job in ("start", "restart", "try-restart"):
        return left_alone(f"somebody starts {unit} already: a {sight.job} job is queued")
    if sight.waits_for_restart:
        return left_alone(
            f"systemd restarts {unit} itself (Restart={sight.state.get('Restart') or 'yes'})"
        )
    if sight.active == "deactivating":
        return failed(f"{unit} is still being stopped")
    if own and _is_newer(sight.state, incident):
        if sight.runs:
            return done(f"{unit} is well already: it was started again", helped=True, already=True)
        if sight.active == "activating":
            return left_alone(f"{unit} is being started again already")
    if sight.runs and not again:
        return done(f"{unit} runs already", helped=True, already=True)
    if sight.active == "inactive":
        return _why_inactive(request, sight, unit, again=again)
    return None


def may_stop(request: Request[Any], sight: Sight, unit: str) -> Outcome | None:
    """What speaks against stopping ``unit`` now. None: go on."""
    if (no := objection(sight, unit)) is not None:
        return no
    if sight.active in ("inactive", "failed"):
        return done(f"{unit} is stopped already")
    started_anew = sight.runs and sight.state.number("NRestarts") == 0
    if unit == request.incident.unit and started_anew and _is_newer(sight.state, request.incident):
        return left_alone(f"{unit} was started anew since, and not by Restart=")
    return None


def _is_newer(state: UnitState, incident: Incident) -> bool:
    """This is another run than the one that failed."""
    current = state.get("InvocationID")
    return current is not None and current != incident.invocation_id


def _why_inactive(request: Request[Any], sight: Sight, unit: str, *, again: bool) -> Outcome | None:
    """A unit that failed is "failed"; "inactive" has a reason, and often that is a person."""
    incident = request.incident
    if unit != incident.unit:
        if not again:
            return None
        return left_alone(f"{unit} does not run and did not fail; a restart would start it")
    if incident.invocation_id is None:
        return None  # it never ran: a dependency failed, or the time of its job was over
    if any(
        one.get("type") in _MAKES_INACTIVE and one.get("state") == "done"
        for one in incident.actions
    ):
        return None  # a step before this one
    moment = stopped_since(incident, user=request.user)
    if moment is None and sight.state.get("CollectMode") == "inactive-or-failed":
        return None  # systemd forgets such a unit as soon as it has failed
    at = f" at {time.strftime('%H:%M:%S', time.localtime(moment))}" if moment else ""
    return left_alone(f"{unit} was stopped by somebody since{at}")


def stopped_since(incident: Incident, *, user: bool) -> float | None:
    """When the manager says that it carried out a stop job of this unit after the failure."""
    lines = history.lines_about(
        incident.unit, incident.boot_id, user=user, matches=(f"MESSAGE_ID={_STOPPED}",), limit=20
    )
    for line in lines:
        if line.get("JOB_TYPE") == "stop" and line.at >= incident.first_seen:
            return line.at
    return None


def stop_heard(watch: jobs.Watch, unit: str, sight: Sight, before: Sight) -> bool:
    """A job of this unit ended and nothing about it changed: somebody stopped what had failed."""
    ended = [one for one in watch.take() if one.unit == unit and one.result == "done"]
    same = sight.state.get("InvocationID") == before.state.get("InvocationID")
    return bool(ended) and same and sight.active in ("failed", "inactive")


def ask(request: Request[Any], verb: str, *words: str) -> proc.Completed:
    """Queue a job without waiting for it."""
    argv = [*request.systemctl, "--no-block", "--job-mode=fail", verb, "--", *words]
    return proc.run(argv, timeout_s=10.0)


def reset_failed(request: Request[Any], unit: str) -> proc.Completed:
    """Forget that it failed: this also clears the count that the start limit looks at."""
    return proc.run([*request.systemctl, "reset-failed", "--", unit], timeout_s=10.0)


def kill_leftovers(request: Request[Any], unit: str, state: UnitState) -> int:
    """Kill what the failed run left in its cgroup (KillMode=process); how many there were."""
    cgroup = state.get("ControlGroup")
    count = processes_in(cgroup) if cgroup else 0
    if not cgroup or count == 0:
        return 0
    argv = [*request.systemctl, "kill", "--kill-who=all", "--signal=KILL", "--", unit]
    proc.run(argv, timeout_s=10.0)
    until = time.monotonic() + 5.0
    while processes_in(cgroup) and time.monotonic() < until:
        time.sleep(POLL_S[0])
    return count - processes_in(cgroup)


def processes_in(cgroup: str, mounts: Sequence[str] = _CGROUPS) -> int:
    """How many processes are in a cgroup and those below it; 0 where it is gone."""
    for mount in mounts:
        top = f"{mount}/{cgroup.strip('/')}"
        if Path(top, "cgroup.procs").exists():
            found = [Path(place, "cgroup.procs") for place, _, _ in os.walk(top)]
            return sum(_lines(path) for path in found)
    return 0


def _lines(path: Path) -> int:
    try:
        return len(path.read_bytes().splitlines())
    except OSError:
        return 0


def why_failed(state: UnitState) -> str:
    """In a few words, from what systemd shows."""
    result = state.get("Result") or "unknown"
    code, status = state.get("ExecMainCode"), state.get("ExecMainStatus")
    if result == "exit-code" and code == "1":
        return f"it failed again: exit status {status}"
    return f"it failed again: {result}"


def summary(names: Sequence[str]) -> str:
    """ "a, b and 3 more" """
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
