# SPDX-License-Identifier: MIT
"""What is wrong with a configuration, where the line that names it says only that something is."""

from __future__ import annotations

import re

from failhook.diagnose.case import Case
from failhook.diagnose.config_file import lone_line
from failhook.diagnose.level import Level
from failhook.diagnose.manager import program_of
from failhook.diagnose.place import ANY_FILE
from failhook.diagnose.text import Message

WRONG = re.compile(
    r"\b(?:unknown|unrecogni[sz]ed|unexpected|unsupported|invalid|illegal|bad|bogus|wrong|undefined|malformed"
    r"|deprecated|obsolete|missing|misplaced|misused|disallowed|expected|expecting|duplicate|already (?:defined|exists|declared)"
    r"|not (?:a )?(?:valid|known|allowed|permitted|recogni[sz]ed|defined|supported|found|understood)"
    r"|valid only|only (?:valid|allowed|permitted)|allowed only|must (?:be|end|start|begin|match|have|not)\b|should be|requires?|cannot|can't|could not|couldn't|unable|fail(?:ed|ure|s)?|error|syntax"
    r"|pars(?:e|ing)|no such|(?:does not|doesn't) exist|out of range|too (?:large|small|long|many|few)|stray"
    r"|mismatch|conflict|unterminated|unbalanced|unclosed|misspelled|ignored|emerg)",
    re.IGNORECASE,
)
# "Please fix fatal configuration errors, exiting..."
_OF_A_RESULT_ONLY = re.compile(
    r"\b(?:bad|invalid|wrong|broken|unusable|unreadable|incorrect|conf(?:ig(?:uration)?)?s?|files?|errors?|fatal|please|fix|correct|check|exit(?:ing|ed)?"
    r"|abort(?:ing|ed)?|quit(?:ting)?|giving up|stop(?:ping|ped)?|read(?:ing)?|pars(?:e|ed|ing)|load(?:ed|ing)?"
    r"|process(?:ed|ing)?|fail(?:ed|s|ure)?|with|in|of|the|an?|to|from|due|because|ha(?:s|ve|d)|found|there|were|was|is|are"
    r"|not|cannot|could|couldn't|unable|can't|terminat(?:e|ing)|shutting down|valid(?:at(?:e|ion|ing))?|your|its"
    r"|settings?|options?|and|try|again|problems?|see|above|before|start(?:ing|up)?|[efw]|main|critical)\b",
    re.IGNORECASE,
)
_OF_A_RESULT, _RESULT_BELOW = 200, 8  # characters; lines
_LINES = 2


def told_above(case: Case, message: Message, text: str) -> list[Message]:
    """``Symbolic name "ws2" not defined!`` / ``bad config file: /etc/x.cfg``: where a line says only
    that there are mistakes, the first of those above it."""
    if not _is_only_a_result(case, text):
        return []
    above = case.messages[max(0, message.number - _RESULT_BELOW) : message.number]
    told = [
        one
        for one in above
        if one.pid == message.pid
        and (one.level >= Level.WARNING or WRONG.search(one.text[:600]))
        and not _is_only_a_result(case, one.text)
    ]
    return told[:_LINES]


def _is_only_a_result(case: Case, text: str) -> bool:
    """It has no word of its own beside "bad", "configuration", "exiting" and the like."""
    if len(text) > _OF_A_RESULT or lone_line(text):
        return False
    rest = ANY_FILE.sub(" ", text)
    for name in {case.incident.unit.partition(".")[0], program_of(case).rpartition("/")[2]}:
        rest = re.sub(rf"\b{re.escape(name)}[\w.:]*", " ", rest, flags=re.IGNORECASE)
    return not re.search(r"\w", _OF_A_RESULT_ONLY.sub(" ", rest))
