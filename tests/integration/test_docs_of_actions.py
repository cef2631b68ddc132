# SPDX-License-Identifier: MIT
"""docs/actions.md knows every option of the actions that touch the machine."""

import dataclasses
from pathlib import Path

import pytest

from failhook.actions import journal, table

_TEXT = (Path(__file__).parents[2] / "docs/actions.md").read_text(encoding="utf-8")
_NAMES = (
    *("boot-bad", "clean", "command", "journal", "metrics", "reset-failed", "restart"),
    "set-property",
    *("start", "stop", "wall"),
)


def _names(section: str) -> list[str]:
    """Of the actions that a section is about: "restart, start: is it well afterwards?"."""
    return section.partition("\n")[0].partition(":")[0].split(", ")


@pytest.mark.parametrize("name", _NAMES)
def test_every_option_is_documented(name: str) -> None:
    sections = [one for one in _TEXT.split("\n## ") if name in _names(one)]
    assert sections, f"there is no section on {name}"
    for field in dataclasses.fields(table.load(name).options):
        assert f"`{field.name}`" in "".join(sections), f"{name}: {field.name}"


def test_every_message_id_is_documented() -> None:
    for message_id in (journal.FAILED, journal.GAVE_UP, journal.VICTIM, journal.RECOVERED):
        assert message_id in _TEXT
