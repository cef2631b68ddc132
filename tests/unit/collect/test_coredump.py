# SPDX-License-Identifier: MIT
"""Cores of the run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.collect import coredump
from failhook.collect.coredump import COLLECTOR
from failhook.incident import Incident, Process
from tests.unit.collect.bench import BASE, DATA, VERSIONS, Programs, context, run

PIDS = {"252": 465, "257": 542}
DUMPED = replace(
    BASE, unit="segv.service", result="core-dump", exit_code="dumped", exit_status="SEGV"
)


def _incident(version: str) -> Incident:
    return replace(DUMPED, main=Process(PIDS[version], 1795300300.0, 1795300400.0))


@pytest.fixture
def handled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose cores go to systemd-coredump."""
    pattern = tmp_path / "core_pattern"
    pattern.write_text("|/lib/systemd/systemd-coredump %P %u %g %s %t %c %h\n")
    monkeypatch.setattr(coredump, "_PATTERN", pattern)
    monkeypatch.setattr(coredump, "_LATE_S", 0.5)
    monkeypatch.setattr(coredump, "_AGAIN_S", 0.05)
    return pattern


@pytest.mark.usefixtures("handled")
@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_core(programs: Programs, version: str) -> None:
    programs.add("journalctl", f"cat '{DATA / version / 'coredump.export'}'")
    gave = run(COLLECTOR, context(_incident(version)))
    facts = json.loads(gave.text("coredump/core.json"))
    assert facts["pid"] == str(PIDS[version])
    assert facts["signal_name"] == "SIGSEGV"
    assert facts["exe"] == "/usr/bin/sleep"
    assert facts["filename"].startswith("/var/lib/systemd/coredump/core.sleep.0.")
    assert facts["present"] is False
    assert gave.text("coredump/core.txt").endswith(
        f"Process {PIDS[version]} (sleep) of user 0 dumped core.\n"
    )
    assert b"ENVIRON" not in gave.items["coredump/core.json"].data
    (call,) = programs.calls
    assert f"COREDUMP_UNIT=segv.service _BOOT_ID={BASE.boot_id}" in call


@pytest.mark.usefixtures("handled")
def test_it_may_come_late(programs: Programs, tmp_path: Path) -> None:
    data = DATA / "252" / "coredump.export"
    programs.add(
        "journalctl", f"if [ -e {tmp_path}/second ]; then cat '{data}'; fi; touch {tmp_path}/second"
    )
    assert "coredump/core.txt" in run(COLLECTOR, context(_incident("252"))).items
    assert len(programs.calls) == 2


@pytest.mark.usefixtures("handled")
@pytest.mark.parametrize(
    "fields",
    [
        "COREDUMP_PID=465\n_UID=1000\n_SYSTEMD_UNIT=evil.service",
        "COREDUMP_PID=465\n_UID=1000",
        "COREDUMP_PID=1\n_UID=0\n__REALTIME_TIMESTAMP=5",
    ],
)
def test_forged_or_old_entries_are_no_core(programs: Programs, fields: str) -> None:
    programs.add("journalctl", f"printf '{fields}\\n\\n'")
    gave = run(COLLECTOR, context(_incident("252")))
    assert gave.skipped == "systemd-coredump has no core of this run"


def test_why_there_is_none(programs: Programs, handled: Path) -> None:
    programs.add("journalctl", "exit 0")
    killed = replace(DUMPED, result="signal", exit_code="killed")
    assert "(none was made)" in (run(COLLECTOR, context(killed)).skipped or "")
    handled.write_text("core\n")
    assert run(COLLECTOR, context(DUMPED)).skipped == (
        "cores do not go to systemd-coredump but to 'core'"
    )
    (programs.directory / "coredumpctl").unlink()
    skipped = run(COLLECTOR, context(DUMPED)).skipped or ""
    assert skipped.endswith("; the package systemd-coredump is not installed") == (
        not Path("/usr/bin/coredumpctl").exists()
    )
    assert "no process" in (run(COLLECTOR, context()).skipped or "")
