# SPDX-License-Identifier: MIT
"""Our own bundles: what is in them, that tar opens them, and that a full disk leaves nothing."""

import errno
import gc
import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from failhook.bundle.layout import BundleError, safe_path
from failhook.bundle.verify import verify
from failhook.bundle.writer import BundleWriter
from failhook.item import Item
from tests.unit import samples
from tests.unit.bundle import ITEMS, real


def _writer(directory: Path, **options: Any) -> BundleWriter:
    return BundleWriter(directory, samples.incident(), **({"max_bytes": 16 << 20} | options))


def test_plain_tar_opens_it(tmp_path: Path) -> None:
    path, out = real(tmp_path), tmp_path / "out"
    out.mkdir()
    done = subprocess.run(
        ["tar", "xzf", path, "-C", out], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    (top,) = out.iterdir()
    assert {name: (top / name).read_bytes() for name in ITEMS} == ITEMS
    names = subprocess.run(["tar", "tzf", path], capture_output=True, text=True, check=True).stdout
    assert names.splitlines()[-1] == f"{top.name}/manifest.json"


def test_tarfile_opens_it_with_its_strictest_filter(tmp_path: Path) -> None:
    with tarfile.open(real(tmp_path)) as tar:
        assert all(member.isreg() or member.isdir() for member in tar)
        assert all(member.mode in (0o600, 0o700) for member in tar)
        assert all((member.uid, member.gid) == (0, 0) for member in tar)


def test_the_same_input_makes_the_same_bytes(tmp_path: Path) -> None:
    first, second = real(tmp_path, name="1"), real(tmp_path, name="2")
    assert first.read_bytes() == second.read_bytes()


def test_what_is_returned_is_true(tmp_path: Path) -> None:
    with _writer(tmp_path) as writer:
        writer.add(Item("a", b"x", "c"))
        bundle = writer.finish({})
    content = Path(bundle.path).read_bytes()
    assert (bundle.bytes, bundle.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert Path(bundle.path).stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["bundle.tar.gz"]


def _items(path: Path) -> list[Any]:
    found = verify(path)
    assert found.problems == ()
    assert found.manifest is not None
    items = found.manifest["items"]
    assert isinstance(items, list)
    return items


@pytest.mark.parametrize(
    "names",
    [
        ["a", "a", "a"],
        ["a", "A"],
        ["é", "e\u0301"],
        ["a", "a/b"],
        ["a/b", "a"],
        ["D/a", "d/b"],
        ["manifest.json", "Manifest.JSON"],
        ["../x", "x", "/x"],
        ["", ".", ".."],
    ],
)
def test_names_that_collide_are_all_kept(names: list[str], tmp_path: Path) -> None:
    with _writer(tmp_path) as writer:
        assert all(writer.add(Item(name, name.encode(), "c")) for name in names)
        path = Path(writer.finish({}).path)
    assert len(_items(path)) == len(names)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/b.txt", "a/b.txt"),
        ("/etc/passwd", "etc/passwd"),
        ("../../etc/passwd", "etc/passwd"),
        ("a//./b", "a/b"),
        ("", "item"),
        ("..", "item"),
        ("a/b/c/d/e/f", "a/b/c/d_e_f"),
        ("a b;c$(d)", "a_b_c__d_"),
        ("new\nline\x1b\0", "new_line__"),
        (".hidden", "_.hidden"),
        ("-rf", "_-rf"),
        ("con.txt", "_con.txt"),
        ("end.", "_end"),
        ("e\u0301", "é"),
        ("a\u202eb", "a_b"),
        ("a\\b", "a_b"),
        ("\ud800", "_"),
    ],
)
def test_safe_path(path: str, expected: str) -> None:
    assert safe_path(path) == expected
    assert safe_path(expected) == expected


def test_safe_path_is_bounded() -> None:
    for long in ("a" * 5000, "é" * 5000, "/".join("𝔞" * 300 for _ in range(9))):
        assert all(len(part.encode()) <= 200 for part in safe_path(long).split("/"))


