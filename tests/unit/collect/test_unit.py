# SPDX-License-Identifier: MIT
"""A unit's properties, files and neighbours."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.collect.unit import COLLECTOR
from failhook.collector import Context
from failhook.systemd.unit import UnitState
from tests.unit.collect.bench import BASE, DATA, VERSIONS, Programs, context, run

SHOW = """Type=simple
Id=talker.service
LoadState=loaded
FragmentPath={fragment}
DropInPaths={dropins}
NeedDaemonReload={reload}
Requires=dbus.service nonexist.service
After=talker.service sysinit.target
ExecStart={{ path=/a ; argv[]=/a ; ignore_errors=no ; pid=0 ; code=(null) ; status=0/0 }}
ExecStart={{ path=/b ; argv[]=/b ; ignore_errors=no ; pid=0 ; code=(null) ; status=0/0 }}
"""


def _context(fragment: str = "", dropins: str = "", reload: str = "no") -> tuple[Context, str]:
    text = SHOW.format(fragment=fragment, dropins=dropins, reload=reload)
    state = UnitState.parse("talker.service", text)
    return Context(BASE, state), text


def test_properties_are_not_asked_for_again(programs: Programs, tmp_path: Path) -> None:
    given, text = _context(str(tmp_path / "u"))
    gave = run(COLLECTOR, given)
    assert sorted(gave.text("unit/show.txt").splitlines()) == sorted(text.splitlines())
    assert not any(" cat " in call or "show --no-pager --" in call for call in programs.calls)


@pytest.mark.usefixtures("programs")
def test_files_as_systemctl_cat_has_them(tmp_path: Path) -> None:
    fragment, dropin = tmp_path / "u.service", tmp_path / "x.conf"
    fragment.write_text("[Service]\nExecStart=/a\n")
    dropin.write_text("[Service]\nNice=1\n")
    given, _ = _context(str(fragment), f"{dropin} {tmp_path}/missing.conf", "yes")
    gave = run(COLLECTOR, given)
    assert gave.text("unit/cat.txt") == (
        f"# {fragment}\n[Service]\nExecStart=/a\n\n# {dropin}\n[Service]\nNice=1\n\n"
        f"# {tmp_path}/missing.conf\n# failhook: not readable: No such file or directory\n"
    )
    assert any("NeedDaemonReload" in problem for problem in gave.problems)


@pytest.mark.parametrize("version", VERSIONS)
def test_neighbours_the_sick_first(programs: Programs, version: str) -> None:
    programs.add("systemctl", f"cat '{DATA / version / 'dependencies.show'}'")
    given, _ = _context()
    lines = run(COLLECTOR, given).text("unit/dependencies.txt").splitlines()
    assert lines[0].split() == ["!", "UNIT", "LOAD", "ACTIVE", "SUB", "RESULT", "RELATION"]
    assert [line.split()[:6] for line in lines[1:3]] == [
        ["!", "nonexist.service", "not-found", "inactive", "dead", "success"],
        ["!", "talker.service", "loaded", "failed", "failed", "exit-code"],
    ]
    assert all(not line.startswith("!") for line in lines[3:])
    (asked,) = [call for call in programs.calls if "show" in call]
    assert asked.endswith("-- dbus.service nonexist.service talker.service sysinit.target")


def test_names_that_look_like_options(programs: Programs) -> None:
    programs.add("systemctl", "echo x")
    given = context(replace(BASE, unit="-.mount"))
    gave = run(COLLECTOR, given)
    assert programs.calls == [
        "systemctl show --no-pager -- -.mount",
        "systemctl cat --no-pager -- -.mount",
    ]
    assert gave.text("unit/show.txt") == "x\n"


@pytest.mark.usefixtures("programs")
def test_a_unit_that_is_gone() -> None:
    gone = context(properties={"Id": "talker.service", "LoadState": "not-found"})
    gave = run(COLLECTOR, gone)
    assert set(gave.items) == {"unit/show.txt"}
    assert gave.problems == ["talker.service is not loaded any more: its properties are gone"]


@pytest.mark.usefixtures("programs")
def test_a_unit_that_runs_again() -> None:
    given = context(properties={"LoadState": "loaded", "InvocationID": "b" * 32})
    assert "the unit runs again" in run(COLLECTOR, given).problems[0]


def test_the_user_manager_and_an_earlier_boot(programs: Programs) -> None:
    run(COLLECTOR, context(user=True))
    assert all(call.startswith("systemctl --user ") for call in programs.calls)
    before = len(programs.calls)
    run(COLLECTOR, context(replace(BASE, boot_id="0" * 32)))
    assert [call.split()[1] for call in programs.calls[before:]] == ["cat"]


@pytest.mark.usefixtures("programs")
def test_no_systemd_answers() -> None:
    gave = run(COLLECTOR, context())
    assert all(item.reason == "systemctl ended with status 1: no" for item in gave.items.values())
    given, _ = _context()
    assert "the state of the dependencies is unknown" in run(COLLECTOR, given).problems[-1]


def _entry(message: str, at: int, /, **fields: str) -> str:
    known = {"__REALTIME_TIMESTAMP": str(at), "_PID": "7", "MESSAGE": message} | fields
    return "".join(f"{name}={value}\n" for name, value in known.items()) + "\n"


def test_the_last_lines_of_what_is_needed_and_failed(programs: Programs, tmp_path: Path) -> None:
    """Also of a process that had ended when journald looked, and not of an earlier run."""
    name, run_ = "dbus.service", "c" * 32
    state = (
        f"Id={name}\nLoadState=loaded\nActiveState=failed\nResult=exit-code\nInvocationID={run_}\n"
    )
    programs.add("systemctl", f"printf '{state}'")
    late = {"_SYSTEMD_UNIT": name, "_TRANSPORT": "stdout"}
    entries = [
        _entry("late, of a run before", 1, **late),
        _entry("of a run before", 2, **late, _SYSTEMD_INVOCATION_ID="b" * 32),
        _entry("Starting", 3, INVOCATION_ID=run_, _UID="0"),
        _entry("own", 4, **late, _SYSTEMD_INVOCATION_ID=run_),
        _entry("of nobody's run", 5, **late, INVOCATION_ID="d" * 32),
        _entry("Failed", 6, INVOCATION_ID=run_, _UID="0"),
        _entry("late", 7, **late),
    ]
    (tmp_path / "journal").write_text("".join(reversed(entries)))
    programs.add("journalctl", f"cat '{tmp_path}/journal'")
    given, _ = _context()
    lines = json.loads(run(COLLECTOR, given).text("unit/required.json"))[name]
    assert [json.loads(line)["MESSAGE"] for line in lines] == ["Starting", "own", "Failed", "late"]
    (asked,) = [call for call in programs.calls if call.startswith("journalctl")]
    boot = BASE.boot_id.replace("-", "")
    assert asked.endswith(f"_UID=0 + _SYSTEMD_UNIT={name} _BOOT_ID={boot}")
