# SPDX-License-Identifier: MIT
"""How programs in Go die: a panic with its goroutines, or an error that carries its stack.

The stack is that of runtime/debug; errors of github.com/pkg/errors print theirs below themselves
with ``%+v``, a function and its place in turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

from failhook.diagnose.crash import Crash, Frame, make_crash
from failhook.diagnose.text import Message

_HEAD = re.compile(r"^(?:panic|fatal error): (?P<message>.+)$")
_STACK = re.compile(r"goroutine \d|\[(?:signal|recovered)")
_LINES = 4  # of what it says
_FRAME = re.compile(r"^\s+(?P<file>/[^\s:]+\.(?:go|s)):(?P<line>\d+)(?: \+0x[0-9a-f]+)?$")
_FUNCTION = re.compile(r"^(?P<function>[\w./*()-]+)\((?:[^()]*|\.\.\.)\)$")
_BARE_FUNCTION = re.compile(
    r"^(?:[\w.~-]{1,80}/){0,8}[\w.~-]{1,80}\.(?P<function>[\w.()*]{1,160})$"
)
_FEWEST_STEPS, _MOST_LINES = 2, 80
_GO = "/usr/local/go"


def go(messages: Sequence[Message]) -> Iterator[Crash]:
    """The first panic; where there is none, the last error that was printed with its stack."""
    for index, message in enumerate(messages):
        head = _HEAD.match(message.raw.strip())
        following = messages[index + 1 : index + 80]
        if head is None or not any(one.raw.startswith("goroutine ") for one in following):
            continue
        frames: list[Frame] = []
        lines, function = [message], None
        more = takewhile(lambda one: one.raw.strip() and not _STACK.match(one.raw), following)
        said = " ".join((head["message"], *(one.raw.strip() for one in [*more][:_LINES])))
        for one in following:
            if called := _FUNCTION.match(one.raw.strip()):
                function = called["function"].rpartition("/")[2]
            elif frame := _FRAME.match(one.raw):
                file = frame["file"]
                if (function or "").startswith(("runtime.", "panic", "internal/")):
                    file = f"{_GO}/{file.rpartition('/')[2]}"
                frames.append(Frame(file, frame["line"], function))
            lines.append(one)
        yield make_crash("go", "panic", said, frames, lines, message)
        return
    yield from _errors(messages)


def _errors(messages: Sequence[Message]) -> Iterator[Crash]:
    found: Crash | None = None
    end = 0
    for index in range(1, len(messages) - 1):
        if index < end or not _FRAME.match(messages[index + 1].raw):
            continue
        steps = _steps(messages[index : index + _MOST_LINES])
        above, end = messages[index - 1], index + 2 * len(steps)
        if len(steps) >= _FEWEST_STEPS and not _FRAME.match(above.raw):
            found = make_crash("go", "error", above.text, steps, messages[index - 1 : end], above)
    if found is not None:
        yield found


def _steps(messages: Sequence[Message]) -> list[Frame]:
    """The pairs of a function and its place at the beginning of ``messages``."""
    steps: list[Frame] = []
    for called, place in zip(messages[::2], messages[1::2], strict=False):
        function, frame = _BARE_FUNCTION.match(called.raw), _FRAME.match(place.raw)
        if function is None or frame is None:
            break
        of_go = called.raw.startswith(("runtime.", "reflect.", "internal/"))
        file = f"{_GO}/{frame['file'].rpartition('/')[2]}" if of_go else frame["file"]
        steps.append(Frame(file, frame["line"], function["function"]))
    return steps
