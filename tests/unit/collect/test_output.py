# SPDX-License-Identifier: MIT
"""Files that a unit's output goes to: which ones, and what of them is text."""

from pathlib import Path

import pytest

from failhook.collect import output
from failhook.systemd.unit import UnitState


def files(tmp_path: Path, shown: dict[str, str], *texts: str) -> dict[str, str]:
    """What is found for a unit that `systemctl show` shows so, with these files."""
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"{number}.conf")
        paths[-1].write_text(f"[Service]\n{text}")
    first, *others = map(str, paths)
    state = UnitState(
        "a@b.service", shown | {"FragmentPath": first, "DropInPaths": " ".join(others)}
    )
    return output.files(state)


@pytest.mark.parametrize("kind", ["file", "append", "truncate"])
def test_the_file_of_the_output_has_the_errors_as_well(tmp_path: Path, kind: str) -> None:
    shown = {"StandardOutput": kind, "StandardError": "inherit"}
    assert files(tmp_path, shown, f"StandardOutput={kind}:/srv/a.log\n") == {
        "/srv/a.log": "StandardOutput"
    }


def test_the_errors_come_first_and_the_last_word_counts(tmp_path: Path) -> None:
    shown = {"StandardOutput": "append", "StandardError": "append"}
    first = "StandardOutput=append:/srv/%p-%i.out\nStandardError=append:/srv/old\n"
    second = "StandardError = append:/srv/%N.err\n"
    assert files(tmp_path, shown, first, second) == {
        "/srv/a@b.err": "StandardError",
        "/srv/a-b.out": "StandardOutput",
    }


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (
            {"StandardOutput": "journal"},
            "StandardOutput=append:/srv/a\n",
        ),  # a later word of another
        ({"StandardOutput": "append"}, "StandardOutput=append:relative\n"),
        ({"StandardOutput": "append"}, "StandardOutput=append:/srv/%q\n"),
        ({"StandardOutput": "file"}, ""),
        ({}, "StandardOutput=append:/srv/a\n"),
    ],
)
def test_none_where_that_is_not_certain(tmp_path: Path, shown: dict[str, str], text: str) -> None:
    assert files(tmp_path, shown, text) == {}


def test_one_file_for_both_and_no_way_up(tmp_path: Path) -> None:
    both = {"StandardOutput": "append", "StandardError": "append"}
    text = "StandardOutput=append:/srv/x/../a.log\nStandardError=append:/srv/a.log\n"
    assert files(tmp_path, both, text) == {"/srv/a.log": "StandardError"}


def test_a_unit_file_that_is_gone_names_nothing() -> None:
    state = UnitState("a.service", {"StandardOutput": "file", "FragmentPath": "/nowhere/a"})
    assert output.files(state) == {}


def test_last_words_behind_an_archive() -> None:
    data = b"\x1f\x8b\x08\x00\xff\n\x00\x00\x01bin\npg_dump: error:\tno such table\n\n"
    assert output.plain_lines(data) == ["pg_dump: error:\tno such table", "", ""]
