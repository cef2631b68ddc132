# SPDX-License-Identifier: MIT
"""The logbook gets a line, once."""

from pathlib import Path

import pytest
from failhook_example.logbook import ACTION

from failhook import testing


def test_a_line_is_appended_once(tmp_path: Path) -> None:
    file = tmp_path / "failures.txt"
    first = testing.run(ACTION, {"file": str(file)})
    second = testing.run(ACTION, {"file": str(file)}, attempt=2)
    assert first.detail == f"appended to {file}"
    assert second.detail == f"it stands in {file} already"
    (line,) = file.read_text().splitlines()
    assert line.startswith("2025-06-15 15:06:40Z gitea.service failed to start: port 3000")


def test_another_incident_gets_another_line(tmp_path: Path) -> None:
    file = tmp_path / "failures.txt"
    for number in range(2):
        incident = testing.incident(id=f"00000000000{number}", verdict=None)
        assert testing.run(ACTION, {"file": str(file)}, incident=incident).ok
    assert [line[21:41] for line in file.read_text().splitlines()] == ["gitea.service failed"] * 2


def test_long_and_dry(tmp_path: Path) -> None:
    file = tmp_path / "failures.txt"
    outcome = testing.run(ACTION, {"file": str(file), "style": "long"}, dry_run=True)
    assert "move one of the two" in outcome.detail
    assert not file.exists()


def test_a_full_file_is_final_and_a_directory_too(tmp_path: Path) -> None:
    file = tmp_path / "failures.txt"
    full = testing.run(ACTION, {"file": str(file), "limit": "10"})
    assert (full.ok, full.final) == (False, True)
    assert "is full" in full.detail
    assert testing.run(ACTION, {"file": str(tmp_path)}).final


def test_as_failhook_runs_it(tmp_path: Path) -> None:
    report = testing.run_isolated(ACTION, {"file": str(tmp_path / "failures.txt")})
    assert report.outcome.ok
    assert report.outcome.data["bytes"] > 50


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "file is missing"),
        ({"file": "failures.txt"}, "is no absolute path"),
        ({"file": "/var/log/"}, "/var/log/ is a directory"),
        ({"file": "/x", "style": "huge"}, "is none of short, long"),
    ],
)
def test_options(options: dict[str, object], said: str) -> None:
    with pytest.raises(testing.OptionsWrong, match=said):
        testing.request(ACTION, options)
