# SPDX-License-Identifier: MIT
"""Lines that belong together: a complaint and what it announces, continues with, or was caused by."""

from __future__ import annotations

import re
from itertools import islice, takewhile

from failhook.diagnose.case import Case
from failhook.diagnose.finding import quote
from failhook.diagnose.level import Level
from failhook.diagnose.text import Message, continues
from failhook.diagnose.wording import (
    FAILURE,
    FRAME,
    HARMLESS,
    NAMES_A_THING,
    says_nothing,
    without_advice,
)

_ANNOUNCES = re.compile(r"\b(?:the following|(?:listed|described) below)\b", re.IGNORECASE)
# anyhow and eyre (Rust), and who writes like them: "Caused by:" and the causes, one a line.
_CAUSED = re.compile(r"^\s*(?:caused by|because|reason|details?):?\s*$", re.IGNORECASE)
_NUMBERED = re.compile(r"^\s*\d{1,2}: ")
_FIRST_CAUSE = re.compile(r"^\s{1,8}0: \S")
_GOES_ON = re.compile(
    r"^\s*(?:was|is|are|and|or|but|which|that|with|in|at|to|for|from|because|by|of|while|when) [a-z]"
)
# "The key id in x.minisig is 1", and below it "but the key id in the public key is 2".
_CONTRASTS = re.compile(r"\W{0,3}(?:but|instead of|rather than|whereas|yet) [a-z\d]")
_QUOTED = re.compile(r"['\"`‘“]([^'\"`’”]{1,80})['\"`’”]")
_SPEAKER = re.compile(r"^[A-Z][\w.-]{2,20}: ")  # the library that speaks
_ENDS = re.compile(r"[.!?;]\s*$")
# .NET's console: the logger and the number of the event, then on a line of its own what it says.
_LOGGER_ONLY = re.compile(r"^(?:[A-Z]\w{0,60}\.){1,8}[A-Z]\w{0,60}\[\d{1,8}\]$")
_OPENS = re.compile(r"(?:[:,{\[(]|=>|<-)\s*$")
_THE_END = re.compile(
    r"\b(?:exit|abort|shut|stop|quit|bye|terminat|giv|bail|end|dying|die|complete)", re.IGNORECASE
)
_A_HINT = re.compile(
    r"\s{0,20}(?:did you mean|tips?\b|hints?\b|note\b|help\b|usage\b|try\b|for more|see\b|[|=^~]|-{1,3}> )",
    re.IGNORECASE,
)
# What it went on without was the last one.
_NOTHING_LEFT = re.compile(
    r"(?:there (?:is|are) )?no(?:ne)? .{1,60}\b(?:available|left|found|loaded|configured|usable|remain\w*)\b",
    re.IGNORECASE,
)
# "...ignoring", on a line of its own.
_TAKES_BACK = re.compile(
    r"\W{0,6}(?:ignor(?:ing|ed)|continuing|skipp(?:ing|ed))\W{0,6}$", re.IGNORECASE
)
# "Error occurred at: src/parser.c - parse_log - 2116": of the program, and for its authors.
SOURCE_PLACE = re.compile(
    r"\S{1,200}\.nim\(\d{1,6}\)\s{1,40}\w{1,80}$|\W{0,9}(?:error )?(?:occurred |raised )?(?:at|in|from):? [\w./-]{1,99}\.(?:c|cc|cpp|h|go|rs|y)\b",
    re.IGNORECASE,
)
_WORKS_ON = re.compile(
    r"\b(?:process|check|read|load|convert|pars|scann|test|verify|compil|import|handl|analy[sz]|extract|decod)ing"
    r"(?: (?:the )?file)?:? ['\"`]?(?P<thing>/[^\s'\"`]{1,300}|[\w.+-]{1,80}\.[a-z]\w{1,5})['\"`]?[.:]{0,3}$",
    re.IGNORECASE,
)
_MARGIN_OF_CODE = re.compile(r"^\s*[│|]\s")
_LINE_OF_CODE = re.compile(r"^\s*\d{1,6} ?[│|] (?P<code>\s{0,80}\S.{0,200})")
_POINTS_UP = re.compile(r"^\s*[│|][\s│|]{0,200}\^")
_TRACE = re.compile(r"Traceback \(most recent call last\)")
_HEADING = re.compile(r"^\s*(?:message|reason|details?|error|cause|why):\s*$", re.IGNORECASE)
_CLOSE_ABOVE = 2  # lines
_MARGIN = 1 << 16  # nothing is indented so far
_TWO_WORDS = 7  # letters
_OF_A_HALF = 4  # words
# Letters: where a quote has no room for both, what follows is what matters.
_OF_A_QUOTE, _OF_THE_HEAD = 230, 110
# "ParseError at [row,col]:[3,7]" / "Message: …", as Java's readers of XML have it.
_MESSAGE_OF_IT = re.compile(r"\W{0,6}(?:message|reason|cause): \S", re.IGNORECASE)
_MAX_CAUSES, _MAX_OPEN = 6, 4
_MAX_FURTHER, _NO_TIME = 3, 6
_DECORATION = re.compile(r"\s{2,200}|[-=*_#]{4,200}")  # rows of a table
_FEW_LINES, OF_FEW_LINES = 5, 220  # characters


