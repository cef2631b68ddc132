# SPDX-License-Identifier: MIT
"""An answer is read as strictly as it is written carefully."""

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook import answer
from failhook.action import Outcome, done

HONEST: dict[str, Any] = {
    "ok": True,
    "detail": "x",
    "helped": None,
    "retry_after_s": None,
    "final": False,
    "gone": False,
    "data": {},
}


def framed(body: bytes) -> bytearray:
    """``body`` as it comes through the pipe."""
    return bytearray(struct.pack(">4sI", b"fh1\n", len(body)) + body)


def test_there_and_back() -> None:
    outcome = Outcome(False, "später", True, 2.5, True, True, {"a": [1, {"b": None}]})
    received = bytearray(answer.packed(outcome, ()))
    assert answer.is_complete(received)
    assert answer.unpacked(received) == outcome
    assert not answer.is_complete(received[:-1])
    with pytest.raises(answer.Untrue, match="not whole"):
        answer.unpacked(received[:-1])
    with pytest.raises(answer.Untrue, match="something else"):
        answer.unpacked(received + b"x")
    assert answer.unpacked(bytearray()) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"ok": 1},
        {"ok": None},
        {"detail": 3},
        {"helped": "yes"},
        {"retry_after_s": 3},
        {"retry_after_s": True},
        {"final": None},
        {"gone": 0},
        {"data": []},
    ],
    ids=str,
)
def test_wrong_types_are_no_answer(changes: dict[str, Any]) -> None:
    assert answer.unpacked(framed(json.dumps(HONEST).encode())) == done("x")
    with pytest.raises(answer.Untrue, match="cannot be read"):
        answer.unpacked(framed(json.dumps(HONEST | changes).encode()))


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"detail": NaN}', b"[" * 100_000, b"9" * 5000],
    ids=lambda body: repr(body[:20]),
)
def test_no_json_is_no_answer(body: bytes) -> None:
    with pytest.raises(answer.Untrue, match="cannot be read"):
        answer.unpacked(framed(body))


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    received = bytearray(data)
    try:
        outcome = answer.unpacked(received)
    except answer.Untrue:
        return
    assert outcome is None
    assert data == b""


@given(st.text(max_size=3000))
def test_a_line_is_a_line(text: str) -> None:
    line = answer.cleaned(text)
    assert len(line) <= answer.MAX_DETAIL
    assert not set(line) & set("\n\r\t\0\x1b\x7f\x85\u2028\u202e\u2066")
    line.encode("utf-8")


def test_masked() -> None:
    assert answer.masked("password=hunter2hunter2") != "password=hunter2hunter2"
    assert "abcd1234" not in answer.masked("it is abcd1234 there", ["abcd1234", ""])
    assert answer.masked("plain words") == "plain words"
    assert answer.masked("x" * 50_000, most=100) == "x" * 100
