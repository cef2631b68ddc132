# SPDX-License-Identifier: MIT
"""Tokens and spans: what replaces what."""

from failhook.mask.tokens import Counts, Span, merged, replace, token, tokens_of


def test_a_token_is_fixed_ascii() -> None:
    assert token("password") == b"[masked:password]"


def test_overlapping_spans_become_one() -> None:
    spans = [Span(4, 6, "b"), Span(0, 3, "a"), Span(2, 5, "c"), Span(6, 7, "d")]
    assert merged(spans) == [Span(0, 6, "a"), Span(6, 7, "d")]


def test_replace_counts() -> None:
    counts: Counts = {"a": 1}
    assert replace(b"0123456789", [Span(8, 9, "a"), Span(1, 3, "b")], counts) == (
        b"0[masked:b]34567[masked:a]9"
    )
    assert counts == {"a": 2, "b": 1}


def test_only_known_tokens_are_tokens() -> None:
    tokens = tokens_of(["password"])
    assert tokens.search(b"x [masked:password]")
    assert not tokens.search(b"[masked:hunter2]")
    assert not tokens_of([]).search(b"[masked:]")
