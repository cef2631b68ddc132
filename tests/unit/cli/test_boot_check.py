# SPDX-License-Identifier: MIT
"""``failhook boot check``, ``enable`` and ``disable`` as a person and as the unit calls them."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from failhook.boot.check import engine, report
from failhook.boot.check.engine import Machine
from failhook.cli import boot_check, boot_enable, terminal
from failhook.cli.errors import UsageError
from failhook.hook import BOOT_CHECK
from failhook.places import Places
from failhook.setup.layout import Layout, layout
from failhook.store.incidents import NotFound
from tests.unit.cli.conftest import CommandLine, Said, steering
from tests.unit.collect.bench import Programs
from tests.unit.script import MakeScript, maker

Call = Callable[..., Said]


@pytest.fixture
def call(
    failhook: CommandLine, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Call]:
    """Calls a module of the verb ``boot`` with words."""
    machine = Machine(failhook.where.run.parent / "root", frozenset({0, os.geteuid()}))
    monkeypatch.setattr(engine, "Machine", lambda: machine)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    before = os.umask(0o022)

    def call(module: ModuleType, *words: str, function: str = "run") -> Said:
        parser = argparse.ArgumentParser()
        module.arguments(parser)
        capfd.readouterr()
        code = getattr(module, function)(parser.parse_args(words))
        out, err = capfd.readouterr()
        assert steering(out) == []
        assert steering(err) == []
        return Said(code, out, err)

    yield call
    os.umask(before)


@pytest.fixture
def make(where: Places) -> MakeScript:
    """Writes a script beside the configuration."""
    return maker(where.configuration[0] / "boot")


# -- check ----------------------------------------------------------------------------------------


def test_green_leads(call: Call, make: MakeScript, where: Places) -> None:
    make("required.d/10-a")
    said = call(boot_check)
    assert said.code == 0
    assert said.out.startswith("GREEN  1 required check passed\n")
    assert "10-a" in said.out
    assert report.last(where) is None  # a person's look is not the boot's


def test_red_leads_and_the_worst_stands_first(call: Call, make: MakeScript) -> None:
    make("required.d/10-a")
    make("required.d/20-b", "echo 'no\033 database'; exit 3")
    make("wanted.d/30-c", "exit 1")
    make("red.d/r", "exit 9")
    said = call(boot_check)
    assert said.code == 1
    lines = said.out.splitlines()
    assert lines[0].startswith("RED  20-b ended with status 3: no\\x1b database; 1 of 2 required")
    rows = [line.split()[:3] for line in lines[4:7]]
    assert rows == [
        ["20-b", "required", "failed"],
        ["30-c", "wanted", "failed"],
        ["10-a", "required", "ok"],
    ]
    assert "20-b said:\n  no\\x1b database" in said.out
    assert "status 9" not in said.out  # red.d is the unit's


def test_a_terminal_is_told_where_it_is_after_a_second(
    call: Call, make: MakeScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    make("required.d/slow\033", "sleep 2")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    told: list[str] = []
    monkeypatch.setattr(terminal.Progress, "step", lambda _, text: told.append(text))
    assert call(boot_check).code == 0
    assert told
    assert set(told) == {"slow\033"}  # `Progress` shows it so that it steers nothing


def test_as_json(call: Call, make: MakeScript) -> None:
    make("required.d/a", "exit 1")
    document = call(boot_check, "--json").document
    found: dict[str, Any] = document["boot_check"]
    assert found["state"] == "red"
    assert [one["name"] for one in found["checks"]] == ["a"]


def test_a_dry_run_runs_nothing(
    call: Call, make: MakeScript, where: Places, programs: Programs
) -> None:
    made = make("required.d/a", f"touch {where.run.parent}/ran")
    said = call(boot_check, "--dry-run")
    assert said.code == 0
    assert str(made) in said.out
    assert "up to 30 s" in said.out
    assert not (where.run.parent / "ran").exists()
    assert programs.calls == []
    document = call(boot_check, "--dry-run", "--json").document
    assert document["boot_check"]["checks"][-1]["name"] == "a"


def test_a_dry_run_of_nothing(call: Call) -> None:
    assert call(boot_check, "--dry-run").out.startswith("nothing would be checked")


def test_at_boot_it_is_kept_and_followed(call: Call, make: MakeScript, where: Places) -> None:
    make("required.d/a", "echo one; exit 1")
    make("red.d/r", f"cp {where.run}/{report.NAME} {where.run.parent}/seen")
    make("green.d/g", f"touch {where.run.parent}/green")
    said = call(boot_check, "--at-boot")
    assert said.code == 1
    assert said.out == ""
    lines = said.err.splitlines()
    assert lines[0] == "<5>| a: one"
    assert lines[-1].startswith("<3>the boot check is red: a ended with status 1: one; 1 of 1 ")
    seen = json.loads((where.run.parent / "seen").read_text())
    assert seen["boot_check"]["state"] == "red"  # red.d can look at it
    kept = report.last(where)
    assert kept is not None
    assert [one.name for one in kept.procedures] == ["r"]
    assert not (where.run.parent / "green").exists()


def test_the_last_one(call: Call, make: MakeScript) -> None:
    with pytest.raises(NotFound, match="failhook boot enable"):
        call(boot_check, "--last")
    path = make("required.d/a", "exit 1")
    call(boot_check, "--at-boot")
    path.unlink()
    said = call(boot_check, "--last")
    assert (said.code, said.out.splitlines()[0][:4]) == (1, "RED ")
    assert call(boot_check, "--last", "--json").document["boot_check"]["state"] == "red"


def test_a_damaged_report_is_said(call: Call, where: Places) -> None:
    where.run.mkdir()
    report.path_of(where).write_text("{}")
    with pytest.raises(UsageError, match="no report of a boot check"):
        call(boot_check, "--last")


def test_a_run_directory_that_cannot_be_written_changes_no_verdict(
    call: Call, where: Places
) -> None:
    where.run.write_text("no directory")
    said = call(boot_check, "--at-boot")
    assert said.code == 0
    assert "<4>the report cannot be kept" in said.err


def test_status_has_a_line_of_it(
    call: Call, make: MakeScript, failhook: CommandLine, programs: Programs
) -> None:
    assert "Boot check" not in failhook("status").out
    assert failhook("status", "--json").document["status"]["boot_check"] is None
    make("required.d/a", "exit 1")
    call(boot_check, "--at-boot")
    said = failhook("status")
    (line,) = [line for line in said.out.splitlines() if line.startswith("Boot check")]
    assert line.startswith("Boot check red at ")
    assert "a ended with status 1; 1 of 1 required check failed" in line
    assert failhook("status", "--json").document["status"]["boot_check"]["state"] == "red"


@pytest.mark.parametrize("module", [boot_check, boot_enable])
def test_not_for_a_user(module: ModuleType) -> None:
    options = argparse.Namespace(user=True, dry_run=True, last=False, json=False, at_boot=False)
    with pytest.raises(UsageError, match="without --user"):
        module.run(options)


def test_as_a_verb_of_failhook_boot(
    call: Call, make: MakeScript, failhook: CommandLine, where: Places
) -> None:
    make("required.d/a", "exit 1")
    said = failhook("boot", "check")
    assert (said.code, said.out[:4]) == (1, "RED ")
    assert failhook("boot", "check", "--user").code == 2
    assert failhook("boot", "check", "--last").code == 3
    assert failhook("boot", "check", "--last", "--dry-run").code == 2


# -- enable, disable ------------------------------------------------------------------------------


@pytest.fixture
def installed(
    where: Places, programs: Programs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Layout:
    """An installation whose systemctl remembers whether the unit is enabled."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = layout(user=True)
    monkeypatch.setattr(boot_enable, "layout", lambda *, user: found)
    found.units.mkdir(parents=True)
    (found.units / BOOT_CHECK).write_text("[Service]\n")
    flag = tmp_path / "enabled"
    programs.add(
        "systemctl",
        f'case "$1" in enable) : >"{flag}";; disable) rm "{flag}";;\n'
        f'is-enabled) [ -e "{flag}" ] && echo enabled || {{ echo disabled; exit 1; }};; esac',
    )
    return found


