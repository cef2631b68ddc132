# SPDX-License-Identifier: MIT
"""Leaves a boot entry that fails: marks it bad and reboots into another one, if it is a new one.

`failhook.boot.marking` decides what is done ("new or proven?"); before that everything is asked
that speaks against a reboot at all (`failhook.boot.guards`). Nothing is marked where no other good
entry is, and not for a unit of an ordinary user.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from failhook import places as layout
from failhook import proc
from failhook.actions.caution import Caution
from failhook.boot import detect, going_down, guards, marking, proven
from failhook.boot.host import Host
from failhook.boot.marking import Decision, Do
from failhook.boot.model import Loader, Mark, Standing
from failhook.places import Places
from failhook.plugin import (
    DURATION,
    FLAG,
    TEXTS,
    Action,
    Outcome,
    Request,
    done,
    failed,
    option,
)

_STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Options(Caution):
    """How long an entry is new, and what then."""

    probation: float = option(
        DURATION, "how long an entry has to be good until it has proven itself", default=604800.0
    )
    reboot: bool = option(FLAG, "reboot at once; else the mark alone is made", default=True)
    stop: tuple[str, ...] = option(
        TEXTS, "units to stop where a reboot has not helped and the machine is left on", default=()
    )
    min_uptime: float = option(
        DURATION, "not before the machine has been up for so long; the step waits", default=60.0
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """All that one decision is made of."""

    request: Request[Options]
    where: Places
    loader: Loader
    standing: Standing
    decision: Decision

    @property
    def entry(self) -> str:
        """The running one; `marking.decide` refuses where it is not known."""
        assert self.standing.current is not None
        return self.standing.current.id


def run(request: Request[Options], host: Host | None = None) -> Outcome:
    """Look, decide, and do it."""
    options = request.options
    if request.user or request.incident.manager == "user":
        return failed("a unit of an ordinary user does not mark the machine's boot", final=True)
    no = guards.objection(request, options.guards)
    if no is not None:
        return no
    where = layout.find(user=False)
    loader = detect.find(host).loader
    standing = loader.standing()
    history = proven.history(
        proven.read(where), standing, request.incident.unit, within_s=options.probation
    )
    decision = marking.decide(standing, history, options.probation)
    case = _Case(request, where, loader, standing, decision)
    return _WAYS[decision.do](case)


def _refuse(case: _Case) -> Outcome:
    return failed(f"not marked: {case.decision.reason}", final=True)


def _mark_bad(case: _Case) -> Outcome:
    request, decision = case.request, case.decision
    then = f" and reboot into {decision.expects}" if request.options.reboot else ""
    if request.dry_run:
        return done(f"would mark {case.entry} bad{then}: {decision.reason}")
    if case.standing.mark is not Mark.BAD:
        marked = case.loader.bad()
        if not marked.ok:
            return failed(f"{case.entry} was not marked bad: {marked.detail}", final=True)
    try:
        proven.note_bad(case.where, case.entry)
    except OSError as error:
        return failed(f"{case.entry} is marked bad; no reboot without a record of it: {error}")
    if not request.options.reboot:
        return done(f"{case.entry} is marked bad: {decision.reason}", entry=case.entry)
    return _reboot(case, f"{case.entry} is marked bad")


def _reboot_once(case: _Case) -> Outcome:
    request, decision = case.request, case.decision
    if not request.options.reboot:
        return done(f"left alone: {decision.reason}, if it may (reboot = false)", left_out=True)
    if request.dry_run:
        return done(f"would reboot: {decision.reason}")
    try:
        proven.note_reboot(case.where, case.entry, request.incident.unit)
    except OSError as error:
        return failed(f"no reboot without a record of it: {error}")
    return _reboot(case, decision.reason)


def _reboot(case: _Case, why: str) -> Outcome:
    request = case.request
    verdict = request.incident.verdict
    failure = verdict.summary if verdict is not None else f"{request.incident.unit} failed"
    return going_down.go_down(
        request,
        "reboot",
        f"{why}, because {failure}",
        expects=case.decision.expects,
        entry=case.entry,
        careful=request.options.guards,
    )


def _leave(case: _Case) -> Outcome:
    """Keep it running; what the administrator named goes down."""
    request, reason = case.request, case.decision.reason
    units = request.options.stop
    if request.dry_run:
        return done(f"would leave it running{_and_stop(units)}: {reason}")
    if units:
        argv = [*request.systemctl, "--no-block", "stop", "--", *units]
        asked = proc.run(argv, timeout_s=_STOP_S)
        if not asked.ok:
            return failed(f"left running, and {', '.join(units)} not stopped: {asked.why()}")
    told = f", {', '.join(units)} stopped" if units else ""
    return done(f"left running{told}: {reason}", left_running=True)


def _and_stop(units: tuple[str, ...]) -> str:
    return f" and stop {', '.join(units)}" if units else ""


_WAYS: dict[Do, Callable[[_Case], Outcome]] = {
    Do.MARK_BAD: _mark_bad,
    Do.REBOOT_ONCE: _reboot_once,
    Do.LEAVE: _leave,
    Do.REFUSE: _refuse,
}

# The many tries are for what puts it off: an upgrade, an inhibitor, a machine just booted.
ACTION = Action(
    "boot-bad",
    "marks a new boot entry bad and reboots into another; a proven one is rebooted once",
    Options,
    run,
    counts_as="reboots",
    timeout_s=180.0,
    retries=100,
)
