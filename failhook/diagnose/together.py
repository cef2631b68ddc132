# SPDX-License-Identifier: MIT
"""Lines that belong together: a complaint and what it announces, continues with, or was caused by."""

from __future__ import annotations

import re
from itertools import takewhile

from failhook.diagnose.case import Case
from failhook.diagnose.course import FRAME, HARMLESS, NAMES_A_THING
from failhook.diagnose.level import Level
from failhook.diagnose.text import Message

_ANNOUNCES = re.compile(r"\b(?:the following|(?:listed|described) below)\b", re.IGNORECASE)
# anyhow and eyre (Rust), and who writes like them: "Caused by:" and the causes, one a line.
_CAUSED = re.compile(r"^\s*(?:caused by|because|reason|details?):?\s*$", re.IGNORECASE)
_NUMBERED = re.compile(r"^\s*\d{1,2}: ")
_GOES_ON = re.compile(
    r"^\s*(?:was|is|are|and|or|but|which|that|with|in|at|to|for|from|because|by|of|while|when) [a-z]"
)
_QUOTED = re.compile(r"['\"`‘“]([^'\"`’”]{1,80})['\"`’”]")
_SPEAKER = re.compile(r"^[A-Z][\w.-]{2,20}: ")  # the library that speaks
_ENDS = re.compile(r"[.!?;]\s*$")
# .NET's console: the logger and the number of the event, then on a line of its own what it says.
_LOGGER_ONLY = re.compile(r"^(?:[A-Z]\w{0,60}\.){1,8}[A-Z]\w{0,60}\[\d{1,8}\]$")
_MAX_CAUSES = 6
_MAX_FURTHER, _NO_TIME = 3, 6


def together(case: Case, message: Message) -> str:
    """What the line says with what belongs to it from the lines after."""
    after = _after(case, message)
    if not after:
        return message.text
    if causes := _causes(after):
        return ": ".join((message.text.rstrip(": "), *causes))
    following = after[0]
    if _LOGGER_ONLY.match(message.text):
        return following.text
    if message.text.rstrip().endswith((":", ",")) or _ANNOUNCES.search(message.text):
        return f"{message.text.rstrip(': .,')}: {following.text}"
    further = [following.text] if "DETAIL:" in following.raw else _further(message, after)
    return (
        ": ".join((message.text.rstrip(": ."), *further)) if further else _continued(message, after)
    )


def taken_back(case: Case, message: Message) -> bool:
    """``Unknown parameter "x"`` / ``Ignoring unknown parameter "x"``: the program went on."""
    if HARMLESS.search(message.text[:500]):
        return True
    following = next(iter(case.messages[message.number + 1 : message.number + 2]), None)
    if following is None or not HARMLESS.search(following.text[:500]):
        return False
    named = _QUOTED.findall(message.text[:500])
    speaker = _SPEAKER.match(message.text)
    by_the_same = speaker is not None and following.text.startswith(speaker[0])
    return by_the_same or any(one in following.text for one in named)


def _after(case: Case, message: Message) -> list[Message]:
    return [
        one
        for one in case.messages[message.number + 1 : message.number + 3 + _MAX_CAUSES]
        if one.identifier == message.identifier
    ]


def _causes(after: list[Message]) -> list[str]:
    if not _CAUSED.match(after[0].raw):
        return []
    causes = []
    for one in after[1 : 1 + _MAX_CAUSES]:
        if not one.raw.startswith((" ", "\t")):
            break
        causes.append(_NUMBERED.sub("", one.raw).strip())
    return causes


def _further(message: Message, after: list[Message]) -> list[str]:
    """An error that names nothing, with time and level before it, and lines that have neither: they
    are its own."""
    if message.level < Level.ERROR or _is_plain(message) or NAMES_A_THING.search(message.text):
        return []
    lines = list(takewhile(_is_plain, after[:_MAX_FURTHER]))
    return [one.text for one in lines if not FRAME.match(one.raw)]


def _is_plain(message: Message) -> bool:
    """Nothing stood before its words."""
    before = len(message.raw.strip()) - len(message.text)
    return message.level is Level.UNKNOWN and before < _NO_TIME


def _continued(message: Message, after: list[Message]) -> str:
    text = message.text
    for one in after[:3]:
        if _ENDS.search(text) or not _GOES_ON.match(one.raw):
            break
        text = f"{text} {one.text}"
    return text
