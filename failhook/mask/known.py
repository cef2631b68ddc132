# SPDX-License-Identifier: MIT
"""Secrets whose exact text is known beforehand: found literally, in every coat they may wear.

A value appears in evidence as it is, JSON-escaped (journal exports, structured logs), percent-coded
(URLs), quoted for a shell (``systemctl show``), or inside a base64 text (``Authorization: Basic``).
"""

from __future__ import annotations

import base64
import bisect
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from failhook.mask.tokens import Counts, Span, replace

MIN_BYTES = 4
_MAX_FORMS = 1024  # each costs one pass over the text at memory speed
_MIN_BASE64 = 6  # shorter runs of base64 are words
_MIN_EDGE = 6
_EDGE_TEXT = 256  # a text shorter than this was not cut
_BASE64_BEFORE = re.compile(rb"[A-Za-z0-9+/_-]{0,2}\Z")
_BASE64_AFTER = re.compile(rb"[A-Za-z0-9+/_-]{0,2}={0,2}")


@dataclass(frozen=True, slots=True)
class Known:
    """A value that must not be seen, and the rule it is counted and shown under.

    ``encoded`` False looks for the text as it is only: for the many lines of one large secret.
    """

    value: bytes
    rule: str = "environment"
    encoded: bool = True

    def __repr__(self) -> str:
        """Without the value: reprs end in logs and tracebacks."""
        return f"Known({len(self.value)} bytes, {self.rule!r})"


@dataclass(frozen=True, slots=True)
class _Form:
    """One way in which a secret may be written, and the rule that its masking counts under."""

    text: bytes
    rule: str
    base64: bool = False

    def __repr__(self) -> str:
        return f"_Form({len(self.text)} bytes, {self.rule!r})"


class KnownValues:
    """All forms of all known values, longest first. Values under 4 bytes are not looked for."""

    def __init__(self, known: Sequence[Known]) -> None:
        kept = {each.value: each for each in reversed(known) if len(each.value) >= MIN_BYTES}
        self.rules = frozenset(each.rule for each in kept.values())
        self._plain = sorted(kept.values(), key=lambda each: -len(each.value))
        forms: dict[bytes, _Form] = {}
        for form in (form for each in self._plain for form in _forms(each)):
            forms.setdefault(form.text, form)
        ordered = sorted(forms.values(), key=lambda form: (form.base64, -len(form.text)))
        self._forms = ordered[:_MAX_FORMS]
        self.dropped = len(ordered) - len(self._forms)

    def mask(self, text: bytes, tokens: re.Pattern[bytes], counts: Counts) -> bytes:
        """``text`` without any of the values; what is inside an earlier token stays."""
        spans = [span for form in self._forms if form.text in text for span in _find(text, form)]
        spans += self._edges(text)
        if not spans:
            return text
        taken = [match.span() for match in tokens.finditer(text)]
        return replace(text, [span for span in spans if not _within(span, taken)], counts)

    def _edges(self, text: bytes) -> Iterator[Span]:
        """What is left of a value where the text was cut through the middle of it."""
        if len(text) < _EDGE_TEXT:
            return
        head, tail = text[:_MIN_EDGE], text[-_MIN_EDGE:]
        for each in self._plain:
            value = each.value
            place = value.find(head, 1)
            while place != -1:
                if text.startswith(value[place:]):
                    yield Span(0, len(value) - place, each.rule)
                    break
                place = value.find(head, place + 1)
            place = value.rfind(tail, 0, len(value) - 1)
            while place != -1:
                size = place + _MIN_EDGE
                if text.endswith(value[:size]):
                    yield Span(len(text) - size, len(text), each.rule)
                    break
                place = value.rfind(tail, 0, size - 1)


def _find(text: bytes, form: _Form) -> Iterator[Span]:
    place = text.find(form.text)
    while place != -1:
        end = place + len(form.text)
        if form.base64:  # the neighbours share bits with the secret
            before = _BASE64_BEFORE.search(text, max(0, place - 2), place)
            after = _BASE64_AFTER.match(text, end)
            yield Span(
                before.start() if before else place, after.end() if after else end, form.rule
            )
        else:
            yield Span(place, end, form.rule)
        place = text.find(form.text, end)


def _within(span: Span, taken: Sequence[tuple[int, int]]) -> bool:
    """``span`` touches one of the ``taken`` ranges, which are in order and apart."""
    place = bisect.bisect_left(taken, (span.end, 0))
    return place > 0 and taken[place - 1][1] > span.start


def _forms(known: Known) -> Iterator[_Form]:
    plain, rule = known.value, known.rule
    yield _Form(plain, rule)
    text = plain.decode("utf-8", "surrogateescape")
    as_json = [json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]
    spellings = [*as_json, *(each.replace("/", "\\/") for each in as_json)]
    if known.encoded:
        spellings += _shell(text), quote(plain, safe=""), quote(plain), quote_plus(plain)
        spellings += [re.sub("%..", lambda code: code[0].lower(), each) for each in spellings[-3:]]
        yield from (_Form(each, rule, base64=True) for each in _base64(plain))
    for spelling in spellings:
        yield _Form(spelling.encode("utf-8", "surrogateescape"), rule)


def _shell(text: str) -> str:
    """As `systemctl show` prints it inside double quotes."""
    escaped = re.sub(r'([\\"$`])', r"\\\1", text)
    return escaped.replace("\n", "\\n").replace("\t", "\\t")


def _base64(plain: bytes) -> Iterator[bytes]:
    """The characters that base64 has for ``plain`` wherever in a longer text it stands."""
    for before in range(3):
        coded = base64.b64encode(bytes(before) + plain)
        begin = (0, 2, 3)[before]  # the first characters also hold bits of what stands before
        end = (before + len(plain)) * 8 // 6
        fixed = coded[begin:end]
        if len(fixed) >= _MIN_BASE64:
            yield fixed
            yield fixed.translate(bytes.maketrans(b"+/", b"-_"))
