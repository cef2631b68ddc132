# SPDX-License-Identifier: MIT
"""Everything that somebody could put into a bundle, against the one pass that reads it (T20)."""

import io
import json
import os
import tarfile
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from failhook.bundle import reader
from failhook.bundle.gunzip import Limits
from failhook.bundle.layout import BundleError
from tests.unit.bundle import (
    HOSTILE,
    ITEMS,
    TOP,
    archive,
    directory,
    head,
    member,
    packed,
    real,
)


class Noting(reader.Discard):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.directories: list[str] = []

    def directory(self, path: str) -> None:
        self.directories.append(path)

    def begin(self, path: str) -> None:
        assert path not in self.files
        self.files[path] = b""

    def data(self, piece: bytes) -> None:
        last = list(self.files)[-1]
        self.files[last] += piece


def _scan(
    content: bytes, tmp_path: Path, *, limits: Limits | None = None, stop: bool = False
) -> tuple[reader.Scan, Noting]:
    path, noting = tmp_path / "b.tar.gz", Noting()
    path.write_bytes(content)
    with reader.opened(path) as stream:
        return reader.scan(stream, noting, limits=limits or Limits(), stop=stop), noting


def test_what_was_written_is_what_is_read(tmp_path: Path) -> None:
    found, noting = _scan(real(tmp_path).read_bytes(), tmp_path)
    assert found.problems == ()
    text = noting.files.pop(f"{found.top}/manifest.json")
    assert {
        path.removeprefix(f"{found.top}/"): data for path, data in noting.files.items()
    } == ITEMS
    assert json.loads(text) == found.manifest
    assert found.files == len(ITEMS) + 1
    assert found.bytes == sum(map(len, ITEMS.values())) + len(text)


def test_the_ground_that_the_hostile_ones_stand_on_is_good(tmp_path: Path) -> None:
    found, _ = _scan(packed(archive()), tmp_path)
    assert found.problems == ()


@pytest.mark.parametrize("stop", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str, stop: bool, tmp_path: Path) -> None:
    content, problem = HOSTILE[name]
    found, noting = _scan(content, tmp_path, stop=stop)
    assert any(problem in said for said in found.problems), found.problems
    assert all(said.isprintable() for said in found.problems)
    assert len(found.problems) == 1 or not stop
    for path in (*noting.files, *noting.directories):
        parts = path.split("/")
        assert parts[0] == found.top
        assert not {"", ".", ".."} & set(parts)


@pytest.mark.parametrize("name", HOSTILE)
def test_with_stop_nothing_behind_the_first_problem_is_passed_on(name: str, tmp_path: Path) -> None:
    everything, all_of_it = _scan(HOSTILE[name][0], tmp_path)
    stopped, some = _scan(HOSTILE[name][0], tmp_path, stop=True)
    assert stopped.problems[0] == everything.problems[0]
    assert list(some.files) == list(all_of_it.files)[: len(some.files)]


def _by_tarfile(info: tarfile.TarInfo, form: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as tar:
        top = tarfile.TarInfo(TOP)
        top.type, top.mode = tarfile.DIRTYPE, 0o700
        tar.addfile(top)
        tar.addfile(info, io.BytesIO(bytes(info.size)))
    return packed(stream.getvalue())


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE],
)
def test_hostile_members_as_tarfile_writes_them(kind: bytes, form: int, tmp_path: Path) -> None:
    info = tarfile.TarInfo(f"{TOP}/x")
    info.type, info.linkname = kind, "/etc/passwd"
    found, noting = _scan(_by_tarfile(info, form), tmp_path)
    assert len(found.problems) >= 1
    assert noting.files == {}


@pytest.mark.parametrize(
    "name",
    [
        f"{TOP}/../../etc/x",
        "/etc/x",
        f"{TOP}/{'a' * 300}",
        f"{TOP}/{'a/' * 60}x",
        f"{TOP}/a\x07",
        f"{TOP}\\..\\x",
    ],
)
def test_hostile_names_as_tarfile_writes_them(name: str, tmp_path: Path) -> None:
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        found, noting = _scan(_by_tarfile(tarfile.TarInfo(name), form), tmp_path)
        assert found.problems
        assert noting.files == {}


# -- limits -------------------------------------------------------------------------------------


def test_a_million_members_end_at_the_limit(tmp_path: Path) -> None:
    tar = directory(TOP) + b"".join(member(f"{TOP}/{n}") for n in range(10_010)) + bytes(1024)
    found, noting = _scan(packed(tar), tmp_path)
    assert found.problems == ("it has more than 10000 members",)
    assert len(noting.files) == 9_999  # and the top directory


