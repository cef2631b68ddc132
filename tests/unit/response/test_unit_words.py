# SPDX-License-Identifier: MIT
"""What a unit says for itself in [X-Failhook]."""

from pathlib import Path

import pytest

from failhook.config.model import Step
from failhook.response.unit_words import parse, read
from failhook.systemd.unit import UnitState


def test_rules_steps_and_collectors() -> None:
    text = (
        "[Unit]\nRule=not-ours\n[X-Failhook]\nRule=acme  web\n# Do=1 no\n; Do=1 no\n"
        "Do=1 tell-ops\nDo=2..3 free-cache \\\n gently\nDo=4.. stop\nCollect=app-logs\n"
        "[Service]\nDo=1 no\n"
    )
    words = parse([text])
    assert words.rules == ("acme", "web")
    assert words.collect == ("app-logs",)
    assert words.steps == (
        Step(1, None, ("tell-ops",)),
        Step(2, 3, ("free-cache", "gently")),
        Step(4, None, ("stop",)),
    )
    assert words.problems == ()


def test_without_a_count_it_is_for_every_failure() -> None:
    assert parse(["[X-Failhook]\nDo=tell-ops gently\n"]).steps == (
        Step(1, None, ("tell-ops", "gently")),
    )


def test_an_empty_value_resets_as_in_systemd() -> None:
    first = "[X-Failhook]\nRule=a\nDo=1 x\nCollect=c\n"
    words = parse([first, "[X-Failhook]\nRule=\nRule=b\nDo=\nDo=2 y\nCollect=\n"])
    assert (words.rules, words.collect) == (("b",), ())
    assert words.steps == (Step(2, None, ("y",)),)


@pytest.mark.parametrize("line", ["Do=3..2 x", "Do=1", "Do=1..", "Rules=a", "Wait=1"])
def test_what_says_nothing_is_a_problem(line: str) -> None:
    words = parse([f"[X-Failhook]\n{line}\n"])
    assert words.steps == ()
    assert len(words.problems) == 1
    assert line.partition("=")[0] in words.problems[0]


def test_from_the_units_files(tmp_path: Path) -> None:
    fragment, drop_in = tmp_path / "a.service", tmp_path / "50.conf"
    fragment.write_text("[X-Failhook]\nRule=a\n")
    drop_in.write_text("[X-Failhook]\nRule=b\n")
    shown = {"FragmentPath": str(fragment), "DropInPaths": f"{drop_in} {tmp_path}/gone"}
    assert read(UnitState("a.service", shown)).rules == ("a", "b")
    assert read(UnitState("a.service", {})).rules == ()
