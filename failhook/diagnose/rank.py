# SPDX-License-Identifier: MIT
"""Which finding is the sentence? The root before its consequences.

A program that dies says several things: a warning that it always prints, the error, what follows
from the error, and that it gives up. What counts is how sure a cause is of itself, how grave the
program calls the line, whether the line was new, how near to the end it was said, and, among
equals, which was said first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from failhook.diagnose.case import Case
from failhook.diagnose.finding import GUESS, Finding, fails, overheard, quote
from failhook.diagnose.level import Level
from failhook.diagnose.nearby import told_paths
from failhook.diagnose.speakers import a_child_told, came_after_main, main_process_went_on
from failhook.diagnose.subjects import commands, paths_in
from failhook.diagnose.text import Message
from failhook.diagnose.wording import FAILURE, HARMLESS, NAMES_A_THING, is_consequence

_BY_DEFAULT = re.compile(r"\busing (?:the |its )?(?:built-?in )?defaults?\b", re.IGNORECASE)
# What scripts ask such a one may be there or not; they go on without an answer.
_READER = re.compile(r"(?:head|tail|cat|z?grep|sed|g?awk|ls|stat|readlink|wc|cut): ")
_SHELL = re.compile(r"(?:^|/)(?:ba|da|k|z|a)?sh$|(?:^|/)env$")
_NEAR_S = 30.0
_ENOUGH = 0.72  # of a line that was only talk
_SURVIVED, _EACH_HEALTHY = 0.55, 0.14
_BY_LEVEL = {
    Level.FATAL: 0.05,
    Level.ERROR: 0.04,
    Level.UNKNOWN: 0.0,
    Level.WARNING: -0.15,
    Level.TALK: -0.25,
}


def rank(case: Case, findings: Iterable[Finding]) -> list[Finding]:
    """The findings, the most convincing first; of several that say the same, one."""
    findings = list(findings)
    by_number = {message.number: message for message in case.messages}
    explained = {one.at for one in findings if not one.cause.startswith(("crash", "unclear"))}
    findings = [
        replace(one, confidence=one.confidence - 0.05)
        if one.cause.startswith("crash") and one.at in explained
        else one  # an exception that is known for what it is says more by that
        for one in findings
    ]
    weighed = [
        (
            _weight(case, finding, by_number.get(finding.at) if finding.at is not None else None),
            finding,
        )
        for finding in findings
    ]
    weighed.sort(key=lambda pair: (-round(pair[0], 2), _place(pair[1]), -pair[0]))
    kept: list[Finding] = []
    said: set[str] = set()
    for weight, finding in weighed:
        if finding.sentence not in said:
            said.add(finding.sentence)
            sure = round(min(0.99, max(0.05, weight)), 2)
            message = by_number.get(finding.at) if finding.at is not None else None
            kept.append(_only_talk(case, replace(finding, confidence=sure), message))
    return kept


def _only_talk(case: Case, finding: Finding, message: Message | None) -> Finding:
    """What rests on a line that the program itself calls information is no cause, only a hint; nor
    is what somebody else said while a silent program ran: it may be about that one or not."""
    if message is not None and case.overheard:
        return overheard(case, message)
    if message is None or message.level is not Level.TALK or finding.confidence >= _ENOUGH:
        return finding
    said = f"it is unclear why; it mentioned “{quote(message.text, 200)}”"
    return replace(finding, cause="unclear", sentence=fails(case, said), confidence=GUESS)


def _place(finding: Finding) -> int:
    return finding.at if finding.at is not None else -1


def _weight(case: Case, finding: Finding, message: Message | None) -> float:
    weight = finding.confidence
    if message is None:
        return weight
    gave_up = case.course.gave_up_on(message)
    explains = case.course.explains(message) or gave_up
    weight += 0.0 if explains else _BY_LEVEL[message.level]
    if case.course.told_nearby(message) or case.course.announces(message):
        weight -= 0.2
    if is_consequence(message.text) and not finding.cause.startswith("crash"):
        weight -= 0.2
    if not gave_up:
        weight -= _lived_on(case, message)
    graded = message.level in (Level.WARNING, Level.TALK)
    if (
        graded
        and not explains
        and (_error_after(case, message) or case.course.complained_after(message))
    ):
        weight -= 0.15
    weight -= _beside_it(case, message, is_crash=finding.cause.startswith("crash"))
    if gave_up:
        return weight  # what it tried lasted as long as it had patience
    return weight - _behind_it(case, message)


def _beside_it(case: Case, message: Message, *, is_crash: bool) -> float:
    """What it takes from a line that another one has said than who died, or when all was said."""
    less = 0.3 if case.of_another_command(message) else 0.0
    less += 0.3 if is_crash and a_child_told(case, message) else 0.0
    if main_process_went_on(case, message) or came_after_main(case, message):
        less += 0.45
    if not is_crash and _came_after_a_fatal_one(case, message):
        less += 0.3
    if _was_passed(case, message) or _only_asked(case, message):
        less += 0.6
    return less


def _came_after_a_fatal_one(case: Case, message: Message) -> bool:
    """Said, and called no error, when the program had already said what it dies of."""
    last = case.once("the last fatal one", lambda: _last_fatal(case))
    return message.level < Level.ERROR and 0 <= last < message.number


def _last_fatal(case: Case) -> int:
    """The number of the last line that calls itself fatal and names a thing; -1 for none."""
    fatal = (
        one.number
        for one in case.messages
        if one.level is Level.FATAL
        and FAILURE.search(one.text[:600])
        and NAMES_A_THING.search(one.text[:600])
        and not is_consequence(one.text)
        and not case.course.survived(one)
    )
    return max(fatal, default=-1)


def _lived_on(case: Case, message: Message) -> float:
    """What it takes from a line that the program says it goes on without, or that comes late."""
    less = 0.3 if HARMLESS.search(message.text[:500]) else 0.0
    if _BY_DEFAULT.search(message.text[:500]) or case.course.did_without(message):
        less = 0.45
    return less + (0.35 if case.course.came_after_the_end(message) else 0.0)


def _behind_it(case: Case, message: Message) -> float:
    """What the run after a line, and those before it, take from it."""
    survived = 0 if _was_told_of_it(case, message) else case.course.survived(message)
    less = min(_SURVIVED, _EACH_HEALTHY * survived)
    if survived and message.level is Level.UNKNOWN and _error_after(case, message, named=True):
        less += 0.15
    less += 0.1 if _is_old_news(case, message) else 0.0
    less += 0.03 if _of_a_helper(case, message) else 0.0
    end = _end(case)
    if end and message.at and end - message.at > _NEAR_S:
        less += 0.25
    return less


def _was_told_of_it(case: Case, message: Message) -> bool:
    """It names a file of the command line that is not there: what it does without is not that."""
    told = told_paths(case)
    return any(
        (fact := case.path(path)) is not None and fact.kind == "missing"
        for path in (paths_in(message.raw) if told else ())
        if path in told
    )


def _error_after(case: Case, message: Message, *, named: bool = False) -> bool:
    """It went on after its warning, until something that it calls an error; if ``named``, one that
    names what it is about."""
    return any(
        one.level >= Level.ERROR
        and not is_consequence(one.text)
        and (not named or NAMES_A_THING.search(one.text[:600]))
        for one in case.messages[message.number + 1 :]
    )


def _of_a_helper(case: Case, message: Message) -> bool:
    """Another program said it, after the unit's own had complained: it cleans up, mostly."""
    programs = {path.rpartition("/")[2] for _, path, _ in commands(case.unit)}
    if not message.identifier or message.identifier in programs:
        return False
    return any(
        one.identifier in programs and FAILURE.search(one.text[:600])
        for one in case.messages[: message.number]
    )