def together(case: Case, message: Message) -> str:
    """What the line says with what belongs to it from the lines after, or the one just before."""
    after = _after(case, message)
    if code := _pointed_at(case, message):
        return f"{message.text}: {code}"
    begun, subject = begun_above(case, message), _subject_above(case, message)
    if begun or subject or not after:
        before = f"{subject}:" if subject else begun
        return f"{before} {message.text}".lstrip()
    return _with_the_next(message, after)


def _with_the_next(message: Message, after: list[Message]) -> str:
    """What it says with what follows of it."""
    if causes := _causes(after):
        return ": ".join((message.text.rstrip(": "), *causes))
    following = after[0]
    if _HEADING.match(following.raw) and len(after) > 1:
        return f"{message.text.rstrip('.: ')}: {after[1].text}"
    if _LOGGER_ONLY.match(message.text):
        return following.text
    if _OPENS.search(message.text) or _ANNOUNCES.search(message.text):
        said, head = _until_closed(after), message.text.rstrip(": .,")
        if len(head) + len(said) > _OF_A_QUOTE:
            head = quote(without_advice(head), _OF_THE_HEAD)
        return f"{head}: {said}"
    further = [following.text] if "DETAIL:" in following.raw else _further(message, after)
    if further or (further := _said_after(message, after)):
        return ": ".join((message.text.rstrip(": ."), *further))
    return _continued(message, after)


def all_of_it(case: Case) -> str:
    """Everything that it wrote, where that is a few short lines: one of them is the reason."""
    spoken = (one for one in case.messages if any(map(str.isalnum, one.text)))
    said = list(islice(spoken, _FEW_LINES + 1))
    if not 1 < len(said) <= _FEW_LINES or len({one.pid for one in case.messages}) != 1:
        return ""
    lines = [_DECORATION.sub(" ", one.text).strip() for one in said]
    plain = all(one.level is Level.UNKNOWN and not FRAME.match(one.raw) for one in said)
    return " / ".join(lines) if plain and sum(map(len, lines)) <= OF_FEW_LINES else ""


def taken_back(case: Case, message: Message) -> bool:
    """``Unknown parameter "x"`` / ``Ignoring unknown parameter "x"``: the program went on."""
    following = next(iter(case.messages[message.number + 1 : message.number + 2]), None)
    if following is not None and _NOTHING_LEFT.match(following.text):
        return False
    if HARMLESS.search(message.text[:500]) or case.course.did_without(message):
        return True
    if following is not None and _TAKES_BACK.match(following.text):
        return True
    if following is None or not HARMLESS.search(following.text[:500]):
        return False
    named = _QUOTED.findall(message.text[:500])
    speaker = _SPEAKER.match(message.text)
    by_the_same = speaker is not None and following.text.startswith(speaker[0])
    return by_the_same or any(one in following.text for one in named)


def begun_above(case: Case, message: Message) -> str:
    """``All files of disk 'd2'`` / ``are missing or rewritten!``: the sentence's first half."""
    if not message.number or not _GOES_ON.match(message.raw):
        return ""
    above = case.messages[message.number - 1]
    is_half = len(above.text.split()) >= _OF_A_HALF and FAILURE.search(message.text[:600])
    ended = _ENDS.search(above.text) or _OPENS.search(above.text)
    return above.text if is_half and not ended and above.pid == message.pid else ""


def _subject_above(case: Case, message: Message) -> str:
    """``key 9A1B: skipped: No public key`` / ``encryption failed: No public key``: what the line
    above names and this one does not, where both have the same reason or begin alike."""
    if not message.number:
        return ""
    above = case.messages[message.number - 1]
    if above.pid == message.pid and _CONTRASTS.match(message.text):
        return above.text.rstrip(",. ")
    if NAMES_A_THING.search(message.text):
        return ""
    if (worked_on := _worked_on(case, message)) is not None:
        return worked_on
    if above.pid != message.pid or not NAMES_A_THING.search(above.text):
        return ""
    reason = message.text.rpartition(": ")[2].rstrip(". ").lower()
    first = " ".join(message.text.split()[:2]).lower()
    ends = len(reason.split()) > 1 and above.lower.rstrip(". ").endswith(f": {reason}")
    begins = len(first) > _TWO_WORDS and above.lower.startswith(first)
    return above.text.rstrip(". ") if ends or begins else ""


