# SPDX-License-Identifier: MIT
"""What is written to terminals of any kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.ascii import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ~", "plain ~"),
        ("“a” and ‘b’ – c… d\u00a0e", "\"a\" and 'b' - c... d e"),
        ("\x1b[2Jü\n\t\x7f\x9b", "?[2J?????"),
        ("\u202eabc\ud800", "?abc?"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_nothing_else_comes_out(text: str) -> None:
    assert all(" " <= sign <= "~" for sign in printable(text))
