# SPDX-License-Identifier: MIT
"""enable, disable, install, uninstall, status, run: what touches systemd, with a fake one.

All of it for a user, whose places follow from $HOME; the system's are the same code.
"""

import json
from pathlib import Path

import pytest

from failhook.changes.keep import Keep
from failhook.setup.dropins import NAME, OURS
from failhook.setup.layout import USER_STARTED, USER_UNITS, WORKERS, Layout, layout
from failhook.spool import Spool
from tests.unit.cli.conftest import CommandLine
from tests.unit.collect.bench import Programs
from tests.unit.samples import spooled

# A block for every unit that is asked for, as systemctl does it.
SHOW = """case "$*" in *missing*) echo LoadState=not-found; exit;; esac
case "$*" in *" -- "*) ;; *) printf "{0}"; exit;; esac
while [ "$1" != -- ]; do shift; done; shift
for unit; do printf "Id=$unit\\n{0}\\n"; done"""
ACTIVE = "LoadState=loaded\\nActiveState=active\\nSubState=running\\n"


@pytest.fixture
def systemd(programs: Programs) -> Programs:
    """A systemd that has every unit but missing.service and obeys."""
    programs.add("systemctl", SHOW.format(ACTIVE))
    programs.add("journalctl", ":")
    return programs


@pytest.fixture
def installed(failhook: CommandLine, systemd: Programs) -> Layout:
    """An installation for the user."""
    assert failhook("install", "--user").code == 0
    systemd.log.unlink()
    return layout(user=True)


def _calls(systemd: Programs) -> list[str]:
    return [call for call in systemd.calls if " show " not in call]


def _tree(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


# -- install --------------------------------------------------------------------------------------


def test_installing(failhook: CommandLine, systemd: Programs) -> None:
    said = failhook("install", "--user")
    target = layout(user=True)
    assert said.code == 0
    assert f"wrote {target.command}" in said.out
    assert target.command.stat().st_mode & 0o777 == 0o755
    for name in USER_UNITS:
        assert (target.units / name).is_file()
    for name in OURS:
        assert (target.units / f"{name}.d" / NAME).is_symlink()
    assert _calls(systemd) == [
        f"systemctl --user enable -q -- {' '.join(USER_STARTED)}",
        "systemctl --user daemon-reload",
        f"systemctl --user restart -- {' '.join(USER_STARTED)}",
    ]
    again = failhook("install", "--user")
    assert f"wrote {target.command}" not in again.out
    assert "wrote" not in again.out


def test_a_dry_run_installs_nothing(failhook: CommandLine, systemd: Programs) -> None:
    said = failhook("install", "--user", "--dry-run")
    assert said.code == 0
    assert "would write" in said.out
    assert not layout(user=True).command.exists()
    assert _calls(systemd) == []


def test_without_a_systemd_it_says_what_is_left_to_do(
    failhook: CommandLine, programs: Programs
) -> None:
    said = failhook("install", "--user")
    assert said.code == 0
    names = " ".join(USER_STARTED)
    assert f"could not enable {names}: systemctl ended with status 1: no" in said.out
    assert programs.calls


def test_uninstalling_leaves_no_trace_but_the_history(
    failhook: CommandLine, systemd: Programs, installed: Layout
) -> None:
    failhook.add()
    failhook("enable", "--user", "--all", "nginx")
    home = installed.command.parents[2]
    assert len(_tree(home)) > 20
    said = failhook("uninstall", "--user", "--dry-run")
    assert "would remove" in said.out
    assert installed.command.exists()
    said = failhook("uninstall", "--user")
    assert said.code == 0
    assert "the history stays in" in said.out
    assert [path for path in home.rglob("*") if not path.is_dir()] == []
    assert failhook("list", "--json").document["incidents"]
    names = " ".join((*USER_STARTED, *WORKERS))
    assert f"systemctl --user disable -q --now -- {names}" in systemd.calls
    assert failhook("uninstall", "--user").out.startswith("nothing of failhook is installed")


# -- enable and disable ---------------------------------------------------------------------------


def test_enabling_units(failhook: CommandLine, systemd: Programs, installed: Layout) -> None:
    said = failhook("enable", "--user", "nginx", "srv.mount")
    assert said.code == 0
    for name in ("nginx.service", "srv.mount"):
        assert f"wrote {installed.drop_ins / f'{name}.d' / NAME}" in said.out
    assert "daemon-reload" in said.out
    assert _calls(systemd) == ["systemctl --user daemon-reload"]
    assert failhook("enable", "--user", "nginx").out == "already so, nothing to change\n"
    assert len(_calls(systemd)) == 1


def test_a_privileged_hook_only_where_it_was_asked_for(
    failhook: CommandLine, installed: Layout
) -> None:
    failhook("enable", "--user", "--all", "nginx")
    texts = [path.read_text() for path in installed.drop_ins.rglob(NAME) if path.is_file()]
    assert not any("+" in text for text in texts)
    failhook("enable", "--user", "--privileged", "nginx")
    assert (
        "ExecStopPost=-+failhook %n" in (installed.drop_ins / "nginx.service.d" / NAME).read_text()
    )


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("units", "code", "words"),
    [
        ((), 2, "which units?"),
        (("missing",), 3, "systemd knows no unit missing.service"),
        (("missing", "nginx"), 1, "systemd knows no unit missing.service"),
        (("failhook.service",), 3, "failhook's own"),
        (("a.slice",), 3, "cannot fail"),
        (("../x.service",), 3, "is not the name of a unit"),
        (("\x1b[31m.service",), 3, "is not the name of a unit"),
        (("x" * 240 + ".mount",), 3, "longer than"),
    ],
)
def test_what_cannot_be_enabled(
    failhook: CommandLine, units: tuple[str, ...], code: int, words: str
) -> None:
    said = failhook("enable", "--user", *units)
    assert said.code == code
    assert words in said.err


