# SPDX-License-Identifier: MIT
"""Verification: what is whole passes; each lie is told as a sentence and never as a traceback."""

import gzip
import os
import resource
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.bundle.gunzip import Limits
from failhook.bundle.verify import verify
from failhook.bundle.writer import BundleWriter
from failhook.item import Item
from tests.unit.bundle import hostile
from tests.unit.bundle.archives import INCIDENT, TOP, directory, manifest, member, saved, whole


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    with BundleWriter(tmp_path, INCIDENT, max_bytes=1 << 20) as writer:
        writer.add(Item("unit/show.txt", b"Id=app\n" * 100, "unit"))
        writer.add(Item("journal/unit.txt", b"line\n" * 1000, "journal"))
        writer.finish({"created": "2023-11-14T22:13:20Z"})
    return tmp_path / "bundle.tar.gz"


def test_a_bundle_of_ours(bundle: Path) -> None:
    result = verify(bundle)
    assert result.problems == ()
    assert result.ok
    assert result.files == 3
    assert result.manifest is not None
    assert result.manifest["created"] == "2023-11-14T22:13:20Z"


def test_a_bundle_by_hand(tmp_path: Path) -> None:
    result = verify(saved(tmp_path / "x", hostile.GOOD))
    assert result.ok, result.problems
    assert result.bytes == 3 + len(
        gzip.decompress((tmp_path / "x").read_bytes())[1536 + 512 :].rstrip(b"\0")
    )


@pytest.mark.parametrize("name", hostile.TARS)
def test_hostile_tar(tmp_path: Path, name: str) -> None:
    tar, problem = hostile.TARS[name]
    result = verify(saved(tmp_path / "x", tar))
    assert not result.ok
    assert any(problem in each for each in result.problems), result.problems


@pytest.mark.parametrize("name", hostile.FILES)
def test_hostile_file(tmp_path: Path, name: str) -> None:
    make, problem = hostile.FILES[name]
    (tmp_path / "x").write_bytes(make())
    result = verify(tmp_path / "x")
    assert not result.ok
    assert any(problem in each for each in result.problems), result.problems


def test_problems_are_collected_and_fit_for_a_terminal(tmp_path: Path) -> None:
    tar = whole(
        member(f"{TOP}/\x1b]0;owned\x07", b"x"),
        member(f"{TOP}/a", b"one"),
        member("/abs", b"x"),
        files={"b": b"x"},
    )
    problems = verify(saved(tmp_path / "x", tar)).problems
    assert len(problems) == 4
    assert all(each.isprintable() for each in problems)


def test_problems_are_bounded(tmp_path: Path) -> None:
    tar = whole(*(member(f"/{number}", b"") for number in range(2000)))
    assert len(verify(saved(tmp_path / "x", tar)).problems) <= 51


def test_too_many_members(tmp_path: Path) -> None:
    files = {f"{number}": b"" for number in range(30)}
    tar = whole(*(member(f"{TOP}/{path}", b"") for path in files), files=files)
    path = saved(tmp_path / "x", tar)
    assert verify(path).ok
    assert verify(path, limits=Limits(members=32)).ok
    assert "more than 31 members" in verify(path, limits=Limits(members=31)).problems[0]


def test_a_million_members_are_not_read(tmp_path: Path) -> None:
    tar = directory(TOP) + member(f"{TOP}/a", b"") * 200_000
    path = saved(tmp_path / "x", tar)
    begin = time.thread_time()
    result = verify(path)
    assert not result.ok
    assert time.thread_time() - begin < 5


def test_too_large_unpacked(tmp_path: Path) -> None:
    data = os.urandom(1 << 20)
    path = saved(tmp_path / "x", whole(member(f"{TOP}/a", data), files={"a": data}))
    assert verify(path).ok
    assert "more than" in verify(path, limits=Limits(unpacked=1 << 19)).problems[0]
    assert "larger than" in verify(path, limits=Limits(packed=1 << 19)).problems[0]


def test_a_repetitive_log_is_no_bomb(tmp_path: Path) -> None:
    data = b"the same line again\n" * (1 << 20)
    path = saved(tmp_path / "x", whole(member(f"{TOP}/a", data), files={"a": data}))
    assert path.stat().st_size * 200 < len(data)
    assert verify(path).ok


@pytest.mark.parametrize("name", ["bomb", "random"])
def test_memory_is_bounded_whatever_a_header_says(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_bytes(hostile.FILES[name][0]())
    tracemalloc.start()
    verify(tmp_path / "x")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_links_fifos_devices_and_directories_are_refused(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "link").symlink_to(bundle)
    os.mkfifo(tmp_path / "fifo")
    for path in (
        tmp_path / "link",
        tmp_path / "fifo",
        tmp_path,
        Path("/dev/zero"),
        tmp_path / "none",
    ):
        result = verify(path)
        assert not result.ok
        assert len(result.problems) == 1
        assert result.sha256 == ""


def test_a_huge_sparse_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as stream:
        stream.truncate(1 << 40)
    begin = time.thread_time()
    assert "larger than" in verify(tmp_path / "x").problems[0]
    assert time.thread_time() - begin < 1


def test_descriptors_are_closed(tmp_path: Path, bundle: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for name in ("twice", "bomb", "cut off"):
        tar = hostile.TARS.get(name)
        (tmp_path / "x").write_bytes(gzip.compress(tar[0]) if tar else hostile.FILES[name][0]())
        verify(tmp_path / "x")
    verify(bundle)
    assert len(os.listdir("/proc/self/fd")) == before
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0


@given(st.data())
def test_any_flipped_byte_is_noticed(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    raw = bytearray(hostile.GOOD)
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    result = verify(saved(tmp_path_factory.mktemp("flip") / "x", bytes(raw)))
    # what tar keeps and nobody uses (owner, time, device numbers) is covered by the header's sum
    assert not result.ok


@given(st.binary(max_size=2000))
def test_any_bytes_are_an_answer(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    place = tmp_path_factory.mktemp("any")
    (place / "x").write_bytes(raw)
    assert not verify(place / "x").ok
    assert not verify(saved(place / "y", raw)).ok
    assert not verify(saved(place / "z", directory(TOP) + raw)).ok
    assert not verify(saved(place / "w", whole(member(f"{TOP}/manifest.json", raw)))).ok


def test_a_manifest_of_any_json(tmp_path: Path) -> None:
    for more in ({"items": {}}, {"items": [[]]}, {"items": [{"path": 1}]}, {"items": [None]}):
        result = verify(saved(tmp_path / "x", directory(TOP) + manifest({}, **more) + bytes(1024)))
        assert not result.ok
