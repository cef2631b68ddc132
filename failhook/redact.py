# SPDX-License-Identifier: MIT
"""Masking: the only door through which evidence leaves this machine's memory.

Bytes in, bytes out. What is known to be secret (`Known`, from the unit) is replaced literally
first, then what the administrator's own patterns find, then what its surroundings or its shape
give away.

Text without a secret comes back byte for byte, whatever it is: binary, one line of megabytes, not
UTF-8. Masked text comes back unchanged, and lines stay where they are.

Masking is a net, not a proof: a secret with no name, no shape and unknown to the unit passes.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Sequence

from failhook.mask import assign, custom, pem, programs, unit_text
from failhook.mask.custom import CustomPattern
from failhook.mask.known import Known, KnownValues
from failhook.mask.shapes import SHAPES, Shape
from failhook.mask.tokens import Counts, Span, replace, tokens_of
from failhook.mask.unit_text import mask_environment_file, mask_unit_text
from failhook.mask.vendors import VENDORS

__all__ = ["CustomPattern", "Known", "Redactor", "mask_environment_file", "mask_unit_text"]

_Finder = Callable[[bytes], Iterable[Span]]
_ROUNDS = 4  # masking one secret may lay open the next; a line that changed is looked at again


def _spans_of(shape: Shape) -> _Finder:
    def spans(line: bytes) -> Iterable[Span]:
        for match in shape.pattern.finditer(line):
            if shape.check(match):
                yield Span(*match.span("s"), shape.rule)

    return spans


# Each finder with the words (lower case) one of which must stand in a line before it is tried.
_FINDERS: tuple[tuple[tuple[bytes, ...], _Finder], ...] = (
    *((shape.hints, _spans_of(shape)) for shape in (*SHAPES, *VENDORS)),
    (assign.HINTS, assign.spans),
    (assign.HINTS, assign.flag_spans),
    (programs.HINTS, programs.spans),
)
_RULES = (
    *(shape.rule for shape in (*SHAPES, *VENDORS)),
    *("password", "secret", "token", "key", "credential"),
    *unit_text.RULES,
    pem.RULE,
)


def _by_hint() -> dict[bytes, tuple[int, ...]]:
    table: dict[bytes, tuple[int, ...]] = {}
    for number, (hints, _) in enumerate(_FINDERS):
        for hint in hints:
            table[hint] = (*table.get(hint, ()), number)
    return table


_BY_HINT = _by_hint()


class Redactor:
    """Masks text. Make one per incident: what is known of its unit's secrets is prepared once."""

    def __init__(self, known: Sequence[Known] = (), patterns: Sequence[CustomPattern] = ()) -> None:
        self._known = KnownValues(known)
        self._patterns = tuple(patterns)
        names = (*_RULES, *self._known.rules, *(pattern.name for pattern in patterns))
        self._tokens = tokens_of(names)
        self.dropped = self._known.dropped  # forms of known values beyond what is affordable

    def mask(self, data: bytes) -> tuple[bytes, dict[str, int]]:
        """``data`` with every secret replaced by ``[masked:RULE]``, and how many by rule.

        Give it a whole item, not chunks: a secret may lie across the seam. Text of `systemctl show`
        and `systemctl cat` is recognised and treated as `mask_unit_text` does. Never raises.
        """
        counts: Counts = {}
        text = self._known.mask(data, self._tokens, counts)
        text, of_unit = mask_unit_text(text)
        for pattern in self._patterns:
            text = self._mask_custom(text, pattern, counts)
        for _ in range(_ROUNDS):
            before = text
            text = self._mask_lines(pem.mask_keys(text, counts), counts)
            if text == before or not pem.concerns(text):  # lines alone are settled already
                break
        for rule, count in of_unit.items():
            counts[rule] = counts.get(rule, 0) + count
        return text, counts

    def mask_item(self, data: bytes, path: str) -> tuple[bytes, dict[str, int]]:
        """`mask` for an item of a bundle: what is below ``unit/`` is text of systemctl as a whole,
        without the line by which that is recognised."""
        if not path.startswith("unit/"):
            return self.mask(data)
        plain, first = mask_unit_text(data)
        masked, second = self.mask(plain)
        return masked, {rule: first.get(rule, 0) + second.get(rule, 0) for rule in first | second}

    def mask_environment_file(self, data: bytes) -> tuple[bytes, dict[str, int]]:
        """`mask` for the content of an ``EnvironmentFile=``: all values go, names stay."""
        text, counts = mask_environment_file(data)
        text, more = self.mask(text)
        return text, {rule: counts.get(rule, 0) + more.get(rule, 0) for rule in counts | more}

    def _mask_custom(self, text: bytes, pattern: CustomPattern, counts: Counts) -> bytes:
        lines = text.split(b"\n")
        return b"\n".join(custom.mask_line(line, pattern, self._tokens, counts) for line in lines)

    def _mask_lines(self, text: bytes, counts: Counts) -> bytes:
        """Apply the finders to the lines that hold one of their hints, and to no others."""
        parts: list[bytes] = []
        done = 0
        for start, end, finders in _candidates(text):
            line = text[start:end]
            masked = self._mask_line(line, finders, counts)
            if masked != line:
                parts += text[done:start], masked
                done = end
        return b"".join((*parts, text[done:])) if parts else text

    def _mask_line(self, line: bytes, finders: set[int], counts: Counts) -> bytes:
        for _ in range(_ROUNDS):
            before = line
            for number in sorted(finders):
                found = list(_FINDERS[number][1](line))
                if found:
                    line = replace(line, self._whole(line, found), counts)
            if line == before:
                break
        return line

    def _whole(self, line: bytes, spans: list[Span]) -> list[Span]:
        """Without those that would cut an earlier token in two."""
        if b"[masked:" not in line:
            return spans
        taken = [match.span() for match in self._tokens.finditer(line)]
        return [span for span in spans if not _cuts(span, taken)]


def _cuts(span: Span, taken: Sequence[tuple[int, int]]) -> bool:
    """One end of ``span`` lies inside of one of the ``taken`` ranges (in order, apart)."""
    for place in (span.start, span.end):
        before = bisect.bisect_left(taken, (place, 0)) - 1
        if before >= 0 and taken[before][0] < place < taken[before][1]:
            return True
    return False


def _candidates(text: bytes) -> list[tuple[int, int, set[int]]]:
    """Start and end of each line with a hint, and the numbers of the finders to try on it.

    `bytes.find` runs at memory speed, which makes ordinary text nearly free.
    """
    lowered = text.lower()
    lines: dict[int, tuple[int, set[int]]] = {}
    for hint, finders in _BY_HINT.items():
        place = lowered.find(hint)
        while place != -1:
            start = lowered.rfind(b"\n", 0, place) + 1
            end = lowered.find(b"\n", place)
            end = len(text) if end == -1 else end
            lines.setdefault(start, (end, set()))[1].update(finders)
            place = lowered.find(hint, end)
    return [(start, *lines[start]) for start in sorted(lines)]
