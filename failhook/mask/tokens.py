# SPDX-License-Identifier: MIT
"""What stands in place of a secret, and the small values the masking modules hand to each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TOKEN = re.compile(rb"\[masked:[a-z0-9-]{1,40}\]")
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")
Counts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes ``start`` to ``end`` of a line or text are a secret, says the rule called ``rule``."""

    start: int
    end: int
    rule: str


def token(rule: str) -> bytes:
    """The text that replaces a secret: ASCII, fixed per rule, says nothing of the secret."""
    return b"[masked:%b]" % rule.encode("ascii")


def tokens_of(rules: Iterable[str]) -> re.Pattern[bytes]:
    """Finds the tokens of exactly these rules.

    What was masked must not be masked again: a secret whose value is "masked" would otherwise grow
    the text with every pass. Any other ``[masked:…]`` in a text is just text that somebody logged.
    """
    names = sorted({rule.encode("ascii") for rule in rules}) or [b"\0"]
    return re.compile(rb"\[masked:(?:%b)\]" % b"|".join(map(re.escape, names)))


def replace(text: bytes, spans: Sequence[Span], counts: Counts) -> bytes:
    """``text`` with every span replaced by its token; overlapping spans become one."""
    if not spans:
        return text
    parts: list[bytes] = []
    done = 0
    for span in merged(spans):
        parts += text[done : span.start], token(span.rule)
        done = span.end
        counts[span.rule] = counts.get(span.rule, 0) + 1
    parts.append(text[done:])
    return b"".join(parts)


def merged(spans: Sequence[Span]) -> list[Span]:
    """In order of place, what overlaps joined under the name of the one that begins first."""
    result: list[Span] = []
    for span in sorted(spans, key=lambda each: (each.start, -each.end)):
        if result and span.start < result[-1].end:
            last = result[-1]
            result[-1] = Span(last.start, max(last.end, span.end), last.rule)
        else:
            result.append(span)
    return result
