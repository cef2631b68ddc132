# SPDX-License-Identifier: MIT
"""What `restart` and `start` share: wait, look, queue the job, and see whether the unit gets well.

Well is what the unit itself says: the job is done (for Type=notify that means READY=1), it stays
active so long in the same run, and the optional check has an answer. A oneshot that ended with
success is well.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from dataclasses import dataclass
from typing import Any

from failhook import files, proc
from failhook.actions import control, dependents, health
from failhook.actions.control import Sight
from failhook.actions.health import CHECK, Check
from failhook.plugin import (
    DURATION,
    FLAG,
    SHARE,
    TEXT,
    Kind,
    Outcome,
    Request,
    Wrong,
    done,
    failed,
    option,
)
from failhook.systemd import jobs

_EARLIER = "earlier.json"
_MOST_UNITS = 500
SPARE_S = 3.0  # of the deadline: to look, to queue, to say how it went


def _factor(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 10:
        raise Wrong("is no factor from 1 to 10")
    return float(value)


FACTOR = Kind("factor from 1 to 10", _factor, {"type": "number", "minimum": 1, "maximum": 10})


@dataclass(frozen=True, slots=True)
class Options:
    """What is started, when, and what counts as well. Seconds."""

    unit: str = option(TEXT, "the unit; the failed one unless said", default="")
    delay: float = option(DURATION, "waits so long before", default=0.0)
    backoff: float = option(
        FACTOR, "the delay times this for every earlier time within the last hour", default=1.0
    )
    max_delay: float = option(DURATION, "no delay is longer than this", default=300.0)
    jitter: float = option(SHARE, "the delay is longer by a random part of it", default=10.0)
    reset_failed: bool = option(FLAG, "clears the start limit before", default=True)
    kill_leftovers: bool = option(
        FLAG, "kills what the failed run left in its cgroup before", default=False
    )
    dependents: bool = option(
        FLAG, "starts again what went down with it: RequiredBy=, BoundBy=, parts", default=False
    )
    healthy_after: float = option(DURATION, "well is who stays active so long", default=5.0)
    check: Check | None = option(  # noqa: RUF009 - it is frozen
        CHECK, "and answers this: http, tcp or command", default=None
    )


@dataclass(slots=True)
class _Health:
    """What is known of the unit's health while one waits for it."""

    began: float
    run: str | None = None  # the invocation that is watched
    active_since: float | None = None
    answered: health.Answer | None = None
    answered_at: float | None = None
    next_check: float = 0.0
    is_over: bool = False  # a oneshot that has done its work
    problem: str = "it did not become active in time"


def run(request: Request[Options], verb: str) -> Outcome:
    """``verb`` is "start" or "restart"."""
    options, user = request.options, request.user
    unit = options.unit or request.incident.unit
    began = time.monotonic()
    delay = _delay(request, unit)
    needed = delay + options.healthy_after + SPARE_S
    if needed > request.deadline_s:
        return failed(
            f"{unit} was not touched: {needed:.0f} s are needed for the delay and healthy_after, "
            f"and the time limit is {request.deadline_s:.0f} s; raise timeout",
            final=True,
        )
    with contextlib.closing(jobs.watch(user=user)) as watch:
        sight = control.settled(unit, user=user, within_s=request.deadline_s - needed)
        no = control.may_start(request, sight, unit, again=verb == "restart")
        if no is None and not request.dry_run:
            sight, no = _after_delay(request, unit, verb, delay, watch, sight)
        if no is not None:
            return _confirmed(options, unit, no)
        if request.dry_run:
            return done(_plan(options, unit, verb, delay))
        _note(request, unit)
        return _bring_up(request, unit, verb, sight, began + request.deadline_s - 1.0, watch)


def _confirmed(options: Options, unit: str, found: Outcome) -> Outcome:
    """Who was started again by somebody is well if the check says so too."""
    if options.check is None or not found.data.get("already"):
        return found
    answer = health.ask(options.check)
    if answer.well:
        return found
    return control.left_alone(f"{unit} was started again already, but {answer.said}")


