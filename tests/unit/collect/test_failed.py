# SPDX-License-Identifier: MIT
"""Units in trouble and jobs."""

from dataclasses import replace

import pytest

from failhook.collect.failed import COLLECTOR
from tests.unit.collect.bench import BASE, DATA, VERSIONS, Programs, context, run


@pytest.mark.parametrize("version", VERSIONS)
def test_units_and_jobs(programs: Programs, version: str) -> None:
    units = DATA / version / "list-units.json"
    jobs = '[{"job":5,"unit":"a.service","type":"start","state":"waiting"}]'
    programs.add(
        "systemctl", f"""case "$*" in *list-jobs*) echo '{jobs}';; *) cat '{units}';; esac"""
    )
    gave = run(COLLECTOR, context())
    assert gave.problems == []
    lines = gave.text("failed/units.txt").splitlines()
    assert lines[0].split() == ["UNIT", "LOAD", "ACTIVE", "SUB", "DESCRIPTION"]
    assert any(line.startswith("talker.service") and "failed" in line for line in lines)
    assert gave.items["failed/units.json"].data == units.read_bytes()
    assert gave.text("failed/jobs.txt").splitlines()[1].split() == [
        "5",
        "a.service",
        "start",
        "waiting",
    ]


def test_nothing_is_queued_and_text_instead_of_json(programs: Programs) -> None:
    programs.add("systemctl", 'case "$*" in *list-jobs*) ;; *) echo "no json";; esac')
    gave = run(COLLECTOR, context(user=True))
    assert gave.text("failed/jobs.txt") == "none\n"
    assert gave.text("failed/units.txt") == "no json\n"
    assert all(call.startswith("systemctl --user list-") for call in programs.calls)


@pytest.mark.usefixtures("programs")
def test_no_systemd_and_an_earlier_boot() -> None:
    assert run(COLLECTOR, context()).problems == ["systemctl ended with status 1: no"] * 2
    assert "earlier boot" in (
        run(COLLECTOR, context(replace(BASE, boot_id="0" * 32))).skipped or ""
    )
