# SPDX-License-Identifier: MIT
"""systemd's quoting, undone: the words of ``Environment=`` and of what ``systemctl show`` prints.

Seen on 252: ``systemctl show -p Environment`` puts every assignment that needs it in double quotes
with C escapes (also of ``$`` and the backtick; a newline is ``\\n``), separated by blanks. Unit
files take quotes in the middle of a word, too: ``B="two words"`` (systemd.syntax(7) promises less).
Bytes that are no UTF-8 are kept as surrogates ("surrogateescape").
"""

from __future__ import annotations

import re

_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}
_ESCAPE = re.compile(
    r"\\(?:x([0-9A-Fa-f]{2})|([0-7]{3})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL
)
_PLAIN = re.compile(r"[^\s\"'\\]+")
_QUOTED = {
    '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL),
    "'": re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL),
}
_BLANK = " \t\r\n"


def split_words(text: str) -> list[str] | None:
    """The words of ``text``, quotes and escapes undone; None where a quote is never closed."""
    words: list[str] = []
    current: list[str] | None = None
    place = 0
    while place < len(text):
        if text[place] in _BLANK:
            if current is not None:
                words.append("".join(current))
                current = None
            place += 1
            continue
        piece, place = _piece(text, place)
        if piece is None:
            return None
        current = [] if current is None else current
        current.append(piece)
    return words if current is None else [*words, "".join(current)]


def _piece(text: str, place: int) -> tuple[str | None, int]:
    """One quoted, escaped or plain stretch; None for a quote that is never closed."""
    sign = text[place]
    if sign in _QUOTED:
        quoted = _QUOTED[sign].match(text, place)
        return (unescape(quoted[1]), quoted.end()) if quoted else (None, len(text))
    found = _ESCAPE.match(text, place) if sign == "\\" else _PLAIN.match(text, place)
    if found is None:  # a lone backslash at the end, a form feed
        return sign, place + 1
    return (unescape(found[0]) if sign == "\\" else found[0]), found.end()


def unescape(text: str) -> str:
    """C escapes undone; of an unknown one the character behind the backslash stays."""
    return _ESCAPE.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    hexadecimal, octal, short, long, other = match.groups()
    if hexadecimal or octal:  # a byte, not a character
        code = (int(hexadecimal, 16) if hexadecimal else int(octal, 8)) & 0xFF
        return chr(code) if code < 0x80 else chr(0xDC00 + code)
    if short or long:
        code = int(short or long, 16)
        return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd"
    return _SIMPLE.get(other, other)
