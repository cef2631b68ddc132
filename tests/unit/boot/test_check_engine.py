# SPDX-License-Identifier: MIT
"""All checks together: green or red, with what was wanted, within the deadline, and kept."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.boot.check import engine, report
from failhook.boot.check.engine import Machine
from failhook.boot.check.probe import Found, Probe
from failhook.boot.check.report import Check, Report
from failhook.config.model import Amount, Boot, BootChecks, Configuration, DiskCheck, Problem
from failhook.places import Places
from tests.unit.collect.bench import Programs
from tests.unit.script import MakeScript, maker


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def make(where: Places) -> MakeScript:
    """Writes a script beside the configuration: ``required.d/a``."""
    return maker(where.configuration[0] / "boot")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One with nothing of greenboot."""
    return Machine(tmp_path / "root", frozenset({0, os.geteuid()}))


def _run(where: Places, machine: Machine, boot: Boot | None = None) -> Report:
    return engine.run(where, Configuration(boot=boot or Boot()), machine)


def test_nothing_to_check_is_green(where: Places, machine: Machine) -> None:
    found = _run(where, machine)
    assert found.green
    assert found.checks == ()
    assert found.summary == "the boot check is green: nothing is required"


def test_everything_is_well(where: Places, machine: Machine, make: MakeScript) -> None:
    make("required.d/a")
    make("wanted.d/b")
    found = _run(where, machine)
    assert found.green
    assert [(one.name, one.required, one.ok) for one in found.checks] == [
        ("a", True, True),
        ("b", False, True),
    ]
    assert found.summary == "the boot check is green: 1 required check passed"


def test_the_first_that_failed_is_the_reason_and_all_are_made(
    where: Places, machine: Machine, make: MakeScript
) -> None:
    make("required.d/10-a", "echo 'no disk'; exit 1")
    make("required.d/20-b", "exit 2")
    make("required.d/30-c")
    found = _run(where, machine)
    assert not found.green
    assert [one.ok for one in found.checks] == [False, False, True]
    assert found.summary == (
        "the boot check is red: 10-a ended with status 1: no disk; 2 of 3 required checks failed"
    )
    assert found.checks[0].output == "no disk"


def test_what_is_wanted_does_not_make_it_red(
    where: Places, machine: Machine, make: MakeScript
) -> None:
    make("wanted.d/b", "exit 1")
    boot = Boot(wanted=BootChecks(disk=(DiskCheck("/nowhere", Amount(count=1)),)))
    found = _run(where, machine, boot)
    assert found.green
    assert [one.kind for one in found.complaints] == ["disk", "script"]
    assert found.summary == ("the boot check is green: nothing is required, 2 wanted checks failed")


def test_units_and_scripts_of_the_configuration(
    where: Places, machine: Machine, make: MakeScript, programs: Programs
) -> None:
    programs.add("systemctl", "printf 'Id=a.service\\nLoadState=loaded\\nActiveState=inactive\\n'")
    make("required.d/a")
    boot = Boot(BootChecks(active=("a.service",)))
    found = _run(where, machine, boot)
    assert [(one.kind, one.ok) for one in found.checks] == [("active", False), ("script", True)]
    assert found.summary.startswith("the boot check is red: a.service is inactive; 1 of 2 ")


def test_what_is_required_comes_first(where: Places, machine: Machine, make: MakeScript) -> None:
    make("required.d/b")
    boot = Boot(wanted=BootChecks(disk=(DiskCheck("/", Amount(count=1)),)))
    planned = engine.plan(where, Configuration(boot=boot), machine)
    assert [one.name for one in planned.probes] == ["b", "/"]


def test_each_check_has_its_own_limit(where: Places, machine: Machine, make: MakeScript) -> None:
    make("required.d/quick", "exec sleep 60")
    make("required.d/slow", "sleep 0.4")
    boot = Boot(timeout_s=0.2, timeouts=(("slow", 20.0), ("typo", 1.0)))
    found = _run(where, machine, boot)
    assert [(one.name, one.ok) for one in found.checks] == [("quick", False), ("slow", True)]
    assert found.checks[0].detail == "quick did not finish within 0.2 s"
    assert found.notes == ("[boot] timeouts names 'typo', and there is no such check",)


def test_the_deadline_of_all(where: Places, machine: Machine, make: MakeScript) -> None:
    make("required.d/a", "exec sleep 60")
    make("required.d/b")
    began = time.monotonic()
    found = _run(where, machine, Boot(deadline_s=0.3))
    assert time.monotonic() - began < 20
    assert [one.ok for one in found.checks] == [False, False]
    assert found.checks[1].detail == "b was not looked at: all checks together took 0.3 s"


