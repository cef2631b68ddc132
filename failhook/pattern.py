# SPDX-License-Identifier: MIT
"""Patterns from a configuration: checked when they are read, because `re` cannot be interrupted.

One that could take quadratic time on a hostile log line is refused beforehand (anchors T18): by its
form, and by trying it. Who uses one still gives it lines of a bounded length.
"""

from __future__ import annotations

import re
import time

MAX_LINE = 2560  # what a pattern is tried with, and may be given at once
_MAX_PATTERN = 512
_SLOW_S = 0.02
_PROBES = (b"a", b"A", b"0", b" ", b"/", b".", b"-", b"aA0_", b"a ", b"0.", b"a=", b"\xc3\xa9")
_CLASS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_QUANTIFIER = re.compile(r"[*+?]|\{\d*,?\d*\}")


def checked(name: str, regex: str) -> re.Pattern[bytes]:
    """``regex`` compiled, if it is harmless. Raises ValueError with what is wrong, in words."""
    if len(regex) > _MAX_PATTERN:
        raise ValueError(f"pattern {name!r} is longer than {_MAX_PATTERN} characters")
    try:
        compiled = re.compile(regex.encode())
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"pattern {name!r} does not compile: {error}") from None
    if _nested(regex):
        raise ValueError(
            f"pattern {name!r} repeats a group that holds a repetition or an alternative; "
            "such a pattern can take forever on a hostile line"
        )
    if compiled.search(b"") is not None:
        raise ValueError(f"pattern {name!r} matches the empty text")
    if _slow(compiled, regex):
        raise ValueError(f"pattern {name!r} is too slow on long lines; bound its repetitions")
    return compiled


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
        for size in (64, 128, 256, 512, 1024, MAX_LINE):
            line = (unit * (size // len(unit)))[:size] + b"\x01"
            begin = time.thread_time()
            sum(1 for _ in compiled.finditer(line))
            if time.thread_time() - begin > _SLOW_S:
                return True
    return False
