# SPDX-License-Identifier: MIT
"""The hook as a process: which modules it loads, what it starts, what the gate lets through.

Nothing here is timed; `tests/bench` reports times.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import failhook
from failhook.setup import layout

PACKAGE = Path(failhook.__file__).parent
# What the hook adds to the modules of a bare `python3 -IS`. Each of them is there already, frozen
# or built in; anything new here is paid for at every failure of every unit.
ALLOWED = {"__future__", "failhook", "failhook.hook", "os", "stat", "posixpath", "genericpath"}
ALLOWED |= {"_collections_abc", "abc", "_abc", "_stat", "_json", "_socket", "time", "os.path"}
ENVIRONMENT = {
    "SERVICE_RESULT": "exit-code",
    "EXIT_CODE": "exited",
    "EXIT_STATUS": "1",
    "INVOCATION_ID": "0123456789abcdef0123456789abcdef",
}


def _library(tmp_path: Path) -> Path:
    """The hook's own little library as `failhook install` writes it."""
    for name, text in layout.library_files(sys.executable).items():
        target = tmp_path / "library" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return tmp_path / "library"


def _run(argv: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    for name in ("spool", "incoming"):
        (tmp_path / "run" / name).mkdir(parents=True)
    return tmp_path / "run" / "spool"


def _hook_script(tmp_path: Path, after: str = "") -> str:
    library = _library(tmp_path)
    return (
        f"import sys; sys.path.append({str(library)!r}); before = set(sys.modules)\n"
        "from failhook import hook; import os\n"
        f"hook.RUN = {str(tmp_path / 'run')!r}\n"
        f"hook.main(os.environ, sys.argv[1:])\n{after}"
    )


def test_hook_loads_exactly_these_modules(tmp_path: Path, spool: Path) -> None:
    script = _hook_script(tmp_path, "print(*sorted(set(sys.modules) - before))\n")
    done = _run([sys.executable, "-IS", "-c", script, "a.service"], ENVIRONMENT)
    assert done.stderr == ""
    assert set(done.stdout.split()) <= ALLOWED
    assert len(list(spool.iterdir())) == 1


def test_hook_starts_no_process_and_touches_no_network(tmp_path: Path, spool: Path) -> None:
    guard = (
        "import sys\n"
        "def audit(event, args):\n"
        "  if event in ('os.fork','os.exec','os.posix_spawn','subprocess.Popen','os.system',"
        "'socket.__new__'):\n"
        "    sys.stderr.write(event)\n"
        "sys.addaudithook(audit)\n"
    )
    argv = [sys.executable, "-IS", "-c", guard + _hook_script(tmp_path), "a.service"]
    done = _run(argv, ENVIRONMENT)
    assert done.stderr == ""
    (record,) = spool.iterdir()
    assert json.loads(record.read_text())["env"] == ENVIRONMENT
    assert record.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("package", ["__init__.py"])
def test_package_imports_nothing(package: str) -> None:
    assert "import" not in (PACKAGE / package).read_text().split('"""')[2]


def _gate(tmp_path: Path, shell: str) -> Path:
    """The gate with a Python that only says that it was reached."""
    python = tmp_path / "python3"
    python.write_text(f'#!{shell}\necho reached "$@"\n')
    python.chmod(0o755)
    (tmp_path / "start.py").write_text("")
    gate = tmp_path / "failhook"
    gate.write_text(layout.gate(str(python), tmp_path))
    gate.chmod(0o755)
    return gate


@pytest.mark.parametrize(
    ("environment", "arguments", "reached"),
    [
        ({"SERVICE_RESULT": "success"}, [], False),
        ({"SERVICE_RESULT": "success"}, ["foo.service"], False),
        ({"SERVICE_RESULT": "success"}, ["--unit", "foo.service"], True),
        ({"SERVICE_RESULT": "exit-code"}, [], True),
        ({"SERVICE_RESULT": "exit-code"}, ["foo.service"], True),
        ({"SERVICE_RESULT": ""}, [], True),
        ({}, [], True),
        ({}, ["list"], True),
        ({"SERVICE_RESULT": "success"}, ["list"], True),
        ({"SERVICE_RESULT": "success"}, ["--wait"], False),
        ({"SERVICE_RESULT": "success"}, ["--wait=5", "foo.service"], False),
        ({"SERVICE_RESULT": "exit-code"}, ["--wait"], True),
    ],
)
def test_gate_lets_only_clean_stops_leave(
    tmp_path: Path, environment: dict[str, str], arguments: list[str], reached: bool
) -> None:
    for shell in ("/bin/sh", "/bin/bash"):
        if shutil.which(shell):
            done = _run([shell, "-p", str(_gate(tmp_path, shell)), *arguments], environment)
            assert done.returncode == 0
            assert done.stdout.startswith("reached") == reached


def test_gate_lets_a_clean_stop_through_while_somebody_waits(tmp_path: Path) -> None:
    (tmp_path / "failhook").mkdir()
    (tmp_path / "failhook" / "open").write_text("a.service\n")
    gate_directory = tmp_path / "gate"
    gate_directory.mkdir()
    environment = {"SERVICE_RESULT": "success", "XDG_RUNTIME_DIR": str(tmp_path)}
    assert "reached" in _run([str(_gate(gate_directory, "/bin/sh"))], environment).stdout


@pytest.mark.parametrize("missing", ["python3", "start.py"])
def test_gate_without_python_never_fails_a_unit(tmp_path: Path, missing: str) -> None:
    gate = _gate(tmp_path, "/bin/sh")
    (tmp_path / missing).unlink()
    for variable in ("SERVICE_RESULT", "MONITOR_SERVICE_RESULT"):
        done = _run([str(gate)], {variable: "exit-code"})
        assert done.returncode == 0
        assert done.stderr.startswith("<3>failhook: ")
    assert _run([str(gate), "list"], {}).returncode == 127


def test_functions_of_the_environment_do_not_reach_the_gate(tmp_path: Path) -> None:
    gate = _gate(tmp_path, "/bin/bash")
    gate.write_text(gate.read_text().replace("#!/bin/sh -p", "#!/bin/bash -p"))
    evil = f"() {{ touch {tmp_path}/ran; }}"
    done = _run([str(gate)], {"SERVICE_RESULT": "exit-code", "BASH_FUNC_[%%": evil})
    assert "reached" in done.stdout
    assert not (tmp_path / "ran").exists()


def test_hook_without_any_way_says_so_and_exits_0(tmp_path: Path) -> None:
    library = _library(tmp_path)
    (tmp_path / "incoming").write_text("")  # no directory, and none can be made in its place
    script = (
        f"import sys, os; sys.path.append({str(library)!r}); from failhook import hook\n"
        f"hook.RUN = {str(tmp_path)!r}\n"
        "sys.exit(0 if hook.main(os.environ, ['a.service']) == '' else 1)"
    )
    done = _run([sys.executable, "-IS", "-c", script], ENVIRONMENT)
    assert done.returncode == 0
    assert done.stderr.startswith("<3>failhook: cannot report: ")


def test_a_hook_survives_a_closed_standard_error(tmp_path: Path) -> None:
    script = _hook_script(tmp_path, "sys.exit(7)\n")
    (tmp_path / "script.py").write_text(script)
    command = f"exec 2>&- 1>&-; exec '{sys.executable}' -IS '{tmp_path}/script.py' a.service"
    (tmp_path / "run").mkdir()  # no spool in it: the hook has something to say
    assert _run(["/bin/sh", "-c", command], ENVIRONMENT).returncode == 7
