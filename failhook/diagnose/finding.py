# SPDX-License-Identifier: MIT
"""A cause is a small value: a name, what it is, and the function that looks for it in a `Case`.

What it finds is a `Finding`: a sentence that names the thing at fault, what to do, how sure it is,
and the lines and looks that prove it. Confidence is a probability as an honest person would give
it: 0.95 where the machine was seen to be so, 0.8 where the program said so, 0.5 and less for a
guess. What the log says of itself (its level, its place) is weighed in `rank`, not here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from failhook.diagnose.case import Case
from failhook.diagnose.text import Message
from failhook.incident import Phase, Proof

SEEN = 0.95  # looked at on the machine
SAID = 0.8  # in so many words, by the program or by systemd
LIKELY = 0.6
GUESS = 0.4
FLOOR = 0.15  # only what systemd's result says

_MAX_QUOTE = 260
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# "java.util.concurrent.CompletionException: java.io.IOException: …": the innermost says it all.
_WRAPPERS = re.compile(
    r"^(?:(?:[a-z]\w{0,40}\.){1,8}[A-Z]\w{0,80}(?:Exception|Error): )+(?=(?:[a-z]\w{0,40}\.){1,8}[A-Z]\w{0,80}: )"
)
# "starting the node: opening the store: …: no such file": what wraps comes first, the reason last.
_MANY_WRAPS, _LONG = 3, 200
_BRIEF_S = 5.0
_OF_START = ("ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost")
_START_TIMED_OUT = re.compile(r"(?:condition|start|start-pre|start-post) operation timed out")


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer. ``at`` is the place of the line that it rests on; None where it rests on none."""

    cause: str
    sentence: str
    advice: str
    confidence: float
    proof: tuple[Proof, ...] = ()
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """One kind of cause; ``name`` is what rules and statistics go by."""

    name: str
    summary: str
    look: Callable[[Case], Iterable[Finding]]


def fails(case: Case, what: str) -> str:
    """The sentence: who, in which way, and ``what`` is at fault."""
    return f"{case.incident.unit} {verb(case)}: {what}"


def verb(case: Case) -> str:
    """``failed to start`` and the like, by how far the run came."""
    incident = case.incident
    if incident.phase is Phase.STOPPED:
        return "was stopped on request and ended badly"
    if incident.phase is Phase.SHUTDOWN:
        return "ended badly while the machine went down"
    if incident.phase is Phase.RELOAD:
        return "failed while it reloaded"
    if incident.phase is Phase.DEPENDENCY or _never_started(case):
        return "failed to start"
    return "failed"


def _never_started(case: Case) -> bool:
    incident, main = case.incident, case.incident.main
    if incident.control is not None:
        return incident.control.command in _OF_START
    if any(_START_TIMED_OUT.search(line.message) for line in case.manager):
        return True
    if case.unit.get("Type") == "oneshot":
        return False
    lived = _lived(case)
    if lived is None and main.started is not None and main.exited is not None:
        lived = main.exited - main.started
    if lived is not None:
        return lived < _BRIEF_S
    return not any("Started " in line.message for line in case.manager)


def _lived(case: Case) -> float | None:
    """Seconds from the first to the exit, by the journal: the same for a run that systemd has
    forgotten as for the one that it shows."""
    begun = next((line.at for line in case.manager if "Start" in line.message), None)
    ended = next((line.at for line in case.manager if "process exited" in line.message), None)
    return None if begun is None or ended is None else max(0.0, ended - begun)


def quote(text: str, limit: int = _MAX_QUOTE) -> str:
    """A program's words inside of a sentence."""
    said = " ".join(_CONTROL.sub(" ", text).split()).rstrip(" .,;:")
    if len(said) > limit:
        said = _WRAPPERS.sub("", said)
    if len(said) <= limit:
        return said
    if limit < _LONG or said.count(": ") < _MANY_WRAPS:
        return f"{said[: limit - 1]}…"
    tail = said[-(limit // 2) :]
    return f"{said[: limit - len(tail) - 3].rstrip()} … {tail.partition(' ')[2] or tail}"


def overheard(case: Case, message: Message) -> Finding:
    """What somebody else said while a silent program ran: it may be about that one or not."""
    said = (
        "it wrote nothing, it is unclear why; "
        f"meanwhile {message.identifier} said “{quote(message.text, 200)}”"
    )
    proof = (case.proof(message),)
    advice = f"is {message.identifier} a part of it? Else run it by hand as the unit's user"
    return Finding("unclear", fails(case, said), advice, LIKELY - 0.08, proof)


def from_message(  # noqa: PLR0913 - the parts of a finding
    case: Case,
    message: Message,
    cause: str,
    *,
    what: str,
    advice: str,
    confidence: float = SAID,
    more: Iterable[Proof] = (),
) -> Finding:
    """A finding that rests on one line of the program."""
    proof = (case.proof(message), *more)
    return Finding(cause, fails(case, what), advice, confidence, proof, message.number)


def each(case: Case, *finders: Callable[[Case, Message], Finding | None]) -> Iterator[Finding]:
    """What each of ``finders`` makes of each line, the first one that knows the line."""
    for message in case.messages:
        if case.course.is_usage(message):
            continue
        for finder in finders:
            found = finder(case, message)
            if found is not None:
                yield found
                break
