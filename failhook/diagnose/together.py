# SPDX-License-Identifier: MIT
"""Lines that belong together: a complaint and what it announces, continues with, or was caused by."""

from __future__ import annotations

import re

from failhook.diagnose.case import Case
from failhook.diagnose.rank import HARMLESS
from failhook.diagnose.text import Message

_ANNOUNCES = re.compile(r"\b(?:the following|(?:listed|described) below)\b", re.IGNORECASE)
# anyhow and eyre (Rust), and who writes like them: "Caused by:" and the causes, one a line.
_CAUSED = re.compile(r"^\s*(?:caused by|because|reason|details?):?\s*$", re.IGNORECASE)
_NUMBERED = re.compile(r"^\s*\d{1,2}: ")
_GOES_ON = re.compile(
    r"^\s*(?:was|is|are|and|or|but|which|that|with|in|at|to|for|from|because|by|of|while|when) [a-z]"
)
_QUOTED = re.compile(r"['\"`‘“]([^'\"`’”]{1,80})['\"`’”]")
_ENDS = re.compile(r"[.!?;]\s*$")
_MAX_CAUSES = 6


def together(case: Case, message: Message) -> str:
    """What the line says with what belongs to it from the lines after."""
    after = _after(case, message)
    if not after:
        return message.text
    if causes := _causes(after):
        return ": ".join((message.text.rstrip(": "), *causes))
    following = after[0]
    if message.text.rstrip().endswith((":", ",")) or _ANNOUNCES.search(message.text):
        return f"{message.text.rstrip(': .,')}: {following.text}"
    if "DETAIL:" in following.raw:
        return f"{message.text}: {following.text}"
    return _continued(message, after)


def taken_back(case: Case, message: Message) -> bool:
    """``Unknown parameter "x"`` / ``Ignoring unknown parameter "x"``: the program went on."""
    if HARMLESS.search(message.text[:500]):
        return True
    following = next(iter(case.messages[message.number + 1 : message.number + 2]), None)
    if following is None or not HARMLESS.search(following.text[:500]):
        return False
    named = _QUOTED.findall(message.text[:500])
    return any(one in following.text for one in named)


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


def _continued(message: Message, after: list[Message]) -> str:
    text = message.text
    for one in after[:3]:
        if _ENDS.search(text) or not _GOES_ON.match(one.raw):
            break
        text = f"{text} {one.text}"
    return text
