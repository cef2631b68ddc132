# SPDX-License-Identifier: MIT
"""Known values: the forms that are looked for, and the bounds. (What they find: test_redact.)"""

from failhook.mask.known import Known, KnownValues
from failhook.mask.tokens import Counts, tokens_of


def mask(known: KnownValues, text: bytes) -> bytes:
    counts: Counts = {}
    return known.mask(text, tokens_of(known.rules), counts)


def test_short_values_are_not_looked_for() -> None:
    assert mask(KnownValues([Known(b"abc")]), b"abcdef") == b"abcdef"
    assert mask(KnownValues([Known(b"abcd")]), b"abcdef") == b"[masked:environment]ef"


def test_lines_of_large_secrets_are_looked_for_as_they_are_only() -> None:
    known = KnownValues([Known(b"a/b c/d e/f", "credential", encoded=False)])
    assert mask(known, b"a/b c/d e/f a%2Fb%20c%2Fd%20e%2Ff") == (
        b"[masked:credential] a%2Fb%20c%2Fd%20e%2Ff"
    )


def test_the_number_of_forms_is_bounded_and_plain_ones_come_first() -> None:
    known = KnownValues([Known(b"secret-%d" % number) for number in range(600)])
    assert known.dropped > 0
    text = b" ".join(b"secret-%d" % number for number in range(600))
    assert b"secret" not in mask(known, text)


def test_the_first_of_doubled_values_gives_the_name() -> None:
    known = KnownValues([Known(b"hunter2", "credential"), Known(b"hunter2", "environment")])
    assert mask(known, b"hunter2") == b"[masked:credential]"
