# SPDX-License-Identifier: MIT
"""Reads what is to be done: ``[action.*]``, ``[[rule]]``, ``[limits]`` and ``[quiet]``.

A rule or an action with a mistake is left out as a whole, the others work: half a rule could do
what nobody asked for. What a type of action takes is checked where it is used, and by
``failhook check``: the runner does not import mail clients to plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from failhook import values
from failhook.config.model import ActionTable, Configuration, Limits, Problem, Quiet, Rule, Step
from failhook.config.reader import Fields, File, Key
from failhook.incident import Phase
from failhook.values import Kind, Wrong, nearest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ON = re.compile(r"([1-9][0-9]{0,5})(?:\.\.([1-9][0-9]{0,5})?)?")
_HOURS = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)\s*-\s*([01]?\d|2[0-4]):([0-5]\d)")
_NOT_BEFORE_A_RESTART = ("restart", "start", "stop")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# of systemd.exec(5) $SERVICE_RESULT, and of the other unit types (*_result_table in src/core)
RESULTS = (
    "exit-code",
    "signal",
    "core-dump",
    "timeout",
    "watchdog",
    "oom-kill",
    "start-limit-hit",
    "protocol",
    "resources",
    "exec-condition",
    "mount-start-limit-hit",
    "service-start-limit-hit",
    "trigger-limit-hit",
    "unit-start-limit-hit",
)
STARTED = ("timer", "path", "socket", "restart", "boot", "hand")
FACTS = ("name", "os", "os_version", "kernel", "architecture", "virtualization")


def _words(name: str, words: Sequence[str]) -> Kind:
    """A list of some of ``words``."""
    schema = {"type": "array", "items": {"enum": list(words)}}
    return Kind(f"list of {name}", lambda value: _known(value, words), schema)


def _known(value: object, words: Sequence[str]) -> tuple[str, ...]:
    found = values.texts(value)
    for one in found:
        if one not in words:
            near = nearest(one, words)
            hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(words)}"
            raise Wrong(f"has the unknown {one!r} ({hint})")
    return found


def _statuses(value: object) -> tuple[str, ...]:
    """Numbers, signal names without SIG, or systemd's names ("EXEC"); all as texts."""
    if not isinstance(value, list):
        raise Wrong('is no list; write [1, "KILL", "EXEC"]')
    found = [str(one) if type(one) is int else one for one in value]
    if not all(isinstance(one, str) for one in found):
        raise Wrong('is no list of statuses; write [1, "KILL", "EXEC"]')
    return tuple(one.removeprefix("SIG") for one in found)


def _host(value: object) -> tuple[tuple[str, str], ...]:
    found = values.pairs(value)
    for name, _ in found:
        if name not in FACTS:
            raise Wrong(f"has {name!r}, which is none of {', '.join(FACTS)}")
    return found


def _hours(value: object) -> tuple[tuple[int, int], ...]:
    texts = values.texts(value if isinstance(value, list) else [value])
    spans = []
    for one in texts:
        match = _HOURS.fullmatch(one.strip())
        if match is None:
            raise Wrong('are no hours; write "22:00-07:00"')
        start, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
        if max(start, end) > 1440 or start == end:
            raise Wrong('are no hours; write "22:00-07:00"')
        spans.append((start, end))
    return tuple(spans)


def _days(value: object) -> tuple[int, ...]:
    return tuple(_DAYS.index(one) for one in _known(value, _DAYS))


