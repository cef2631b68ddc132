# SPDX-License-Identifier: MIT
"""Frames between a collector's process and us, honest and not."""

import contextlib
import json
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.gather import frames
from failhook.gather.frames import End, FrameReader, Lie, Problem
from failhook.incident import Status
from failhook.item import Item

ITEM = Item("a/b.txt", b"\0data\xff", "c", 7, True, "why", {"rule": 2})


def _written(*calls: object) -> bytes:
    reading, writing = os.pipe()
    try:
        for call in calls:
            if isinstance(call, Item):
                frames.send_item(writing, call)
            elif isinstance(call, End):
                frames.send_end(writing, call)
            else:
                frames.send_problem(writing, str(call))
        os.close(writing)
        writing = -1
        return os.read(reading, 1 << 16)
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)


def _frame(header: object, data: bytes = b"") -> bytes:
    head = json.dumps(header).encode()
    return struct.pack(">II", len(head), len(data)) + head + data


def _item(**changes: object) -> bytes:
    return _frame({"item": "a", "took_ms": 1, "masked": {}} | changes, b"x")


@pytest.mark.parametrize("size", [1, 5, 1 << 16])
def test_what_is_sent_is_read(size: int) -> None:
    end = End(Status.SKIPPED, "nothing", strays=True)
    data = _written(ITEM, "missing", end)
    reader = FrameReader("c", 100)
    got = [f for n in range(0, len(data), size) for f in reader.feed(data[n : n + size])]
    assert got == [ITEM, Problem("missing"), end]


def test_what_is_written_in_parts_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal may end a write before its end (write(2))."""
    sent = bytearray()

    def writev(_: int, parts: list[memoryview]) -> int:
        taken = b"".join(parts)[:7]
        sent.extend(taken)
        return len(taken)

    monkeypatch.setattr(os, "writev", writev)
    frames.send_item(0, Item("a/b.txt", b"some words, more than seven", "a"))
    frames.send_end(0, End(Status.OK))
    item, end = FrameReader("a", 4096).feed(bytes(sent))
    assert isinstance(item, Item)
    assert item.data == b"some words, more than seven"
    assert end == End(Status.OK)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">II", 1 << 31, 0),
        struct.pack(">II", 10, 1 << 31),
        struct.pack(">II", 2, 0) + b"{]",
        _frame([]),
        _frame({}),
        _frame({"end": "timeout"}),
        _frame({"end": "nonsense"}),
        _frame({"end": ["ok"]}),
        _frame({"problem": 5}),
        _item(item="../../etc/passwd"),
        _item(item="/etc/passwd"),
        _item(item=None),
        _item(masked=None),
        _item(masked={str(n): 1 for n in range(1000)}),
        _frame("[" * 60000),
    ],
)
def test_lies_are_found(data: bytes) -> None:
    with pytest.raises(Lie):
        list(FrameReader("c", 100).feed(data))


def test_deep_json_is_a_lie() -> None:
    head = b"[" * 60000
    with pytest.raises(Lie):
        list(FrameReader("c", 100).feed(struct.pack(">II", len(head), 0) + head))


def test_many_small_items_are_bounded_together() -> None:
    reader = FrameReader("c", 10)
    for _ in range(10):
        assert len(list(reader.feed(_item()))) == 1
    with pytest.raises(Lie):
        list(reader.feed(_item()))


def test_what_is_not_believed_is_left_out() -> None:
    (item,) = FrameReader("c", 10).feed(
        _item(took_ms="long", truncated="yes", reason=5, masked={"a": True, "b": 1, "c": "x"})
    )
    assert item == Item("a", b"x", "c", 0, False, None, {"b": 1})
    (item,) = FrameReader("c", 10).feed(_item(reason="r" * 10_000))
    assert isinstance(item, Item)
    assert item.reason == "r" * 500


@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_lies(data: bytes) -> None:
    with contextlib.suppress(Lie):
        list(FrameReader("c", 100).feed(data))