def _calls(programs: Programs) -> list[str]:
    return [one for one in programs.calls if "is-enabled" not in one]


def test_enabling(call: Call, installed: Layout, where: Places, programs: Programs) -> None:
    said = call(boot_enable)
    assert said.code == 0
    assert f"enabled {BOOT_CHECK}" in said.out
    assert _calls(programs) == [f"systemctl enable -q -- {BOOT_CHECK}"]
    made = sorted(path.name for path in (where.configuration[0] / "boot").iterdir())
    assert made == ["green.d", "red.d", "required.d", "wanted.d"]
    again = call(boot_enable)
    assert again.out.startswith("already so, nothing to change")
    assert len(_calls(programs)) == 1


def test_a_dry_run_enables_nothing(
    call: Call, installed: Layout, where: Places, programs: Programs
) -> None:
    said = call(boot_enable, "--dry-run")
    assert f"would enable {BOOT_CHECK}" in said.out
    assert _calls(programs) == []
    assert not (where.configuration[0] / "boot").exists()


def test_disabling_leaves_nothing(
    call: Call, installed: Layout, where: Places, programs: Programs
) -> None:
    call(boot_enable)
    dry = call(boot_enable, "--dry-run", function="disable")
    assert f"would disable {BOOT_CHECK}" in dry.out
    assert (where.configuration[0] / "boot").exists()
    said = call(boot_enable, function="disable")
    assert f"disabled {BOOT_CHECK}" in said.out
    assert not (where.configuration[0] / "boot").exists()
    assert f"systemctl reset-failed -- {BOOT_CHECK}" in _calls(programs)
    again = call(boot_enable, function="disable")
    assert again.out == "already so, nothing to change\n"


def test_disabling_leaves_the_scripts(
    call: Call, installed: Layout, make: MakeScript, where: Places
) -> None:
    script = make("required.d/a")
    call(boot_enable)
    call(boot_enable, function="disable")
    assert script.exists()
    left = [path.name for path in (where.configuration[0] / "boot").iterdir()]
    assert left == ["required.d"]


def test_a_systemctl_that_refuses(call: Call, installed: Layout, programs: Programs) -> None:
    programs.add("systemctl", "echo 'Access denied' >&2; exit 1")
    with pytest.raises(OSError, match="Access denied"):
        call(boot_enable)


def test_without_an_installation(call: Call, installed: Layout) -> None:
    (installed.units / BOOT_CHECK).unlink()
    with pytest.raises(UsageError, match="failhook install"):
        call(boot_enable)


def test_only_root_may(call: Call, installed: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    with pytest.raises(PermissionError):
        call(boot_enable)
    assert call(boot_enable, "--dry-run").code == 0
