# SPDX-License-Identifier: MIT
"""``name = value`` in all its spellings: ini, env, YAML, JSON (also escaped), query, DSN, flags.

The name decides (`names.kind_of`), then the value gets a say (`values`). One line at a time; every
scan moves forward, so a hostile line costs time in proportion to its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from failhook.mask import names, values
from failhook.mask.tokens import TOKEN, Span

HINTS = (
    b"pass", b"pwd", b"pw", b"psk", b"secret", b"token", b"key", b"cred", b"masterauth", b"sess",
    b"cookie",
)  # fmt: skip
_ASSIGNMENT = re.compile(
    rb"(?<![A-Za-z0-9_.\-])([A-Za-z0-9_.\-]{2,128})"
    # what may stand between a name and its sign: colour, a[b]=, the quote of "name":
    rb"((?:\x1b\[[0-9;]{0,9}m|\]|%5[dD]|\\{0,7}[\"'`]|&quot;){0,3})"
    rb"[ \t]{0,16}(={1,3}>?|:=|:(?!:|//)|%3[dD])(?:\x1b\[[0-9;]{0,9}m)?[ \t]{0,16}"
)
_FLAG = re.compile(
    rb"(?<![\w\-.])--?([A-Za-z][A-Za-z0-9_.\-]{1,60})"
    rb"(?:[ \t]{1,8}|\x00|\\{0,7}[\"'],?[ \t]{0,8}(?=[\"'\\]))"
)
_TWO_WORDS = re.compile(rb"([A-Za-z]{2,20}(?:[ _-][A-Za-z]{2,20})?)[ ]\Z")
_QUOTE = re.compile(rb"(?:[bBrRuUfF]{1,2})?(\\{0,15})([\"'`])")
_QUOTE_BEFORE = re.compile(rb"(\\{0,15})([\"'`])\Z")
_RUN = re.compile(rb"[^\s\x00]+")
_QUERY_END = re.compile(rb"[&#\"'<>\\\s\x00]|%26")
# Where an unquoted value ends: at a blank, or where the text around it goes on without one.
_END = re.compile(
    rb"[\s\x00]|&(?:amp;)?[\w.\-\[\]]{1,64}=|[;,](?=[\w.\-]{1,64}(?: [\w.\-]{1,32})?[=:])"
    rb"|\\u0026|%26|\\{0,7}[\"'`](?=[\s\x00,;)}\]:>]|\Z)|</|\x1b\["
)
_NEXT_SETTING = re.compile(rb"\s[#;]|[,;]?\s[\w.\-]{1,64} ?[=:]|[,;] ?\{|\x00")
_AT_START = re.compile(rb"(?:\A|\]: ?)[\s>#;*\-]*(?:export |set |- )?[\"'$@]?\Z")
# "unexpected token: 'end'", "last token: scalar": a parser speaks of its input
_PARSER = re.compile(
    rb"(?:unexpected|near|illegal|unknown|expected|invalid|syntax|last|next|previous) \Z", re.I
)
_A_FEW = re.compile(rb"\s*[0-9]{1,3}(?:\s+[a-z]+)?[\s.,;)]*\Z")  # four digits are a PIN
_SET_CREDENTIAL = re.compile(rb"[\w.@-]{1,255}:" + TOKEN.pattern)  # done by `unit_text`
_OPENERS = {b")": b"(", b"]": b"[", b"}": b"{", b">": b"<"}
_MIN_KEY = 6  # accesskey="n" is HTML
_LONG = 4096
_HEAD = 64
_BACKSLASH = 0x5C


@dataclass(frozen=True, slots=True)
class _Place:
    """One name with a sign: where it stands in the line and what surrounds it."""

    line: bytes
    name: str
    kind: str
    start: int
    after: int  # where the value may begin
    sign: bytes
    spaced: bool = True

    @property
    def before(self) -> bytes:
        return self.line[max(0, self.start - 160) : self.start]

    def head(self) -> bytes:
        """The first word, as far as judging it needs: a hostile line is one word of megabytes."""
        start, end = _token(self.line[self.after : self.after + _HEAD], 0)
        return self.line[self.after + start : self.after + end]


def spans(line: bytes) -> Iterator[Span]:
    """The secret values of one line (without its newline), in order, never overlapping."""
    place = 0
    while match := _ASSIGNMENT.search(line, place):
        place = match.end()
        kind = _kind(line, match)
        if kind is None or line.endswith(b"[masked:", 0, match.start()):
            continue
        if match[1] == b"PASS" and match[3] == b":":  # automake's and TAP's verdict
            continue
        sign, gap = match[3], line[match.end(2) : match.end()]
        what = _Place(line, match[1].decode(), kind, match.start(), match.end(), sign, gap != sign)
        for span in _value(what, quoted_name=match[2]):
            yield span
            place = max(place, span.end)


def flag_spans(line: bytes) -> Iterator[Span]:
    """The values of ``--password VALUE`` and its like, also between NULs and in JSON arrays."""
    place = 0
    while match := _FLAG.search(line, place):
        place = match.end()
        kind = names.kind_of(match[1].decode())
        if kind is None:
            continue
        what = _Place(line, match[1].decode(), kind, match.start(), place, b" ")
        head = what.head()
        if head[:1] == b"-" or values.is_option_talk(head):
            continue
        quoted = _quoted(line, place)
        start, end = quoted or _token(line, place)
        if _worth_masking(what, line[start:end], quoted=quoted is not None):
            yield Span(start, end, kind)
            place = end


def _kind(line: bytes, match: re.Match[bytes]) -> str | None:
    name = match[1].decode()
    kind = names.kind_of(name)
    if kind is None and name.lower() in ("key", "keys"):  # "secret access key: …"
        words = _TWO_WORDS.search(line, max(0, match.start() - 44), match.start())
        if words is not None:
            kind = names.kind_of((words[1] + b"_" + match[1]).decode())
    return kind


def _value(what: _Place, *, quoted_name: bytes) -> Iterator[Span]:
    """The spans of one value: none where it is not worth masking, several for a list."""
    line = what.line
    quoted = _quoted(line, what.after)
    if quoted is None and not quoted_name and not _in_query(what):
        quoted = _rest_of_quoted_setting(what)
    opening = line[what.after : what.after + 1]
    if quoted is not None:
        extent = quoted
    elif opening == b"[" and not TOKEN.match(line, what.after):
        yield from _list_items(what)
        return
    elif opening == b"{" and not values.is_placeholder(what.head()):
        return  # an object: its own names are judged one by one
    elif what.sign in (b"==", b"==="):
        return  # a comparison with another name tells nothing
    else:
        extent = _unquoted(what)
    if _worth_masking(what, line[slice(*extent)], quoted=quoted is not None):
        yield Span(*extent, what.kind)


def _worth_masking(what: _Place, value: bytes, *, quoted: bool) -> bool:
    if values.is_placeholder(value):
        return False
    if len(value) > _LONG:  # never look twice at much: the next name may stand inside
        return True
    if what.kind == "token" and _PARSER.search(what.before):
        return not quoted and values.looks_random(value)
    return not (
        (values.is_path(value) and names.may_hold_path(what.name))
        or (what.kind == "key" and len(value) < _MIN_KEY)
        or values.is_expression(value)
        or (what.kind == "credential" and _SET_CREDENTIAL.fullmatch(value))
        or (values.is_number(value) and names.is_plural(what.name))  # max_tokens=512
        or (what.name.lower().endswith("pass") and _A_FEW.match(value))  # "pass: 3 tests"
    )


def _quoted(line: bytes, start: int) -> tuple[int, int] | None:
    """The inside of a quoted text that begins at ``start``; to the line's end if it is cut off."""
    opening = _QUOTE.match(line, start)
    if opening is None:
        return None
    return opening.end(), _closing(line, opening.end(), len(opening[1]), opening[2])


