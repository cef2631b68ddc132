# SPDX-License-Identifier: MIT
"""How programs in Rust panic.

As the standard library prints it, before and since 1.73, and as color-eyre does, a line for each
part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from failhook.diagnose.crash import Crash, Frame, make_crash
from failhook.diagnose.text import Message

_THREAD = r"^[Tt]hread '[^']*'(?: \(\d+\))? panicked at "
_PLACE = r"(?P<file>[^\s,':]+\.rs):(?P<line>\d+):\d+"
_OLD = re.compile(rf"{_THREAD}'(?P<said>.*)', {_PLACE}$")
_OLD_BEGINS = re.compile(rf"{_THREAD}'(?P<said>.*)$")
_OLD_ENDS = re.compile(rf"^(?P<said>.*)', {_PLACE}$")
_NEW = re.compile(rf"{_THREAD}{_PLACE}:$")
_ENDS = re.compile(r"note: run with `RUST_BACKTRACE|stack backtrace:")
_EYRE = "The application panicked (crashed)."
_EYRE_SAYS = re.compile(r"^Message: {1,4}(?P<said>.+)$")
_EYRE_PLACE = re.compile(r"^Location: (?P<file>\S{1,300}\.rs):(?P<line>\d{1,7})$")
_LINES = 6  # of what one says


def rust(messages: Sequence[Message]) -> Iterator[Crash]:
    """Every panic: one of a thread need not be the end."""
    for index, message in enumerate(messages):
        text, following = message.raw.strip(), messages[index + 1 : index + 1 + _LINES]
        if match := _OLD.match(text):
            frame = Frame(match["file"], match["line"], None)
            yield make_crash("rust", "panic", match["said"], [frame], [message], message)
        elif match := _OLD_BEGINS.match(text):
            yield _of_several_lines(message, match["said"], following)
        elif match := _NEW.match(text):
            said = _said(following)
            frame = Frame(match["file"], match["line"], None)
            text = " ".join(one.raw.strip() for one in said)
            yield make_crash("rust", "panic", text, [frame], [message, *said], message)
        elif text == _EYRE:
            yield from _of_eyre(message, following)


def _of_several_lines(message: Message, begun: str, following: Sequence[Message]) -> Crash:
    """``panicked at 'the state is:`` / ``none', src/main.rs:3:5``."""
    said, lines = [begun], [message]
    for one in following:
        end = _OLD_ENDS.match(one.raw.rstrip())
        lines.append(one)
        said.append((end["said"] if end else one.raw).strip())
        if end is not None:
            frame = Frame(end["file"], end["line"], None)
            return make_crash("rust", "panic", " ".join(said), [frame], lines, message)
    return make_crash("rust", "panic", begun, [], [message], message)


def _said(following: Sequence[Message]) -> Sequence[Message]:
    """What stands before the note on backtraces; the next line where there is none."""
    end = next((n for n, one in enumerate(following) if _ENDS.match(one.raw.strip())), 1)
    return following[:end]


def _of_eyre(message: Message, following: Sequence[Message]) -> Iterator[Crash]:
    said: list[str] = []
    lines, frames = [message], []
    for one in following:
        lines.append(one)
        if place := _EYRE_PLACE.match(one.raw.strip()):
            frames.append(Frame(place["file"], place["line"], None))
            break
        match = _EYRE_SAYS.match(one.raw.strip())
        said.append(match["said"] if match else one.raw.strip())
    if frames:
        yield make_crash("rust", "panic", " ".join(said), frames, lines, message)
