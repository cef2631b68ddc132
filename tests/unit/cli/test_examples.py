# SPDX-License-Identifier: MIT
"""The examples are read as a user's configuration would be, and leave nothing out."""

import re
import tomllib
from pathlib import Path

import pytest

from failhook.actions import table
from failhook.actions.schema import options_of
from failhook.config import boot, load, rules
from tests.unit.cli.conftest import CommandLine
from tests.unit.collect.bench import Programs

EXAMPLES = Path(__file__).parents[3] / "contrib/examples"
FILES = sorted(EXAMPLES.glob("*.toml"))
EVERYTHING = (EXAMPLES / "everything.toml").read_text()


def test_there_are_some() -> None:
    assert len(FILES) >= 3


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_an_example_has_no_mistake(failhook: CommandLine, path: Path) -> None:
    said = failhook("check", str(path))
    assert (said.code, said.out.startswith("no mistake in 1 file: ")) == (0, True), said.out
    assert "warning: " not in said.out


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_action_of_an_example_is_used(path: Path) -> None:
    raw = tomllib.loads(path.read_text())
    used = {name for rule in raw["rule"] for step in rule["step"] for name in step["do"]}
    assert used == raw["action"].keys()


def _said(key: str) -> bool:
    """In force, or commented out because it excludes another."""
    return re.search(rf"(?:^|[\s{{#]){re.escape(key)} = ", EVERYTHING, re.MULTILINE) is not None


@pytest.mark.parametrize("name", sorted(table.BUILT_IN))
def test_everything_shows_every_option_of_every_action(name: str) -> None:
    assert f'type = "{name}"' in EVERYTHING
    missing = [one.name for one in options_of(table.load(name)) if not _said(one.name)]
    assert missing == []


def test_everything_shows_every_key_of_every_table() -> None:
    of_files = [load.COLLECT, load.KEEP, load.COLLECTOR]
    of_files += [boot.SETTINGS, boot.UNITS, boot.DISK, boot.NETWORK, boot.HTTP]
    tables = [*of_files, rules.ACTION, rules.RULE, rules.STEP, rules.LIMITS, rules.QUIET]
    keys = [*boot.TABLES, *(key for one in tables for key in one)]
    assert [key for key in keys if not _said(key)] == []
    assert "\n[boot.wanted]" in EVERYTHING


def test_the_ladder_of_an_example_is_explained(failhook: CommandLine, programs: Programs) -> None:
    programs.add("systemctl", "echo LoadState=loaded")
    path = str(EXAMPLES / "restart-ladder.toml")
    said = failhook("check", path, "--explain", "web-1.service", "--times", "3")
    first, second, third = said.out.split(" failure\n")[1:]
    assert "do        gently (restart)" in first
    assert "do        gently (restart)" in second
    assert "do        page (webhook opened)" in third
    assert "do        hands-off (stop)" in third
