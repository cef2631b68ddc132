# SPDX-License-Identifier: MIT
"""Secrets by patterns of the configuration: checked when they are read, bounded when used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from failhook import pattern
from failhook.mask.tokens import NAME, Counts, Span, replace

_OVERLAP = 512  # how far a match may reach beyond the
_WINDOW = pattern.MAX_LINE - _OVERLAP  # bytes of one line that a pattern sees at once


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
        object.__setattr__(self, "compiled", pattern.checked(self.name, self.regex))


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
