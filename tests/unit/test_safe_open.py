# SPDX-License-Identifier: MIT
"""Links, FIFOs, devices and hard links in the way of a file that root reads (anchors T1-T4)."""

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from failhook.safe_open import open_directory, open_regular


def _content(path: object) -> bytes:
    with open_regular(str(path)) as stream:
        return stream.read()


def _refusal(path: object) -> str:
    with pytest.raises(OSError) as caught:
        _content(path)
    return str(caught.value)


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    assert _content(tmp_path / "f") == b"x"
    assert _content(f"{tmp_path}//./f") == b"x"
    assert _content(f"{tmp_path}/../{tmp_path.name}/f") == b"x"
    assert _content("/proc/self/status").startswith(b"Name:")


@pytest.mark.parametrize("path", ["relative", "", "/", "/nul\0", "/.", "/.."])
def test_no_path_of_a_file(path: str) -> None:
    assert _refusal(path)


def test_a_link_is_followed_only_where_root_alone_could_have_made_it(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "link").symlink_to("f")
    (tmp_path / "up").symlink_to(f"../{tmp_path.name}/f")
    (tmp_path / "absolute").symlink_to(tmp_path / "f")
    (tmp_path / "directory").symlink_to(tmp_path)
    for name in ("link", "up", "absolute", "directory/f", "directory/directory/link"):
        assert _content(tmp_path / name) == b"x"
    tmp_path.chmod(0o777)
    for name in ("link", "up", "absolute", "directory/f"):
        assert "is a link in a directory that others" in _refusal(tmp_path / name)
    assert _content(tmp_path / "f") == b"x"


def test_links_in_a_circle_and_to_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "gone").symlink_to("nothing")
    (tmp_path / "root").symlink_to("/")
    for name in ("a", "gone", "root", "root/root", "missing"):
        assert _refusal(tmp_path / name)


def test_hard_links_only_where_root_alone_writes(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "g").hardlink_to(tmp_path / "f")
    assert _content(tmp_path / "g") == b"x"
    tmp_path.chmod(0o1777)
    assert "hard links" in _refusal(tmp_path / "g")


def test_what_is_no_regular_file_is_not_even_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        started = time.monotonic()
        for path in (tmp_path / "fifo", tmp_path / "socket", tmp_path, "/dev/null", "/dev/zero"):
            assert "not a regular file" in _refusal(path)
        assert time.monotonic() - started < 1


def test_a_directory_that_is_swapped_for_a_link_meanwhile(tmp_path: Path) -> None:
    secret, mine = tmp_path / "secret", tmp_path / "mine"
    for directory in (secret, mine):
        directory.mkdir()
    (secret / "f").write_bytes(b"secret")
    (mine / "sub").mkdir()
    (mine / "sub" / "f").write_bytes(b"mine")
    (mine / "link").symlink_to(secret)
    mine.chmod(0o777)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for one, other in (
                ("sub", "aside"),
                ("link", "sub"),
                ("sub", "link"),
                ("aside", "sub"),
            ):
                (mine / one).rename(mine / other)

    attacker = threading.Thread(target=swap)
    attacker.start()
    try:
        seen = set()
        for _ in range(3000):
            try:
                seen.add(_content(mine / "sub" / "f"))
            except OSError:
                continue
    finally:
        stop.set()
        attacker.join()
    assert seen == {b"mine"}


def test_a_directory_by_the_same_rules(tmp_path: Path) -> None:
    shared, real = tmp_path / "shared", tmp_path / "real"
    shared.mkdir()
    real.mkdir()
    (tmp_path / "alias").symlink_to(real)
    (shared / "planted").symlink_to(real)
    (tmp_path / "file").touch()
    for path in (real, tmp_path / "alias"):
        fd = open_directory(str(path))
        try:
            assert os.path.samestat(os.fstat(fd), real.stat())
        finally:
            os.close(fd)
    shared.chmod(0o777)
    for path in (shared / "planted", tmp_path / "file", tmp_path / "none", Path("relative")):
        with pytest.raises(OSError):
            open_directory(str(path))