def test_the_limit_holds_and_the_manifest_says_so(tmp_path: Path) -> None:
    noise = os.urandom(50_000)
    with _writer(tmp_path, max_bytes=64 << 10) as writer:
        assert [writer.add(Item(str(n), noise, "c")) for n in range(3)] == [True, False, False]
        assert writer.add(Item("small", b"x", "c"))
        bundle = writer.finish({})
    assert bundle.bytes <= 64 << 10
    found = verify(Path(bundle.path))
    assert found.manifest is not None
    left_out = found.manifest["left_out"]
    assert isinstance(left_out, list)
    assert len(left_out) == 2


# -- a disk that refuses ------------------------------------------------------------------------


class Full(io.FileIO):
    """A disk that takes so many bytes, then a part of the next ones, then none."""

    room = 0
    code = errno.ENOSPC

    def write(self, data: bytes | memoryview, /) -> int:  # type: ignore[override]
        rest = bytes(data)[: Full.room]
        Full.room -= len(rest)
        if not rest:
            raise OSError(Full.code, os.strerror(Full.code))
        return super().write(rest)


def _pack_all(directory: Path, **options: Any) -> str:
    """The bundle's path, with items that a buffer does not hide."""
    writer = _writer(directory, **options)
    for number in range(4):
        writer.add(Item(str(number), hashlib.shake_128(bytes([number])).digest(40_000), "c"))
    return writer.finish({}).path


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_at_any_moment_leaves_nothing(code: int, tmp_path: Path) -> None:
    Full.code = code
    size = Path(_pack_all(tmp_path)).stat().st_size
    (tmp_path / "bundle.tar.gz").unlink()
    before = len(os.listdir("/proc/self/fd"))
    for room in [0, 1, 9, 10, 11, 511, *range(1000, size, 31_013), size - 9, size - 1]:
        Full.room = room
        with pytest.raises(BundleError) as caught:
            _pack_all(tmp_path, file_type=Full)
        assert caught.value.errno == code
        assert os.listdir(tmp_path) == []
        gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before
    Full.room = size
    assert verify(Path(_pack_all(tmp_path, file_type=Full))).ok


@pytest.mark.parametrize("call", ["fsync", "rename", "open"])
def test_a_call_that_the_disk_refuses(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(BundleError):
        _pack_all(tmp_path)
    monkeypatch.undo()
    gc.collect()
    assert os.listdir(tmp_path) == []


def test_a_name_that_is_not_durable_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, calls = os.fsync, [0]

    def second_fails(fd: int) -> None:
        calls[0] += 1
        if calls[0] == 2:
            raise OSError(errno.EIO, "Input/output error")
        fsync(fd)

    monkeypatch.setattr(os, "fsync", second_fails)
    with pytest.raises(BundleError):
        _pack_all(tmp_path)
    assert os.listdir(tmp_path) == []


def test_what_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    writer = _writer(tmp_path)
    writer.add(Item("a", b"x", "c"))
    writer.abort()
    writer.abort()
    with pytest.raises(BundleError):
        writer.add(Item("b", b"x", "c"))
    with pytest.raises(BundleError):
        writer.finish({})
    with pytest.raises(KeyboardInterrupt), _writer(tmp_path) as writer:
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []
    assert len(os.listdir("/proc/self/fd")) <= before


def test_abort_after_finish_harms_nothing(tmp_path: Path) -> None:
    writer = _writer(tmp_path)
    path = Path(writer.finish({}).path)
    writer.abort()
    assert verify(path).ok


def test_a_directory_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        _writer(tmp_path / "missing")


def test_a_link_planted_at_the_temporary_name_is_not_followed(tmp_path: Path) -> None:
    inner, victim = tmp_path / "inner", tmp_path / "victim"
    inner.mkdir()
    victim.write_bytes(b"precious")
    (inner / f".bundle.tar.gz.{os.getpid()}.new").symlink_to(victim)
    (inner / "bundle.tar.gz").symlink_to(victim)
    path = real(inner)
    assert victim.read_bytes() == b"precious"
    assert not path.is_symlink()
    assert verify(path).ok