def _after_delay(
    request: Request[Options],
    unit: str,
    verb: str,
    delay: float,
    watch: jobs.Watch,
    before: Sight,
) -> tuple[Sight, Outcome | None]:
    """Wait, and look again: every second, so that a person's stop or start ends the waiting."""
    until = time.monotonic() + delay
    while True:
        left = until - time.monotonic()
        time.sleep(max(0.0, min(1.0, left)))
        sight = control.look(unit, user=request.user)
        no = control.may_start(request, sight, unit, again=verb == "restart")
        if no is None and control.stop_heard(watch, unit, sight, before):
            no = control.left_alone(f"{unit} was stopped by somebody since")
        if no is not None or left <= 1.0:
            return sight, no


def _bring_up(
    request: Request[Options],
    unit: str,
    verb: str,
    sight: Sight,
    until: float,
    watch: jobs.Watch,
) -> Outcome:
    options = request.options
    words = []
    if options.kill_leftovers and not sight.runs:
        killed = control.kill_leftovers(request, unit, sight.state)
        words += [f"{killed} left-over processes killed"] if killed else []
    if options.reset_failed and sight.active == "failed":
        control.reset_failed(request, unit)
    down = dependents.went_down(request, unit, sight) if options.dependents else []
    asked = control.ask(request, verb, unit)
    if not asked.ok:
        return _refused(request, unit, verb, asked)
    well, took, said = _wait_well(request, unit, sight, until)
    if not well:
        ended = [one.result for one in watch.take() if one.unit == unit]
        reason = f" (its job ended: {ended[-1]})" if ended and ended[-1] != "done" else ""
        detail = "; ".join([f"{unit} is not well after the {verb}: {said}{reason}", *words])
        return Outcome(False, detail, helped=False, data={"took_s": round(took, 3)})
    words.insert(0, f"{unit} is well {took:.1f} s after the {verb}: {said}")
    missing = dependents.bring_up(request, down, until, words) if down else []
    data = {"healthy_after_s": round(took, 3), "dependents": down, "dependents_down": missing}
    return Outcome(not missing, "; ".join(words), helped=True, data=data)


def _refused(request: Request[Options], unit: str, verb: str, asked: proc.Completed) -> Outcome:
    """The job was not taken; where somebody's stop is the reason, theirs stays."""
    sight = control.look(unit, user=request.user)
    if (no := control.objection(sight, unit)) is not None:
        return no
    return Outcome(False, f"{unit} could not be asked to {verb}: {asked.why()}")


def _wait_well(
    request: Request[Options], unit: str, before: Sight, until: float
) -> tuple[bool, float, str]:
    """(well, seconds from the request until it was, what speaks for or against it)."""
    options = request.options
    found = _Health(time.monotonic())
    pause = control.POLL_S[0]
    while True:
        sight = control.look(unit, user=request.user, manager=False)
        now = time.monotonic()
        verdict = _judge(sight, before, found, now)
        if verdict is False:
            return False, now - found.began, found.problem
        if verdict is True and _is_well(options, found, now, until):
            at = found.answered_at or found.active_since or now
            return True, at - found.began, _praise(sight, options, found)
        if now >= until:
            return False, now - found.began, found.problem
        time.sleep(min(pause, max(0.0, until - now)))
        pause = min(pause * 1.5, control.POLL_S[1])


def _judge(  # noqa: PLR0911 - a list of states
    sight: Sight, before: Sight, found: _Health, now: float
) -> bool | None:
    """True: active; False: it will not get well by waiting; None: not yet. Keeps ``found``."""
    state = sight.state
    fresh = state.get("InvocationID") != before.state.get("InvocationID")
    if sight.job in ("start", "restart", "try-restart") or sight.active == "activating":
        if sight.waits_for_restart and fresh:
            found.problem = control.why_failed(state)
            return False
        found.active_since = None
        return None
    if sight.job == "stop":
        found.problem = "somebody stops it"
        return False
    if sight.runs:
        if found.active_since is None or found.run != state.get("InvocationID"):
            if found.run is not None:
                found.problem = "it was started again meanwhile, so it did not stay up"
                return False
            found.run, found.active_since, found.next_check = state.get("InvocationID"), now, 0.0
            found.problem = "it did not stay active long enough"
        return True
    if sight.active == "inactive" and _is_over(sight, fresh):
        found.active_since, found.is_over = found.active_since or now, True
        return True
    if sight.active == "failed":
        found.problem = control.why_failed(state)
        return False
    if sight.active == "inactive":
        found.problem = _why_inactive(sight)
        return False
    return None