_STATUSES = Kind(
    "list of exit statuses", _statuses, {"type": "array", "items": {"type": ["integer", "string"]}}
)
_HOST = Kind(
    "table of facts",
    _host,
    {
        "type": "object",
        "properties": {name: {"type": "string"} for name in FACTS},
        "additionalProperties": False,
    },
)
_HOURS_OF_DAY = Kind(
    "hours",
    _hours,
    {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
)
_DAYS_OF_WEEK = Kind("list of days", _days, {"type": "array", "items": {"enum": list(_DAYS)}})
ACTION: Fields = {
    "type": ("type", values.TEXT),
    "timeout": ("timeout_s", values.DURATION),
    "retries": ("retries", values.NUMBER),
    "dry_run": ("dry_run", values.FLAG),
    "urgent": ("urgent", values.FLAG),
    "excerpt": ("excerpt", values.FLAG),
    "digest": ("digest_s", values.DURATION),
}
RULE: Fields = {
    "name": ("name", values.TEXT),
    "unit": ("units", values.TEXTS),
    "not_unit": ("not_units", values.TEXTS),
    "result": ("results", _words("results", RESULTS)),
    "exit_status": ("exit_statuses", _STATUSES),
    "phase": ("phases", _words("phases", [str(one) for one in Phase])),
    "cause": ("causes", values.TEXTS),
    "started": ("started", _words("ways to be started", STARTED)),
    "host": ("host", _HOST),
    "within": ("within_s", values.DURATION),
    "forgive_after": ("forgive_after_s", values.DURATION),
    "continue": ("goes_on", values.FLAG),
}
STEP: Fields = {
    "on": ("on", values.TEXT),
    "do": ("do", values.TEXTS),
    "before_restart": ("before_restart", values.FLAG),
}
LIMITS: Fields = {
    "restarts": ("restarts", values.RATE),
    "reboots": ("reboots", values.RATE),
    "brake": ("brake", values.RATE),
    "useless": ("useless", values.COUNT),
}
QUIET: Fields = {"hours": ("spans", _HOURS_OF_DAY), "days": ("days", _DAYS_OF_WEEK)}


def apply(before: Configuration, file: File, raw: Mapping[str, object]) -> Configuration:
    """``before`` with what this file says; mistakes go to ``file``."""
    actions = {**before.actions, **{one.name: one for one in _actions(file, raw)}}
    rules = {one.name: one for one in before.rules}
    for rule in _rules(file, raw):
        rules.pop(rule.name, None)  # a later file replaces a rule, at its own place
        rules[rule.name] = rule
    limits = file.fields(file.table(raw, ("limits",)), ("limits",), LIMITS)
    quiet = file.fields(file.table(raw, ("quiet",)), ("quiet",), QUIET)
    known_limits: Limits = replace(before.limits, **limits)  # type: ignore[arg-type]
    known_quiet: Quiet = replace(before.quiet, **quiet)  # type: ignore[arg-type]
    return replace(
        before,
        actions=actions,
        rules=tuple(rules.values()),
        limits=known_limits,
        quiet=known_quiet,
    )


def _actions(file: File, raw: Mapping[str, object]) -> Iterator[ActionTable]:
    for name, table in file.table(raw, ("action",)).items():
        at = ("action", name)
        if not _NAME.fullmatch(name):
            file.problem(at, "is no name for an action", "letters, digits, - _ .")
            continue
        if not isinstance(table, dict):
            file.problem(at, "is no table", f"write [action.{name}]")
            continue
        before = len(file.problems)
        common = {key: value for key, value in table.items() if key in ACTION}
        fields = file.fields(common, at, ACTION)
        if not fields.get("type"):
            file.problem((*at, "type"), "is missing", "see: failhook plugins")
        if len(file.problems) > before:
            continue
        own = {key: value for key, value in table.items() if key not in ACTION}
        yield ActionTable(name=name, raw=own, file=file.path, **fields)  # type: ignore[arg-type]


def _rules(file: File, raw: Mapping[str, object]) -> Iterator[Rule]:
    tables = raw.get("rule", [])
    if not isinstance(tables, list):
        file.problem(("rule",), "is no list of tables", "write [[rule]]")
        return
    names: set[object] = set()
    for number, table in enumerate(tables):
        at: Key = ("rule", number)
        if not isinstance(table, dict):
            file.problem(at, "is no table", "write [[rule]]")
            continue
        before = len(file.problems)
        given = {key: value for key, value in table.items() if key != "step"}
        fields = file.fields(given, at, RULE)
        steps = tuple(_steps(file, at, table.get("step", [])))
        name = fields.get("name")
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            file.problem((*at, "name"), "has to be a name", "letters, digits, - _ .")
        elif name in names:
            file.problem((*at, "name"), f"{name!r} is there twice", "a rule has a name of its own")
        names.add(name)
        if len(file.problems) > before:
            continue
        fields.pop("name")
        line = file.line((*at, "name"))
        yield Rule(str(name), steps=steps, file=file.path, line=line, **fields)  # type: ignore[arg-type]


def _steps(file: File, rule: Key, tables: object) -> Iterator[Step]:
    at = (*rule, "step")
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        file.problem(at, "is no list of steps", 'write step = [{ on = "1", do = ["…"] }]')
        return
    previous = 0
    for number, table in enumerate(tables):
        here: Key = (*at, number)
        fields = file.fields(table, here, STEP)
        match = _ON.fullmatch(str(fields.get("on", "")).strip())
        if match is None:
            file.problem((*here, "on"), "says no count", 'write on = "1", "2..3" or "4.."')
            continue
        first = int(match[1])
        last = int(match[2]) if match[2] else None
        if first <= previous or (last is not None and last < first):
            file.problem((*here, "on"), "does not come after the step before it", "count upwards")
        previous = max(previous, last or first)
        do = fields.get("do")
        names = do if isinstance(do, tuple) else ()
        if not names:
            file.problem((*here, "do"), "names no action", 'write do = ["…"]')
        line = file.line((*here, "do"))
        yield Step(first, last, names, bool(fields.get("before_restart")), line)


def resolved(before: Configuration) -> Configuration:
    """Once all files are read: the rules that can be followed, and a problem for each other one."""
    problems = [
        problem
        for rule in before.rules
        for step in rule.steps
        for name in step.do
        if (problem := _unsound(before, rule, step, name)) is not None
    ]
    wrong = {problem.key for problem in problems}
    kept = tuple(rule for rule in before.rules if _key(rule) not in wrong)
    return replace(before, rules=kept, problems=(*before.problems, *problems))


def _key(rule: Rule) -> str:
    return f"rule {rule.name}: do"


def _unsound(before: Configuration, rule: Rule, step: Step, name: str) -> Problem | None:
    """What is wrong with an action in a step."""
    action = before.actions.get(name)
    if action is None:
        near = nearest(name, before.actions)
        what = f"there is no action {name!r}; the rule is left out"
        hint = f"did you mean {near!r}?" if near else f"write [action.{name}]"
    elif step.before_restart and action.type in _NOT_BEFORE_A_RESTART:
        what = f"{name} cannot be done before a restart; the rule is left out"
        hint = "the unit waits for this step: it cannot be started or stopped meanwhile"
    else:
        return None
    return Problem(rule.file, step.line, _key(rule), what, hint)
