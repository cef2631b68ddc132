# SPDX-License-Identifier: MIT
"""A program that nobody has seen before: which of its lines matters?

Words of failure, a thing that is named (a path, a quoted name, a number), its level, and its place
before the words of the end. It quotes and never invents: what it is not sure of it calls unclear.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from failhook.diagnose.case import Case
from failhook.diagnose.finding import GUESS, Cause, Finding, fails, overheard, quote
from failhook.diagnose.level import Level
from failhook.diagnose.speakers import a_child_told, came_after_main, went_on_beside
from failhook.diagnose.subjects import commands
from failhook.diagnose.text import Message, continues
from failhook.diagnose.together import (
    OF_FEW_LINES,
    SOURCE_PLACE,
    all_of_it,
    begun_above,
    taken_back,
    together,
)
from failhook.diagnose.wording import (
    DONE_BEFORE,
    ENDED_WITH,
    FAILURE,
    FRAME,
    GAVE_UP,
    GOOD,
    NAMES_A_THING,
    OF_NOTHING,
    is_consequence,
    is_dying_reason,
    says_nothing,
    without_last_word,
)

_CAUSE_AFTER = re.compile(r": [A-Za-z(][^:]{4,}$")
# Not "started", what it could not start.
_UNABLE = re.compile(
    r"(?:[^:]{1,60}: ){0,3}(?:(?:unable|failed) to|cannot|can't|could(?: not|n't)) ", re.IGNORECASE
)
# ``self-connect-mode is "Don't restrict"``: the value of a setting.
_VALUE = re.compile(r"(?<= is )\"[^\"]{1,200}\"(?=\W{0,3}$)")
# What may come, not what came.
_HEDGED = re.compile(
    r"\b(?:may|might|could (?:also|lead|cause|result)|can (?:also )?cause|recommend(?:ed)?|consider"
    r"|should|deprecated|will be (?:removed|ignored)|hint|note)\b"
    r"|^\s*(?:please )?(?:run|try|use|make sure|ensure|check|provide|install) ",
    re.IGNORECASE,
)
_SHOULD = re.compile(r"\bshould (?:be|provide|have|match)\b", re.IGNORECASE)
_EXCEPTION = re.compile(r"(?:[A-Za-z]\w{0,60}\.){1,8}\w{1,60}(?:Exception|Error): \S")
_LICENCE = re.compile(
    r"\bno warranty\b|\b(?:welcome to|you may) redistribute\b|\bfree software[:;,.]|\bcopyright \(c\)",
    re.IGNORECASE,
)
_ONLY_A_LINK = re.compile(r"https?://\S{1,300}")
_FOR_MORE = re.compile(r"\blearn more\b", re.IGNORECASE)
_NEAR = 6  # lines
_BANNER = re.compile(r"^\W{3,}.{0,80}\W{3,}$|^[*=#-]{4,}|[*=#-]{4,}$")
_ABOVE = re.compile(r"\bsee .{0,30}\babove", re.IGNORECASE)  # the last error points to warnings
_NEAR_END_S = 10.0
_BY_LEVEL = {
    Level.FATAL: 3.0, Level.ERROR: 2.6, Level.WARNING: 0.3, Level.UNKNOWN: 0.6, Level.TALK: -0.8,
}  # fmt: skip


def _score(case: Case, message: Message, *, above: bool) -> float:
    text = message.text[:600]
    alone = True
    if says_nothing(text) and (whole := together(case, message)) != message.text:
        text, alone = whole[:600], False
    plain = _VALUE.sub(" ", text) if message.level < Level.ERROR else text
    failures = len({word.lower() for word in FAILURE.findall(plain)})
    nothing = _is_only_place(message) or not any(map(str.isalpha, text)) or DONE_BEFORE.match(text)
    if nothing or case.course.is_usage(message) or case.course.is_ignored(message):
        return -1.0
    if not failures and message.level < Level.ERROR and not is_dying_reason(text):
        return -1.0
    level = _level(case, message)
    score = _BY_LEVEL[level] + _by_words(text, failures) - (0.0 if alone else 0.4)
    score -= 1.5 if _is_hedged(text, level) else 0.0
    if not case.course.gave_up_on(message):
        score += _by_course(case, message)
    if message.number and continues(case.messages[message.number - 1], message):
        score -= 1.2
    if _BANNER.search(message.raw):
        score -= 3.0
    if level is Level.WARNING and above:
        score += 1.8
    if level in (Level.UNKNOWN, Level.WARNING):
        score += 0.5 * (message.number + 1) / max(1, len(case.messages))  # the end tells more
    if message.raw in case.earlier:
        score -= 0.3
    return score


def _is_hedged(text: str, level: Level) -> bool:
    """It speaks of what may come. What an error says that should be is a demand."""
    if level >= Level.ERROR:
        text = _SHOULD.sub(" ", text)
    return _HEDGED.search(text) is not None


def _level(case: Case, message: Message) -> Level:
    """How grave the line is: at least an error where the program gave up on it, or where the line
    below calls itself one and only says what could not go on."""
    below = next(iter(case.messages[message.number + 1 : message.number + 2]), None)
    is_reason = (
        below is not None
        and below.pid == message.pid
        and below.level >= Level.ERROR
        and message.level is Level.UNKNOWN
        and is_consequence(below.text)
        and NAMES_A_THING.search(message.text[:600]) is not None
    )
    if message.level is Level.TALK and _a_child_said(case, message):
        return Level.ERROR
    if is_reason or case.course.gave_up_on(message) or _is_its_exception(case, message):
        return max(message.level, Level.ERROR)
    return message.level


def _a_child_said(case: Case, message: Message) -> bool:
    """A complaint that the program only passes on, as information: it is of one that it started, and
    the error below says only how that one ended."""
    text = message.text[:600]
    if not FAILURE.search(text) or not NAMES_A_THING.search(text) or _HEDGED.search(text):
        return False
    return any(
        one.level >= Level.ERROR and one.pid == message.pid and ENDED_WITH.search(one.text[:600])
        for one in case.messages[message.number + 1 : message.number + 1 + _NEAR]
    )


def _is_its_exception(case: Case, message: Message) -> bool:
    """``[Fatal] Start: it did not work`` / ``Acme.CorruptDatabaseException: /srv/a.db is corrupt``"""
    above = case.messages[message.number - 1] if message.number else None
    return (
        above is not None
        and above.pid == message.pid
        and above.level >= Level.ERROR
        and message.level is Level.UNKNOWN
        and _EXCEPTION.match(message.text) is not None
    )


def _is_only_place(message: Message) -> bool:
    """A place in the program's text, a link, or a word of its licence."""
    text = message.text
    return bool(
        FRAME.match(message.raw)
        or SOURCE_PLACE.match(text)
        or _ONLY_A_LINK.fullmatch(text)
        or _LICENCE.search(text)
    )