def test_one_that_raises_costs_itself_alone(
    where: Places, machine: Machine, make: MakeScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("required.d/b")
    planned = engine.plan(where, Configuration(), machine)

    def broken(_: float) -> Found:
        raise RuntimeError("a defect")

    probes = (Probe("x", "disk", "x", broken), *planned.probes)
    monkeypatch.setattr(engine, "plan", lambda *_: replace(planned, probes=probes))
    found = _run(where, machine)
    assert [one.ok for one in found.checks] == [False, True]
    assert found.checks[0].detail == "x could not be checked: RuntimeError: a defect"


def test_a_configuration_that_cannot_be_read_is_said_and_not_red(
    where: Places, machine: Machine
) -> None:
    path = where.configuration[0] / "failhook.toml"
    problems = (
        Problem(path, 3, "boot.activ", "is not known"),
        Problem(path, 1, "", "no TOML", "fix the syntax"),
        Problem(path, 9, "action.x", "is not of the boot"),
        Problem(path.with_name("x.py"), None, "", "a plugin's"),
    )
    found = engine.run(where, Configuration(problems=problems), machine)
    assert found.green
    assert [one.detail for one in found.complaints] == [str(one) for one in problems[:2]]


def test_secrets_and_steering_are_not_kept(
    where: Places, machine: Machine, make: MakeScript
) -> None:
    body = "printf 'password=hunter2hunter2 \\033[31m\\n'; exit 1"
    make("required.d/a", body)
    found = _run(where, machine)
    text = json.dumps(found.to_json())
    assert "hunter2" not in text
    assert "\\u001b" not in text
    assert "\\\\x1b[31m" in text


def test_what_was_left_over_of_the_planned_is_told_as_it_goes(
    where: Places, machine: Machine, make: MakeScript
) -> None:
    make("required.d/a")
    make("wanted.d/b")
    told: list[str] = []
    engine.run(where, Configuration(), machine, progress=told.append)
    assert told == ["a", "b"]


# -- afterwards -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "kind"), [(0, "green.d"), (1, "red.d")])
def test_what_follows(
    where: Places, machine: Machine, make: MakeScript, tmp_path: Path, status: int, kind: str
) -> None:
    make("required.d/a", f"exit {status}")
    for one in ("green.d", "red.d"):
        make(f"{one}/x", f"echo {one} >>{tmp_path}/ran; exit 3")
    configuration = Configuration()
    before = engine.run(where, configuration, machine)
    assert not (tmp_path / "ran").exists()
    found = engine.follow(before, where, configuration, machine)
    assert (tmp_path / "ran").read_text() == f"{kind}\n"
    assert [one.detail for one in found.procedures] == ["x ended with status 3"]
    assert found.green == (status == 0)


# -- the report -----------------------------------------------------------------------------------

REPORT = Report(
    1795301107.25,
    "0" * 32,
    (
        Check("db.service", "active", True, False, "db.service is failed", 12),
        Check("a", "script", False, False, "a ended with status 1", 3, "one\ntwo"),
    ),
    took_ms=15,
    notes=("a note",),
    procedures=(Check("r", "script", True, False, "r ended with status 1", 1),),
)


def test_it_is_kept_and_read_again(where: Places) -> None:
    assert report.last(where) is None
    report.save(REPORT, where)
    assert report.last(where) == REPORT
    assert report.path_of(where).stat().st_mode & 0o777 == 0o600
    document = json.loads(report.path_of(where).read_text())
    assert document["schema"] == 1
    assert document["boot_check"]["state"] == "red"
    assert document["boot_check"]["at"] == "2026-11-21T22:45:07.250000Z"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"boot_check": {"at": 1}}', "\x00"])
def test_a_damaged_one_is_said(where: Places, text: str) -> None:
    where.run.mkdir()
    report.path_of(where).write_text(text)
    with pytest.raises(ValueError):
        report.last(where)


def test_its_lines_for_the_journal_the_verdict_last() -> None:
    assert list(REPORT.journal_lines()) == [
        "<5>a note",
        "<3>required check failed: db.service is failed (12 ms)",
        "<5>| a: one",
        "<5>| a: two",
        "<4>wanted check failed: a ended with status 1 (3 ms)",
        "<4>r ended with status 1 (1 ms)",
        "<3>the boot check is red: db.service is failed; 1 of 1 required check failed",
    ]
