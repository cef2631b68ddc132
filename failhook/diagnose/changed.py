# SPDX-License-Identifier: MIT
"""What is not as it was when the unit last ran well, where nothing tells why it failed.

A program that dies without a word of the reason, and did so after somebody had edited its
configuration: that edit is where to look first. It is told as a fact beside the program's own last
words, and never as the cause.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from failhook.describe import with_changes
from failhook.diagnose.case import Case
from failhook.diagnose.finding import LIKELY, Finding, quote
from failhook.diagnose.unnamed import UNCLEAR
from failhook.incident import NOT_THERE, Change, Proof

_MOST = 2  # are named; the others are counted
_MAX_NAME = 120
_BRIEF_S = 5.0


def with_suspects(case: Case, finding: Finding) -> Finding:
    """``finding``, with what changed before the run where it leaves open why that failed."""
    suspects = [one for one in case.changes if _may_matter(case, one)] if _is_open(finding) else []
    suspects.sort(key=lambda one: one.after != NOT_THERE)  # what is gone has no time
    if not suspects:
        return finding
    words = [*map(_words, suspects[:_MOST])]
    if len(suspects) > _MOST:
        words.append(f"{len(suspects) - _MOST} more (see Changed)")
    proof = (Proof("changed", _difference(one), "changes.json") for one in suspects[:_MOST])
    return replace(
        finding,
        sentence=with_changes(finding.sentence, _joined(words)),
        advice="; ".join(_advice(suspects[0], finding.advice)),
        proof=(*finding.proof, *proof),
    )


def _is_open(finding: Finding) -> bool:
    """It says what happened more than why, or is a guess."""
    vague = finding.cause == "unclear" or finding.cause.startswith("crash")
    return vague or UNCLEAR in finding.sentence or finding.confidence < LIKELY


def _may_matter(case: Case, change: Change) -> bool:
    """It was so when the run began, or while one that lasted for a while went on."""
    incident = case.incident
    began, ended = incident.main.started, incident.main.exited or incident.first_seen
    if change.at is None or began is None:
        return change.at is None or change.at <= ended
    return change.at <= (began if ended - began < _BRIEF_S else ended)


def _words(change: Change) -> str:
    kind, _, name = change.what.partition(" ")
    if change.what.startswith("/"):
        return _of_file(quote(change.what, _MAX_NAME), change)
    if name.startswith("("):  # acme (dpkg): also one that is called mount or user
        return _of_software(quote(kind, _MAX_NAME), change)
    if kind == "mount":
        return f"{quote(name, _MAX_NAME)} {_of_mount(change)}"
    if kind == "user":
        gone = change.after == NOT_THERE
        who = f"the user {quote(name, _MAX_NAME)}"
        return (
            f"{who} was removed" if gone else f"{who} has {change.after} ({change.before} before)"
        )
    return _of_software("the kernel", change)


def _of_file(path: str, change: Change) -> str:
    if change.after == NOT_THERE:
        return f"{path} was removed"
    if change.before == NOT_THERE:
        return f"{path} is new"
    if "content changed" in change.after:
        return f"{path} was changed"
    return f"{path} has {quote(change.after)} ({quote(change.before)} before)"


def _of_mount(change: Change) -> str:
    if change.after == NOT_THERE:
        return "is no longer mounted"
    return "is mounted now" if change.before == NOT_THERE else "is mounted otherwise"


def _of_software(name: str, change: Change) -> str:
    """A package, or the kernel."""
    if change.after == NOT_THERE:
        return f"{name} was removed"
    return f"{name} is {quote(change.after, 60)} ({quote(change.before, 60)} before)"


def _joined(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _difference(change: Change) -> str:
    return f"{change.what}: {change.before} -> {change.after}"


def _advice(change: Change, advice: str) -> Iterator[str]:
    yield f"look first at what became of {quote(change.what, _MAX_NAME)}"
    if advice:
        yield advice
