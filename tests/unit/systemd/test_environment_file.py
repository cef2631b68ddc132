# SPDX-License-Identifier: MIT
"""EnvironmentFile=: the same text that 252 was given, and what it made of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.systemd.environment_file import parse

# Given to a real service on 252; the values are what its `env` printed.
REAL = r"""# comment
; comment2
X1=plain value with spaces   
X2="double \"esc\" \$d \`b \\ \q nl
next line"
X3='single \ "x"
multi'
X4=a\
b
X5=a\ b
X6=foo"bar"'baz'
X8 = spaced
X9=a # not comment
X10="a"b
 X11=lead
X12=$HOME
X13="trail" 
X14=a\tb
"""  # noqa: W291 - blanks at the end are part of it


def test_as_systemd_reads_it() -> None:
    assert parse(REAL) == [
        ("X1", "plain value with spaces"),
        ("X2", 'double "esc" $d `b \\ \\q nl\nnext line'),
        ("X3", 'single \\ "x"\nmulti'),
        ("X4", "ab"),
        ("X5", "a b"),
        ("X6", "foo\"bar\"'baz'"),
        ("X8", "spaced"),
        ("X9", "a # not comment"),
        ("X10", "ab"),
        ("X11", "lead"),
        ("X12", "$HOME"),
        ("X13", "trail"),
        ("X14", "atb"),
    ]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        ("no equals\nA=1", [("A", "1")]),
        ("A=\nB=2", [("A", ""), ("B", "2")]),
        ("A=1\r\nB=2\r\n", [("A", "1"), ("B", "2")]),
        ("A='open\nto the end", [("A", "open\nto the end")]),
        ('A="x""y"', [("A", "xy")]),
        ("A=\\", [("A", "\\")]),
        ("export A=1", [("export A", "1")]),  # invalid for systemd, but somebody's secret
    ],
)
def test_odd_ones(text: str, pairs: list[tuple[str, str]]) -> None:
    assert parse(text) == pairs


@given(st.text(alphabet="A=\"'\\ \n#;x\r\t", max_size=60))
def test_anything_is_read_to_its_end(text: str) -> None:
    parse(text)
