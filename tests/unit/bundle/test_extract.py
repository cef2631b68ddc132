# SPDX-License-Identifier: MIT
"""Everything is unpacked or nothing is, and never beyond the destination (T3, T20, T21)."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from failhook.bundle.extract import ExtractError, extract
from failhook.bundle.gunzip import Limits
from failhook.bundle.layout import BundleError
from failhook.bundle.verify import verify
from tests.unit.bundle import HOSTILE, ITEMS, TOP, archive, member, packed, real


def _tree(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def _refusal(path: Path, destination: Path, **options: Any) -> str:
    with pytest.raises(ExtractError) as caught:
        extract(path, destination, **options)
    assert isinstance(caught.value, BundleError)
    return str(caught.value)


@pytest.mark.parametrize("umask", [0, 0o077])
def test_ours(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        done = extract(real(tmp_path), tmp_path / "out")
    finally:
        os.umask(before)
    found = _tree(done.directory)
    assert found.pop("manifest.json")
    assert found == ITEMS
    assert done.directory.parent == tmp_path / "out"
    assert (done.files, list((tmp_path / "out").iterdir())) == (len(ITEMS) + 1, [done.directory])
    for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600)


def test_a_relative_destination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert extract(real(tmp_path), Path("out")).directory.is_dir()


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str, exists: bool, tmp_path: Path) -> None:
    content, problem = HOSTILE[name]
    path, place = tmp_path / "x.tar.gz", tmp_path / "inner" / "out"
    path.write_bytes(content)
    place.parent.mkdir()
    if exists:
        place.mkdir(mode=0o700)
    assert problem in _refusal(path, place)
    assert place.exists() is exists
    assert not exists or not list(place.iterdir())
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["inner", "x.tar.gz"]


def test_it_stops_at_the_first_hostile_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = os.write, []

    def noting(fd: int, data: bytes) -> int:
        written.append(bytes(data))
        return write(fd, data)

    monkeypatch.setattr(os, "write", noting)
    hostile = member(f"{TOP}/l", kind=b"2", link=b"/"), member(f"{TOP}/z", b"later")
    (tmp_path / "x").write_bytes(packed(archive(*hostile)))
    assert "symbolic link" in _refusal(tmp_path / "x", tmp_path / "out")
    assert written == [b"evidence\n"]


def test_a_file_that_is_not_what_the_manifest_says(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(packed(archive().replace(b"evidence\n", b"EVIDENCE\n")))
    assert "SHA-256 differs" in _refusal(path, tmp_path / "out")
    path.write_bytes(packed(archive(totals={"bytes": 1})))
    assert "bytes in all" in _refusal(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_same_limits(tmp_path: Path) -> None:
    path = real(tmp_path, {"zeros": bytes(1 << 20)})
    for limits in (Limits(unpacked=1 << 19), Limits(members=1), Limits(packed=99)):
        assert verify(path, limits).problems
        assert _refusal(path, tmp_path / "out", limits=limits)
        assert not (tmp_path / "out").exists()


# -- the destination ----------------------------------------------------------------------------


def test_an_empty_directory_of_ours_will_do(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o755)
    assert extract(real(tmp_path), tmp_path / "out").files == len(ITEMS) + 1


def _full(place: Path) -> None:
    place.mkdir()
    (place / "mine").write_bytes(b"x")


def _open_to_others(place: Path) -> None:
    place.mkdir()
    place.chmod(0o777)


def _link(place: Path) -> None:
    (place.parent / "elsewhere").mkdir()
    place.symlink_to("elsewhere")


def _somebody_elses(place: Path) -> None:
    place.mkdir()
    os.chown(place, 12345, -1)


@pytest.mark.parametrize(
    "prepare",
    [_full, _open_to_others, _link, Path.touch, os.mkfifo, lambda place: place.symlink_to("gone")],
)
def test_every_other_destination_is_refused_and_left_alone(
    prepare: Callable[[Path], object], tmp_path: Path
) -> None:
    bundle = real(tmp_path)
    prepare(tmp_path / "out")
    before = {path: path.lstat().st_mode for path in tmp_path.rglob("*")}
    assert str(tmp_path / "out") in _refusal(bundle, tmp_path / "out")
    assert {path: path.lstat().st_mode for path in tmp_path.rglob("*")} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    bundle = real(tmp_path)
    _somebody_elses(tmp_path / "out")
    assert "others may write" in _refusal(bundle, tmp_path / "out")


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "missing/out", "x" * 300, "/"])
def test_destinations_that_cannot_be(name: str, tmp_path: Path) -> None:
    assert _refusal(real(tmp_path), tmp_path / name)


def test_a_bundle_that_cannot_be_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(real(tmp_path))
    for name in ("missing", "fifo", "link", ".", "a\0b"):
        assert _refusal(tmp_path / name, tmp_path / "out")
        assert not (tmp_path / "out").exists()


# -- while it is unpacked -----------------------------------------------------------------------


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Let something happen once, after the first file has been written."""

    def arrange(happens: Callable[[], object]) -> None:
        write, todo = os.write, [happens]

        def write_then(fd: int, data: bytes) -> int:
            done = write(fd, data)
            if todo:
                todo.pop()()
            return done

        monkeypatch.setattr(os, "write", write_then)

    return arrange


