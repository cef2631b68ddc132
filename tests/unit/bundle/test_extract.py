# SPDX-License-Identifier: MIT
"""Unpacking: what is whole lands privately; of what is not, nothing stays."""

import os
import stat
from pathlib import Path

import pytest

from failhook.bundle.extract import extract
from failhook.bundle.gunzip import Limits
from failhook.bundle.layout import BundleError
from failhook.bundle.writer import BundleWriter
from failhook.item import Item
from tests.unit.bundle import hostile
from tests.unit.bundle.archives import INCIDENT, TOP, directory, member, saved, whole


def everything(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    with BundleWriter(tmp_path, INCIDENT, max_bytes=1 << 20) as writer:
        writer.add(Item("unit/show.txt", b"Id=app\n", "unit"))
        writer.add(Item("a/b/c/d", b"deep", "x"))
        writer.add(Item("empty", b"", "x"))
        writer.finish({})
    return tmp_path / "bundle.tar.gz"


def test_into_a_new_directory(tmp_path: Path, bundle: Path) -> None:
    old = os.umask(0)
    try:
        done = extract(bundle, tmp_path / "out")
    finally:
        os.umask(old)
    assert done.directory == tmp_path / "out" / TOP
    assert done.files == 4
    assert (done.directory / "unit/show.txt").read_bytes() == b"Id=app\n"
    assert (done.directory / "a/b/c/d").read_bytes() == b"deep"
    assert (done.directory / "empty").read_bytes() == b""
    for path in (tmp_path / "out", *(tmp_path / "out").rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_into_an_empty_directory_of_ours(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o755)
    assert extract(bundle, tmp_path / "out").files == 4


@pytest.mark.parametrize("what", ["file", "full", "link", "shared", "missing"])
def test_a_destination_that_is_refused(tmp_path: Path, bundle: Path, what: str) -> None:
    out = tmp_path / "out"
    if what == "file":
        out.write_bytes(b"x")
    elif what == "full":
        out.mkdir()
        (out / "x").write_bytes(b"x")
    elif what == "link":
        (tmp_path / "elsewhere").mkdir()
        out.symlink_to(tmp_path / "elsewhere")
    elif what == "shared":
        out.mkdir()
        out.chmod(0o777)
    else:
        out = tmp_path / "none" / "out"
    before = everything(tmp_path)
    with pytest.raises(BundleError):
        extract(bundle, out)
    assert everything(tmp_path) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_destination_of_somebody_else(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "out").mkdir()
    os.chown(tmp_path / "out", 65534, 65534)
    with pytest.raises(BundleError, match="somebody else"):
        extract(bundle, tmp_path / "out")


@pytest.mark.parametrize("name", hostile.TARS)
def test_nothing_of_a_hostile_tar_stays(tmp_path: Path, name: str) -> None:
    tar, problem = hostile.TARS[name]
    path = saved(tmp_path / "x", tar)
    with pytest.raises(BundleError) as raised:
        extract(path, tmp_path / "out")
    assert "is not a bundle to be opened" in raised.value.reason
    assert problem in raised.value.reason or name in TWO_PROBLEMS
    assert everything(tmp_path) == ["x"]


# The first thing wrong ends it, and with these that is another one than verification's.
TWO_PROBLEMS = {"manifest lists itself", "item is no object", "file missing"}


@pytest.mark.parametrize("name", hostile.FILES)
def test_nothing_of_a_hostile_file_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_bytes(hostile.FILES[name][0]())
    (tmp_path / "out").mkdir()
    with pytest.raises(BundleError):
        extract(tmp_path / "x", tmp_path / "out")
    assert everything(tmp_path) == ["out", "x"]


def test_a_file_of_somebody_else_that_appeared_is_not_removed(tmp_path: Path) -> None:
    # a receiver that plants a file while we unpack: the directory then stays, with that file in it
    out = tmp_path / "out"
    tar = whole(directory(f"{TOP}/d"), member(f"{TOP}/d/a", b"x"), member(f"{TOP}/d/../b", b""))
    path = saved(tmp_path / "x", tar)
    out.mkdir()
    real = os.close

    def plant(fd: int) -> None:
        real(fd)
        place = out / TOP / "d"
        if place.is_dir() and not (place / "theirs").exists():
            (place / "theirs").write_bytes(b"theirs")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "close", plant)
        with pytest.raises(BundleError):
            extract(path, out)
    assert everything(out) == [TOP, f"{TOP}/d", f"{TOP}/d/theirs"]


def test_a_directory_swapped_for_a_link_is_not_followed(tmp_path: Path) -> None:
    out, victim = tmp_path / "out", tmp_path / "victim"
    victim.mkdir()
    tar = whole(directory(f"{TOP}/d"), member(f"{TOP}/d/a", b"x"), files={"d/a": b"x"})
    path = saved(tmp_path / "x", tar)
    real = os.mkdir

    def swap(name: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        real(name, mode, dir_fd=dir_fd)
        if name == "d":
            (out / TOP / "d").rename(out / TOP / "moved")
            (out / TOP / "d").symlink_to(victim)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "mkdir", swap)
        with pytest.raises(BundleError):
            extract(path, out)
    assert everything(victim) == []


def test_limits_hold(tmp_path: Path, bundle: Path) -> None:
    with pytest.raises(BundleError, match="members"):
        extract(bundle, tmp_path / "out", limits=Limits(members=2))
    assert not (tmp_path / "out").exists()


def test_a_bundle_behind_a_link_is_refused(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "link").symlink_to(bundle)
    with pytest.raises(BundleError, match="could not be opened"):
        extract(tmp_path / "link", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_descriptors_are_closed(tmp_path: Path, bundle: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    extract(bundle, tmp_path / "out")
    with pytest.raises(BundleError):
        extract(saved(tmp_path / "x", hostile.TARS["wrong hash"][0]), tmp_path / "out2")
    assert len(os.listdir("/proc/self/fd")) == before