def _is_over(sight: Sight, fresh: bool) -> bool:
    """A oneshot has nothing to stay up for."""
    ended_well = sight.state.get("Result") == "success" and not _unmet(sight)
    return sight.state.get("Type") == "oneshot" and ended_well and fresh


def _unmet(sight: Sight) -> bool:
    """A condition was looked at; a unit that systemd has unloaded meanwhile shows "no" as well."""
    state = sight.state
    return state.get("ConditionResult") == "no" and state.get("ConditionTimestamp") is not None


def _why_inactive(sight: Sight) -> str:
    if _unmet(sight):
        return "a Condition*= of it is not met"
    return "it ended, or was stopped, or something that it requires failed"


def _is_well(options: Options, found: _Health, now: float, until: float) -> bool:
    """It stayed up long enough, and the newest answer to the check is a good one."""
    assert found.active_since is not None
    if options.check is not None and now >= found.next_check:
        answer = health.ask(options.check, until - now)
        if answer.well and not (found.answered and found.answered.well):
            found.answered_at = time.monotonic()
        found.answered = answer
        found.next_check = time.monotonic() + options.check.interval_s
        if not answer.well:
            found.answered_at = None
            found.problem = answer.said
            return False
        found.problem = "it did not stay active long enough"
    if options.check is not None and not (found.answered and found.answered.well):
        return False
    return found.is_over or time.monotonic() - found.active_since >= options.healthy_after


def _praise(sight: Sight, options: Options, found: _Health) -> str:
    if sight.active == "inactive":
        return "it ended with success"
    stayed = f"active for {options.healthy_after:g} s"
    return f"{stayed}, {found.answered.said}" if found.answered else stayed


# -- how long to wait -----------------------------------------------------------------------------


def _delay(request: Request[Options], unit: str) -> float:
    """The delay, longer for each time that this action did it to this unit in the last hour."""
    options = request.options
    if options.delay <= 0:
        return 0.0
    earlier = len(_earlier(request).get(unit, []))
    delay = min(options.delay * options.backoff**earlier, longest_delay(options))
    return delay * (1 + random.random() * options.jitter / 100)  # noqa: S311 - spreads a herd


def longest_delay(options: Options) -> float:
    """What the delay can grow to, in seconds, without its jitter."""
    if options.delay <= 0 or options.backoff <= 1:
        return options.delay
    return max(options.max_delay, options.delay)


def _earlier(request: Request[Options]) -> dict[str, list[float]]:
    """When it was done, by unit; what is older than an hour or from the future is forgotten."""
    if request.state is None:
        return {}
    try:
        raw = json.loads(files.read_bounded(request.state / _EARLIER, 1 << 20))
        now = time.time()
        return {
            str(unit): [float(at) for at in times if now - 3600 < float(at) <= now][-64:]
            for unit, times in raw.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _note(request: Request[Options], unit: str) -> None:
    """It is being done now. That it cannot be kept is no reason not to do it."""
    if request.state is None:
        return
    earlier = {name: times for name, times in _earlier(request).items() if times}
    earlier[unit] = [*earlier.get(unit, []), time.time()]
    newest: dict[str, Any] = dict(
        sorted(earlier.items(), key=lambda one: max(one[1]))[-_MOST_UNITS:]
    )
    with contextlib.suppress(OSError):
        files.write(request.state / _EARLIER, json.dumps(newest))


def _plan(options: Options, unit: str, verb: str, delay: float) -> str:
    words = [f"would {verb} {unit}"]
    words += [f"after {delay:.1f} s"] if delay else []
    words += ["kill what it left behind"] if options.kill_leftovers else []
    words += ["clear its start limit"] if options.reset_failed else []
    words += ["start again what went down with it"] if options.dependents else []
    words.append(f"and wait until it was active for {options.healthy_after:g} s")
    words += [f"and {options.check} answers"] if options.check else []
    return ", ".join(words)
