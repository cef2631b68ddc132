# SPDX-License-Identifier: MIT
"""The man page and the completions know every command and every option."""

import argparse
from pathlib import Path

import pytest

from failhook.cli import VERBS, parser_of
from failhook.setup.layout import document

REMEDY = "run contrib/build-docs"


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", ["man/failhook.1", "completion/failhook.bash"])
def test_every_option_is_documented(name: str, verb: str) -> None:
    text = document(name).replace("\\-", "-")
    assert verb in text, REMEDY
    for action in parser_of(verb)._actions:
        if not isinstance(action, argparse._HelpAction):
            for option in action.option_strings:
                assert option in text, f"{verb} {option}: {REMEDY}"


def test_nothing_of_a_building_machine_is_in_them() -> None:
    for name in ("man/failhook.1", "completion/failhook.bash", "completion/failhook.zsh"):
        assert str(Path(__file__).resolve().parents[2]) not in document(name)
