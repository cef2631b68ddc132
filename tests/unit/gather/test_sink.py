# SPDX-License-Identifier: MIT
"""Limits, masking and refusals of a collector's sink."""

import os
from pathlib import Path

import pytest

from failhook.gather.sink import CollectorSink, cut, one_line, sound_path
from failhook.item import Item


class _Kept:
    """A sink, and what it sent."""

    def __init__(self, max_bytes: int = 1000, left_s: float = 60.0) -> None:
        self.items: list[Item] = []
        self.problems: list[str] = []
        self.sink = CollectorSink(
            "c", max_bytes, self._mask, self.items.append, self.problems.append, left_s=left_s
        )

    @staticmethod
    def _mask(data: bytes, path: str) -> tuple[bytes, dict[str, int]]:
        if b"break" in data:
            raise RuntimeError("secret")
        return data.replace(b"hunter2", b"[masked password]"), {"rule": data.count(b"hunter2")}

    @property
    def last(self) -> Item:
        return self.items[-1]


@pytest.mark.parametrize(
    "path",
    ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a/.", "nul\0", "x" * 300, None, 5, b"a"],
)
def test_paths_that_lead_elsewhere(path: object) -> None:
    assert not sound_path(path)


def test_an_item_of_such_a_name_is_a_problem() -> None:
    kept = _Kept()
    kept.sink.put("../hunter2", "x")
    assert kept.items == []
    assert kept.problems == ["refused an item with the name '../[masked password]'"]


def test_content_and_reasons_are_masked() -> None:
    kept = _Kept()
    kept.sink.put("a", "x hunter2\n", truncated=True, reason="no\nhunter2 here")
    assert kept.last.data == b"x [masked password]\n"
    assert kept.last.masked == {"rule": 1}
    assert (kept.last.truncated, kept.last.reason) == (True, "no [masked password] here")
    kept.sink.problem("hunter2 " + "y" * 1000)
    assert kept.problems[0].startswith("[masked password] yyy")
    assert len(kept.problems[0]) == 500


def test_binary_fields_in_json_are_masked_as_bytes() -> None:
    def array(data: bytes) -> str:
        return "[" + ",".join(map(str, data)) + "]"

    kept = _Kept(max_bytes=5000)
    secret, other = array(b"\x1b[31m hunter2 \x1b[0m"), "[1,2,3,4,5,6,999]"
    kept.sink.put("a.json", f'{{"M":{secret},"N":{other},"O":"hunter2"}}')
    hidden = array(b"\x1b[31m [masked password] \x1b[0m")
    assert kept.last.data.decode() == f'{{"M":{hidden},"N":{other},"O":"[masked password]"}}'
    assert kept.last.masked == {"rule": 2}
    kept.sink.put("a.txt", secret)
    assert kept.last.data.decode() == secret


def test_a_mask_that_breaks_lets_nothing_through() -> None:
    kept = _Kept()
    kept.sink.put("a", "break hunter2")
    assert kept.last.data == b""
    assert kept.last.truncated
    assert kept.last.reason == "left out: masking it failed (RuntimeError)"
    kept.sink.problem("break hunter2")
    assert kept.problems == ["(masking failed: RuntimeError)"]


def test_all_items_together_keep_the_limit() -> None:
    kept = _Kept(max_bytes=100)
    kept.sink.put("a", b"x" * 60)
    kept.sink.put("b", b"y" * 60)
    kept.sink.put("c", b"z")
    assert [(len(item.data), item.truncated) for item in kept.items] == [
        (60, False), (40, True), (0, True),
    ]  # fmt: skip


def test_a_mask_that_makes_longer_keeps_the_limit() -> None:
    kept = _Kept(max_bytes=20)
    kept.sink.put("a", "hunter2hunter2")
    assert len(kept.last.data) <= 20
    assert kept.last.truncated


def test_cuts_are_made_between_lines() -> None:
    text = b"first\nsecond\nthird\n"
    assert cut(text, 100) == text
    assert cut(text, 15) == b"first\nsecond\n"
    assert cut(text, 8, "tail") == b"third\n"
    assert cut(text, 0) == cut(text, -1) == b""
    assert cut(b"x" * 50, 10) == cut(b"x" * 50, 10, "tail") == b"x" * 10


def test_a_secret_that_the_cut_would_halve_is_left_out() -> None:
    kept = _Kept(max_bytes=12)
    kept.sink.put("a", "short\nhunter2\n")
    assert kept.last.data == b"short\n"


def test_a_command_gives_its_output_and_says_how_it_failed() -> None:
    kept = _Kept()
    assert kept.sink.command("a", ["echo", "hi"]) == b"hi\n"
    assert (kept.last.data, kept.last.truncated, kept.last.reason) == (b"hi\n", False, None)
    assert kept.sink.command("b", ["sh", "-c", "echo some; echo hunter2 >&2; exit 4"]) == b""
    assert kept.last.data == b"some\n"
    assert kept.last.reason == "sh ended with status 4: [masked password]"
    assert kept.sink.command("c", ["/nonexistent"]) == b""
    assert "could not be started" in (kept.last.reason or "")


def test_a_command_is_cut_at_either_end() -> None:
    kept = _Kept(max_bytes=50)
    kept.sink.command("a", ["seq", "100000"], max_bytes=20)
    assert kept.last.data == b"1\n2\n3\n4\n5\n6\n7\n8\n9\n"
    assert (kept.last.truncated, kept.last.reason) == (True, None)
    kept.sink.command("b", ["seq", "100000"], keep="tail")
    assert kept.last.data == b"99996\n99997\n99998\n99999\n100000\n"
    assert kept.last.truncated


def test_a_command_never_outlives_the_collectors_time() -> None:
    kept = _Kept(left_s=0.5)
    kept.sink.command("a", ["sh", "-c", "echo early; sleep 60"], timeout_s=30)
    assert kept.last.data == b"early\n"
    assert kept.last.truncated
    assert "did not finish within 0." in (kept.last.reason or "")


def test_a_file_is_kept_from_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"".join(b"line %d\n" % n for n in range(1000)))
    kept = _Kept(max_bytes=40)
    kept.sink.file("a", str(path))
    assert kept.last.data.endswith(b"line 999\n")
    assert kept.last.data.startswith(b"line ")
    assert kept.last.truncated
    kept = _Kept(max_bytes=40)
    kept.sink.file("a", str(path), keep="head")
    assert kept.last.data == b"line 0\nline 1\nline 2\nline 3\nline 4\n"


def test_a_sparse_terabyte_and_proc(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        os.truncate(stream.fileno(), 1 << 40)
    kept = _Kept(max_bytes=1000)
    kept.sink.file("a", str(path))
    assert len(kept.last.data) == 1000
    assert kept.last.truncated
    kept = _Kept()
    kept.sink.file("b", "/proc/self/status", keep="head")
    assert kept.last.data.startswith(b"Name:")


def test_what_is_no_file_is_an_item_with_a_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    kept = _Kept()
    for name in ("fifo", "missing"):
        kept.sink.file(name, str(tmp_path / name))
        assert kept.last.data == b""
        assert kept.last.reason is not None
        assert str(tmp_path / name) in kept.last.reason


def test_one_line() -> None:
    assert one_line(" a\n\tb  ") == "a b"
