# SPDX-License-Identifier: MIT
"""Private keys in PEM and OpenSSH armour: whole, cut off at either end, prefixed, or on one line.

Lines are kept (a journal's prefix before each, other programs' lines in between), only the key's
own text goes, so that line numbers in the evidence stay true. Certificates and public keys stay.
"""

from __future__ import annotations

import re

from failhook.mask.tokens import Counts, token

RULE = "private-key"
_MARK = token(RULE)
_BEGIN = re.compile(rb"-{4,5} ?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_END = re.compile(rb"-{4,5} ?END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)? ?-{4,5}")
# The rest of a line that holds the whole key, its newlines escaped as JSON, shells, URLs, YAML do.
_INLINE = re.compile(
    rb"(?:[A-Za-z0-9+/=]+|\\{1,7}[nr/]|\\{1,7}u00[0-9a-f]{2}|%0[aAdD]|%2[bBfF]|%3[dD]"
    rb"| (?=[A-Za-z0-9+/]{16})| (?=-{4,5} ?END)"
    rb"|(?:Proc-Type|DEK-Info|Version|Comment): ?[\w.,+ -]{0,80})+"
)
_KEY_TEXT = re.compile(rb"[A-Za-z0-9+/]{12}")
_BODY = re.compile(rb"[A-Za-z0-9+/=]+")
_TAIL = re.compile(rb"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{40,}={0,2}(?=[\\,\"'\s]{0,4}\Z)")
_AROUND = b" \t\r\\,\"'"
_HEADER = re.compile(rb"(?:Proc-Type|DEK-Info|Version|Comment|Hash|Subject): ")
_SHORT = 16
_LONGEST = 600  # lines; a 16384 bit RSA key has 200
_STRANGERS = 4  # lines of others in a row after which the key has ended without saying so


def concerns(text: bytes) -> bool:
    """There is a mark in ``text`` that a private key may stand beside."""
    return b"PRIVATE KEY" in text


def mask_keys(text: bytes, counts: Counts) -> bytes:
    """``text`` without the private keys in it; the BEGIN and END lines stay.

    ``counts`` grows by one for each line of key that was masked.
    """
    if not concerns(text):
        return text
    lines = text.split(b"\n")
    known_until = 0
    for number, line in enumerate(lines):
        if b"PRIVATE KEY" not in line:
            continue
        end, begin = _END.search(line), _open_begin(line)
        if end and number >= known_until and not _BEGIN.search(line, 0, end.start()):
            _mask_upwards(lines, number, end.start(), counts)
        lines[number] = _inline(line, counts)
        if begin is not None:
            known_until = _mask_downwards(lines, number, begin, counts)
    return b"\n".join(lines)


def _open_begin(line: bytes) -> int | None:
    """Where the last BEGIN of a line stands, if no END follows it there."""
    begins = list(_BEGIN.finditer(line))
    if not begins or _END.search(line, begins[-1].end()):
        return None
    return begins[-1].start()


def _inline(line: bytes, counts: Counts) -> bytes:
    """Mask the key text that follows a BEGIN on its own line."""
    parts: list[bytes] = []
    place = 0
    for begin in _BEGIN.finditer(line):
        body = _INLINE.match(line, begin.end())
        if body is None or not _KEY_TEXT.search(body[0]):
            continue
        parts += line[place : begin.end()], _MARK
        place = body.end()
        counts[RULE] = counts.get(RULE, 0) + 1
    return b"".join((*parts, line[place:]))


def _mask_downwards(lines: list[bytes], start: int, column: int, counts: Counts) -> int:
    """Mask what stands below a BEGIN at ``column``; returns the first line not looked at."""
    strangers = masked = 0
    last = min(start + _LONGEST, len(lines))
    for number in range(start + 1, last):
        line = lines[number]
        if _BEGIN.search(line) or _END.search(line):
            return number + 1
        body = _without_body(line, column, short=masked > 0)
        if body is not None:
            strangers, masked = 0, masked + 1
            _put(lines, number, body, counts)
        elif not _HEADER.search(line):
            strangers += 1
            if strangers == _STRANGERS:
                return number + 1
    return last


def _mask_upwards(lines: list[bytes], end: int, column: int, counts: Counts) -> None:
    """Mask what stands above an END whose BEGIN was cut off with the head of the text.

    A short line is believed only as the key's last or the text's cut first one, beside long ones.
    """
    strangers = 0
    found: dict[int, bytes] = {}
    for number in range(end - 1, max(-1, end - _LONGEST), -1):
        line = lines[number]
        if _BEGIN.search(line) or _END.search(line) or strangers == _STRANGERS:
            break
        body = _without_body(line, column, short=number in (end - 1, 0))
        strangers = strangers + 1 if body is None else 0
        if body is not None:
            found[number] = body
    if any(_without_body(lines[number], column, short=False) is not None for number in found):
        for number, body in found.items():
            _put(lines, number, body, counts)


def _put(lines: list[bytes], number: int, line: bytes, counts: Counts) -> None:
    if lines[number] != line:
        lines[number] = line
        counts[RULE] = counts.get(RULE, 0) + 1


def _without_body(line: bytes, column: int, *, short: bool) -> bytes | None:
    """The line with its part of the key masked; None where it holds none.

    The key is the whole line, or what begins where BEGIN began (behind a journal's prefix), or a
    long run at the end of the line. Only a run of some length is believed, but for the key's last
    line (``short``).
    """
    for begin in (0, column):
        text = line[begin:].strip(_AROUND)
        if text == _MARK:
            return line
        if _BODY.fullmatch(text) and (short or len(text) >= _SHORT):
            place = line.index(text, begin)
            return line[:place] + _MARK + line[place + len(text) :]
    if line.rstrip(_AROUND).endswith(_MARK):
        return line
    changed = _TAIL.sub(_MARK, line)
    return changed if changed != line else None
