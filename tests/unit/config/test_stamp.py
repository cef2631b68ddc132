# SPDX-License-Identifier: MIT
"""Every change of what a configuration is made of is noticed, and nothing else is."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from failhook.config import load, stamp
from failhook.config.model import Configuration
from failhook.places import Places


@pytest.fixture
def places(tmp_path: Path) -> Places:
    etc = tmp_path / "etc"
    for name in ("conf.d", "causes.d", "plugins"):
        (etc / name).mkdir(parents=True)
    (etc / "failhook.toml").write_text("[keep]\nincidents = 7\n")
    (etc / "conf.d/a.toml").write_text("")
    return Places(tmp_path / "run", tmp_path / "state", (tmp_path / "vendor", etc), user=True)


def _later(path: Path) -> None:
    told = path.stat()
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns + 1))


def _replaced(path: Path) -> None:
    """As an editor does it, with the time of the old one."""
    beside, told = path.with_suffix(".new"), path.stat()
    beside.write_text(path.read_text())
    os.utime(beside, ns=(told.st_atime_ns, told.st_mtime_ns))
    beside.rename(path)


def _of_the_vendor(etc: Path) -> None:
    (etc.parent / "vendor").mkdir()
    (etc.parent / "vendor/failhook.toml").write_text("")


CHANGES: dict[str, Callable[[Path], object]] = {
    "time": lambda etc: _later(etc / "failhook.toml"),
    "another file": lambda etc: _replaced(etc / "failhook.toml"),
    "size": lambda etc: (etc / "conf.d/a.toml").write_text("[keep]\n"),
    "new": lambda etc: (etc / "conf.d/b.toml").write_text(""),
    "gone": lambda etc: (etc / "conf.d/a.toml").unlink(),
    "cause": lambda etc: (etc / "causes.d/c.toml").write_text(""),
    "plugin": lambda etc: (etc / "plugins/p.py").write_text(""),
    "vendor's": _of_the_vendor,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_noticed(places: Places, change: Callable[[Path], object]) -> None:
    configuration = load.load(places)
    assert not stamp.has_changed(places, configuration)
    change(places.configuration[1])
    assert stamp.has_changed(places, configuration)
    assert not stamp.has_changed(places, load.load(places))


def test_what_lies_elsewhere_is_none_of_it(places: Places) -> None:
    configuration = load.load(places)
    (places.configuration[1] / "notes.txt").write_text("x")
    assert not stamp.has_changed(places, configuration)


def test_one_that_was_not_read_from_files_never_changes(places: Places) -> None:
    assert not stamp.has_changed(places, Configuration())