def _was_passed(case: Case, message: Message) -> bool:
    """Said by a command before the start or after the end, where it is the main process that
    failed, and said something of that as well."""
    if case.incident.control is not None or case.incident.main.pid is None:
        return False
    ran = [(setting, path.rpartition("/")[2]) for setting, path, _ in commands(case.unit)]
    main = {name for setting, name in ran if setting == "ExecStart"}
    beside = {name for _, name in ran} - main
    return message.identifier in beside and any(
        one.identifier not in beside and FAILURE.search(one.text[:600]) for one in case.messages
    )


def _only_asked(case: Case, message: Message) -> bool:
    """A helper that only reads, run by a program, and no script of a shell, that went on and
    complained of something else."""
    if not _READER.match(message.raw) or _is_of_a_shell(case):
        return False
    return any(
        one.pid == str(case.incident.main.pid)
        and (NAMES_A_THING.search(one.text[:600]) or not is_consequence(one.text))
        for one in case.messages[message.number + 1 :]
    )


def _is_of_a_shell(case: Case) -> bool:
    """What the unit starts is a shell or one's script: what that reads, it goes on with."""
    for setting, path, _ in commands(case.unit):
        fact = case.facts.programs.get(path)
        interpreter = (fact.interpreter if fact is not None else None) or path
        if setting == "ExecStart" and _SHELL.search(interpreter):
            return True
    return False


def _is_old_news(case: Case, message: Message) -> bool:
    """The same line was said by a run of this unit before; it may have failed as well."""
    return message.raw in case.earlier


def _end(case: Case) -> float:
    """When it ended; 0 where it hung until systemd ended it: what it said last is long ago then."""
    if case.incident.result == "timeout":
        return 0.0
    return case.incident.main.exited or case.incident.first_seen


def last_words(messages: Sequence[Message], limit: int = 3) -> list[Message]:
    """The last lines that are no ornament."""
    return [message for message in messages if any(map(str.isalpha, message.text))][-limit:]