def _closing(line: bytes, start: int, depth: int, quote: bytes) -> int:
    """Where the text opened by ``depth`` backslashes and ``quote`` ends.

    Inside JSON in JSON the quote is written ``\\"``, one level deeper ``\\\\\\"``: the closing one
    has as many backslashes as the opening one, the inner ones have more.
    """
    place = line.find(quote, start)
    while place != -1:
        slash = place
        while slash > start and line[slash - 1] == _BACKSLASH:
            slash -= 1
        if (place - slash) % (2 * (depth + 1)) == depth:
            return place - depth
        place = line.find(quote, place + 1)
    return len(line)


def _rest_of_quoted_setting(what: _Place) -> tuple[int, int] | None:
    """``"PASSWORD=two words"``: the quote opened before the name."""
    opening = _QUOTE_BEFORE.search(what.line, max(0, what.start - 16), what.start)
    if opening is None:
        return None
    end = _closing(what.line, what.after, len(opening[1]), opening[2])
    if end == len(what.line) or _NEXT_SETTING.search(what.line, what.after, end):
        return None
    return what.after, end


def _in_query(what: _Place) -> bool:
    return what.before.endswith((b"?", b"&", b"%26", b"&amp;", b"\\u0026"))


def _list_items(what: _Place) -> Iterator[Span]:
    """``["a", "b"]``: each quoted item up to the closing bracket."""
    place = what.after + 1
    while quoted := _QUOTE.search(what.line, place, place + 4):
        start = quoted.end()
        end = _closing(what.line, start, len(quoted[1]), quoted[2])
        if not values.is_placeholder(what.line[start:end]):
            yield Span(start, end, what.kind)
        place = end + len(quoted[1]) + 1


