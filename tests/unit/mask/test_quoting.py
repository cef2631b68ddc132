# SPDX-License-Identifier: MIT
"""systemd's quoting: the words of what 252 really printed for a unit made to be difficult."""

import time

import pytest

from failhook.mask.quoting import split_words, unescape

SHOWN = (
    r'A=plain "B=two words" "D=single \"dq\" x" "E=back\\slash" "F=dollar\$HOME" G=pct% '
    r'"H=tab\there" "I=nl\nsecond" "J=semi;colon" K= "L=utf8 ü" "M=bel\ax" '
    '"N=sq\'uote" O=a#b "P=star*x" Q=~tilde "R=back\\`tick" "S=bang!"'
)


def test_what_systemctl_show_printed() -> None:
    assert split_words(SHOWN) == [
        "A=plain", "B=two words", 'D=single "dq" x', "E=back\\slash", "F=dollar$HOME", "G=pct%",
        "H=tab\there", "I=nl\nsecond", "J=semi;colon", "K=", "L=utf8 ü", "M=bel\ax", "N=sq'uote",
        "O=a#b", "P=star*x", "Q=~tilde", "R=back`tick", "S=bang!",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("  \t", []),
        ('B="two words"', ["B=two words"]),
        ("'a b' c", ["a b", "c"]),
        ('""', [""]),
        ("a\\ b", ["a b"]),
        ('"open', None),
        ("a'b", None),
        ("a\\", ["a\\"]),
    ],
)
def test_words(text: str, words: list[str] | None) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"\x41\101\u00fc\U0001f600", "AAü😀"),
        (r"\xff", "\udcff"),
        (r"\ud800", "\ufffd"),
        (r"\s\q", " q"),
        ("\\", "\\"),
    ],
)
def test_escapes(text: str, plain: str) -> None:
    assert unescape(text) == plain


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_quote_that_is_never_closed_costs_little(quote: str) -> None:
    begin = time.thread_time()
    assert split_words(quote + "a" * 200_000) is None
    assert time.thread_time() - begin < 2
