# SPDX-License-Identifier: MIT
"""One issue for one thread: made, added to, closed at recovery; what GitHub and GitLab share.

``memory`` of a thread: "number" of its issue and "last", the id of the message that was added last,
so that a repeat of a delivery adds nothing twice. Where the answer to the making got lost, the
issue is looked for by its marker before another one is made.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from failhook.formats import markdown
from failhook.formats.form import Answer, Call, Rejected, Send, Settings, Verdict
from failhook.incident import Json
from failhook.message import Event, Message


@dataclass(frozen=True, slots=True)
class Tracker:
    """The calls of one service; numbers are those of an issue."""

    number: str  # in its JSON
    text: str  # in its JSON
    recent: Callable[[Settings], Call]
    create: Callable[[Settings, Message], Call]
    comment: Callable[[Settings, Message, int], Call]
    set_open: Callable[[Settings, int, bool], Call]


def converse(tracker: Tracker, message: Message, settings: Settings, send: Send) -> Verdict:
    """Bring the issue to where the message says. Raises Rejected."""
    memory = settings.memory
    number = memory.get("number")
    if not isinstance(number, int) and (settings.attempt > 1 or message.count > 1):
        number = _found(tracker, message, settings, send)
    if not isinstance(number, int):
        if not markdown.is_new(message):
            return Verdict(True, "there is no issue to close", memory={})
        made = _read(_asked(send, tracker.create(settings, message)))
        number = made.get(tracker.number) if isinstance(made, dict) else None
        if not isinstance(number, int):
            return Verdict(False, "its answer names no issue")
        return Verdict(True, f"issue {number}", memory={"number": number, "last": message.id})
    is_open = message.event is not Event.RECOVERED
    # First what may be done twice without a trace; the comment last, for it may not.
    _asked(send, tracker.set_open(settings, number, is_open))
    if memory.get("last") != message.id:
        _asked(send, tracker.comment(settings, message, number))
    if not is_open:
        return Verdict(True, f"issue {number}, closed", memory={})
    return Verdict(True, f"issue {number}", memory={"number": number, "last": message.id})


def _found(tracker: Tracker, message: Message, settings: Settings, send: Send) -> int | None:
    listed = _read(_asked(send, tracker.recent(settings)))
    mark = markdown.marker(message)
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and mark in str(one.get(tracker.text)):
            number = one.get(tracker.number)
            return number if isinstance(number, int) else None
    return None


def _asked(send: Send, call: Call) -> Answer:
    answer = send(call)
    if not 200 <= answer.status < 300:
        raise Rejected(answer)
    return answer


def _read(answer: Answer) -> Json:
    try:
        found: Json = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return found