def _worked_on(case: Case, message: Message) -> str | None:
    """``Processing: /srv/a.png`` / ``Unrecognized image file format``: what it was at, just above."""
    for one in reversed(case.messages[max(0, message.number - _CLOSE_ABOVE) : message.number]):
        if one.pid != message.pid or FAILURE.search(one.text[:400]):
            return None
        if (match := _WORKS_ON.search(one.text[:400])) is not None:
            return match["thing"]
    return None


def _pointed_at(case: Case, message: Message) -> str:
    """The line of a text, with its number before it, to which compilers point from below: with
    ``^^^^`` and a label in the same margin."""
    if not _MARGIN_OF_CODE.match(message.raw):
        return ""
    points = _POINTS_UP.match(message.raw) is not None
    for one in reversed(case.messages[max(0, message.number - _MAX_CAUSES) : message.number]):
        if one.pid != message.pid:
            return ""
        if (match := _LINE_OF_CODE.match(one.raw)) is not None:
            return match["code"].strip() if points else ""
        points = points or _POINTS_UP.match(one.raw) is not None
    return ""


def _after(case: Case, message: Message) -> list[Message]:
    return [
        one
        for one in case.messages[message.number + 1 : message.number + 3 + _MAX_CAUSES]
        if one.identifier == message.identifier
    ]


def _until_closed(after: list[Message]) -> str:
    """The next line, and those after it as long as each one is left open: a term over some lines; or
    the second, where only that one says which thing it was."""
    lines: list[str] = []
    heading = _MARGIN  # how far the last line that ends with a colon is indented
    for one in [one for one in after if any(map(str.isalnum, one.text))][:_MAX_OPEN]:
        is_open = not lines or _OPENS.search(lines[-1]) or _MESSAGE_OF_IT.match(one.text)
        if not is_open and _indent(one) <= heading and not _says_which(lines, one):
            break
        lines.append(one.text)
        heading = _indent(one) if one.text.endswith(":") else heading
    return " ".join(lines)


def _indent(message: Message) -> int:
    """In characters."""
    return len(message.raw) - len(message.raw.lstrip())


def _says_which(lines: list[str], one: Message) -> bool:
    """``Unable to load the application.`` / ``The module orders was not found.``"""
    alone = len(lines) == 1 and not NAMES_A_THING.search(lines[0])
    return alone and bool(NAMES_A_THING.search(one.text) and FAILURE.search(one.text))


def _said_after(message: Message, after: list[Message]) -> list[str]:
    """What follows a line that says only that something failed: the next one that says more."""
    text = message.text
    if not says_nothing(text) or _THE_END.search(text):
        return []
    if message.level < Level.ERROR and not FAILURE.search(text):
        return []
    for number, one in enumerate(after[:_MAX_FURTHER]):
        if SOURCE_PLACE.match(one.text):
            continue
        if FRAME.match(one.raw) or Level.UNKNOWN < one.level < message.level:
            return []
        if any(map(str.isalpha, one.text)) and not says_nothing(one.text):
            return [_until_closed(after[number:])]
    return []


def _causes(after: list[Message]) -> list[str]:
    headed = _CAUSED.match(after[0].raw)
    if not headed and not _FIRST_CAUSE.match(after[0].raw):
        return []
    causes = []
    for one in after[1 if headed else 0 :][:_MAX_CAUSES]:
        if not one.raw.startswith((" ", "\t")):
            break
        causes.append(_NUMBERED.sub("", one.raw).strip())
    return causes


def _further(message: Message, after: list[Message]) -> list[str]:
    """An error that names nothing, with time and level before it, and lines that have neither: they
    are its own."""
    if _is_plain(message):
        return []
    lines = list(takewhile(_is_plain, after[:_MAX_FURTHER]))
    lines = list(takewhile(lambda one: not _TRACE.match(one.raw), lines))
    if message.level < Level.ERROR or NAMES_A_THING.search(message.text):
        lines = list(takewhile(lambda one: one.raw.startswith((" ", "\t")), lines))
    lines = [one for one in lines if not _A_HINT.match(one.raw)]
    return [one.text for one in lines if not FRAME.match(one.raw)]


def _is_plain(message: Message) -> bool:
    """Nothing stood before its words."""
    before = len(message.raw.strip()) - len(message.text)
    return message.level is Level.UNKNOWN and before < _NO_TIME


def _continued(message: Message, after: list[Message]) -> str:
    text, above = message.text, message
    for one in after[:3]:
        goes_on = continues(above, one) or (not _ENDS.search(text) and _GOES_ON.match(one.raw))
        if not goes_on:
            break
        text, above = f"{text} {one.text}", one
    return text
