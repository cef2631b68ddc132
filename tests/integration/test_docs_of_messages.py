# SPDX-License-Identifier: MIT
"""docs/messages.md knows every option of what tells people, every format, and its examples work."""

import dataclasses
import json
import re
import tomllib
from pathlib import Path

import pytest

from failhook import testing
from failhook.actions import table
from failhook.deliver import schedule
from failhook.formats import table as formats
from failhook.formats import template
from failhook.message import Event

_TEXT = (Path(__file__).parents[2] / "docs/messages.md").read_text(encoding="utf-8")
_NAMES = ("webhook", "mail", "upload", "apprise")


def _section(name: str) -> str:
    return _TEXT.split(f"\n## {name}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", _NAMES)
def test_every_option_is_documented(name: str) -> None:
    section = _section(name)
    for field in dataclasses.fields(table.load(name).options):
        assert f"`{field.name}`" in section, field.name


def test_every_format_is_documented() -> None:
    for name in formats.NAMES:
        assert f"| `{name}` |" in _section("webhook")


def test_every_event_is_documented() -> None:
    for event in Event:
        assert f"`{event}`" in _TEXT


def test_every_name_of_a_template_is_documented() -> None:
    section = _section("webhook").split("### template")[1].split("### ")[0]
    for name in template.values(testing.message()):
        assert f"`{name}`" in section or name == "message", name


def test_the_schedule_is_the_documented_one() -> None:
    times = re.findall(r"(\d+) (s|min|h)\b", _TEXT.split("tries again after ")[1].split(" (and")[0])
    seconds = [int(number) * {"s": 1, "min": 60, "h": 3600}[unit] for number, unit in times]
    assert [0, *seconds] == list(schedule.SCHEDULE_S)


def test_the_examples_work() -> None:
    found = re.findall(r"```toml\n(.*?)```", _TEXT, re.DOTALL)
    assert len(found) >= 2
    for text in found:
        for raw in tomllib.loads(text)["action"].values():
            action = table.load(raw.pop("type"))
            options, mistakes = table.bind(action, raw)
            assert mistakes == []
            if getattr(options, "template", ""):
                made = template.render(
                    options.template,  # type: ignore[union-attr]
                    "json",
                    template.values(testing.message()),
                )
                assert json.loads(made)["many"] == 1
