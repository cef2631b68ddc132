# SPDX-License-Identifier: MIT
"""A bundle is good, or it is said why not; never a traceback."""

import gzip
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failhook.bundle.verify import verify
from tests.unit.bundle import (
    HOSTILE,
    ITEMS,
    TOP,
    archive,
    directory,
    manifest,
    member,
    packed,
    real,
)


def _problems(content: bytes, tmp_path: Path) -> tuple[str, ...]:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    found = verify(path)
    assert found.ok is not bool(found.problems)
    return found.problems


def test_ours_is_good(tmp_path: Path) -> None:
    found = verify(real(tmp_path))
    assert (found.ok, found.problems, found.files) == (True, (), len(ITEMS) + 1)
    assert found.bytes > sum(map(len, ITEMS.values()))
    assert found.manifest is not None
    assert found.manifest["schema"] == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str, tmp_path: Path) -> None:
    content, problem = HOSTILE[name]
    assert any(problem in said for said in _problems(content, tmp_path))


FILES = {"a.txt": b"evidence\n"}
ITEM: dict[str, Any] = {"path": "a.txt", "bytes": 9, "sha256": "0" * 64}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"schema": 2}, "schema is '2'"),
        ({"schema": True}, "schema is 'True'"),
        ({"schema": 1.0}, "schema is '1.0'"),
        ({"schema": None}, "schema"),
        ({"items": None}, "no list of items"),
        ({"items": [3]}, "item without a path"),
        ({"items": [{"path": 3}]}, "item without a path"),
        ({"items": []}, "'a.txt' is not in the manifest"),
        ({"items": [ITEM]}, "SHA-256 differs"),
        ({"items": [ITEM | {"bytes": 8}]}, "has 9 bytes, the manifest says 8"),
        ({"items": [ITEM | {"bytes": True}]}, "lacks a size"),
        ({"items": [ITEM | {"bytes": 9.0}]}, "lacks a size"),
        ({"items": [ITEM | {"sha256": None}]}, "lacks a size or a SHA-256"),
        ({"items": [ITEM, ITEM]}, "twice"),
        ({"items": [ITEM, ITEM | {"path": "b"}]}, "'b' is in the manifest and not in the bundle"),
        ({"items": [ITEM | {"path": "\x1b]0;x"}]}, "is in the manifest and not"),
        ({"totals": {"bytes": 8}}, "says 8 bytes in all, its items have 9"),
        ({"totals": {"bytes": True}}, "no total"),
        ({"totals": {}}, "no total"),
        ({"totals": []}, "no total"),
        ({"extra": [[[[[]]]]]}, None),
    ],
)
def test_the_manifest(changes: dict[str, Any], problem: str | None, tmp_path: Path) -> None:
    problems = _problems(packed(archive(files=FILES, **changes)), tmp_path)
    assert any(problem in said for said in problems) if problem else problems == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "not usable"),
        (b"[]", "not an object"),
        (b"\xff", "not UTF-8"),
        (b'{"schema":1,"schema":1}', "a name twice"),
        (b'{"schema":1,"items":[],"totals":{"bytes":0},"x":NaN}', "holds NaN"),
        (b'{"schema":1,"items":[],"totals":{"bytes":0},"x":1e999}', "a number that is none"),
        (b'{"schema":1,"items":[],"totals":{"bytes":0},"x":%s}' % (b"9" * 5000), "not usable"),
        (
            b'{"schema":1,"items":[],"totals":{"bytes":0},"x":%s%s}' % (b"[" * 99, b"]" * 99),
            "nested too deeply",
        ),
        (b'{"schema":1,"x":%s%s}' % (b"[" * 99_999, b"]" * 99_999), "nested too deeply"),
    ],
)
def test_what_is_no_manifest(text: bytes, problem: str, tmp_path: Path) -> None:
    tar = directory(TOP) + member(f"{TOP}/manifest.json", text) + bytes(1024)
    assert any(problem in said for said in _problems(packed(tar), tmp_path))


def test_a_manifest_that_is_missing(tmp_path: Path) -> None:
    tar = directory(TOP) + member(f"{TOP}/a") + bytes(1024)
    assert _problems(packed(tar), tmp_path) == ("there is no manifest.json",)


def test_a_manifest_in_a_lower_directory_is_a_file_like_others(tmp_path: Path) -> None:
    tar = directory(TOP) + directory(f"{TOP}/d") + member(f"{TOP}/d/manifest.json", manifest({}))
    assert "there is no manifest.json" in _problems(packed(tar + bytes(1024)), tmp_path)


@pytest.mark.parametrize("name", ["missing", "directory", "fifo", "link", "nul\0", "\ud800"])
def test_what_cannot_be_opened_is_a_problem(name: str, tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(real(tmp_path))
    found = verify(tmp_path / name)
    assert not found.ok
    assert (len(found.problems), found.files, found.manifest) == (1, 0, None)


def test_a_disk_that_cannot_be_read(tmp_path: Path) -> None:
    """/proc/self/mem is a regular file that answers EIO at its start."""
    found = verify(Path("/proc/self/mem"))
    assert "Input/output error" in found.problems[0]


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for content, _ in HOSTILE.values():
        _problems(content, tmp_path)
    verify(tmp_path)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_every_bit_of_a_bundle_counts(tmp_path: Path) -> None:
    """But for gzip's own header, and for other ways to pack the same tar."""
    content = real(tmp_path).read_bytes()
    plain = gzip.decompress(content)
    for place in range(10, len(content)):
        for bit in (1, 128):
            changed = content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
            assert _problems(changed, tmp_path) or gzip.decompress(changed) == plain


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    content = real(tmp_path).read_bytes()
    for size in range(len(content)):
        assert _problems(content[:size], tmp_path), size


@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(items=st.lists(st.tuples(st.text(max_size=40), st.binary(max_size=2000)), max_size=12))
def test_whatever_is_written_is_good(items: list[tuple[str, bytes]], tmp_path: Path) -> None:
    """Also with names that collide, go up, or are no names at all."""
    paths = [path for path, _ in items]
    found = verify(real(tmp_path, dict(items)))
    assert found.problems == ()
    assert found.files == len(set(paths)) + 1