def test_enabling_before_installing(failhook: CommandLine, systemd: Programs) -> None:
    said = failhook("enable", "--user", "nginx")
    assert said.code == 2
    assert "failhook install" in said.err
    assert _calls(systemd) == []


def test_a_dry_run_enables_nothing(failhook: CommandLine, installed: Layout) -> None:
    before = _tree(installed.drop_ins.parents[1])
    said = failhook("enable", "--user", "--all", "nginx", "--dry-run")
    assert said.out.count("would write") == 10
    assert _tree(installed.drop_ins.parents[1]) == before


def test_disabling(failhook: CommandLine, installed: Layout) -> None:
    failhook("enable", "--user", "--all", "nginx")
    assert failhook("disable", "--user").code == 2
    assert "would remove" in failhook("disable", "--user", "nginx", "--dry-run").out
    failhook("disable", "--user", "--all")
    assert (installed.drop_ins / "nginx.service.d" / NAME).exists()
    assert not (installed.drop_ins / "service.d").exists()
    failhook("disable", "--user", "nginx")
    assert not (installed.drop_ins / "nginx.service.d").exists()
    assert failhook("disable", "--user", "nginx").out == "already so, nothing to change\n"


def test_a_name_never_leads_out_of_the_directory(failhook: CommandLine, installed: Layout) -> None:
    victim = installed.drop_ins.parent / "victim.service.d" / NAME
    victim.parent.mkdir(parents=True)
    victim.write_text("precious")
    installed.drop_ins.mkdir(parents=True, exist_ok=True)
    assert failhook("disable", "--user", "../victim.service").code == 2
    assert victim.read_text() == "precious"


# -- status ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("installed")
def test_status_of_a_healthy_machine(failhook: CommandLine) -> None:
    failhook("enable", "--user", "nginx")
    for number in range(7):
        failhook.add(number, bundle=None)
    Spool(failhook.where).make()
    (failhook.where.spool / "1.json").write_bytes(spooled())
    said = failhook("status", "--user")
    lines = said.out.splitlines()
    assert lines[0] == "Triggers   ready"
    assert lines[1] == "Hooked     nginx.service"
    assert lines[2].startswith("History    7 incidents, 7 open, ")
    assert "Waiting    1 triggers in the spool" in lines
    assert sum("a.service" in line for line in lines) == 5
    status = failhook("status", "--user", "--json").document["status"]
    assert status["units"] == dict.fromkeys(USER_STARTED, "active")
    assert (status["hooked"], status["waiting"], status["unreadable"]) == (["nginx.service"], 1, 0)
    assert (status["incidents"], status["open"]) == (7, 7)
    assert 0 <= status["free_percent"] <= 100
    assert failhook("--user").out == said.out


