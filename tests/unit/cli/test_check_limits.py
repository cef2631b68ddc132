# SPDX-License-Identifier: MIT
"""``failhook check``: a restart that could not be through before its time limit ends it."""

import re
from pathlib import Path

import pytest

from failhook.actions import bring_up, restart, start
from failhook.actions.table import bind
from failhook.cli import check_limits
from failhook.config.model import ActionTable
from tests.unit.cli.conftest import CommandLine


def _tight(raw: dict[str, object], timeout_s: float | None = None) -> list[check_limits.Tight]:
    options, mistakes = bind(restart.ACTION, raw)
    assert mistakes == []
    table = ActionTable("gently", "restart", raw, timeout_s=timeout_s)
    return list(check_limits.tight(table, restart.ACTION, options))


CHECK = {"http": "http://127.0.0.1:1/", "timeout": "10s"}


@pytest.mark.parametrize(
    ("raw", "timeout_s", "always", "said"),
    [
        ({"delay": "40s", "healthy_after": "20s"}, 60.0, True, "63 s are needed"),
        ({"delay": "2min"}, None, True, "is 120 s, and 128 s"),
        ({"healthy_after": "58s"}, 60.0, True, "it would do nothing"),
        ({"delay": "36s", "healthy_after": "20s"}, 60.0, False, "up to 62.6 s"),
        ({"healthy_after": "50s", "check": CHECK}, 60.0, False, "up to 63 s"),
        ({"healthy_after": "50s", "check": CHECK}, 60.0, False, "an answer of its check"),
        ({"delay": "5s", "backoff": 2}, None, False, "until 338 s are needed"),
    ],
)
def test_too_little_time(
    raw: dict[str, object], timeout_s: float | None, always: bool, said: str
) -> None:
    (found,) = _tight(raw, timeout_s)
    assert (found.always, found.mistake.key) == (always, "timeout")
    assert said in found.mistake.message


@pytest.mark.parametrize(
    ("raw", "timeout_s"),
    [
        ({}, None),
        ({"delay": "35s", "jitter": "0%", "healthy_after": "22s"}, 60.0),
        ({"healthy_after": "47s", "check": CHECK}, 60.0),
        ({"delay": "5s", "backoff": 2, "max_delay": "1min"}, None),
        ({"delay": "0s", "backoff": 2}, None),
        ({"delay": "90s", "max_delay": "10s"}, None),
    ],
)
def test_just_enough(raw: dict[str, object], timeout_s: float | None) -> None:
    assert _tight(raw, timeout_s) == []


@pytest.mark.parametrize(
    ("raw", "timeout_s"),
    [
        ({"delay": "40s", "healthy_after": "20s"}, 60.0),
        ({"healthy_after": "50s", "check": CHECK}, 60.0),
        ({"delay": "5s", "backoff": 2}, 120.0),
    ],
)
def test_what_it_proposes_is_enough(raw: dict[str, object], timeout_s: float) -> None:
    (found,) = _tight(raw, timeout_s)
    proposed = dict(re.findall(r'(\w+) = "(\d+)s"', found.mistake.hint))
    assert _tight(raw, float(proposed["timeout"])) == []
    if "max_delay" in proposed:
        assert _tight({**raw, "max_delay": f"{proposed['max_delay']}s"}, timeout_s) == []
        further = {**raw, "max_delay": f"{int(proposed['max_delay']) + 1}s"}
        assert len(_tight(further, timeout_s)) == 1


def test_it_agrees_with_what_the_action_does() -> None:
    """The delay that it reckons with is the longest that there can be."""
    options = bring_up.Options(delay=5.0, backoff=3.0, max_delay=60.0)
    assert bring_up.longest_delay(options) == 60.0
    assert bring_up.longest_delay(bring_up.Options(delay=90.0, backoff=3.0, max_delay=60.0)) == 90.0
    assert bring_up.longest_delay(bring_up.Options(delay=5.0)) == 5.0


def test_start_waits_as_well_and_others_do_not() -> None:
    options, _ = bind(start.ACTION, {"delay": "2min"})
    table = ActionTable("x", "start")
    assert len(list(check_limits.tight(table, start.ACTION, options))) == 1
    assert list(check_limits.tight(table, start.ACTION, object())) == []


NEVER = """[action.never]
type = "restart"
delay = "50s"
healthy_after = "20s"
timeout = "1min"
"""
PERHAPS = """[action.perhaps]
type = "restart"
delay = "5s"
backoff = 2
"""


def test_it_is_said_with_file_line_and_remedy(failhook: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(NEVER + PERHAPS)
    said = failhook("check", str(path))
    assert said.code == 2
    never, perhaps = said.out.splitlines()
    assert never.startswith(f"{path}:5: action.never.timeout: is 60 s, and 73 s are needed")
    assert never.endswith('(timeout = "79s" is enough)')
    assert perhaps.startswith(f"warning: {path}:6: action.perhaps.timeout: is 120 s: backoff")
    document = failhook("check", str(path), "--json").document["check"]
    assert [one["line"] for one in document["problems"]] == [5]
    assert [one["line"] for one in document["warnings"]] == [6]


def test_a_warning_is_no_mistake(failhook: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(PERHAPS)
    said = failhook("check", str(path))
    assert said.code == 0
    assert said.out.splitlines()[0] == "no mistake in 1 file: 0 rules, 1 action"
    assert said.out.splitlines()[1].startswith("warning: ")
