# SPDX-License-Identifier: MIT
"""Tar headers: read as `tarfile` reads them, refused where it is too kind. (Lies: HOSTILE.)"""

import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.bundle import tarhead
from failhook.bundle.gunzip import Damaged
from tests.unit.bundle import head, pax_record


def test_a_header_of_the_library() -> None:
    info = tarfile.TarInfo("top/file")
    info.size, info.mode = 12345, 0o640
    parsed = tarhead.parse(info.tobuf(tarfile.USTAR_FORMAT))
    assert parsed == tarhead.Header(b"top/file", 12345, "file", 0o640)
    assert parsed.allowed


def test_a_prefix() -> None:
    name = "a" * 90 + "/" + "b" * 90
    info = tarfile.TarInfo(name)
    assert tarhead.parse(info.tobuf(tarfile.USTAR_FORMAT)).name == name.encode()


def test_an_old_kind_of_file() -> None:
    assert tarhead.parse(head("a", kind=b"\0")).kind == "file"


@pytest.mark.parametrize("directory", [False, True])
@pytest.mark.parametrize("size", [0, 1, 8**11 - 1, 8**11])
@pytest.mark.parametrize(
    "path",
    [
        "top/file",
        "x" * 99,
        "x" * 100,
        "x" * 101,
        f"{'a' * 99}/b",
        "\xe4/\u4e00",
        "a-b@\\x2d.service",
    ],
)
def test_headers_are_those_of_the_library(path: str, size: int, directory: bool) -> None:
    info = tarfile.TarInfo(path)
    info.size, info.mtime, info.mode = size, 1764230400, 0o700 if directory else 0o600
    info.type = tarfile.DIRTYPE if directory else tarfile.REGTYPE
    made = tarhead.header(path, size, 1764230400, directory=directory)
    assert made == info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


@given(st.binary(min_size=512, max_size=512))
def test_any_block_is_refused_or_read(block: bytes) -> None:
    with pytest.raises(Damaged):  # a checksum that fits by chance does not happen
        tarhead.parse(block)


@given(st.text(min_size=1, max_size=300).filter(lambda text: "\0" not in text))
def test_extended_paths(path: str) -> None:
    raw = path.encode("utf-8", "replace")
    assert tarhead.extended_path(pax_record("path", raw)) == raw


@given(st.binary(max_size=600))
def test_any_extended_header_is_refused_or_read(content: bytes) -> None:
    try:
        tarhead.extended_path(content)
    except Damaged as damage:
        assert str(damage)


@given(st.binary(max_size=80))
def test_any_name_is_refused_or_safe(name: bytes) -> None:
    try:
        parts = tarhead.safe_parts(name, directory=False)
    except ValueError as error:
        assert str(error)
        return
    assert "/".join(parts).encode() == name
    assert not {"", ".", ".."} & set(parts)


def test_names_are_shown_short_and_escaped() -> None:
    assert tarhead.shown(b"\x1b[2J\xff") == r"'\x1b[2J\\xff'"
    assert len(tarhead.shown("x" * 1000)) < 130
    assert tarhead.shown("a\u202eb").isprintable()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"/top/a", "absolute"),
        (b"top/../a", "leaves its directory"),
        (b"top//a", "empty parts"),
        (b"top/..\\a", "no file name needs"),
        (b"top/a\x7f", "no file name needs"),
        ("top/a\u2028".encode(), "no file name needs"),
        ("top/a\u200b".encode(), "no file name needs"),
        (b"top/\xff", "not UTF-8"),
        (b"top/" + b"a" * 256, "longer than 255"),
        (b"t" + b"/a" * 600, "longer than 1024"),
        (b"top/1/2/3/4/5", "deeper than"),
        (b"top/a/", "empty parts"),
    ],
)
def test_names_that_do_harm(name: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        tarhead.safe_parts(name, directory=False)
    assert tarhead.safe_parts(b"top/a/", directory=True) == ["top", "a"]