def _by_words(text: str, failures: int) -> float:
    """What the words of a line are worth."""
    score = 1.2 + 0.2 * min(failures - 1, 2) if failures else 1.8 * is_dying_reason(text)
    if failures and NAMES_A_THING.search(text):
        score += 0.8
    if failures and _CAUSE_AFTER.search(text):
        score += 0.4
    if is_consequence(text):
        score -= 1.0 if NAMES_A_THING.search(text) or failures else 1.6
    if GAVE_UP.search(without_last_word(text)):
        score -= 1.0
    if says_nothing(text):
        score -= 1.2
    if _FOR_MORE.search(text):
        score -= 1.5
    if OF_NOTHING.search(text):
        score -= 0.8
    if failures < 2 and not _UNABLE.match(text) and GOOD.search(text):
        score -= 0.9
    if len(text) < 8:
        score -= 1.0
    return score


def _by_course(case: Case, message: Message) -> float:
    """What the way of the run after a line takes from it."""
    score = -2.6 if taken_back(case, message) else 0.0
    score -= min(2.0, 0.6 * case.course.survived(message))
    score -= 1.0 if case.course.told_nearby(message) or case.course.announces(message) else 0.0
    score -= (
        1.5 if case.of_another_command(message) or _only_lost_its_reader(case, message) else 0.0
    )
    score -= 2.0 if went_on_beside(case, message) or came_after_main(case, message) else 0.0
    score -= 1.0 if _cleans_up(case, message) else 0.0
    score -= 2.0 if a_child_told(case, message) else 0.0
    score -= 1.5 if case.course.came_after_the_end(message) else 0.0
    end = case.incident.main.exited or (case.messages[-1].at if case.messages else 0.0)
    hung = case.incident.result == "timeout"
    if message.at and end - message.at > _NEAR_END_S and not hung:
        score -= 1.2
    return score