def test_the_limit_of_members_is_exact(tmp_path: Path) -> None:
    content = packed(archive())  # the top, a file and the manifest
    assert _scan(content, tmp_path, limits=Limits(members=3))[0].problems == ()
    assert "members" in _scan(content, tmp_path, limits=Limits(members=2))[0].problems[0]


def _bomb(size: int) -> bytes:
    """A bundle with one file of ``size`` zeros, made without having it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(directory(TOP) + head(f"{TOP}/bomb", size=size))]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*parts, packer.compress(bytes(1024)), packer.flush()])


def test_a_bomb_ends_early_and_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(_bomb(300 << 20))
    tracemalloc.start()
    with reader.opened(path) as stream:
        found = reader.scan(stream, reader.Discard())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "times its size" in found.problems[0]
    assert peak < 4 << 20


def test_the_unpacked_size_has_an_end(tmp_path: Path) -> None:
    limits = Limits(unpacked=8 << 20, ratio_from=64 << 20)
    found, noting = _scan(_bomb(20 << 20), tmp_path, limits=limits)
    assert found.problems == ("it holds more than 8 MiB",)
    assert sum(map(len, noting.files.values())) <= 8 << 20


def test_a_manifest_has_an_end(tmp_path: Path) -> None:
    tar = directory(TOP) + member(f"{TOP}/manifest.json", b" " * (5 << 20)) + bytes(1024)
    assert "larger than 4 MiB" in _scan(packed(tar), tmp_path)[0].problems[0]


def test_problems_have_an_end(tmp_path: Path) -> None:
    links = [member(f"{TOP}/{n}", kind=b"2", link=b"/") for n in range(500)]
    found, _ = _scan(packed(archive(*links)), tmp_path)
    assert 0 < len(found.problems) <= 50


# -- what is opened -----------------------------------------------------------------------------


def _refusal(path: Path) -> str:
    with pytest.raises(BundleError) as caught, reader.opened(path):
        pass
    return str(caught.value)


def test_only_a_regular_file_is_opened_and_nothing_hangs(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(real(tmp_path))
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo", "missing", "."):
        assert str(tmp_path) in _refusal(tmp_path / name)
    assert "regular" in _refusal(Path("/dev/zero"))
    for name in ("a\0b", "\ud800", "a" * 5000):
        assert _refusal(Path(name))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.truncate(2 << 30)
    assert "larger than 1024 MiB" in _refusal(path)


# -- anything at all ----------------------------------------------------------------------------

_SETTINGS = settings(
    max_examples=200,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@_SETTINGS
@given(content=st.binary(max_size=3000))
@example(content=b"\x1f\x8b\x08")
def test_random_bytes(content: bytes, tmp_path: Path) -> None:
    assert _scan(content, tmp_path)[0].problems
    assert _scan(packed(content), tmp_path)[0].problems


_CHANGE = st.tuples(
    st.sampled_from(["flip", "insert", "delete", "zero", "cut"]),
    st.integers(0, 1 << 20),
    st.binary(min_size=1, max_size=20),
)


def mutated(content: bytes, changes: list[tuple[str, int, bytes]]) -> bytes:
    """``content`` after some damage."""
    data = bytearray(content)
    for kind, where, what in changes:
        at = where % max(1, len(data))
        if kind == "flip" and data:
            data[at] ^= what[0] or 1
        elif kind == "insert":
            data[at:at] = what
        elif kind == "delete":
            del data[at : at + len(what)]
        elif kind == "zero":
            data[at : at + len(what)] = bytes(len(data[at : at + len(what)]))
        elif kind == "cut":
            del data[at:]
    return bytes(data)


@_SETTINGS
@given(changes=st.lists(_CHANGE, min_size=1, max_size=4))
def test_mutated_bundles(changes: list[tuple[str, int, bytes]], tmp_path: Path) -> None:
    """Where it says that all is well, the content is the original's."""
    content = packed(archive())
    found, noting = _scan(mutated(content, changes), tmp_path)
    if not found.problems:
        assert noting.files[f"{TOP}/a.txt"] == b"evidence\n"


@_SETTINGS
@given(changes=st.lists(_CHANGE, min_size=1, max_size=4))
def test_mutated_archives_below_good_compression(
    changes: list[tuple[str, int, bytes]], tmp_path: Path
) -> None:
    found, noting = _scan(packed(mutated(archive(), changes)), tmp_path)
    if not found.problems:
        assert b"evidence\n" in noting.files.values()


@_SETTINGS
@given(text=st.binary(max_size=200) | st.just(b"[" * 50_000) | st.just(b'{"a":' * 50_000))
def test_any_manifest(text: bytes, tmp_path: Path) -> None:
    tar = directory(TOP) + member(f"{TOP}/manifest.json", text) + bytes(1024)
    assert _scan(packed(tar), tmp_path)[0].problems
