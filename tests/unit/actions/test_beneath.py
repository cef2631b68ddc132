# SPDX-License-Identifier: MIT
"""The walk that removes: it stays beneath its root, it streams, it stops in time."""

import contextlib
import os
import resource
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from failhook.actions import beneath
from failhook.actions.clean_choice import Everything


def _sweep(root: Path, *, until: float | None = None, dry_run: bool = False) -> beneath.Tally:
    judge = Everything()
    with beneath.opened(str(root)) as top:
        limit = time.monotonic() + 60 if until is None else until
        return beneath.sweep(top, judge, until=limit, dry_run=dry_run)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    made.mkdir()
    return made


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory beside the root with something that must stay."""
    made = tmp_path / "outside"
    made.mkdir()
    (made / "precious").write_text("data")
    return made


def test_everything_goes_but_the_root(root: Path) -> None:
    (root / "a/b/c").mkdir(parents=True)
    (root / "a/b/c/file").write_bytes(b"x" * 9000)
    (root / "a/.hidden").write_text("y")
    tally = _sweep(root)
    assert list(root.iterdir()) == []
    assert (tally.files, tally.removed, tally.directories, tally.finished) == (2, 2, 3, True)
    assert tally.freed == tally.bytes >= 9000
    assert tally.left == {}


def test_a_dry_run_only_counts(root: Path) -> None:
    (root / "a").mkdir()
    (root / "a/file").write_bytes(b"x" * 5000)
    tally = _sweep(root, dry_run=True)
    assert (root / "a/file").exists()
    assert tally.removed == 1
    assert tally.freed >= 5000


def test_links_go_and_their_targets_stay(root: Path, outside: Path) -> None:
    (root / "file").symlink_to(outside / "precious")
    (root / "directory").symlink_to(outside)
    (root / "up").symlink_to("..")
    (root / "top").symlink_to("/")
    tally = _sweep(root)
    assert tally.removed == 4
    assert list(root.iterdir()) == []
    assert (outside / "precious").read_text() == "data"


def test_a_hard_link_frees_nothing_and_its_other_name_stays(root: Path, outside: Path) -> None:
    os.link(outside / "precious", root / "linked")
    tally = _sweep(root)
    assert (tally.removed, tally.linked, tally.freed) == (1, 1, 0)
    assert (outside / "precious").read_text() == "data"


def test_nodes_of_every_kind_are_removed_and_never_opened(root: Path) -> None:
    os.mkfifo(root / "fifo")
    peer = socket.socket(socket.AF_UNIX)
    with contextlib.closing(peer):
        before = Path.cwd()
        os.chdir(root)  # the name of a socket may be 108 bytes long
        try:
            peer.bind("socket")
        finally:
            os.chdir(before)
        began = time.monotonic()
        tally = _sweep(root)
    assert time.monotonic() - began < 5
    assert tally.removed == 2
    assert list(root.iterdir()) == []


def test_a_link_on_the_way_that_others_could_have_put_there_is_refused(
    tmp_path: Path, outside: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (shared / "cache").symlink_to(outside)
    with pytest.raises(OSError, match="link in a directory that others"):
        _sweep(shared / "cache")
    assert (outside / "precious").exists()


def test_a_link_that_only_its_owner_could_have_put_there_is_followed(
    tmp_path: Path, root: Path
) -> None:
    (root / "file").write_text("x")
    (tmp_path / "alias").symlink_to(root)
    with beneath.opened(str(tmp_path / "alias")) as top:
        assert top.path == str(root)


def test_time_is_up_at_once(root: Path) -> None:
    for number in range(200):
        (root / str(number)).touch()
    tally = _sweep(root, until=time.monotonic() - 1)
    assert not tally.finished
    assert len(list(root.iterdir())) >= 100


def test_what_is_to_be_spared_is_not_entered(root: Path) -> None:
    (root / "keep").mkdir()
    (root / "keep/file").touch()
    (root / "file").touch()
    state = (root / "keep").stat()
    with beneath.opened(str(root)) as top:
        tally = beneath.sweep(
            top,
            Everything(),
            until=time.monotonic() + 60,
            spared=frozenset({(state.st_dev, state.st_ino)}),
        )
    assert [path.name for path in root.iterdir()] == ["keep"]
    assert (root / "keep/file").exists()
    assert tally.left == {"holds what failhook keeps": 1}


def test_a_very_deep_tree_goes(root: Path) -> None:
    fd = os.open(root, os.O_RDONLY)
    for _ in range(3000):  # deeper than a path can be long
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    tally = _sweep(root)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY or hard >= beneath._DESCRIPTORS:
        assert list(root.iterdir()) == []
        assert tally.directories == 3000
    else:
        assert [why[:11] for why in tally.left] == ["deeper than"]
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] == hard


def test_what_is_too_deep_is_left_and_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beneath, "_more_descriptors", lambda: contextlib.nullcontext(3))
    (root / "a/b/c/d").mkdir(parents=True)
    (root / "a/b/file").touch()
    (root / "a/b/c/file").touch()
    tally = _sweep(root)
    assert tally.left == {"deeper than 3 directories": 1}
    assert (root / "a/b/c/file").exists()
    assert not (root / "a/b/file").exists()


def test_descriptors_do_not_leak(root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    _sweep(root, dry_run=True)
    _sweep(root, until=time.monotonic() - 1)
    _sweep(root)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_directory_without_permission_stays_and_is_counted(root: Path) -> None:
    (root / "closed").mkdir()
    (root / "closed/file").touch()
    (root / "closed").chmod(0)
    tally = _sweep(root)
    if os.geteuid() == 0:
        assert list(root.iterdir()) == []
    else:
        assert tally.left == {"Permission denied": 1}
        (root / "closed").chmod(0o700)


@contextlib.contextmanager
def _meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """``act`` over and over by somebody else, while the block runs."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                act()

    other = threading.Thread(target=work)
    other.start()
    try:
        yield
    finally:
        over.set()
        other.join()


def test_a_directory_that_is_swapped_for_a_link(root: Path, outside: Path) -> None:
    """While it is cleaned, again and again: the classic race of programs that clean."""
    away = root.parent / "away"
    aside = root.parent / "link"
    aside.symlink_to(outside)

    def swap() -> None:
        (root / "d").mkdir(exist_ok=True)
        (root / "d" / "file").touch()
        (root / "d").rename(away)
        aside.rename(root / "d")
        (root / "d").rename(aside)
        away.rename(root / "d")

    with _meanwhile(swap):
        until = time.monotonic() + 1.5
        removed = 0
        while time.monotonic() < until:
            removed += _sweep(root).removed
    assert removed > 0
    assert (outside / "precious").read_text() == "data"
    assert stat.S_ISDIR(outside.stat().st_mode)


def test_a_directory_that_is_moved_out_is_let_go_of(root: Path) -> None:
    """Between its opening and the removal of what is in it."""
    (root / "d/inner").mkdir(parents=True)
    for number in range(300):
        (root / "d/inner" / str(number)).touch()
    target = root.parent / "moved"

    class Moves(Everything):
        """Moves the directory away when the first of its files is judged."""

        asked = 0

        def file(self, name: str, state: os.stat_result) -> bool:
            self.asked += 1
            if self.asked == 1:
                (root / "d").rename(target)
            return True

    with beneath.opened(str(root)) as top:
        tally = beneath.sweep(top, Moves(), until=time.monotonic() + 60)
    assert tally.left == {"moved while it was cleaned": 1}
    assert len(list((target / "inner").iterdir())) >= 300 - beneath._CHECK_EVERY
    assert tally.finished
