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
from failhook.diagnose.finding import Finding
from failhook.diagnose.text import Level, Message

_NEAR_S = 30.0
_AT_EASE = 5
_BY_LEVEL = {
    Level.FATAL: 0.05,
    Level.ERROR: 0.04,
    Level.UNKNOWN: 0.0,
    Level.WARNING: -0.15,
    Level.TALK: -0.25,
}
# Words of the end, not of its reason.
CONSEQUENCE = re.compile(
    r"\b(?:exit(?:ing|ed)?|abort(?:ing|ed)?|giv(?:ing|e) up|shut(?:ting)? ?down|terminat(?:ing|ed)"
    r"|stopp(?:ing|ed)|bye|quit(?:ting)?|bailing out|fail(?:ed|ure) to (?:start|initiali[sz]e)\b"
    r"|start(?:-?up)? (?:failed|failure)|(?:could|can)(?:not|n't| not) (?:start|continue|proceed)"
    r"|(?:fatal |there (?:were|are) )?errors? (?:found )?in (?:the )?config(?:uration)?(?: file)?s?"
    r"|config(?:uration)?(?: file)? (?:test|check)? ?(?:failed|is not valid|contains? errors?)"
    r"|failed with (?:result|exit)|see (?:the |\"|')|try (?:'|\"|`|--help)|usage:|for more info"
    r"|due to (?:a |the )?(?:previous |fatal )?errors?|errors? encountered|see .{0,30}\babove|please (?:fix|check|see)"
    r"|unexplained error|see previous|unexpectedly closed|registration .{0,40}failed|plugin initiali[sz]ation aborted)",
    re.IGNORECASE,
)

# The program says that it went on.
HARMLESS = re.compile(
    r"\busing (?:the |its )?(?:built-?in )?defaults?\b|\bignor(?:ed|ing)\b|\bcontinuing\b|\bskipp(?:ed|ing)\b"
    r"|\bfall(?:ing|s)? ?back\b|\bnon-?fatal\b|\bnot fatal\b|\b(?:is|are|will be) optional\b"
    r"|\bdeprecat|\bdisabling\b|\bwill (?:be )?(?:disabled|retry|try again)\b|\bretrying\b|\bproceeding\b",
    re.IGNORECASE,
)


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
            kept.append(replace(finding, confidence=round(min(0.99, max(0.05, weight)), 2)))
    return kept


def _place(finding: Finding) -> int:
    return finding.at if finding.at is not None else -1


def _weight(case: Case, finding: Finding, message: Message | None) -> float:
    weight = finding.confidence
    if message is None:
        return weight
    weight += _BY_LEVEL[message.level]
    if CONSEQUENCE.search(message.text[:500]) and not finding.cause.startswith("crash"):
        weight -= 0.2
    if HARMLESS.search(message.text[:500]):
        weight -= 0.3
    if message.level in (Level.WARNING, Level.TALK) and _error_after(case, message):
        weight -= 0.15
    if message.level >= Level.ERROR and _went_on(case, message):
        weight -= 0.12
    if _is_old_news(case, message):
        weight -= 0.1
    end = _end(case)
    if end and message.at and end - message.at > _NEAR_S:
        weight -= 0.25
    return weight


def _error_after(case: Case, message: Message) -> bool:
    """It went on after its warning, until something that it calls an error."""
    return any(
        one.level >= Level.ERROR and not CONSEQUENCE.search(one.text[:500])
        for one in case.messages[message.number + 1 :]
    )


def _went_on(case: Case, message: Message) -> bool:
    """It talked at ease after that, before the error that it died of."""
    after = case.messages[message.number + 1 :]
    last = max((at for at, one in enumerate(after) if one.level >= Level.ERROR), default=0)
    at_ease = [one for one in after[:last] if one.level is Level.TALK]
    return sum(not CONSEQUENCE.search(one.text[:500]) for one in at_ease) > _AT_EASE


def _is_old_news(case: Case, message: Message) -> bool:
    """The same line was said by a run of this unit before; it may have failed as well."""
    return message.raw in case.earlier


def _end(case: Case) -> float:
    return case.incident.main.exited or case.incident.first_seen


def last_words(messages: Sequence[Message], limit: int = 3) -> list[Message]:
    """The last lines that are no ornament."""
    return [message for message in messages if any(map(str.isalpha, message.text))][-limit:]
