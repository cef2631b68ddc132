# SPDX-License-Identifier: MIT
"""Cleaning while somebody attacks it: nothing outside its root is touched.

The attackers are processes of their own, that never stop. What needs mounts runs as root in a mount
namespace of its own (unshare(1)), so that the machine stays as it was; as an ordinary user those
tests get a user namespace for it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from failhook.actions import beneath
from failhook.actions.clean_choice import Everything

_SECONDS = 3.0


def _sweep(root: Path) -> beneath.Tally:
    with beneath.opened(str(root)) as top:
        return beneath.sweep(top, Everything(), until=time.monotonic() + 120)


@contextmanager
def attacker(script: str, *arguments: Path) -> Iterator[None]:
    """A Python program that goes on while the block runs."""
    code = "import contextlib, os, sys\n" + textwrap.dedent(script)
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", code, *map(str, arguments)])
    try:
        yield
        assert process.poll() is None, "the attacker has ended by itself"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _precious(tmp_path: Path) -> dict[str, bytes]:
    outside = tmp_path / "outside"
    return {str(path): path.read_bytes() for path in outside.rglob("*") if path.is_file()}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Beside the root: directories with the names of those in it, and files that must stay."""
    made = tmp_path / "outside"
    for number in range(20):
        (made / f"d{number}").mkdir(parents=True)
        (made / f"d{number}/file").write_text("precious")
    return made


# Fills directories and never writes through a link: what it makes lies beneath the root.
_FILLS = """
root = os.open(sys.argv[1], os.O_RDONLY)
def enter(name, fd):
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, dir_fd=fd)
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
while True:
    for number in range(20):
        with contextlib.suppress(OSError):
            fd = enter(f"d{number}", root)
            try:
                for count in range(5):
                    os.close(os.open(f"file{count}", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
                os.close(enter("inner", fd))
            finally:
                os.close(fd)
"""
# Changes a directory and a link to one outside into one another, in one step and without end.
_SWAPS = """
import ctypes
root, outside, aside = sys.argv[1:]
libc = ctypes.CDLL(None)
for number in range(20):
    os.symlink(f"{outside}/d{number}", f"{aside}/d{number}")
pairs = [(f"{root}/d{n}".encode(), f"{aside}/d{n}".encode()) for n in range(20)]
while True:
    for one, other in pairs:
        libc.renameat2(-100, one, -100, other, 2)  # AT_FDCWD, RENAME_EXCHANGE
"""
# Moves directories about beneath the root, out of it, and back in under another name.
_MOVES = """
root, outside, aside = sys.argv[1:]
while True:
    for number in range(20):
        with contextlib.suppress(OSError):
            os.rename(f"{root}/d{number}/inner", f"{aside}/inner{number}")
        with contextlib.suppress(OSError):
            os.rename(f"{aside}/inner{number}", f"{root}/d{(number + 1) % 20}/inner")
        with contextlib.suppress(OSError):
            os.rename(f"{root}/d{number}", f"{root}/d{(number + 7) % 20}")
"""


@pytest.mark.parametrize("script", [_SWAPS, _MOVES], ids=["swaps", "moves"])
def test_directories_are_swapped_for_links_and_moved(
    tmp_path: Path, outside: Path, script: str
) -> None:
    root, aside = tmp_path / "root", tmp_path / "aside"
    root.mkdir()
    aside.mkdir()
    before = _precious(tmp_path)
    removed = sweeps = 0
    with (
        attacker(_FILLS, root),
        attacker(script, root, outside, aside),
    ):
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until or removed < 100:
            removed += _sweep(root).removed
            sweeps += 1
            assert time.monotonic() < until + 60
    assert sweeps > 3
    assert _precious(tmp_path) == before
    tally = _sweep(root)
    assert list(root.iterdir()) == []
    assert tally.finished


def test_a_hard_link_to_everything_that_is_precious(tmp_path: Path, outside: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for number in range(20):
        os.link(outside / f"d{number}/file", root / str(number))
    before = _precious(tmp_path)
    tally = _sweep(root)
    assert (tally.removed, tally.linked, tally.freed) == (20, 20, 0)
    assert _precious(tmp_path) == before


def test_two_hundred_thousand_files_quickly(tmp_path: Path) -> None:
    """In memory that does not grow with their number, by the most that the process ever had."""
    root = tmp_path / "root"
    for number in range(4):
        (root / str(number)).mkdir(parents=True)
        fd = os.open(root / str(number), os.O_RDONLY)
        for name in range(50_000):
            os.close(os.open(f"{name}", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        os.close(fd)
    code = """
    import resource, sys, time
    from failhook.actions import beneath
    from failhook.actions.clean_choice import Chosen, Everything, Filters, Survey
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    with beneath.opened(sys.argv[1]) as top:
        filters = Filters(below=0, keep_newest=1000)
        survey = Survey(filters, Chosen(filters, time.time()))
        beneath.sweep(top, survey, until=began + 120, dry_run=True)
        tally = beneath.sweep(top, Everything(), until=began + 120)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(tally.removed, after - before, time.monotonic() - began)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(root)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    removed, grown_kib, took_s = map(float, done.stdout.split())
    assert removed == 200_000
    assert list(root.iterdir()) == []
    assert grown_kib < 8192
    assert took_s < 60


# -- with mounts ----------------------------------------------------------------------------------

_MOUNTED = """
import json, os, subprocess, sys, time
from pathlib import Path
from failhook.actions import beneath
from failhook.actions.clean_choice import Everything

root, outside = Path(sys.argv[1]), Path(sys.argv[2])
for kind in ("bind", "file", "tmpfs", "up"):
    (root / kind).mkdir(parents=True)
(root / "plain").touch()
mount = lambda *words: subprocess.run(["mount", *words], check=True)
mount("--bind", str(outside), str(root / "bind"))          # the same file system, the same device
(root / "file/precious").touch()
mount("--bind", str(outside / "d1/file"), str(root / "file/precious"))
mount("-t", "tmpfs", "none", str(root / "tmpfs"))
(root / "tmpfs/precious").touch()
mount("--bind", str(root.parent), str(root / "up"))        # what is above, once more below
with beneath.opened(str(root)) as top:
    tally = beneath.sweep(top, Everything(), until=time.monotonic() + 60)
print(json.dumps({
    "left": tally.left,
    "removed": tally.removed,
    "tmpfs": (root / "tmpfs/precious").exists(),
    "plain": (root / "plain").exists(),
    "file": (root / "file/precious").read_text(),
}))
"""


def _unshare() -> list[str]:
    words = ["unshare", "--mount", "--propagation", "private"]
    return words if os.geteuid() == 0 else [*words, "--map-root-user"]


def test_mounts_are_not_crossed(tmp_path: Path, outside: Path) -> None:
    """A bind mount of the same file system cannot be told by its device."""
    assert shutil.which("unshare"), "util-linux is needed"
    before = _precious(tmp_path)
    done = subprocess.run(
        [*_unshare(), sys.executable, "-c", _MOUNTED, str(tmp_path / "root"), str(outside)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert _precious(tmp_path) == before
    assert found["file"] == "precious"
    assert found["tmpfs"]
    assert not found["plain"]
    assert found["removed"] == 1
    assert found["left"]["another file system or a bind mount"] == 3
    assert found["left"]["Device or resource busy"] >= 1
