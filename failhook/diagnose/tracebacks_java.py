# SPDX-License-Identifier: MIT
"""How programs on the Java machine die: an exception, what it was caused by, and their frames.

The last "Caused by" is the root. What an exception around it names besides, the file that was read or
the address that was to be bound, is kept with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from failhook.diagnose.crash import Crash, Frame, around_of, make_crash
from failhook.diagnose.text import Message

_LIBRARY_PACKAGE = re.compile(
    r"^(?:java|javax|jdk|sun|com\.sun|kotlin|scala|jakarta|org\.(?:apache|springframework|hibernate|eclipse"
    r"|postgresql|slf4j|jboss|junit|mariadb)|com\.(?:mysql|zaxxer|fasterxml|google)|io\.(?:netty|grpc"
    r"|quarkus|micronaut|smallrye|vertx))\."
)
_OF_JAVA = re.compile(r"^(?:java|javax|jdk|sun|com\.sun)\.")
_HEAD = re.compile(
    r"^(?:(?P<cause>Caused by): |Exception in thread \"[^\"]*\" |Error: )?"
    r"(?P<kind>(?:[a-z][\w$]*\.){1,9}[A-Z][\w$]*(?:\([\w.$]{3,120}\))?)(?:: (?P<message>.*))?$"
)
_FRAME = re.compile(
    r"^\s+at (?:[\w.]+/+|[\w.@]+/)?(?P<method>[\w.$<>]+)\((?P<file>[\w$]+\.(?:java|kt|scala)):(?P<line>\d+)\)"
)
_STEP = re.compile(r"^\s+at |^\s*\.\.\. \d")
_ALONE = re.compile(r"^(?:\s*Caused by|Exception in thread|\s+java\.)")  # a head without frames
_MAX_LINES, _MAX_BELOW = 3, 10  # of what one exception says


@dataclass
class _Thrown:
    """One exception of a chain, as it is read."""

    kind: str
    at: Message
    is_cause: bool
    said: list[str]
    frames: list[Frame] = field(default_factory=list)
    outer: Frame | None = None  # the first one that is not Java's own, be it a library's
    lines: list[Message] = field(default_factory=list)
    below: list[str] = field(default_factory=list)  # what stands between it and its first frame

    def step(self, frame: Frame, message: Message) -> None:
        """A frame. What stood before the first one was its message's, if it was not too much."""
        if not self.frames and len(self.below) <= _MAX_BELOW:
            self.said += self.below[: _MAX_LINES - 1]
        self.frames.append(frame)
        self.lines.append(message)

    @property
    def message(self) -> str:
        return " ".join(self.said)

    @property
    def goes_on(self) -> bool:
        """It announces what the next line says."""
        return not self.frames and self.said[-1].endswith(":") and len(self.said) < _MAX_LINES


def java(messages: Sequence[Message]) -> Iterator[Crash]:
    """The root of the last chain that tells its causes; else the last exception."""
    thrown = [one for one in _thrown(messages) if len(one.lines) > 1 or _ALONE.match(one.at.raw)]
    causes = [number for number, one in enumerate(thrown) if one.is_cause]
    if not thrown:
        return
    root = causes[-1] if causes else len(thrown) - 1
    start = root
    while start > 0 and thrown[start].is_cause:
        start -= 1
    yield _crash(thrown[root], thrown[:root], [one.message for one in thrown[start:root]])


def _thrown(messages: Sequence[Message]) -> list[_Thrown]:
    found: list[_Thrown] = []
    for message in messages:
        text = message.raw if message.raw.startswith((" ", "\t")) else message.text
        if found and (frame := _FRAME.match(text)) is not None:
            library = _LIBRARY_PACKAGE.match(frame["method"])
            file = f"/usr/lib/{frame['file']}" if library else frame["file"]
            function = frame["method"].rpartition(".")[2]
            found[-1].step(Frame(file, frame["line"], function), message)
            if found[-1].outer is None and not _OF_JAVA.match(frame["method"]):
                found[-1].outer = Frame(frame["file"], frame["line"], function)
        elif found and found[-1].goes_on and not _STEP.match(text):
            found[-1].said.append(text.strip())
            found[-1].lines.append(message)
        elif (head := _HEAD.match(text.strip())) is not None:
            kind = head["kind"].rpartition(".")[2]
            said = [(head["message"] or "").strip()]
            found.append(_Thrown(kind, message, bool(head["cause"]), said, lines=[message]))
        elif found and not found[-1].frames and not _STEP.match(text):
            found[-1].below.append(text.strip())
    return found


def _crash(root: _Thrown, earlier: Sequence[_Thrown], wrappers: Sequence[str]) -> Crash:
    crash = make_crash("java", root.kind, root.message, root.frames, root.lines, root.at)
    crash = replace(crash, around=around_of(root.message, wrappers))
    if crash.file is not None and not crash.file.startswith("/usr/lib/"):
        return crash
    for one in reversed(earlier):  # its own code is in the frames of what was thrown after
        frame = next((each for each in one.frames if not each.file.startswith("/usr/lib/")), None)
        if frame is not None:
            return replace(crash, file=frame.file, line=frame.line, function=frame.function)
    outer = root.outer if root.message in ("", "null") else None
    if outer is not None:  # there is nothing else to go by
        return replace(crash, file=outer.file, line=outer.line, function=outer.function)
    return replace(crash, file=None, line=None, function=None)
