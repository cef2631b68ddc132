# SPDX-License-Identifier: MIT
"""Which rules speak of a failure, which rung of their ladders it is on, and what follows: pure.

Takes the incident, the rules, the circumstances and what is remembered; gives every rule that was
looked at and every step with its reason, taken or left out. Nothing is read and nothing is done
here, so that `failhook check --explain` and the tests ask the same code as the runner.

A ladder's rung holds until the next one (`on = "4"` is also the 5th failure), unless it says where
it ends (`on = "2..3"`). The first rule that matches is the only one, unless it says `continue`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from failhook.actions.table import Traits
from failhook.config.model import ActionTable, Configuration, Rule, Step
from failhook.incident import Incident, Phase, State
from failhook.message import Event
from failhook.outcomes import Done
from failhook.plan import Circumstances, Decision, Looked, Memory, Planned, Told

# What a person or the machine's own shutdown asked for: acted upon only where a rule names it.
ASKED_FOR = (Phase.STOPPED, Phase.SHUTDOWN)
BY_THE_UNIT = "[X-Failhook]"  # the rule that a unit is to itself
CASCADE_S = 10.0  # how long the message for many units waits for the last of them
_RESTARTING = ("restart", "start")


# -- which rules --------------------------------------------------------------------------------


def look(
    rules: Iterable[Rule], incident: Incident, circumstances: Circumstances
) -> tuple[Looked, ...]:
    """Every rule in its order, and whether it speaks of this failure."""
    found: list[Looked] = []
    if circumstances.unit_steps:
        own = Rule(BY_THE_UNIT, units=(incident.unit,), steps=circumstances.unit_steps)
        found.append(Looked(own, True, "the unit speaks for itself"))
    over = found[0].rule.name if found else None
    for rule in rules:
        if over is not None:
            found.append(Looked(rule, False, f"not looked at: {over} matched before"))
            continue
        named = rule.name in circumstances.unit_rules
        why_not = None if named else _mismatch(rule, incident, circumstances)
        why = "the unit names it (Rule=)" if named else _why(rule)
        found.append(Looked(rule, why_not is None, why_not or why))
        if why_not is None and not rule.goes_on:
            over = rule.name
    return tuple(found)


def _mismatch(rule: Rule, incident: Incident, circumstances: Circumstances) -> str | None:
    """The first thing that keeps ``rule`` from speaking of this failure."""
    verdict = incident.verdict
    control = incident.control
    statuses = (incident.exit_status, incident.exit_status_name)
    if incident.exit_status is None and control is not None:
        statuses = (control.exit_status, None)
    asked: tuple[tuple[str, Sequence[str], Sequence[str | None]], ...] = (
        ("unit", rule.units, (incident.unit,)),
        ("result", rule.results, (incident.result,)),
        ("exit status", rule.exit_statuses, statuses),
        ("phase", rule.phases, (incident.phase,)),
        ("cause", rule.causes, (verdict.cause if verdict else None,)),
        ("start", rule.started, (circumstances.started,)),
    )
    for what, wanted, there in asked:
        if wanted and not _fits(wanted, there):
            is_it = next((one for one in there if one), None) or "unknown"
            return f"{what} {is_it} is not {' or '.join(wanted)}"
    if any(fnmatchcase(incident.unit, glob) for glob in rule.not_units):
        return f"unit {incident.unit} is excluded (not_unit)"
    for fact, glob in rule.host:
        value = circumstances.host.get(fact, "unknown")
        if not fnmatchcase(value, glob):
            return f"host: {fact} is {value}, not {glob}"
    if incident.phase in ASKED_FOR and incident.phase not in rule.phases:
        return f"phase {incident.phase}: it was asked for, and the rule does not name that phase"
    return None


def _fits(wanted: Sequence[str], there: Sequence[str | None]) -> bool:
    return any(fnmatchcase(one, glob) for one in there if one for glob in wanted)


def _why(rule: Rule) -> str:
    parts = [
        f"{name} {' or '.join(wanted)}"
        for name, wanted in (
            ("unit", rule.units),
            ("result", rule.results),
            ("status", rule.exit_statuses),
            ("phase", rule.phases),
            ("cause", rule.causes),
            ("start", rule.started),
        )
        if wanted and wanted != ("*",)
    ]
    return "matches " + (", ".join(parts) if parts else "every failure")


# -- which steps --------------------------------------------------------------------------------


def decide(
    configuration: Configuration,
    incident: Incident,
    looked: tuple[Looked, ...],
    circumstances: Circumstances,
    memory: Memory,
) -> Decision:
    """What follows from the rules that match."""
    used: dict[str, int] = {}
    steps: list[Planned] = []
    notes: list[Looked] = []
    for one in looked:
        number = memory.counts.get(one.rule.name, 1)
        rung = rung_of(one.rule.steps, number) if one.matched else None
        if one.matched:
            one = replace(one, reason=f"{one.reason}; {_rung_text(one.rule, number, rung)}")  # noqa: PLW2901
        notes.append(one)
        if rung is None:
            continue
        for planned in _of_rung(configuration, circumstances, one.rule, (rung, number)):
            final = _settled(planned, configuration, incident, circumstances, memory, used)
            if final.state is not Done.LEFT_OUT and final.counts_as:
                used[final.counts_as] = used.get(final.counts_as, 0) + 1
            if not any(_same(final, before) for before in steps):
                steps.append(final)
    return Decision(tuple(notes), tuple(steps), _remark(circumstances))


def rung_of(steps: Sequence[Step], number: int) -> int | None:
    """Which of ``steps`` (from 0) is meant for the ``number``-th failure."""
    reached = [index for index, step in enumerate(steps) if step.first <= number]
    if not reached:
        return None
    last = steps[reached[-1]].last
    return None if last is not None and number > last else reached[-1]


def ordinal(number: int) -> str:
    """1 -> "1st"."""
    teens = 10 < number % 100 < 20
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def _rung_text(rule: Rule, number: int, rung: int | None) -> str:
    text = f"{ordinal(number)} failure in {rule.within_s:g} s"
    if rung is not None:
        return f"{text}: step {rung + 1} of {len(rule.steps)}"
    return f"{text}: no step is meant for it" if rule.steps else f"{text}: it has no steps"


def _of_rung(
    configuration: Configuration, circumstances: Circumstances, rule: Rule, at: tuple[int, int]
) -> Iterator[Planned]:
    rung, number = at
    step = rule.steps[rung]
    for name in step.do:
        table = configuration.actions.get(name)
        kind = table.type if table else "unknown"
        traits = circumstances.traits.get(kind, Traits())
        yield Planned(
            action=name,
            type=kind,
            rule=rule.name,
            step=rung + 1,
            number=number,
            state=Done.DUE if table else Done.LEFT_OUT,
            reason="" if table else f"there is no [action.{name}]",
            event=Event.OPENED if traits.delivers else None,
            before_restart=step.before_restart and not traits.delivers,
            counts_as=traits.counts_as,
        )


def _same(one: Planned, other: Planned) -> bool:
    """Two rules ask for the same: it is done once."""
    return one.action == other.action and other.state is not Done.LEFT_OUT


def _settled(
    planned: Planned,
    configuration: Configuration,
    incident: Incident,
    circumstances: Circumstances,
    memory: Memory,
    used: Mapping[str, int],
) -> Planned:
    """The step as it is to be: done, held back or left out, with the reason."""
    if planned.state is Done.LEFT_OUT:
        return planned
    table = configuration.actions[planned.action]
    obstacle = _obstacle(circumstances)
    if obstacle is not None:
        return replace(planned, state=Done.LEFT_OUT, reason=obstacle)
    if planned.event is not None:
        return _delivery(planned, table, incident, circumstances, memory)
    limit = configuration.limits
    obstacle = _machine_obstacle(planned, incident, circumstances)
    times = memory.useless.get(planned.action, 0)
    if obstacle is None and times >= limit.useless:
        obstacle = f"it did not help {times} times in a row"
    if obstacle is None and planned.counts_as is not None and planned.counts_as in memory.room:
        rate = limit.reboots if planned.counts_as == "reboots" else limit.restarts
        if memory.room[planned.counts_as] - used.get(planned.counts_as, 0) <= 0:
            obstacle = f"{planned.counts_as} are used up ({rate})"
    if obstacle is not None:
        return replace(planned, state=Done.LEFT_OUT, reason=obstacle)
    why = f"{ordinal(planned.number)} failure, step {planned.step} of rule {planned.rule}"
    return replace(planned, reason=why)


def _obstacle(circumstances: Circumstances) -> str | None:
    """What keeps everything from being done, messages too."""
    if circumstances.paused is not None:
        return f"paused: {circumstances.paused}"
    if circumstances.upgrading is not None:
        return f"a package upgrade is in progress ({circumstances.upgrading})"
    if circumstances.victim_of is not None:
        return f"victim of {circumstances.victim_of}, which has an incident of its own"
    return None


def _machine_obstacle(
    planned: Planned, incident: Incident, circumstances: Circumstances
) -> str | None:
    records = circumstances.traits.get(planned.type, Traits()).records
    if circumstances.cascade is not None and not records:
        return f"brake: {circumstances.cascade}"
    if planned.type in _RESTARTING and incident.phase is Phase.RESTARTING:
        start = f" (start {incident.attempt})" if incident.attempt else ""
        return f"systemd restarts it itself{start}"
    if planned.counts_as is not None and incident.state is State.RECOVERED:
        return "it is well again already"
    return None


def _delivery(
    planned: Planned,
    table: ActionTable,
    incident: Incident,
    circumstances: Circumstances,
    memory: Memory,
) -> Planned:
    """Who is told what: opened once, then only what is news."""
    event, why = _news(planned, incident, memory.told.get(planned.action))
    obstacle = _silence(table, circumstances)
    if event is None or obstacle is not None:
        kept = None if event is None else planned.event
        return replace(planned, event=kept, state=Done.LEFT_OUT, reason=obstacle or why)
    planned = replace(planned, event=event, reason=why)
    until, group, what = _held_back(table, circumstances)
    if until is None:
        return planned
    reason = f"{why}; one message for all: {what}"
    return replace(planned, state=Done.WAITING, not_before=until, group=group, reason=reason)


def _silence(table: ActionTable, circumstances: Circumstances) -> str | None:
    """Why this destination is not told."""
    if circumstances.acked is not None:
        return f"acknowledged: {circumstances.acked}"
    if circumstances.muted is not None and not table.urgent:
        return f"muted: {circumstances.muted}"
    return None


def _held_back(
    table: ActionTable, circumstances: Circumstances
) -> tuple[float | None, str | None, str]:
    """Until when a message waits for others to go with it, their group, and why."""
    if table.urgent:
        return None, None, ""
    if circumstances.quiet_until is not None:
        return circumstances.quiet_until, "quiet", "quiet hours"
    if table.digest_s > 0:
        # the end of the interval that the clock is in: every message of it has the same
        end = (circumstances.now // table.digest_s + 1) * table.digest_s
        return end, "digest", "its digest"
    if circumstances.cascade is not None:
        return circumstances.now + CASCADE_S, "cascade", circumstances.cascade
    return None, None, ""


def _news(planned: Planned, incident: Incident, told: Told | None) -> tuple[Event | None, str]:
    """What a destination that heard ``told`` has to hear now; None: it is counted, not repeated."""
    number = ordinal(planned.number)
    if told is None:
        return Event.OPENED, f"{number} failure, step {planned.step} of rule {planned.rule}"
    if incident.phase is Phase.GAVE_UP and told.event != Event.GAVE_UP:
        return Event.GAVE_UP, f"systemd gave up at the {number} failure"
    if planned.rule == told.rule and planned.step > told.step:
        return Event.ESCALATED, f"{number} failure: step {planned.step} of rule {planned.rule}"
    return None, "counted, not repeated: it was told of this trouble before"


def _remark(circumstances: Circumstances) -> str:
    return _obstacle(circumstances) or circumstances.cascade or ""


# -- looking ahead ------------------------------------------------------------------------------


def remembered(memory: Memory, decision: Decision, now: float) -> Memory:
    """``memory`` after ``decision`` was carried out, as far as that is certain."""
    told = dict(memory.told)
    room = dict(memory.room)
    for one in decision.steps:
        if one.state is Done.LEFT_OUT:
            continue
        if one.event is not None:
            told[one.action] = Told(one.event, one.rule, one.step, now)
        if one.counts_as in room:
            room[one.counts_as] -= 1
    return replace(memory, told=told, room=room)


def ahead(
    configuration: Configuration,
    incident: Incident,
    circumstances: Circumstances,
    memory: Memory,
    times: int,
) -> Iterator[Decision]:
    """What would happen at the next ``times`` failures that are like ``incident``, one thread."""
    looked = look(configuration.rules, incident, circumstances)
    start = dict(memory.counts)
    for number in range(times):
        counts = {one.rule.name: start.get(one.rule.name, 0) + number + 1 for one in looked}
        decision = decide(
            configuration, incident, looked, circumstances, replace(memory, counts=counts)
        )
        memory = remembered(memory, decision, circumstances.now)
        yield decision