def _unquoted(what: _Place) -> tuple[int, int]:
    """How far a value without quotes goes; an empty range where it reads like a sentence."""
    line, start = what.line, what.after
    if _in_query(what):
        stop = _QUERY_END.search(line, start)
        return start, stop.start() if stop else len(line)
    if what.sign != b":":
        return _to_end(what) if what.spaced and _at_start(what) else _token(line, start)
    if what.spaced:
        return _after_colon(what)
    head = what.head()  # "X509_check_private_key:key values mismatch"
    spoken = values.is_sentence(head) or values.is_option_talk(head)
    return (start, start) if spoken else _token(line, start)


def _after_colon(what: _Place) -> tuple[int, int]:
    """``name: value`` is a setting or a message; only the words around it can tell."""
    start = what.after
    rest = what.line[start : start + 200]
    at_start, sentence = _at_start(what), values.is_sentence(rest)
    if at_start and not sentence:
        return _to_end(what)
    if values.looks_random(what.head()):
        return _token(what.line, start)
    words = rest.split(None, 2)
    if sentence or (len(words) > 1 and all(map(values.is_plain_word, words[:2]))):
        return start, start
    return _token(what.line, start)


def _at_start(what: _Place) -> bool:
    return len(what.before) < 160 and _AT_START.search(what.before) is not None


def _token(line: bytes, start: int) -> tuple[int, int]:
    """The run without blanks at ``start``, without what belongs to the text around it."""
    stop = _END.search(line, start)
    end = stop.start() if stop else len(line)
    masked = TOKEN.match(line, start, end)  # its own brackets open nothing
    text = line[masked.end() if masked else start : end]
    opened = {closer for closer, opener in _OPENERS.items() if opener in text}
    while end > (masked.end() if masked else start):
        last = line[end - 1 : end]
        if last not in b",;\"'`" and (last not in _OPENERS or last in opened):
            break
        end -= 1
    return start, end


def _to_end(what: _Place) -> tuple[int, int]:
    """An ini or YAML value: everything up to a comment or the next setting."""
    line, start = what.line, what.after
    run = _RUN.match(line, start)
    if run is None or run[0] in (b"#", b";"):
        return start, start
    stop = _NEXT_SETTING.search(line, run.end())
    end = stop.start() if stop else len(line)
    return start, start + len(line[start:end].rstrip(b" \t\r,;"))
