# SPDX-License-Identifier: MIT
"""Writing a bundle: what is in it, that it is the same each time, and that a failing disk is told."""

import errno
import gzip
import hashlib
import io
import json
import os
import random
import stat
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.bundle.layout import BundleError
from failhook.bundle.verify import verify
from failhook.bundle.writer import BundleWriter
from failhook.incident import Bundle, Incident, JsonObject
from failhook.item import Item
from tests.unit.bundle.archives import INCIDENT, TOP

HEADER: JsonObject = {"created": "2023-11-14T22:13:20Z", "evidence": [{"name": "unit"}]}


def write(
    directory: Path, *items: Item, max_bytes: int = 1 << 20, incident: Incident = INCIDENT
) -> Bundle:
    with BundleWriter(directory, incident, max_bytes=max_bytes) as writer:
        for item in items:
            writer.add(item)
        return writer.finish(HEADER)


def manifest_of(directory: Path) -> dict[str, Any]:
    with tarfile.open(directory / "bundle.tar.gz") as tar:
        last = tar.getmembers()[-1]
        assert last.name.endswith("/manifest.json")
        stream = tar.extractfile(last)
        assert stream is not None
        found: dict[str, Any] = json.load(stream)
        return found


def names_of(directory: Path) -> list[str]:
    return [item["path"] for item in manifest_of(directory)["items"]]


def test_content(tmp_path: Path) -> None:
    first = Item("unit/show.txt", b"Id=x\n", "unit", 12, masked={"password": 2})
    second = Item("journal/all.txt", b"", "journal", 5, True, "cut", {"password": 1, "jwt": 1})
    bundle = write(tmp_path, first, second)
    raw = (tmp_path / "bundle.tar.gz").read_bytes()
    assert bundle == Bundle(
        str(tmp_path / "bundle.tar.gz"), len(raw), hashlib.sha256(raw).hexdigest()
    )
    assert manifest_of(tmp_path) == {
        "schema": 1,
        "id": INCIDENT.id,
        "unit": INCIDENT.unit,
        "host": INCIDENT.host,
        "boot_id": INCIDENT.boot_id,
        **HEADER,
        "items": [
            {
                "path": "unit/show.txt", "collector": "unit", "bytes": 5,
                "sha256": hashlib.sha256(b"Id=x\n").hexdigest(), "truncated": False, "reason": None,
                "took_ms": 12, "masked": {"password": 2},
            },
            {
                "path": "journal/all.txt", "collector": "journal", "bytes": 0,
                "sha256": hashlib.sha256(b"").hexdigest(), "truncated": True, "reason": "cut",
                "took_ms": 5, "masked": {"jwt": 1, "password": 1},
            },
        ],
        "totals": {"items": 2, "bytes": 5, "truncated": 1, "left_out": 0, "masked": 4},
        "masked": {"jwt": 1, "password": 3},
        "left_out": [],
    }  # fmt: skip
    assert verify(tmp_path / "bundle.tar.gz").ok


def test_the_header_cannot_override_what_the_writer_knows(tmp_path: Path) -> None:
    with BundleWriter(tmp_path, INCIDENT, max_bytes=1 << 20) as writer:
        writer.finish({"schema": 9, "items": [], "unit": "other", "left_out": 1, "more": 1})
    manifest = manifest_of(tmp_path)
    assert (manifest["schema"], manifest["unit"], manifest["left_out"]) == (1, INCIDENT.unit, [])
    assert manifest["more"] == 1