def _cleans_up(case: Case, message: Message) -> bool:
    """It could not take away what it had made, after something else had failed."""
    if not _CLEANS_UP.search(message.text[:600]):
        return False
    return case.once(_cleans_up, lambda: _first_that_names(case)) < message.number


def _first_that_names(case: Case) -> int:
    """The number of the first complaint that names a thing; behind the last line where there is none."""
    return next(
        (
            one.number
            for one in case.messages
            if FAILURE.search(one.text[:600]) and NAMES_A_THING.search(one.text[:600])
        ),
        len(case.messages),
    )


def _only_lost_its_reader(case: Case, message: Message) -> bool:
    """``tr: write error: Broken pipe`` (EPIPE, write(2)), beside another process that complains: the
    one that it wrote to."""
    if not _WRITES_ON.search(message.text[:200]):
        return False
    near = case.messages[max(0, message.number - 2) : message.number + 2]
    lost = any(one.pid == message.pid and "broken pipe" in one.lower for one in near)
    return lost and not case.once("who complains", lambda: _who_complains(case)) <= {message.pid}


def _who_complains(case: Case) -> frozenset[str]:
    """The processes that complain of something else than a reader that is gone."""
    return frozenset(
        one.pid
        for one in case.messages
        if FAILURE.search(one.text[:600]) and not _WRITES_ON.search(one.text[:200])
    )


def telling(case: Case, messages: Sequence[Message]) -> list[tuple[float, Message]]:
    """The lines by how much they tell, the first of those that tell as much before its echoes."""
    above = any(_ABOVE.search(one.text) for one in case.messages)
    best: dict[str, tuple[float, Message]] = {}  # by what they say: once of each
    for message in messages:
        score = _score(case, message, above=above)
        if score > max(0.5, best.get(message.text, (0.0,))[0]):
            best[message.text] = score, message
    return sorted(best.values(), key=lambda pair: (-round(pair[0]), pair[1].number))


_A_THING = re.compile(
    r"['\"`‘][^'\"`’]{1,120}['\"`’]|/\w|[\w-]{2}\.[a-z]\w{1,10}\b|\b[A-Z]{2,30}_[A-Z_]{2,30}"
)
_CLEANS_UP = re.compile(
    r"\b(?:fail(?:ed|ure|s)?|unable|could not|couldn't|cannot|can't|error)(?: to)? "
    r"(?:delet|remov|unlink|rmdir|clean|umount|unmount|clos|detach|releas|destroy|free|unregister|kill)\w*\b",
    re.IGNORECASE,
)
_VERSION = re.compile(r"^[\w.+-]{1,40},? (?:version |v)?\d{1,4}(?:\.\d{1,5}){1,4}\b.{0,20}")
_WRITES_ON = re.compile(r"broken pipe|\bwrite error$", re.IGNORECASE)
_SPEAKER = re.compile(r"(?P<name>[a-z][\w.-]{1,30}): \S")
_FEW_WORDS = 6
_GIVEN = 140  # characters of a command line
_FEW_LINES, _OF_THE_END = 4, 8


