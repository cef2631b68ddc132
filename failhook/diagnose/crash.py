# SPDX-License-Identifier: MIT
"""What a traceback, a panic or an abort says: the exception, and the user's own last frame."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from failhook.diagnose.text import Message

LIBRARY_PATH = re.compile(
    r"/(?:site|dist)-packages/|/usr/(?:local/)?lib(?:64|exec)?/|/usr/share/(?:perl|ruby|php|nodejs|java)"
    r"|/usr/local/go/|/go/pkg/mod/|node_modules/|node:|^<|/\.cargo/|/rustc/|/gems/|/vendor/|^internal/"
    r"|^runtime/|/library/(?:std|core|alloc)/|/etc/perl|<frozen|\.p(?:yx|xd)$",
)


@dataclass(frozen=True, slots=True)
class Crash:
    """What one traceback says. ``first`` and ``last`` are the numbers of its lines."""

    language: str
    kind: str  # the exception's type, or "panic"
    message: str
    file: str | None
    line: str | None
    function: str | None
    first: int
    last: int
    at: Message
    around: str = ""  # what an exception that wraps it names besides: the file, the server

    @property
    def is_own(self) -> bool:
        """The place is in the user's own code, not in a library's."""
        return self.file is not None and not LIBRARY_PATH.search(self.file)

    @property
    def place(self) -> str:
        """``/srv/app/main.py line 12, in load``."""
        if self.file is None:
            return ""
        line = f" line {self.line}" if self.line else ""
        inside = self.function and self.function not in ("<module>", "main", "Object.<anonymous>")
        return f"{self.file}{line}" + (f", in {self.function}" if inside else "")


@dataclass(frozen=True, slots=True)
class Frame:
    """One step of a stack."""

    file: str
    line: str
    function: str | None


_NAMED = re.compile(
    r"/[\w.@+-]{1,100}/[\w./@+-]{1,200}|\b[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}:\d{2,5}\b|(?<![a-z+])[a-z+]{2,10}://[^\s'\"]{3,200}"
    r"|['\"`‘“]([^'\"`’”\s]{2,120})['\"`’”]|\b\w{1,60}(?:[.-]\w{1,60}){1,6}\.(?:json|ya?ml|toml|xml|conf|properties|ini)\b"
)


def around_of(said: str, wrappers: Sequence[str]) -> str:
    """What is told by the first exception around another that names something which that one does
    not: the file that was read, the server that was asked."""
    for text in wrappers:
        named = [one[1] or one[0] for one in _NAMED.finditer(text[:1000])]
        if any(one not in said for one in named):
            return text.strip()
    return ""


def _own(frames: Sequence[Frame]) -> Frame | None:
    """The first of ``frames`` (nearest to the failure first) that is no library's."""
    for frame in frames:
        if not LIBRARY_PATH.search(frame.file):
            return frame
    return frames[0] if frames else None


def make_crash(
    language: str,
    kind: str,
    message: str,
    frames: Sequence[Frame],
    lines: Sequence[Message],
    at: Message,
) -> Crash:
    """What one traceback says, with the user's own frame that is nearest to the failure."""
    own = _own(frames)
    return Crash(
        language,
        kind,
        message.strip(),
        own.file if own else None,
        own.line if own else None,
        own.function if own else None,
        lines[0].number,
        lines[-1].number,
        at,
    )