def test_private_alone_and_the_same_each_time(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        one = write(tmp_path, Item("a", b"x" * 5000, "c"))
    finally:
        os.umask(old)
    assert os.listdir(tmp_path) == ["bundle.tar.gz"]
    assert stat.S_IMODE((tmp_path / "bundle.tar.gz").stat().st_mode) == 0o600
    two = write(tmp_path, Item("a", b"x" * 5000, "c"))
    assert one.sha256 == two.sha256
    with tarfile.open(tmp_path / "bundle.tar.gz") as tar:
        for member in tar:
            assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
            assert member.mtime == 1_700_000_000
            assert member.mode == (0o700 if member.isdir() else 0o600)


def test_plain_tar_opens_it(tmp_path: Path) -> None:
    long = "x" * 150
    unit = "dev-disk-by\\x2duuid-" + "a" * 180 + "@one.service"
    incident = replace(INCIDENT, unit=unit)
    items = [Item(f"{long}/{long}/file.txt", b"deep", "c"), Item("ü/ß", b"accents", "c")]
    write(tmp_path, *items, incident=incident)
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        ["tar", "xzf", tmp_path / "bundle.tar.gz", "-C", tmp_path / "out"],
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    (top,) = (tmp_path / "out").iterdir()
    assert top.name.startswith("dev-disk-by_x2duuid-")
    assert (top / long / long / "file.txt").read_bytes() == b"deep"
    assert (top / "ü" / "ß").read_bytes() == b"accents"
    assert verify(tmp_path / "bundle.tar.gz").ok


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("/etc/passwd", "etc/passwd"),
        ("../../etc/passwd", "etc/passwd"),
        ("a/./b//c", "a/b/c"),
        ("", "item"),
        ("..", "item"),
        ("a\x00b\nc\x1b", "a_b_c_"),
        ("a\u202eb", "a_b"),
        ("\udcff", "_"),
        ("-rf", "_-rf"),
        (".hidden", "_.hidden"),
        ("a\\b", "a_b"),
        ("a b", "a_b"),
        ("1/2/3/4/5/6", "1/2/3/4_5_6"),
        ("nul.txt", "_nul.txt"),
        ("a.", "_a"),
        ("manifest.json", "manifest~2.json"),
        ("Manifest.JSON", "Manifest~2.JSON"),
    ],
)
def test_hostile_paths_are_made_harmless(tmp_path: Path, path: str, safe: str) -> None:
    write(tmp_path, Item(path, b"x", "c"))
    assert names_of(tmp_path) == [safe]
    assert verify(tmp_path / "bundle.tar.gz").ok


def test_doubled_paths_get_a_number(tmp_path: Path) -> None:
    paths = ["a/x.txt", "a/x.txt", "a/X.txt", "a", "a/x.txt/y", "A/z", "é", "e\u0301"]
    write(tmp_path, *(Item(path, b"x", "c") for path in paths))
    assert names_of(tmp_path) == [
        "a/x.txt", "a/x~2.txt", "a/X~3.txt", "a~2", "a/x.txt~2/y", "a/z", "é", "é~2",
    ]  # fmt: skip
    assert verify(tmp_path / "bundle.tar.gz").ok


@given(st.lists(st.text(max_size=20) | st.sampled_from(["a", "A", "a/b", "A/B/c", "a/../b"])))
def test_any_paths_make_a_bundle_that_verifies(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str]
) -> None:
    place = tmp_path_factory.mktemp("paths")
    write(place, *(Item(path, path.encode("utf-8", "replace"), "c") for path in paths))
    result = verify(place / "bundle.tar.gz")
    assert result.problems == ()
    assert result.files == len(paths) + 1


@given(st.text(max_size=300), st.text(max_size=60))
def test_any_unit_name_makes_a_bundle(
    tmp_path_factory: pytest.TempPathFactory, unit: str, identity: str
) -> None:
    place = tmp_path_factory.mktemp("unit")
    write(place, incident=replace(INCIDENT, unit=unit, id=identity))
    assert verify(place / "bundle.tar.gz").ok


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def test_what_does_not_fit_is_left_out_and_said(tmp_path: Path) -> None:
    with BundleWriter(tmp_path, INCIDENT, max_bytes=200_000) as writer:
        assert writer.add(Item("one", noise(100_000, 1), "c"))
        assert not writer.add(Item("new/two", noise(100_000, 2), "c", masked={"jwt": 1}))
        assert writer.add(Item("three", noise(50_000, 3), "c"))
        assert not writer.add(Item("four", noise(80_000, 4), "d"))
        assert writer.add(Item("new/two", b"small", "c"))
        bundle = writer.finish({})
    assert bundle.bytes <= 200_000
    assert bundle.sha256 == hashlib.sha256((tmp_path / "bundle.tar.gz").read_bytes()).hexdigest()
    manifest = manifest_of(tmp_path)
    assert names_of(tmp_path) == ["one", "three", "new/two"]
    assert [(out["path"], out["bytes"]) for out in manifest["left_out"]] == [
        ("new/two", 100_000),
        ("four", 80_000),
    ]
    assert manifest["totals"]["left_out"] == 2
    assert manifest["masked"] == {}
    assert verify(tmp_path / "bundle.tar.gz").ok


def test_many_small_items_keep_the_limit(tmp_path: Path) -> None:
    with BundleWriter(tmp_path, INCIDENT, max_bytes=60_000) as writer:
        added = [writer.add(Item(f"d{n % 7}/{n}", noise(300, n), "c")) for n in range(400)]
        bundle = writer.finish(HEADER)
    assert 50 < sum(added) < 400
    assert bundle.bytes <= 60_000
    assert verify(tmp_path / "bundle.tar.gz").ok


def test_the_limit_is_for_the_compressed_size(tmp_path: Path) -> None:
    bundle = write(tmp_path, Item("log", b"the same line\n" * 100_000, "c"), max_bytes=30_000)
    assert bundle.bytes < 30_000
    assert names_of(tmp_path) == ["log"]


