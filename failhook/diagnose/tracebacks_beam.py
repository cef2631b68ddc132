# SPDX-License-Identifier: MIT
"""How programs in Erlang and Elixir die: exceptions, crash reports, and a kernel that terminates.

The terms that the runtime prints on its way down name the application and, innermost, the reason
(Erlang/OTP: application(3), supervisor(3), "Interpreting an Erlang Crash Dump").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

from failhook.diagnose.crash import Crash, Frame, make_crash
from failhook.diagnose.text import Message

_ELIXIR = re.compile(r"^\*\* \((?P<kind>[A-Z][\w.]{1,80})\) (?P<message>.{1,2000})$")
_ELIXIR_FRAME = re.compile(
    r"^\s+(?P<app>\([^)]{1,80}\) )?(?P<file>[\w/.-]{1,200}\.exs?):(?P<line>\d{1,7}): (?P<function>.{1,200})$"
)
_DOWN = re.compile(
    r"(?:Kernel pid terminated|Runtime terminating during boot|init terminating in do_boot)[\"', ]{0,4}(?P<terms>.{1,3000})"
)
_APPLICATION = re.compile(r"\{application_start_failure,(?P<name>\w{1,80}),")
_CHILD, _EXIT = "{failed_to_start_child,", "{'EXIT',"
_CONTROLLER = re.compile(r"^\(?\[?application_controller\]?\)?[,\"' (]{0,6}")
_CRASHER = re.compile(r"^\s*crasher:\s*$")
_EXCEPTION = re.compile(r"^\s*exception (?P<kind>exit|error|throw): (?P<message>.{1,1000})$")
_OF_A_REPORT_ITSELF = re.compile(r"^\s*(?:in (?:function|call from)\b|\w[\w ]{2,30}:(?: |$))")
_FUNCTION = re.compile(
    r"^\s*in function\s+(?P<function>\S{1,160})(?: \((?P<file>[^\s,()]{1,200}), line (?P<line>\d{1,7})\))?"
)
_ON_ONE_LINE = re.compile(
    r"CRASH REPORT Process \S{1,80} .{0,60}(?:exited|crashed) with reason: (?P<message>.{1,3000})"
    r"|\bcrasher: initial call: .{1,300}?\b(?:exit|error|throw): (?P<reason>.{1,3000})"
)
_REASON = re.compile(r"^\s{1,16}reason: (?P<terms>.{1,3000})")
_OFFENDER = re.compile(r"^\s{1,16}offender: ")
_OF_TERMS = 40  # lines
_OF_A_REPORT = 16


def elixir(messages: Sequence[Message]) -> Iterator[Crash]:
    """The first exception that nobody caught."""
    for index, message in enumerate(messages):
        head = _ELIXIR.match(message.raw.strip())
        if head is None:
            continue
        found = [(one, _ELIXIR_FRAME.match(one.raw)) for one in messages[index + 1 : index + 40]]
        lines = [message, *(one for one, frame in found if frame)]
        for one, _ in found:  # an exit tells, indented, which exception it was
            inner = _ELIXIR.match(one.raw.strip()) if one.raw.startswith("    ") else None
            if inner is not None and inner["kind"] != "EXIT":
                head = inner
        frames = [
            Frame(frame["file"], frame["line"], frame["function"])
            for _, frame in found
            if frame is not None and not frame["app"]
        ]
        yield make_crash("elixir", head["kind"], head["message"], frames, lines, message)
        return


def erlang(messages: Sequence[Message]) -> Iterator[Crash]:
    """The first crash report; where there is none, what the runtime said as it went down."""
    for index, message in enumerate(messages):
        if match := _ON_ONE_LINE.search(message.raw):
            said = match["message"] or _innermost(match["reason"])
            yield make_crash("erlang", "crash", said, [], [message], message)
            return
        if _CRASHER.match(message.raw):
            report = _report(messages[index : index + _OF_A_REPORT])
            if report is not None:
                yield report
                return
    for index, message in enumerate(messages):
        if match := _REASON.match(message.raw):
            report = _of_supervisor(messages, index, match["terms"])
            if report is not None:
                yield report
                return
    for index, message in enumerate(messages):
        if match := _DOWN.search(message.raw):
            more = [one.raw.strip() for one in _indented(messages[index + 1 :])]
            yield _down(message, "".join((match["terms"], *more)))
            return


def _of_supervisor(messages: Sequence[Message], index: int, terms: str) -> Crash | None:
    """A child did not come up, and this is why (supervisor(3), "start_error")."""
    above = [one.raw.strip() for one in messages[max(0, index - 2) : index]]
    if not any(one.startswith("errorContext: start_error") for one in above):
        return None
    lines = [messages[index]]
    for one in messages[index + 1 : index + 1 + _OF_A_REPORT]:
        if _OFFENDER.match(one.raw):
            break
        lines.append(one)
    said = _innermost(" ".join([terms, *(one.raw.strip() for one in lines[1:])]))
    return make_crash("erlang", "start_error", said, [], lines, lines[0])


def _report(lines: Sequence[Message]) -> Crash | None:
    for index, one in enumerate(lines):
        if match := _EXCEPTION.match(one.raw):
            after = lines[index + 1 :]
            more = [*takewhile(lambda each: not _OF_A_REPORT_ITSELF.match(each.raw), after)]
            rest = after[len(more) : len(more) + 1]
            place = _FUNCTION.match(rest[0].raw) if rest else None
            frames = (
                [Frame(place["file"] or "", place["line"] or "", place["function"])]
                if place is not None and place["file"]
                else []
            )
            terms = " ".join((match["message"], *(each.raw.strip() for each in more)))
            said = _innermost(terms) if more else match["message"]
            return make_crash("erlang", match["kind"], said, frames, lines, one)
    return None


def _down(message: Message, terms: str) -> Crash:
    terms = _CONTROLLER.sub("", terms)
    application = _APPLICATION.search(terms)
    kind = "the Erlang runtime ended"
    if application is not None:
        kind = f"the application {application['name']} did not start"
    return make_crash("erlang", kind, _innermost(terms), [], [message], message)


def _indented(messages: Sequence[Message]) -> Sequence[Message]:
    """The further lines of a term that was printed over several."""
    count = next((n for n, one in enumerate(messages) if not one.raw.startswith("  ")), _OF_TERMS)
    return messages[: min(count, _OF_TERMS)]


def _innermost(terms: str) -> str:
    """What a child ended with, of the innermost one that is told."""
    at = max(terms.rfind(_CHILD), terms.rfind(_EXIT))
    start = at if at >= 0 else len(terms) - len(terms.lstrip("(\"' "))
    return _term(terms[start:])


def _term(text: str) -> str:
    """The first whole term: up to the brace that closes it."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "{[(") - (letter in ")]}")
        if depth == 0 and letter in ")]}":
            return text[: place + 1]
    return text
