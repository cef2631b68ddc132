# SPDX-License-Identifier: MIT
"""Patterns of the administrator's: what is refused, and how far one reaches."""

import pytest

from failhook.mask.custom import CustomPattern, mask_line
from failhook.mask.tokens import Counts, tokens_of

NO_TOKENS = tokens_of([])


@pytest.mark.parametrize(
    ("regex", "why"),
    [
        ("(a", "does not compile"),
        ("(a+)+b", "repeats a group"),
        ("(a|aa)+b", "repeats a group"),
        ("((a*)b)*", "repeats a group"),
        ("(?:x{1,9}y){2,}", "repeats a group"),
        ("a*", "matches the empty text"),
        ("x?", "matches the empty text"),
        (".*.*.*=x", "too slow"),
        (r"\w+\w+\w+@", "too slow"),
        ("a" * 600, "longer than"),
    ],
)
def test_refused(regex: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        CustomPattern("mine", regex)
    assert "'mine'" in str(raised.value)


@pytest.mark.parametrize(
    "regex",
    [
        r"cust-\d{4,8}",
        r"\bkey-(\w+)",
        "(?:foo|bar)-[0-9]+",
        r"[(+*]x+",
        r"a(?P<x>b)c",
        r"\(a+\)+",
        "(abc)?d",
        r"(?i)account\s*=\s*(\S+)",
        "é+",
    ],
)
def test_accepted(regex: str) -> None:
    assert CustomPattern("mine", regex).compiled.pattern == regex.encode()


@pytest.mark.parametrize("name", ["", "Mine", "a b", "a]", "-a", "a" * 41])
def test_names(name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        CustomPattern(name, "abc")


def test_group_one_is_the_secret() -> None:
    counts: Counts = {}
    pattern = CustomPattern("mine", r"acct (\d+)")
    assert mask_line(b"acct 12 acct 34", pattern, NO_TOKENS, counts) == (
        b"acct [masked:mine] acct [masked:mine]"
    )
    assert counts == {"mine": 2}


@pytest.mark.parametrize("place", [0, 2030, 2040, 2047, 2048, 2049, 4090, 6000])
def test_a_long_line_is_searched_wherever_a_window_ends(place: int) -> None:
    line = b"-" * place + b"cust-123456" + b"-" * 3000
    pattern = CustomPattern("mine", r"cust-\d{6}")
    counts: Counts = {}
    assert b"cust" not in mask_line(line, pattern, NO_TOKENS, counts)
    assert counts == {"mine": 1}
