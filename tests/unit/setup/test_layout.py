# SPDX-License-Identifier: MIT
"""What an installation consists of, where it goes, and who may have a hand in it."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from failhook.setup import layout as module
from failhook.setup.layout import (
    LayoutError,
    gate,
    layout,
    library_files,
    unit_file,
    unit_files,
)

PACKAGE = Path(module.__file__).parents[1]
MAIN = PACKAGE / "__main__.py"


def test_the_systems_places() -> None:
    where = layout(user=False)
    assert str(where.command) == "/usr/local/bin/failhook"
    assert str(where.units) == "/usr/local/lib/systemd/system"
    assert str(where.drop_ins) == "/etc/systemd/system"
    assert not where.user


def test_a_users_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    where = layout(user=True)
    assert str(where.command) == "/home/ann/.local/bin/failhook"
    assert str(where.units) == "/home/ann/.local/share/systemd/user"
    assert str(where.drop_ins) == "/home/ann/.config/systemd/user"
    assert where.tmpfiles is None
    monkeypatch.setenv("XDG_CONFIG_HOME", "/cfg")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert str(layout(user=True).drop_ins) == "/cfg/systemd/user"
    assert str(layout(user=True).units) == "/data/systemd/user"


@pytest.mark.parametrize(
    "name", [*module.SYSTEM_UNITS, "failhook.tmpfiles.conf", "failhook.catalog"]
)
def test_every_unit_came_with_the_package(name: str) -> None:
    assert (unit_files() / name).is_file()


@pytest.mark.parametrize("name", module.USER_UNITS)
def test_every_user_unit_came_with_the_package(name: str) -> None:
    assert (unit_files() / "user" / name).is_file()


@pytest.mark.parametrize("user", [False, True])
def test_the_runner_is_started_without_the_gate(
    user: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "environment_python", lambda: "/opt/failhook/bin/python3.11")
    started = f"ExecStart=/opt/failhook/bin/python3.11 -I {MAIN} runner"
    lines = unit_file("failhook.service", user=user).splitlines()
    assert f"{started} --user" in lines if user else started in lines
    handler = unit_file("failhook@.service", user=user)
    assert handler in (
        (unit_files() / "failhook@.service").read_text(),
        (unit_files() / "user/failhook@.service").read_text(),
    )


def test_the_boot_check_is_started_without_the_gate_and_calls_it_when_it_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "environment_python", lambda: "/opt/failhook/bin/python3")
    lines = unit_file("failhook-boot-check.service", user=False).splitlines()
    assert f"ExecStart=/opt/failhook/bin/python3 -I {MAIN} boot check --at-boot" in lines
    assert "ExecStopPost=-failhook" in lines
    assert "SyslogIdentifier=failhook-boot-check" in lines  # its cause goes by that
    assert "OnFailure=failhook@%n.service" in lines
    assert "RequiredBy=boot-complete.target" in lines
    # Off by default, and never one of those that are started with the rest.
    assert "failhook-boot-check.service" not in module.STARTED


@pytest.mark.parametrize("odd", ["/opt/a b/python", "/opt/100%/python", "/opt/$x/python", '/o"/p'])
def test_a_path_that_systemd_would_read_otherwise_is_left_to_the_search_path(
    odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "environment_python", lambda: odd)
    assert "ExecStart=failhook runner\n" in unit_file("failhook.service", user=False)


def test_what_is_started_exists() -> None:
    assert set(module.STARTED) <= set(module.SYSTEM_UNITS)


def test_the_gate_has_absolute_names_and_asks_nobody() -> None:
    text = gate("/usr/bin/python3", Path("/usr/local/lib/failhook"))
    lines = text.splitlines()
    assert lines[0] == "#!/bin/sh -p"
    assert sum(not line.startswith("#") for line in lines) == 3
    commands = "\n".join(line for line in lines if not line.startswith("#"))
    assert "readlink" not in commands
    assert "$PATH" not in commands
    assert "eval" not in commands
    assert "`" not in commands
    assert '"/usr/bin/python3" -IS "/usr/local/lib/failhook/start.py" "$@"' in commands
    assert subprocess.run(["/bin/sh", "-n"], input=text, text=True, check=False).returncode == 0


def test_the_gates_of_a_wheel_and_of_an_installation_let_the_same_leave() -> None:
    """The first line that is a command is the gate proper; `tests/hotpath` tries it."""

    def proper(text: str) -> str:
        return next(line for line in text.splitlines() if line.startswith("case"))

    wheel = (PACKAGE / "gate.sh").read_text()
    assert proper(wheel) == proper(gate("/usr/bin/python3", Path("/x")))


def test_the_hooks_library_is_the_hook_and_nothing_else() -> None:
    files = library_files("/opt/x/bin/python")
    assert sorted(files) == ["failhook/__init__.py", "failhook/hook.py", "start.py"]
    assert "PYTHON = '/opt/x/bin/python'" in files["start.py"]
    assert '"/usr/bin/python3"' not in files["start.py"]
    for text in files.values():
        ast.parse(text)
    assert files["failhook/hook.py"] == (PACKAGE / "hook.py").read_text()


def test_a_path_with_quotes_cannot_break_out_of_start_py() -> None:
    evil = "/opt/'; import os; os.system('x')  #"
    tree = ast.parse(library_files(evil)["start.py"])
    (value,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PYTHON"
    ]
    assert ast.literal_eval(value) == evil


def test_the_hooks_python_is_one_that_every_service_can_start() -> None:
    python = module.hook_python()
    assert python.startswith("/usr/bin/")
    done = subprocess.run([python, "-IS", "-c", "import _json, _socket"], check=False)
    assert done.returncode == 0


def test_no_python_that_others_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_reachable", lambda _: False)
    with pytest.raises(LayoutError, match="install python3"):
        module.hook_python()


def test_reachable_is_a_matter_of_every_directory_on_the_way(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "open").mkdir(parents=True)
    (closed / "open" / "python").touch(0o755)
    closed.chmod(0o700)
    assert not module._reachable(closed / "open" / "python")
    assert module._reachable(Path("/bin/sh"))
    (tmp_path / "link").symlink_to("/bin/sh")
    assert module._reachable(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="about root's own files")
@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_root_runs_no_code_that_others_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    package = tmp_path / "site" / "failhook"
    package.mkdir(parents=True)
    monkeypatch.setattr(module, "_HERE", package)
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    module.check_ownership()  # /tmp above it is everybody's, but sticky
    package.parent.chmod(mode)
    with pytest.raises(LayoutError, match=r"may be written by others.*/opt/failhook"):
        module.check_ownership()
    package.parent.chmod(0o755)
    os.chown(package, 65534, 65534)
    with pytest.raises(LayoutError, match=str(package)):
        module.check_ownership()


def test_units_that_are_missing_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HERE", tmp_path / "failhook")
    with pytest.raises(LayoutError, match="reinstall"):
        unit_files()
