# SPDX-License-Identifier: MIT
"""The reader itself: what reaches a receiver, in which order, and what does not."""

from pathlib import Path

import pytest

from failhook.bundle import reader
from failhook.bundle.layout import BundleError
from tests.unit.bundle.archives import TOP, directory, member, saved, whole


class Recorder:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str | bytes]] = []

    def directory(self, path: str) -> None:
        self.told.append(("directory", path))

    def begin(self, path: str) -> None:
        self.told.append(("begin", path))

    def data(self, piece: bytes) -> None:
        self.told.append(("data", piece))


def told(path: Path, *, stop: bool = False) -> tuple[reader.Scan, list[tuple[str, str | bytes]]]:
    recorder = Recorder()
    with reader.opened(path) as stream:
        return reader.scan(stream, recorder, stop=stop), recorder.told


FILES = {"d/a": b"one", "b": b"two"}


def test_in_order(tmp_path: Path) -> None:
    tar = whole(
        directory(f"{TOP}/d"), member(f"{TOP}/d/a", b"one"), member(f"{TOP}/b", b"two"), files=FILES
    )
    scan, order = told(saved(tmp_path / "x", tar))
    assert scan.problems == ()
    assert scan.top == TOP
    assert scan.files == 3
    assert order[:6] == [
        ("directory", TOP),
        ("directory", f"{TOP}/d"),
        ("begin", f"{TOP}/d/a"),
        ("data", b"one"),
        ("begin", f"{TOP}/b"),
        ("data", b"two"),
    ]
    assert order[6] == ("begin", f"{TOP}/manifest.json")


def test_content_comes_in_pieces(tmp_path: Path) -> None:
    data = bytes(1 << 20)
    _, order = told(saved(tmp_path / "x", whole(member(f"{TOP}/a", data), files={"a": data})))
    pieces = [piece for what, piece in order if what == "data"]
    assert max(map(len, pieces)) <= 65536
    assert b"".join(map(bytes, pieces)).startswith(data)  # type: ignore[arg-type]


def test_what_is_wrong_is_not_told_and_the_rest_is(tmp_path: Path) -> None:
    tar = whole(member("/etc/x", b"evil"), member(f"{TOP}/a", b"one"), files={"a": b"one"})
    scan, order = told(saved(tmp_path / "x", tar))
    assert len(scan.problems) == 1
    assert ("data", b"evil") not in order
    assert ("data", b"one") in order


def test_with_stop_nothing_behind_the_first_problem_is_told(tmp_path: Path) -> None:
    tar = whole(member("/etc/x", b"evil"), member(f"{TOP}/a", b"one"), files={"a": b"one"})
    scan, order = told(saved(tmp_path / "x", tar), stop=True)
    assert len(scan.problems) == 1
    assert order == [("directory", TOP)]


def test_the_sum_is_of_the_whole_file_whatever_is_in_it(tmp_path: Path) -> None:
    import hashlib

    for content in (b"nothing of the kind" * 9999, b""):
        (tmp_path / "x").write_bytes(content)
        assert told(tmp_path / "x")[0].sha256 == hashlib.sha256(content).hexdigest()


def test_what_a_receiver_raises_comes_through(tmp_path: Path) -> None:
    class Full(Recorder):
        def data(self, piece: bytes) -> None:
            raise OSError(28, "No space left on device")

    path = saved(tmp_path / "x", whole(member(f"{TOP}/a", b"one"), files={"a": b"one"}))
    with reader.opened(path) as stream, pytest.raises(OSError, match="No space"):
        reader.scan(stream, Full())


def test_names_that_cannot_be_opened(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(BundleError), reader.opened(path):
            pass


def test_discard_takes_everything() -> None:
    nothing = reader.Discard()
    nothing.directory("a")
    nothing.begin("a/b")
    nothing.data(b"x")