def test_status_where_nothing_is(failhook: CommandLine, programs: Programs) -> None:
    said = failhook("status", "--user")
    assert said.code == 0
    assert f"not active: {', '.join(USER_STARTED)} (failhook install)" in said.out
    assert "no unit yet" in said.out
    status = failhook("status", "--user", "--json").document["status"]
    assert (status["incidents"], status["units"]) == (
        0,
        dict.fromkeys(USER_STARTED),
    )
    assert programs.calls


@pytest.mark.usefixtures("installed")
def test_what_was_set_aside_is_said(failhook: CommandLine) -> None:
    spool = Spool(failhook.where)
    spool.make()
    (failhook.where.spool / "1.json").write_text("rubbish")
    spool.read(failhook.where.spool / "1.json")
    failhook.add()
    assert "Unreadable 1 spool files" in failhook("status", "--user").out


# -- run ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("systemd")
def test_collecting_now(failhook: CommandLine) -> None:
    failhook.collect_nothing()
    said = failhook("run", "nginx")
    assert said.code == 0
    assert said.out.startswith("nginx.service is active/running; its evidence was collected")
    assert "  Bundle    " in said.out
    (one,) = failhook("list", "--json").document["incidents"]
    assert (one["unit"], one["state"], one["stage"]) == ("nginx.service", "closed", "done")
    assert failhook("verify", failhook("bundle").out.strip()).code == 0
    document = failhook("run", "nginx.service", "--json").document["incident"]
    assert document["triggers"][0]["kind"] == "manual"
    assert len(failhook("list", "--json").document["incidents"]) == 2


@pytest.mark.usefixtures("systemd")
@pytest.mark.parametrize("name", ["missing", "missing.service", "a b", "../x.service", "\x1b[31m"])
def test_collecting_of_a_unit_that_is_none(failhook: CommandLine, name: str) -> None:
    said = failhook("run", name)
    assert (said.code, said.out) == (3, "")
    assert "systemd knows no unit" in said.err


def test_collecting_of_a_failed_run(failhook: CommandLine, programs: Programs) -> None:
    failhook.collect_nothing()
    run = "0123456789abcdef" * 2
    programs.add(
        "systemctl",
        SHOW.format(
            "LoadState=loaded\\nActiveState=failed\\nSubState=failed\\nResult=exit-code\\n"
            f"InvocationID={run}\\nExecMainPID=7\\nExecMainCode=1\\nExecMainStatus=3\\n"
        ),
    )
    document = failhook("run", "a", "--json").document["incident"]
    assert document["result"] == "exit-code"
    assert json.dumps(document).count(run) == 1
    assert (document["exit_code"], document["exit_status"]) == ("exited", "3")
    assert document["phase"] == "failed"


# -- what is remembered ---------------------------------------------------------------------------

RUNS = (
    "LoadState=loaded\\nActiveState=active\\nResult=success\\n"
    "OnFailure=failhook@web.service.service\\n"
    "ActiveEnterTimestamp=Thu 2026-01-01 00:00:00.000000 UTC\\n"
)


@pytest.mark.parametrize("words", [("web",), ("--all",)])
def test_enabling_remembers_those_that_run_well(
    failhook: CommandLine, systemd: Programs, installed: Layout, words: tuple[str, ...]
) -> None:
    systemd.add("systemctl", f'printf "Id=web.service\\n{RUNS}"')
    assert failhook("enable", "--user", "--dry-run", *words).code == 0
    assert Keep(failhook.where).load("web.service") is None
    assert failhook("enable", "--user", *words).code == 0
    assert Keep(failhook.where).load("web.service") is not None
    assert installed.drop_ins.exists()
