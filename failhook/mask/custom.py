# SPDX-License-Identifier: MIT
"""Patterns from the configuration: checked when they are read, bounded when they are used.

Python's `re` cannot be interrupted, so a pattern that could take quadratic time on a hostile log
line has to be refused beforehand (anchors T18): by its form, and by trying it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from failhook.mask.tokens import NAME, Counts, Span, replace

_WINDOW = 2048  # bytes of one line that a pattern sees at once ...
_OVERLAP = 512  # ... and how far a match may reach beyond
_MAX_PATTERN = 512
_SLOW_S = 0.02
_PROBES = (b"a", b"A", b"0", b" ", b"/", b".", b"-", b"aA0_", b"a ", b"0.", b"a=", b"\xc3\xa9")
_CLASS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_QUANTIFIER = re.compile(r"[*+?]|\{\d*,?\d*\}")


@dataclass(frozen=True, slots=True)
class CustomPattern:
    """``regex`` is matched against each line; its group 1, or else all of the match, is the secret.

    Raises ValueError, with what is wrong in words: a name that is no name (small letters, digits,
    "-"), a regex that does not compile, matches nothing at all, or could take too long.
    """

    name: str
    regex: str
    compiled: re.Pattern[bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not NAME.match(self.name):
            raise ValueError(f"{self.name!r} is no name: small letters, digits and '-' only")
        if len(self.regex) > _MAX_PATTERN:
            raise ValueError(f"pattern {self.name!r} is longer than {_MAX_PATTERN} characters")
        try:
            compiled = re.compile(self.regex.encode())
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"pattern {self.name!r} does not compile: {error}") from None
        if _nested(self.regex):
            raise ValueError(
                f"pattern {self.name!r} repeats a group that holds a repetition or an alternative; "
                "such a pattern can take forever on a hostile line"
            )
        if compiled.search(b"") is not None:
            raise ValueError(f"pattern {self.name!r} matches the empty text")
        if _slow(compiled, self.regex):
            raise ValueError(
                f"pattern {self.name!r} is too slow on long lines; bound its repetitions"
            )
        object.__setattr__(self, "compiled", compiled)


def _nested(regex: str) -> bool:
    """A quantified group with a quantifier or an alternative inside, however deep."""
    bare = _CLASS.sub("x", regex)
    inside = [False]
    place = 0
    while place < len(bare):
        sign = bare[place]
        quantifier = _QUANTIFIER.match(bare, place)
        if sign == "(":
            inside.append(False)
            place += 2 if bare[place + 1 : place + 2] == "?" else 0  # (?: (?P<: not a quantifier
        elif sign == ")" and len(inside) > 1:
            restless = inside.pop()
            after = _QUANTIFIER.match(bare, place + 1)
            repeated = after is not None and after[0] not in ("?", "{1}", "{0,1}", "{,1}")
            if restless and repeated:
                return True
            inside[-1] = inside[-1] or restless or repeated
        elif sign == "|" or quantifier is not None:
            inside[-1] = True
            place += len(quantifier[0]) - 1 if quantifier else 0
        place += 1
    return False


def _slow(compiled: re.Pattern[bytes], regex: str) -> bool:
    """Try growing hostile lines; the first that takes long ends the trial early."""
    literal = re.sub(r"[^A-Za-z0-9=:_ -]", "", regex).encode()[:16]
    for unit in (*_PROBES, *((literal,) if literal else ())):
        for size in (64, 128, 256, 512, 1024, _WINDOW + _OVERLAP):
            line = (unit * (size // len(unit)))[:size] + b"\x01"
            begin = time.thread_time()
            sum(1 for _ in compiled.finditer(line))
            if time.thread_time() - begin > _SLOW_S:
                return True
    return False


def mask_line(
    line: bytes, pattern: CustomPattern, tokens: re.Pattern[bytes], counts: Counts
) -> bytes:
    """``line`` with the pattern's matches masked; what is inside an earlier token stays."""
    spans = [Span(start, end, pattern.name) for start, end in _matches(line, pattern.compiled)]
    if not spans:
        return line
    taken = [match.span() for match in tokens.finditer(line)]
    return replace(line, [piece for span in spans for piece in _around(span, taken)], counts)


def _matches(line: bytes, compiled: re.Pattern[bytes]) -> Iterator[tuple[int, int]]:
    group = 1 if compiled.groups else 0
    for window in range(0, max(1, len(line)), _WINDOW):
        for match in compiled.finditer(line, window, window + _WINDOW + _OVERLAP):
            if match.start() >= window + _WINDOW:
                break
            if match.end(group) > match.start(group) >= 0:
                yield match.span(group)


def _around(span: Span, taken: list[tuple[int, int]]) -> Iterator[Span]:
    """The parts of ``span`` that lie outside of every token."""
    start = span.start
    for begin, end in taken:
        if end <= start or begin >= span.end:
            continue
        if begin > start:
            yield Span(start, begin, span.rule)
        start = end
    if start < span.end:
        yield Span(start, span.end, span.rule)
