# SPDX-License-Identifier: MIT
"""The table that plans go by says the same as the actions themselves."""

import dataclasses
import importlib.util

import pytest

from failhook.actions import table
from failhook.values import Kind

_MINE = [
    *("clean", "command", "journal", "metrics", "reset-failed", "restart", "set-property"),
    *("start", "stop", "wall"),
]


@pytest.mark.parametrize("name", list(table.BUILT_IN))
def test_an_action_is_what_the_table_says(name: str) -> None:
    action = table.load(name)
    traits = table.BUILT_IN[name]
    assert action.name == name
    assert (action.delivers, action.counts_as) == (traits.delivers, traits.counts_as)
    assert action.summary
    assert action.timeout_s > 0
    for field in dataclasses.fields(action.options):
        assert isinstance(field.metadata["kind"], Kind), field.name
        assert field.metadata["summary"], field.name


def test_what_may_be_done_twice() -> None:
    repeatable = {name for name in _MINE if table.load(name).repeatable}
    assert repeatable == {"clean", "journal", "metrics", "reset-failed"}


def test_every_action_has_its_module() -> None:
    for name in table.BUILT_IN:
        assert importlib.util.find_spec(f"failhook.actions.{name.replace('-', '_')}"), name
    with pytest.raises(KeyError):
        table.load("os")
