# SPDX-License-Identifier: MIT
"""Small things that tables are made of."""

import threading
from dataclasses import replace

import pytest

from failhook.collect import accounts
from failhook.collect.columns import duration, size, table
from failhook.collect.later import Later
from tests.unit.collect import bench


def test_a_table() -> None:
    text = table(("A", "N", "TEXT"), [("x\n", 5, "a\tb"), (None, 1000, "")], ".r")
    assert text == "A         N  TEXT\nx\\x0a     5  a b\n-      1000  -\n"


def test_long_cells_are_cut_between_words() -> None:
    assert table(("A",), [("word " * 79 + "secretsecret",)]) == "A\n" + "word " * 79 + "...\n"


@pytest.mark.parametrize(
    ("number", "shown"),
    [(None, "-"), (0, "0"), (1023, "1023"), (1536, "1.5K"), (10 << 30, "10G"), (1 << 60, "1024P")],
)
def test_sizes(number: int | None, shown: str) -> None:
    assert size(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "0s"), (0.5, "0s"), (59, "59s"), (60, "1min"), (3661, "1h 1min"), (90000, "1d 1h")],
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_users() -> None:
    assert accounts.user_name(0) == "root"
    assert accounts.user_name(3_999_999_999) == "3999999999"
    assert accounts.uid_of("root") == 0
    assert accounts.uid_of("12") == 12
    assert accounts.uid_of("no such user") is None


def test_later() -> None:
    one = bench.context()
    assert Later(one, lambda: 5).result() == 5

    def fail() -> int:
        raise LookupError("x")

    for alone in (one, replace(one, in_storm=True)):
        with pytest.raises(LookupError):
            Later(alone, fail).result()


def test_later_is_at_once_in_a_storm() -> None:
    """A second program of each worker would be one more of many."""
    one, seen = bench.context(), []
    for alone in (replace(one, in_storm=True), one):
        later = Later(alone, lambda: seen.append(threading.get_ident()))
        later.result()
    assert seen[0] == threading.get_ident() != seen[1]