@pytest.mark.parametrize("exists", [False, True])
def test_the_destination_swapped_for_a_link(
    exists: bool, tmp_path: Path, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    bundle, out, victim = real(tmp_path), tmp_path / "out", tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_bytes(b"x")
    if exists:
        out.mkdir(mode=0o700)

    def swap() -> None:
        out.rename(tmp_path / "moved")
        out.symlink_to(victim)

    meanwhile(swap)
    assert "was replaced by something else" in _refusal(bundle, out)
    assert _tree(victim) == {"precious": b"x"}
    assert out.is_symlink()
    assert list((tmp_path / "moved").iterdir()) == []


def test_a_directory_inside_swapped_for_a_link(
    tmp_path: Path, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    items = {"d/1": b"1", "d/2": b"2"}
    bundle, out, victim = real(tmp_path, items), tmp_path / "out", tmp_path / "victim"
    victim.mkdir()
    (victim / "1").write_bytes(b"precious")

    def swap() -> None:
        (inner,) = out.glob("*/d")
        inner.rename(tmp_path / "moved")
        inner.symlink_to(victim)

    meanwhile(swap)
    assert "cannot be written" in _refusal(bundle, out)
    assert _tree(victim) == {"1": b"precious"}


def test_a_link_planted_where_a_file_will_be(
    tmp_path: Path, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    bundle, out = real(tmp_path, {"1": b"1", "2": b"2"}), tmp_path / "out"
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")

    def plant() -> None:
        (top,) = out.iterdir()
        (top / "2").symlink_to(victim)

    meanwhile(plant)
    assert "cannot be written: File exists" in _refusal(bundle, out)
    assert victim.read_bytes() == b"precious"
    (planted,) = (path for path in out.rglob("*") if not path.is_dir())
    assert planted.is_symlink()  # not ours to remove


def test_a_bundle_changed_between_verify_and_extract(tmp_path: Path) -> None:
    path = real(tmp_path)
    assert verify(path).ok
    path.write_bytes(HOSTILE["symbolic link"][0])
    assert "symbolic link" in _refusal(path, tmp_path / "out")


def test_a_bundle_swapped_while_it_is_unpacked(
    tmp_path: Path, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    """What was opened is what is unpacked."""
    path = real(tmp_path)
    other = tmp_path / "other"
    other.write_bytes(packed(archive(member(f"{TOP}/../x", b"evil"))))
    meanwhile(lambda: other.rename(path))
    assert extract(path, tmp_path / "out").files == len(ITEMS) + 1


def test_a_bundle_written_to_while_it_is_unpacked(
    tmp_path: Path, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    noise = os.urandom(300_000)
    path = real(tmp_path, {"1": b"first", "2": noise})

    def damage() -> None:
        with path.open("r+b") as stream:
            stream.seek(200_000)
            stream.write(b"damage")

    meanwhile(damage)
    assert "was not unpacked" in _refusal(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_interruption_leaves_nothing(
    tmp_path: Path, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    bundle = real(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    meanwhile(interrupt)
    with pytest.raises(KeyboardInterrupt):
        extract(bundle, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(os.listdir("/proc/self/fd")) <= before


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number, (content, _) in enumerate(HOSTILE.values()):
        (tmp_path / "x").write_bytes(content)
        _refusal(tmp_path / "x", tmp_path / str(number))
    extract(real(tmp_path), tmp_path / "out")
    assert len(os.listdir("/proc/self/fd")) <= before


@settings(
    max_examples=100,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    places=st.lists(st.integers(0, 1 << 16), min_size=1, max_size=3),
    values=st.binary(min_size=3, max_size=3),
    inside=st.booleans(),
)
def test_verify_and_extract_agree(
    places: list[int], values: bytes, inside: bool, tmp_path: Path
) -> None:
    tar = bytearray(archive() if inside else packed(archive()))
    for place, value in zip(places, values, strict=False):
        tar[place % len(tar)] = value
    (tmp_path / "x").write_bytes(packed(bytes(tar)) if inside else bytes(tar))
    out = tmp_path / "out"
    try:
        done = extract(tmp_path / "x", out)
    except ExtractError:
        assert not verify(tmp_path / "x").ok
        assert not out.exists()
    else:
        assert verify(tmp_path / "x").ok
        assert (done.directory / "a.txt").read_bytes() == b"evidence\n"
        for path in sorted(out.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        out.rmdir()
