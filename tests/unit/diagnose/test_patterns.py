# SPDX-License-Identifier: MIT
"""Every pattern of the verdict takes time in proportion to the line, whatever the line is.

Messages are cut to `text.MAX_LINE`, so that a line of 4000 characters is the worst that a pattern
meets, and one of 8000 shows how it grows.
"""
# ruff: noqa: E501 - a row of a table is one line

import dataclasses
import importlib
import pkgutil
import re
import time
from collections.abc import Iterator

import pytest

from failhook import diagnose

_LENGTHS = (4000, 8000)
_FAST_S = 0.02
_GROWTH = 3.0  # of one that is quadratic: 4
_TRIES = 5
_PIECES = (
    "a", "/", " ", '"', "'", "[/", ":1", "a.", "at ", "0", "-", "_", "\t", "(", "A", "a ", "a-", "/a",
    "./", "a/", "a:", "1.", "1:", ": ", ", ", "a=", "<", "{", "\\", "|", "*", "line ", "line 1 ", "file ",
    "error ", "error: ", "error", "expected ", "at /a:1:", "'a' ", '"a', "port ", "host ", "/etc/a ",
    "/etc/a.b", "a.b:", "not ", "cannot ", "permission ", "lock ", "lib", "lib.so", "user ", "user 'a",
    "#0 0x1 ", "{ path=/a ; argv[]=", "config ", "failed to ", "invalid a ", "option ", "option ' ",
    "Caused by: ", "a.B: ", "  at a.b(", "panic: ", "Assertion `", "in `a': ", "\u2018", "\u00e9",
    "Fatal error: ", " at /a line ", "certificate ", "expired ", "key ", "address ", "out of ",
    "unexpected token ", "yaml: ", "timed ", "is a", "=x ", "process ", "fork ", "clock is ",
    "file ", "file descriptor ", "Killed process 1 (", "oom-kill:constraint=A", "I/O error, dev ",
)  # fmt: skip
_HEADS = (
    "",
    "/",
    "'",
    "error: ",
    "/etc/a.conf line ",
    "at line 1, ",
    'File "',
    "a: ",
    "2026-11-21 ",
)
_TAILS = ("", "\x00", "!", "'")


def _patterns() -> dict[str, re.Pattern[str] | re.Pattern[bytes]]:
    """All that the modules of the package hold, also within tuples, dicts and values."""
    found: dict[str, re.Pattern[str] | re.Pattern[bytes]] = {}
    for module in pkgutil.iter_modules(diagnose.__path__):
        held = importlib.import_module(f"failhook.diagnose.{module.name}")
        for name, value in vars(held).items():
            for number, one in enumerate(_within(value, 0)):
                found.setdefault(f"{module.name}.{name}[{number}]", one)
    return {name: one for name, one in found.items() if not isinstance(one.pattern, bytes)} | {
        name: one for name, one in found.items() if isinstance(one.pattern, bytes)
    }


def _within(value: object, depth: int) -> Iterator[re.Pattern[str] | re.Pattern[bytes]]:
    if isinstance(value, re.Pattern):
        yield value
    elif depth < 4 and isinstance(value, tuple | list | set | frozenset):
        for one in value:
            yield from _within(one, depth + 1)
    elif depth < 4 and isinstance(value, dict):
        for one in value.values():
            yield from _within(one, depth + 1)
    elif depth < 4 and dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from _within(getattr(value, field.name), depth + 1)


PATTERNS = _patterns()


def test_all_of_them_are_found() -> None:
    names = {name.partition("[")[0] for name in PATTERNS}
    assert len(PATTERNS) > 100
    assert {"place._PLACES", "kernel_log._DISK", "text._TIME", "certificate._PEM"} <= names


def _took(pattern: re.Pattern[str] | re.Pattern[bytes], line: str, *, anchored: bool) -> float:
    """As it is used: at the start of a line, or for all that a line holds.

    The least of up to three tries; one that is fast needs no second."""
    text = line.encode() if isinstance(pattern.pattern, bytes) else line
    least = 9.0
    for _ in range(3):
        start = time.process_time()
        if anchored:
            pattern.match(text)  # type: ignore[arg-type]
        else:
            for _ in pattern.finditer(text):  # type: ignore[arg-type]
                pass
        least = min(least, time.process_time() - start)
        if least < _FAST_S:
            break
    return least


def _line(head: str, piece: str, tail: str, length: int) -> str:
    return (head + piece * (length // len(piece) + 1))[: length - len(tail)] + tail


@pytest.mark.parametrize("name", PATTERNS)
def test_a_hostile_line_costs_no_more_than_a_long_one(name: str) -> None:
    pattern = PATTERNS[name]
    anchored = name.startswith("text._") and not name.startswith("text._LOGFMT")
    for number, piece in enumerate(_PIECES):
        heads = _HEADS if number % 16 == 0 else _HEADS[:1]
        for head in heads:
            tail = _TAILS[(number + len(head)) % len(_TAILS)]
            lines = [_line(head, piece, tail, length) for length in _LENGTHS]
            double = _took(pattern, lines[1], anchored=anchored)
            if double < _FAST_S:
                continue
            single = _took(pattern, lines[0], anchored=anchored)
            for _ in range(_TRIES):
                if double <= _GROWTH * single:
                    break
                # A machine that is busy elsewhere slows one of the two down: the least of each.
                single = min(single, _took(pattern, lines[0], anchored=anchored))
                double = min(double, _took(pattern, lines[1], anchored=anchored))
            assert double <= _GROWTH * single, (
                f"{piece!r} after {head!r}: {single:.3f}, {double:.3f} s"
            )