def test_an_exception_or_an_abort_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        BundleWriter(tmp_path, INCIDENT, max_bytes=1 << 20) as writer,
    ):
        writer.add(Item("a", b"x", "c"))
        assert os.listdir(tmp_path) == [f".bundle.tar.gz.{os.getpid()}.new"]
        assert stat.S_IMODE(next(tmp_path.iterdir()).stat().st_mode) == 0o600
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []
    writer.abort()
    with pytest.raises(BundleError, match="given up"):
        writer.add(Item("a", b"x", "c"))
    with pytest.raises(BundleError, match="given up"):
        writer.finish({})


def test_an_earlier_bundle_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    write(tmp_path, Item("a", b"old", "c"))
    old = (tmp_path / "bundle.tar.gz").read_bytes()
    with BundleWriter(tmp_path, INCIDENT, max_bytes=1 << 20) as writer:
        writer.add(Item("a", b"new", "c"))
        assert (tmp_path / "bundle.tar.gz").read_bytes() == old
        writer.finish({})
    assert (tmp_path / "bundle.tar.gz").read_bytes() != old


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"untouched")
    store = tmp_path / "store"
    store.mkdir()
    (store / f".bundle.tar.gz.{os.getpid()}.new").symlink_to(tmp_path / "victim")
    (store / "bundle.tar.gz").symlink_to(tmp_path / "victim")
    write(store, Item("a", b"x", "c"))
    assert (tmp_path / "victim").read_bytes() == b"untouched"
    assert not (store / "bundle.tar.gz").is_symlink()


class FailingFile(io.FileIO):
    """A file on a disk that takes so many bytes and no more."""

    room = 0
    why = errno.ENOSPC

    def write(self, data: Any) -> int:
        size = len(data)
        if self.room <= 0:
            raise OSError(self.why, os.strerror(self.why))
        kept = min(size, self.room, 1000)  # a raw file may take less than it is given
        type(self).room -= kept
        return super().write(bytes(data)[:kept])


@pytest.mark.parametrize("why", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
@pytest.mark.parametrize("room", [0, 1, 5_000, 60_000, 120_000])
def test_a_failing_disk_is_told_and_nothing_stays(tmp_path: Path, why: int, room: int) -> None:
    kind = type("_Failing", (FailingFile,), {"room": room, "why": why})
    with pytest.raises(BundleError) as raised:
        with BundleWriter(tmp_path, INCIDENT, max_bytes=1 << 20, file_type=kind) as writer:
            for number in range(12):
                writer.add(Item(f"{number}", noise(10_000, number), "c"))
            writer.finish({})
    assert raised.value.errno == why
    assert str(tmp_path / "bundle.tar.gz") in raised.value.reason
    assert os.listdir(tmp_path) == []


def test_short_writes_are_no_loss(tmp_path: Path) -> None:
    kind = type("_Slow", (FailingFile,), {"room": 1 << 30})
    with BundleWriter(tmp_path, INCIDENT, max_bytes=1 << 20, file_type=kind) as writer:
        writer.add(Item("a", noise(50_000, 1), "c"))
        writer.finish({})
    assert verify(tmp_path / "bundle.tar.gz").ok


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_disk_that_fails_at_the_end(
    tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    writer = BundleWriter(tmp_path, INCIDENT, max_bytes=1 << 20)
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(BundleError, match="does not answer"):
        writer.finish({})
    assert os.listdir(tmp_path) == []


def test_a_name_that_cannot_be_made_durable_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fail_for_directories(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        real(fd)

    writer = BundleWriter(tmp_path, INCIDENT, max_bytes=1 << 20)
    monkeypatch.setattr(os, "fsync", fail_for_directories)
    with pytest.raises(BundleError):
        writer.finish({})
    assert os.listdir(tmp_path) == []


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="the directory is gone") as raised:
        BundleWriter(tmp_path / "none", INCIDENT, max_bytes=1)
    assert raised.value.errno == errno.ENOENT


def test_descriptors_are_closed(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    write(tmp_path, Item("a", b"x", "c"))
    BundleWriter(tmp_path, INCIDENT, max_bytes=1).abort()
    with pytest.raises(BundleError):
        BundleWriter(tmp_path / "none", INCIDENT, max_bytes=1)
    assert len(os.listdir("/proc/self/fd")) == before


def test_gzip_holds_no_clock(tmp_path: Path) -> None:
    write(tmp_path)
    raw = (tmp_path / "bundle.tar.gz").read_bytes()
    assert raw[4:8] == bytes(4)
    assert gzip.decompress(raw)[: len(TOP)] == TOP.encode()
