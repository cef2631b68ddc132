# SPDX-License-Identifier: MIT
"""Environment= and ``EnvironmentFile=``, as systemd reads them: systemd.exec(5); tried on 252."""

from __future__ import annotations

import re

from failhook.mask.quoting import split_words

_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_ENTRY = re.compile(r"[ \t\r]*(?:[#;][^\n]*|([^=\n]+)=[ \t\r]*)")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)(?:"|\Z)', re.DOTALL)
_SINGLE = re.compile(r"'([^']*)(?:'|\Z)")
_BARE = re.compile(r"(?:[^\n\\]|\\.)*", re.DOTALL)


def parse(content: str) -> list[tuple[str, str]]:
    """Names and values in their order; what systemd would ignore as invalid is kept.

    Quotes count only where a value begins, and may span lines; a backslash escapes in double quotes
    what it does in a shell, and outside of quotes anything. A quote that is never closed holds all
    of the rest. Never raises.
    """
    found: list[tuple[str, str]] = []
    place = 0
    while place < len(content):
        head = _ENTRY.match(content, place)
        if head is None or head[1] is None:  # a comment, an empty line, a line without "="
            place = content.find("\n", place) + 1 or len(content)
            continue
        value, place = _value(content, head.end())
        found.append((head[1].rstrip(), value))
    return found


def assignments(text: str) -> list[tuple[str, str]]:
    """Names and values of ``Environment=``, in their order; what is no assignment is left out."""
    words = split_words(text) or []
    return [(found[1], found[2]) for word in words if (found := _ASSIGNMENT.fullmatch(word))]


def _value(content: str, place: int) -> tuple[str, int]:
    """The value that begins at ``place``, and where the next line begins."""
    parts: list[str] = []
    while place < len(content) and content[place] != "\n":
        if double := _DOUBLE.match(content, place):
            parts.append(re.sub(r'\\(?:(["\\`$])|\n)', r"\1", double[1]))
            place = double.end()
        elif single := _SINGLE.match(content, place):
            parts.append(single[1])
            place = single.end()
        elif content[place] in " \t\r":
            place += 1
        elif bare := _BARE.match(content, place):
            text = bare[0] or content[place]  # a lone backslash at the end
            kept = text.rstrip(" \t\r")
            parts.append(re.sub(r"\\(?:\n|(.))", r"\1", kept, flags=re.DOTALL))
            place += len(text)
    return "".join(parts), place + 1
