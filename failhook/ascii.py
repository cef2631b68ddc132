# SPDX-License-Identifier: MIT
"""Text for terminals of which nothing is known: wall(1), the notice at login.

What a failing service wrote must not move the cursor of somebody's terminal, and a terminal may be
of any kind: what is not printable ASCII is spelled with it where there is a usual way.
"""

from __future__ import annotations

import re

# Colours and the like (ECMA-48, 5.4 and 5.6): programs write them though nobody sees them.
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]{0,40}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|[@-Z\\^_])"
)
_USUAL = str.maketrans(
    {
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2018\u2019\u201a", "'"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        "\u2026": "...",
        "\u00a0": " ",
    }
)


def printable(text: str) -> str:
    """``text`` in printable ASCII, on one line; what has no usual spelling is a question mark."""
    return "".join(sign if " " <= sign <= "~" else "?" for sign in text.translate(_USUAL))


def without_escapes(line: str) -> str:
    """A program's line without what only a terminal would follow."""
    return _ESCAPES.sub("", line) if "\x1b" in line else line
