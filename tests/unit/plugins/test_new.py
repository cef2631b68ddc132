# SPDX-License-Identifier: MIT
"""The examples are whole: no word is left open, and what they promise is found."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from failhook.action import Action
from failhook.collector import Collector
from failhook.plugins import find, new
from tests.unit.plugins.conftest import Etc

EVERY = [(kind, way) for kind in new.KINDS for way in new.WAYS]


@pytest.mark.parametrize(("kind", "way"), EVERY)
def test_no_word_is_left_open(kind: str, way: str) -> None:
    for one in new.example("my-lamp", kind, way):
        assert not re.search(r"@[A-Z]+@", one.content), one.path
        assert "my-lamp" in one.content
        if one.path.endswith(".py"):
            assert ast.get_docstring(ast.parse(one.content))
        if one.path.endswith(".toml"):
            tomllib.loads(one.content)


@pytest.mark.parametrize(("kind", "way"), EVERY)
def test_it_is_found_where_it_is_installed(etc: Etc, tmp_path: Path, kind: str, way: str) -> None:
    written = tmp_path / "written"
    new.write(written, new.example("my-lamp", kind, way))
    if way == "executable":
        content = (written / "my-lamp").read_text()
        etc.script(f"{kind}s/my-lamp", content.removeprefix("#!/bin/sh\n"))
    elif way == "file":
        etc.python("my_lamp.py", (written / "my_lamp.py").read_text())
    else:
        project = tomllib.loads((written / "pyproject.toml").read_text())["project"]
        (group,) = project["entry-points"]
        ((name, value),) = project["entry-points"][group].items()
        code = (written / "src" / "failhook_my_lamp" / "__init__.py").read_text()
        etc.package("failhook_my_lamp", code, f"[{group}]\n{name} = {value}\n")
    if kind == "action":
        action = find.find_action(etc.places, etc.configuration, "my-lamp")
        assert isinstance(action, Action)
        assert action.summary.lower() == "appends a line about the failure to a file"
    else:
        (collector,) = find.to_run(etc.places, etc.configuration)
        assert isinstance(collector, Collector)
        assert collector.name == "my-lamp"
    assert find.problems(etc.places, etc.configuration) == []


def test_modes(tmp_path: Path) -> None:
    new.write(tmp_path / "x", new.example("lamp", "action", "executable"))
    assert (tmp_path / "x" / "lamp").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "x" / "test_lamp.py").stat().st_mode & 0o777 == 0o644
