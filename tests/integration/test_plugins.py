# SPDX-License-Identifier: MIT
"""Plugins as their authors meet them: the examples that are written, the ones in the documentation,
and the package in contrib all pass their own tests, in an interpreter of their own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from failhook import testing
from failhook.actions import journal, variables
from failhook.config.model import Configuration
from failhook.places import Places
from failhook.plugins import find, new

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "contrib" / "plugin-example"
_BLOCK = re.compile(r"<!-- example: (\S+) -->\n```\w+\n(.*?)```\n", re.DOTALL)


def run_tests(directory: Path, *more: str) -> str:
    """Run pytest there; what it said."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *more,
        str(directory),
    ]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("way", new.WAYS)
@pytest.mark.parametrize("kind", new.KINDS)
def test_what_new_writes_passes_its_own_test(tmp_path: Path, kind: str, way: str) -> None:
    command = [sys.executable, "-m", "failhook", "plugins", "new", "my-own"]
    command += ["--kind", kind, "--way", way]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    said = run_tests(tmp_path / "my-own")
    assert " passed" in said
    assert "failed" not in said


def test_the_example_package(tmp_path: Path) -> None:
    copy = tmp_path / "example"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert "12 passed" in run_tests(copy)


def test_the_examples_of_the_documentation(tmp_path: Path) -> None:
    text = (CHECKOUT / "docs" / "plugins.md").read_text(encoding="utf-8")
    examples = dict(_BLOCK.findall(text))
    assert set(examples) == {
        "actions/log-line",
        "collectors/largest-logs",
        "plugins/lamp.py",
        "plugins/raid.py",
        "test_lamp.py",
    }
    etc = tmp_path / "etc"
    for name, content in examples.items():
        path = etc / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.write_text(content.replace("/etc/failhook", str(etc)), encoding="utf-8")
        path.chmod(0o755)
    assert "4 passed" in run_tests(etc)
    files = tuple(sorted((etc / "plugins").glob("*.py")))
    places = Places(tmp_path / "run", tmp_path / "state", (etc,), user=os.geteuid() != 0)
    configuration = Configuration(plugins=files)
    assert find.problems(places, configuration) == []
    names = {one.name for one in find.to_run(places, configuration)}
    assert names == {"largest-logs", "raid"}
    for name in ("log-line", "lamp"):
        assert find.find_action(places, configuration, name) is not None


def test_the_documentation_has_every_variable() -> None:
    text = (CHECKOUT / "docs" / "plugins.md").read_text(encoding="utf-8")
    given = variables.of_request(testing.request(journal.ACTION, {}), bundle=None)
    assert set(re.findall(r"`(FAILHOOK_[A-Z_]+)`", text)) == {*given, "FAILHOOK_OPTION_NAME"}


def test_somebody_elses_plugin_is_refused(tmp_path: Path) -> None:
    """As root only: who else could give a file away?"""
    assert os.geteuid() == 0
    directory = tmp_path / "actions"
    directory.mkdir(mode=0o755)
    path = directory / "lamp"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    places = Places(tmp_path / "run", tmp_path / "state", (tmp_path,))
    assert find.find_action(places, Configuration(), "lamp") is not None
    for one in (path, directory):
        os.chown(one, 65534, -1)
        assert find.find_action(places, Configuration(), "lamp") is None
        (problem,) = find.problems(places, Configuration())
        assert "belongs to uid 65534, not to root: chown root" in problem.message
        os.chown(one, 0, -1)
    link = directory / "linked"
    link.symlink_to(path)
    os.lchown(link, 65534, -1)
    assert find.find_action(places, Configuration(), "linked") is None
