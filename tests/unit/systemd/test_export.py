# SPDX-License-Identifier: MIT
"""The export format in any pieces, any damage, and bounded memory."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.systemd.export import KEPT, MAX_ENTRY, MAX_FIELDS, MAX_VALUE, Entry, ExportParser
from failhook.systemd.journal import to_json
from tests.unit.collect.bench import DATA, VERSIONS


def _parse(data: bytes, size: int = 1 << 18) -> list[Entry]:
    parser = ExportParser()
    return [e for n in range(0, len(data), size) for e in parser.feed(data[n : n + size])]


def _binary(name: str, value: bytes) -> bytes:
    return name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20])
def test_reads_what_journalctl_wrote(version: str, size: int) -> None:
    data = (DATA / version / "talker.export").read_bytes()
    expected = (DATA / version / "talker.json").read_text().splitlines()
    assert [json.loads(to_json(entry)) for entry in _parse(data, size)] == [
        json.loads(line) for line in expected
    ]


def test_an_entry_is_given_when_its_empty_line_comes() -> None:
    parser = ExportParser()
    assert list(parser.feed(b"__REALTIME_TIMESTAMP=1500000\nMESSAGE=a=b\n")) == []
    (entry,) = parser.feed(b"\n")
    assert entry.realtime == 1.5
    assert entry.fields["MESSAGE"] == "a=b"


def test_binary_values_may_hold_what_ends_an_entry() -> None:
    value = b"one\n\nTWO=three\n\n"
    entries = _parse(_binary("MESSAGE", value) + b"A=1\n\nB=2\n\n")
    assert [dict(entry.fields) for entry in entries] == [
        {"MESSAGE": value.decode(), "A": "1"},
        {"B": "2"},
    ]


def test_values_are_text_only_where_printable() -> None:
    data = _binary("A", b"\x1b[0m") + _binary("B", b"\xff") + _binary("C", "ä\n\t".encode())
    (entry,) = _parse(data + _binary("D", b"\xc2\x9b") + b"\n")
    assert entry.fields == {"A": b"\x1b[0m", "B": b"\xff", "C": "ä\n\t", "D": b"\xc2\x9b"}
    assert entry.text("B") == "\ufffd"
    assert entry.text("MISSING") == ""


def test_names_that_repeat_are_all_kept() -> None:
    (entry,) = _parse(b"A=1\nA=2\nB=3\nA=4\n\n")
    assert entry.fields == {"A": "1", "B": "3"}
    assert entry.more == (("A", "2"), ("A", "4"))
    assert json.loads(to_json(entry)) == {"A": ["1", "2", "4"], "B": "3"}


@pytest.mark.parametrize("binary", [False, True])
def test_a_field_of_64_mib_costs_little_memory(binary: bool) -> None:
    mib = b"x" * (1 << 20)
    parser = ExportParser()
    tracemalloc.start()
    head = b"MESSAGE\n" + (64 << 20).to_bytes(8, "little") if binary else b"MESSAGE="
    assert list(parser.feed(b"A=1\n" + head)) == []
    for _ in range(64):
        assert list(parser.feed(mib)) == []
    (entry,) = parser.feed(b"\nB=2\n\n")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    assert f"x [... {(64 << 20) - 2 * KEPT} bytes left out by failhook ...] x" in entry.text(
        "MESSAGE"
    )
    assert len(entry.fields["MESSAGE"]) < MAX_VALUE + 100
    assert (entry.fields["A"], entry.fields["B"]) == ("1", "2")


def test_the_ends_of_a_large_binary_value_stay() -> None:
    value = b"first" + b"\0" * (MAX_VALUE * 3) + b"last"
    for size in (1000, 1 << 22):
        first, second = _parse(_binary("MESSAGE", value) + b"A=1\n\nB=2\n\n", size)
        kept = first.fields["MESSAGE"]
        assert isinstance(kept, bytes)
        assert kept.startswith(b"first")
        assert kept.endswith(b"last")
        assert f"[... {len(value) - 2 * KEPT} bytes left out".encode() in kept
        assert first.fields["A"] == "1"
        assert second.fields == {"B": "2"}


def test_an_entry_of_many_large_fields_is_bounded() -> None:
    data = b"".join(b"F%d=%s\n" % (n, b"x" * 60000) for n in range(100))
    many = b"".join(b"G%d=1\n" % n for n in range(3000))
    (entry,) = _parse(data + b"\n")
    assert sum(map(len, entry.fields.values())) <= MAX_ENTRY
    (entry,) = _parse(many + b"\n")
    assert len(entry.fields) == MAX_FIELDS


@pytest.mark.parametrize(
    "data",
    [
        b"no field\n\n",
        b"\n\n\n\n",
        b"BIG\n\xff\xff\xff\xff\xff\xff\xff\xff123",
        b"=value\nlower=1\n\n",
        b"__REALTIME_TIMESTAMP=-1\nMESSAGE=x\n\n",
        b"__REALTIME_TIMESTAMP=" + b"9" * 4000 + b"\nMESSAGE=x\n\n",
    ],
)
def test_damage_is_no_exception(data: bytes) -> None:
    for entry in _parse(data, 3):
        assert entry.realtime == 0.0


def test_after_a_wild_line_the_next_entries_are_read() -> None:
    entries = _parse(b"y" * (MAX_VALUE * 2) + b"\n\nA=1\n\n", 50000)
    assert [dict(entry.fields) for entry in entries] == [{"A": "1"}]


@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_bytes_in_any_pieces_give_the_same(data: bytes, size: int) -> None:
    assert _parse(data, size) == _parse(data)


_NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,10}", fullmatch=True)


@given(
    st.lists(st.dictionaries(_NAMES, st.binary(max_size=60), min_size=1, max_size=6), max_size=6),
    st.integers(1, 64),
)
def test_what_is_written_is_read(entries: list[dict[str, bytes]], size: int) -> None:
    data = b""
    for fields in entries:
        for name, value in fields.items():
            plain = b"\n" not in value and value.isascii() and len(value) % 2
            data += name.encode() + b"=" + value + b"\n" if plain else _binary(name, value)
        data += b"\n"
    read = [
        {name: v.encode() if isinstance(v, str) else v for name, v in entry.fields.items()}
        for entry in _parse(data, size)
    ]
    assert read == entries
