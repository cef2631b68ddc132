# SPDX-License-Identifier: MIT
"""What a format is: a pure function from a message to an HTTP call, and what an answer means.

A format that speaks of a thread over several messages (an issue, a reply to an earlier message)
keeps what it has to know in ``memory``, one JSON object per thread, which whoever sends keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from failhook.incident import JsonObject
from failhook.message import Event, Message


class Answer(Protocol):
    """What a server said: `failhook.http_client.Reply` is one."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def body(self) -> bytes:
        """The first part of what it sent."""
        ...

    def retry_after_s(self, now: float) -> float | None:
        """When it wants to be asked again; ``now`` is Unix seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. The URL may hold a secret."""

    url: str = field(repr=False)
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the configuration says of the destination, secrets already read."""

    url: str = field(default="", repr=False)
    key: str = field(default="", repr=False)  # routing key, API key, token
    project: str = ""
    channel: str = ""
    severity: str = "error"
    template: str = ""
    template_kind: str = "json"
    memory: JsonObject = field(default_factory=dict)  # of this message's thread
    attempt: int = 1
    now: float = 0.0  # Unix seconds


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means where its status alone does not say it."""

    ok: bool
    detail: str = ""
    about_message: bool = False  # another message may be taken
    memory: JsonObject | None = None  # what is known of the thread from now on


Send = Callable[[Call], Answer]


class Unusable(ValueError):
    """This message cannot be given that form: says why. Trying again does not help."""


class Rejected(Exception):
    """One of several calls was answered with something else than success."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"HTTP {answer.status}")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Form:
    """One format. It has ``call``, or ``converse`` where one call is not enough.

    ``converse`` makes its calls by the function that it gets, raises Rejected, and returns what is
    known of the thread from then on. ``judge`` reads an answer that has a good status.
    ``needs`` are the options that have to be there ("url|token": one of them), ``url`` is what is
    used without one.
    """

    name: str
    summary: str
    call: Callable[[Message, Settings], Call] | None = None
    converse: Callable[[Message, Settings, Send], Verdict] | None = None
    judge: Callable[[Message, Settings, Answer], Verdict] | None = None
    needs: tuple[str, ...] = ()
    url: str = ""
    signs: bool = False  # Standard Webhooks: id, time and signature


JSON = {"Content-Type": "application/json"}
# By what happened: red, amber, dark red, violet, green, amber, blue.
COLOURS = {
    Event.OPENED: 0xD0342C,
    Event.ESCALATED: 0xE07B00,
    Event.GAVE_UP: 0x8B0000,
    Event.REBOOTED: 0x6B3FA0,
    Event.RECOVERED: 0x2E8540,
    Event.DIGEST: 0xE07B00,
    Event.TEST: 0x2C6BD0,
}


def colour(message: Message) -> str:
    """As HTML has it."""
    return f"#{COLOURS[message.event]:06X}"