def _general(case: Case) -> Iterator[Finding]:
    best = telling(case, case.messages)
    if case.overheard:
        yield from [overheard(case, message) for _, message in best[:1]]
        return
    for score, message in best[:3]:
        worth = _worth_of_first(best) if message is best[0][1] else score
        sure = min(0.62, GUESS + 0.065 * (worth - 1.5))
        more = all_of_it(case) or (_alike(case, best) if message is best[0][1] else "")
        text = quote(_with_speaker(case, message, more or together(case, message)))
        yield Finding(
            "unclear",
            fails(case, f"“{text}”{'' if is_concrete(text) else work_of(case)}"),
            f"its own words; the whole log: failhook show {case.incident.id}",
            max(0.22, sure - (0.02 if message is not best[0][1] else 0)),
            (case.proof(message),),
            None,
        )
    if not best and case.messages:
        words = [message for message in case.messages if any(map(str.isalpha, message.text))]
        if words:
            yield _unclear(case, words[-1])


def _worth_of_first(best: Sequence[tuple[float, Message]]) -> float:
    """Of errors that tell about as much, the first one is worth as much as any of them."""
    first, message = best[0]
    if message.level in (Level.TALK, Level.WARNING):
        return first
    alike = (score for score, one in best[:3] if one.level is message.level)
    return max((score for score in alike if round(score) == round(first)), default=first)


def _alike(case: Case, best: Sequence[tuple[float, Message]]) -> str:
    """The last complaints of a run, where none of them tells more than the others: ``Repair is
    required`` / ``1 file(s) exist but are damaged`` / ``Repair is not possible``."""
    score, first = best[0]
    lines = [
        one
        for worth, one in best[:_FEW_LINES]
        if round(worth) == round(score)
        and one.pid == first.pid
        and not _FOR_MORE.search(one.text)
        and not (one.number and continues(case.messages[one.number - 1], one))
    ]
    is_end = all(len(case.messages) - one.number <= _OF_THE_END for one in lines)
    if len(lines) < 2 or not is_end:
        return ""
    texts = [
        f"{begun_above(case, one)} {one.text}".strip()
        for one in sorted(lines, key=lambda each: each.number)
    ]
    return " / ".join(texts) if sum(map(len, texts)) <= OF_FEW_LINES else ""


def _with_speaker(case: Case, message: Message, text: str) -> str:
    """``sudo: a password is required``: of a few words, who says them tells most."""
    speaker = _SPEAKER.match(message.raw.strip())
    if (
        speaker is None
        or text.startswith(f"{speaker['name']}:")
        or text != message.text
        or len(text.split()) > _FEW_WORDS
    ):
        return text
    programs = {path.rpartition("/")[2] for _, path, _ in commands(case.unit)}
    return text if speaker["name"] in programs else f"{speaker['name']}: {text}"


def is_concrete(text: str) -> bool:
    """It names something of this machine, and not only its program and that one's version."""
    return any(_A_THING.search(_VERSION.sub("", line)) for line in text.split(" / "))


def work_of(case: Case) -> str:
    """What the command was given, where its words name nothing: one of that it is, mostly."""
    failed = case.failing
    for setting, program, argv in commands(case.unit):
        given = argv.partition(" ")[2]
        if setting == failed and given and " -c " not in f" {given}":
            return f", of: “{program.rpartition('/')[2]} {quote(given, _GIVEN)}”"
    return ""


def _unclear(case: Case, last: Message) -> Finding:
    ended = case.incident.exit_status or "unknown"
    return Finding(
        "unclear",
        fails(case, f"status {ended}, and it is unclear why; its last words: “{quote(last.text)}”"),
        "look at its own log files, or raise its log level",
        0.12,
        (case.proof(last),),
    )


CAUSES = (Cause("unclear", "no known cause: the line that tells most", _general),)
