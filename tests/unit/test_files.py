# SPDX-License-Identifier: MIT
"""Complete, durable, private, or not there at all; and never through somebody's link."""

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from failhook import files

# A process that runs; in a namespace of its own nobody need be the parent.
_LIVING = os.getppid() or 1


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def _open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class Stopped(BaseException):
    """As a signal would."""


@pytest.mark.parametrize("error", [OSError("no space"), ValueError(), Stopped()])
def test_what_fails_leaves_the_old_content_and_no_rest(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / "x"
    files.write(path, "old")
    with pytest.raises(type(error)), files.replacing(path) as stream:
        stream.write(b"new")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x"]


def test_a_rename_that_fails_leaves_no_rest(tmp_path: Path) -> None:
    (tmp_path / "x" / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        files.write(tmp_path / "x", "new")
    assert os.listdir(tmp_path) == ["x"]


def test_the_old_content_is_there_until_the_new_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "x"
    files.write(path, "old")
    with files.replacing(path) as stream:
        stream.write(b"new" * 100000)
        stream.flush()
        assert path.read_text() == "old"
    assert path.stat().st_size == 300000


def test_it_is_synced_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, steps = tmp_path / "x", []

    def sync(fd: int) -> None:
        what = "directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file"
        steps.append((what, path.exists()))

    monkeypatch.setattr(os, "fsync", sync)
    files.write(path, "new")
    assert steps == [("file", False), ("directory", True)]


@pytest.mark.usefixtures("no_umask")
def test_private_whatever_the_umask_allows(tmp_path: Path) -> None:
    files.write(tmp_path / "x", "")
    assert _mode(tmp_path / "x") == 0o600
    assert _mode(files.make_private(tmp_path / "state")) == 0o700
    with files.replacing(tmp_path / "y") as stream:
        assert [_mode(path) for path in tmp_path.glob(".y*")] == [0o600]
        stream.write(b"secret")


@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_the_mode_that_was_asked_for_whatever_the_umask_takes(tmp_path: Path, mode: int) -> None:
    """The list of open units is read by hooks of every user, and our services have UMask=0077."""
    before = os.umask(0o077)
    try:
        files.write(tmp_path / "x", "", mode=mode)
    finally:
        os.umask(before)
    assert _mode(tmp_path / "x") == mode


def test_links_in_the_way_are_replaced_and_never_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path = tmp_path / "x"
    path.symlink_to(victim)
    (tmp_path / f".x.{os.getpid()}.new").symlink_to(victim)
    files.write(path, "new")
    assert victim.read_text() == "precious"
    assert not path.is_symlink()
    assert path.read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["victim", "x"]


def test_a_link_that_comes_back_at_once_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f".x.{os.getpid()}.new").symlink_to(victim)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # as if it was planted again
    with pytest.raises(FileExistsError):
        files.write(tmp_path / "x", "new")
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "日" * 85, "x" * 253 + "é"])
def test_names_as_long_as_a_file_system_takes(tmp_path: Path, name: str) -> None:
    files.write(tmp_path / name, "")
    assert os.listdir(tmp_path) == [name]


def test_a_directory_of_somebody_elses_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").write_text("")
    for name in ("link", "file"):
        with pytest.raises(NotADirectoryError):
            files.make_private(tmp_path / name)
    (tmp_path / "open").mkdir(mode=0o755)
    assert _mode(files.make_private(tmp_path / "open")) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_that_belongs_to_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 65534, 65534)
    with pytest.raises(PermissionError, match="belongs to uid 65534"):
        files.make_private(tmp_path / "theirs")


def test_a_tree_goes_and_what_its_links_point_to_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "kept").write_text("precious")
    tree = tmp_path / "tree"
    (tree / "sub" / "deeper").mkdir(parents=True)
    (tree / "sub" / "file").write_text("")
    (tree / "to-directory").symlink_to(outside)
    (tree / "sub" / "to-file").symlink_to(outside / "kept")
    (tree / "dangling").symlink_to("nowhere")
    os.mkfifo(tree / "fifo")
    before = _open_descriptors()
    files.remove_tree(tree)
    assert _open_descriptors() == before
    assert not tree.exists()
    assert sorted(path.name for path in outside.iterdir()) == ["deep", "kept"]


def test_removing_a_link_or_a_file_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to("kept")
    (tmp_path / "file").write_text("")
    for name in ("link", "file", "missing"):
        files.remove_tree(tmp_path / name)
    assert os.listdir(tmp_path) == ["kept"]


def test_a_directory_that_is_swapped_at_the_worst_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precious, tree = tmp_path / "precious", tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    precious.mkdir()
    (precious / "kept").write_text("")
    really_open = os.open

    def swap_and_open(path: str | Path, flags: int, *args: int, dir_fd: int | None = None) -> int:
        if path == "sub":
            (tree / "sub").rename(tmp_path / "other")
            (tree / "sub").symlink_to(precious)
        return really_open(path, flags, *args, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", swap_and_open)
    files.remove_tree(tree)
    assert not tree.exists()
    assert os.listdir(precious) == ["kept"]


def test_a_directory_that_is_swapped_for_a_link_while_it_is_removed(tmp_path: Path) -> None:
    """Somebody swaps a directory and a link to a precious one as fast as he can."""
    precious = tmp_path / "precious"
    precious.mkdir()
    for number in range(8):
        (precious / f"{number}").write_text("")
    tree, other = tmp_path / "tree", tmp_path / "other"
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                (tree / "sub").rename(other)
                (tree / "sub").symlink_to(precious)
                (tree / "sub").unlink()
                other.rename(tree / "sub")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                (tree / "sub" / "deeper").mkdir(parents=True, exist_ok=True)
                files.remove_tree(tree)
    finally:
        over.set()
        swapper.join()
    assert {f"{number}" for number in range(8)} <= set(os.listdir(precious))


@pytest.mark.parametrize("what", ["fifo", "link", "directory", "device", "socket"])
def test_only_regular_files_are_read(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x"
    if what == "fifo":
        os.mkfifo(path)
    elif what == "link":
        path.symlink_to("/etc/hostname")
    elif what == "directory":
        path.mkdir()
    elif what == "socket":
        os.mknod(path, stat.S_IFSOCK | 0o600)
    else:
        path = Path("/dev/zero")
    before = _open_descriptors()
    with pytest.raises(OSError, match=r"\S"):
        files.read_bounded(path, 10)
    assert _open_descriptors() == before


def test_no_more_is_read_than_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 100)
    assert files.read_bounded(tmp_path / "x", 10) == b"x" * 10
    assert files.read_bounded(tmp_path / "x", 1000) == b"x" * 100


def test_temporaries_of_the_dead_are_swept(tmp_path: Path) -> None:
    for name in (".x.4194305.new", ".y.4194305.new", "kept.new", ".kept", ".kept.new"):
        (tmp_path / name).write_text("")
    (tmp_path / f".z.{_LIVING}.new").write_text("somebody writes it just now")
    (tmp_path / ".d.4194305.new" / "sub").mkdir(parents=True)
    files.sweep_temporaries(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(
        [".kept", ".kept.new", f".z.{_LIVING}.new", "kept.new"]
    )
    files.sweep_temporaries(tmp_path / "missing")


def test_a_process_that_nobody_waited_for_is_dead(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
    (tmp_path / f".x.{pid}.new").write_text("")
    files.sweep_temporaries(tmp_path)
    os.waitpid(pid, 0)
    assert os.listdir(tmp_path) == []
