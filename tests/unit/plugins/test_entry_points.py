# SPDX-License-Identifier: MIT
"""Entry points are read as the specification has them, without importlib.metadata."""

import importlib.metadata
import time

import pytest

from failhook.plugins import entry_points
from tests.unit.plugins.conftest import Etc

TEXT = """
[console_scripts]
lamp = lamp.cli:main

[failhook.actions]
lamp = lamp:ACTION
# a comment
other.lamp=lamp.sub:nested.ACTION [extra]
this is no line

[failhook.collectors]
lamps = lamp:COLLECTOR
"""


def test_of_a_group(etc: Etc) -> None:
    file = etc.package("lamp", "", TEXT)
    found = entry_points.of_group("failhook.actions")
    assert [(one.name, one.module, one.attribute) for one in found] == [
        ("lamp", "lamp", "ACTION"),
        ("other.lamp", "lamp.sub", "nested.ACTION"),
    ]
    assert {(one.file, one.package) for one in found} == {(file, "lamp-1.0")}
    assert [one.name for one in entry_points.of_group("failhook.collectors")] == ["lamps"]


def test_the_same_as_importlib_finds(etc: Etc) -> None:
    etc.package("lamp", "", TEXT.replace("this is no line\n", ""))
    theirs = importlib.metadata.entry_points(group="failhook.actions")
    ours = entry_points.of_group("failhook.actions")
    assert {(one.name, f"{one.module}:{one.attribute}") for one in ours} == {
        (one.name, one.value.partition(" ")[0]) for one in theirs
    }


def test_what_is_installed_later_is_found(etc: Etc) -> None:
    assert entry_points.of_group("failhook.actions") == []
    time.sleep(0.01)  # the clock of a file system ticks
    etc.package("lamp", "", TEXT)
    assert len(entry_points.of_group("failhook.actions")) == 2


def test_the_first_on_the_path_counts(etc: Etc, monkeypatch: pytest.MonkeyPatch) -> None:
    etc.package("lamp", "", TEXT)
    second = etc.site.parent / "second" / "old-0.1.egg-info"
    second.mkdir(parents=True)
    (second / "entry_points.txt").write_text("[failhook.actions]\nlamp = old:ACTION\nx = old:X\n")
    path = [str(etc.site), str(second.parent), "", "/no/such/directory", "x\0y"]
    monkeypatch.setattr(entry_points, "search_path", lambda: path)
    found = {one.name: one.module for one in entry_points.of_group("failhook.actions")}
    assert found == {"lamp": "lamp", "other.lamp": "lamp.sub", "x": "old"}
