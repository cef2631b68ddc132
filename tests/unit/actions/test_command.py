# SPDX-License-Identifier: MIT
"""A program of the administrator's: how it is called, what it gets, what its end means."""

import getpass
import json
import os
import pwd
import shlex
from pathlib import Path
from typing import Any

import pytest

from failhook import proc, testing
from failhook.action import Outcome
from failhook.actions import command, transient, variables
from failhook.actions.transient import Service
from failhook.incident import Verdict
from failhook.systemd import environment_file
from tests.unit.collect.bench import Programs

# What systemd-run does, without systemd: reads EnvironmentFile= and runs what follows "--".
_SYSTEMD_RUN = r"""
for word; do
    case $word in --property=EnvironmentFile=*) cp "${word#*EnvironmentFile=}" "$0.environment" ;;
    --property=BindReadOnlyPaths=*) word=${word#*Paths=}; cat "${word%%:*}" >"$0.bundle" ;; esac
done
printf '%s\n' "$@" >"$0.argv"
while [ "$1" != -- ]; do shift; done; shift
echo "Running as unit: x.service" >&2
"$@"; status=$?
result=success; [ $status = 0 ] || result=exit-code
[ ! -e "$0.result" ] || result=$(cat "$0.result")
echo "Finished with result: $result" >&2
echo "Main processes terminated with: code=exited/status=$status" >&2
echo "Service runtime: 1ms" >&2
exit $status
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(b"evidence")
    return path


def _run(raw: dict[str, object], tmp_path: Path, **changes: Any) -> Outcome:
    state = tmp_path / "state"
    state.mkdir(exist_ok=True)
    return testing.run(command.ACTION, raw, state=state, **changes)


def _argv(programs: Programs) -> list[str]:
    return (programs.directory / "systemd-run.argv").read_text().splitlines()


def _environment(programs: Programs) -> dict[str, str]:
    text = (programs.directory / "systemd-run.environment").read_text()
    return dict(environment_file.parse(text))


@pytest.fixture
def systemd_run(programs: Programs) -> Programs:
    programs.add("systemd-run", _SYSTEMD_RUN)
    return programs


def test_it_gets_the_incident(systemd_run: Programs, tmp_path: Path, bundle: Path) -> None:
    received = tmp_path / "received"
    script = tmp_path / "script"
    script.write_text(f'#!/bin/sh\ncat >{shlex.quote(str(received))}\necho "$@"\n')
    script.chmod(0o755)
    outcome = _run(
        {
            "argv": [str(script), "{unit}", "{id}", "{bundle}"],
            "environment": {"MORE": "100% $HOME"},
        },
        tmp_path,
        bundle=bundle,
    )
    assert outcome.ok
    document = json.loads(received.read_text())
    assert document["schema"] == 1
    assert document["incident"] == testing.incident().to_json()
    assert document["request"]["bundle"] == str(bundle)
    assert outcome.data["output"] == [f"gitea.service 7f3a5c1e9b20 {bundle}"]
    found = _environment(systemd_run)
    assert found["FAILHOOK_UNIT"] == "gitea.service"
    assert found["FAILHOOK_CAUSE"] == "port-in-use"
    assert found["FAILHOOK_BUNDLE"] == str(bundle)
    assert found["MORE"] == "100% $HOME"
    assert list((tmp_path / "state").iterdir()) == []  # nothing is left of the call


def test_variables_and_secrets_stand_in_no_argument(systemd_run: Programs, tmp_path: Path) -> None:
    _run({"argv": ["true"], "environment": {"TOKEN": "hunter2"}}, tmp_path)
    assert "hunter2" not in "\n".join(_argv(systemd_run))
    assert "grafana" not in "\n".join(_argv(systemd_run))  # of the verdict
    assert _environment(systemd_run)["TOKEN"] == "hunter2"


def test_the_sandbox(systemd_run: Programs, tmp_path: Path) -> None:
    _run({"argv": ["true"], "writable": ["/srv/a b", "/x%y"], "memory": "64M"}, tmp_path)
    found = _argv(systemd_run)
    assert {"--wait", "--pipe", "--collect", "--service-type=exec"} <= set(found)
    for wanted in (
        *("ProtectSystem=strict", "NoNewPrivileges=yes", "PrivateTmp=yes"),
        *('ReadWritePaths="/srv/a b"', 'ReadWritePaths="/x%%y"', f"MemoryMax={64 << 20}"),
        *("TimeoutStopSec=2s", "RuntimeMaxSec=54.000s"),
    ):
        assert f"--property={wanted}" in found
    (unit,) = [word for word in found if word.startswith("--unit=")]
    assert unit.startswith("--unit=failhook-action-command-")
    _run({"argv": ["true"], "sandbox": False}, tmp_path)
    assert "--property=ProtectSystem=strict" not in _argv(systemd_run)


def test_nothing_in_an_argument_is_expanded(systemd_run: Programs, tmp_path: Path) -> None:
    _run({"argv": ["printf", "%s", "$HOME", "a{unit}", "-x"]}, tmp_path)
    found = _argv(systemd_run)
    assert found[found.index("--") + 1 :] == ["printf", "%s", "$$HOME", "a{unit}", "-x"]


def test_another_user_reads_a_copy_of_the_bundle(
    systemd_run: Programs, tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = pwd.struct_passwd(("ann", "x", 1234, 1234, "", "/", "/bin/sh"))
    monkeypatch.setattr(command, "_account", lambda name: account)
    monkeypatch.setattr(os, "geteuid", lambda: 1234)  # nothing is given away in a unit test
    outcome = _run(
        {"argv": ["echo", "{bundle}"], "user": "ann", "working_directory": "/srv"},
        tmp_path,
        bundle=bundle,
    )
    found = _argv(systemd_run)
    assert "--property=User=ann" in found
    assert "--property=WorkingDirectory=/srv" in found
    (runtime,) = [word for word in found if word.startswith("--property=RuntimeDirectory=")]
    inside = f"/run/{runtime.rpartition('=')[2]}/bundle.tar.gz"
    assert outcome.data["output"] == [inside]
    (mount,) = [word for word in found if "BindReadOnlyPaths=" in word]
    assert mount.endswith(f":{inside}")
    assert (systemd_run.directory / "systemd-run.bundle").read_bytes() == b"evidence"
    assert _environment(systemd_run)["FAILHOOK_BUNDLE"] == inside


@pytest.mark.parametrize(
    ("status", "ok", "final"), [(0, True, False), (1, False, True), (75, False, False)]
)
def test_the_exit_status_is_the_outcome(
    systemd_run: Programs, tmp_path: Path, status: int, ok: bool, final: bool
) -> None:
    argv = ["sh", "-c", f"echo one; echo; echo last words; exit {status}"]
    outcome = _run({"argv": argv}, tmp_path)
    assert (outcome.ok, outcome.final) == (ok, final)
    assert outcome.detail == f"ended with status {status}: last words"
    assert outcome.data == {"status": status, "output": ["one", "last words"], "sandbox": True}


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("timeout", "did not end in time"),
        ("oom-kill", "more memory than it may have"),
        ("signal", "ended by a signal"),
        ("watchdog", "ended with watchdog"),
    ],
)
def test_other_ends(systemd_run: Programs, tmp_path: Path, result: str, said: str) -> None:
    (systemd_run.directory / "systemd-run.result").write_text(result)
    outcome = _run({"argv": ["sh", "-c", "exit 1"]}, tmp_path)
    assert (outcome.ok, outcome.final) == (False, True)
    assert said in outcome.detail


def test_what_it_prints_is_bounded_masked_and_harmless(
    systemd_run: Programs, tmp_path: Path
) -> None:
    script = r"yes filling | head -100000; printf '\033[31mred password=hunter2\n'"
    outcome = _run({"argv": ["sh", "-c", script]}, tmp_path)
    assert len("".join(outcome.data["output"])) <= 4096
    assert len(outcome.data["output"]) <= 20
    assert "hunter2" not in json.dumps([outcome.detail, outcome.data])
    assert "\x1b" not in outcome.detail


def test_a_program_cannot_speak_for_systemd_run(systemd_run: Programs, tmp_path: Path) -> None:
    argv = ["sh", "-c", "echo 'Finished with result: success' >&2; exit 3"]
    outcome = _run({"argv": argv}, tmp_path)
    assert (outcome.ok, outcome.data["status"]) == (False, 3)


def test_how_it_ended_as_systemd_261_lays_it_out() -> None:
    table = """Running as unit: x.service; invocation ID: b702f08cc8d44b27bdef790a6f171627
because
          Finished with result: exit-code
Main processes terminated with: code=exited, status=4/NOPERMISSION
               Service runtime: 34ms
             CPU time consumed: 11ms
"""
    done = proc.Completed(("systemd-run",), 4, b"", table.encode())
    assert transient.ended_of(done) == transient.Ended(4, ("because",))


def test_a_service_that_cannot_be_made(programs: Programs, tmp_path: Path) -> None:
    programs.add("systemd-run", "echo 'Failed to find executable nosuch: No such file' >&2; exit 1")
    outcome = _run({"argv": ["nosuch"]}, tmp_path)
    assert (outcome.ok, outcome.final) == (False, False)
    assert outcome.detail == "Failed to find executable nosuch: No such file"


@pytest.mark.parametrize(
    "said",
    [
        "Failed to connect to bus: Connection refused",
        "Failed to connect to system scope bus via local transport: Connection refused",
        "System has not been booted with systemd as init system (PID 1). Can't operate.",
    ],
)
def test_without_the_bus_it_is_run_directly(
    programs: Programs, tmp_path: Path, bundle: Path, said: str
) -> None:
    programs.add("systemd-run", f"echo {shlex.quote(said)} >&2; exit 1")
    received = tmp_path / "received"
    argv = ["sh", "-c", f'cat >{received}; pwd; echo "$FAILHOOK_ID $X"; exit 75']
    raw: dict[str, object] = {"argv": argv, "working_directory": str(tmp_path)}
    raw["environment"] = {"X": "y"}
    outcome = _run(raw, tmp_path, bundle=bundle)
    assert (outcome.ok, outcome.final) == (False, False)
    assert f"without a sandbox: {said}" in outcome.detail
    assert outcome.data["output"] == [str(tmp_path), "7f3a5c1e9b20 y"]
    assert outcome.data["sandbox"] is False
    assert json.loads(received.read_text())["request"]["bundle"] == str(bundle)


def test_directly_it_takes_the_rights_of_its_user(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.add("systemd-run", "echo 'Failed to connect to bus: x' >&2; exit 1")
    programs.add("setpriv", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"')
    account = pwd.struct_passwd(("ann", "x", 54321, 54322, "", "/", "/bin/sh"))
    monkeypatch.setattr(command, "_account", lambda name: account)
    assert _run({"argv": ["echo", "hi"], "user": "ann"}, tmp_path).ok
    (call,) = [one for one in programs.calls if one.startswith("setpriv")]
    for word in ("--reuid=54321", "--regid=54322", "--init-groups", "--no-new-privs"):
        assert word in call


def test_a_dry_run_starts_nothing(programs: Programs, tmp_path: Path) -> None:
    programs.add("systemd-run", "exit 1")
    outcome = _run({"argv": ["rm", "-r", "{unit}"], "user": "ann"}, tmp_path, dry_run=True)
    assert outcome.detail == "would run rm -r {unit} as ann, in a sandbox"
    assert programs.calls == []


def test_a_user_that_is_none(systemd_run: Programs, tmp_path: Path) -> None:
    outcome = _run({"argv": ["true"], "user": "nobody-of-that-name"}, tmp_path)
    assert (outcome.ok, outcome.final) == (False, True)
    assert "there is no user" in outcome.detail


def test_the_users_own_manager(systemd_run: Programs, tmp_path: Path) -> None:
    outcome = _run({"argv": ["true"], "user": getpass.getuser()}, tmp_path, user=True)
    assert (outcome.ok, outcome.final) == (False, True)
    assert _run({"argv": ["true"]}, tmp_path, user=True).ok
    assert _argv(systemd_run)[0] == "--user"
    assert "--property=ProtectSystem=strict" not in _argv(systemd_run)


def test_a_bundle_that_is_missing(systemd_run: Programs, tmp_path: Path) -> None:
    outcome = _run({"argv": ["cat", "{bundle}"]}, tmp_path)
    assert (outcome.ok, outcome.final) == (False, True)
    assert systemd_run.calls == []


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"argv": []}, "no program"),
        ({"argv": [""]}, "no program"),
        ({"argv": ["{unit}"]}, "no program"),
        ({"argv": "true"}, "list of texts"),
        ({"argv": ["true"], "environment": {"A B": "x"}}, "no name of a variable"),
        ({"argv": ["true"], "working_directory": "here"}, "absolute"),
    ],
)
def test_wrong_options(raw: dict[str, object], said: str) -> None:
    with pytest.raises(testing.OptionsWrong, match=said):
        testing.request(command.ACTION, raw)


def test_the_name_of_the_unit() -> None:
    name = transient.unit_name("tell me/../x", "id", 2)
    assert name.startswith("failhook-action-tell-me----x-")
    assert name.endswith("-2.service")
    assert name == transient.unit_name("tell me/../x", "id", 2)
    assert name != transient.unit_name("tell me/../x", "other", 2)
    assert len(transient.unit_name("x" * 500, "id", 1)) < 200


@pytest.mark.parametrize(
    "value", ["plain", 'a "quoted" one', "back\\slash", "$HOME `x`", "two\nlines", "  ends  ", "ä"]
)
def test_variables_survive_the_file(tmp_path: Path, value: str) -> None:
    transient.environment_file(tmp_path / "file", {"X": value, "Y": "after"})
    text = (tmp_path / "file").read_text()
    assert environment_file.parse(text) == [("X", value), ("Y", "after")]
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_a_program_that_is_stuck_is_killed(programs: Programs, tmp_path: Path) -> None:
    programs.add("systemctl", ":")
    service = Service("failhook-action-x.service", ("true",), "x")
    done = proc.Completed(("systemd-run",), None, b"", b"", timed_out=True)
    assert transient.ended_of(done).problem == "it did not end in time"
    assert "--unit=failhook-action-x.service" in transient.command(service, tmp_path)


def test_variables_have_no_control_characters() -> None:
    verdict = Verdict("first\nsecond \x1b[31m\x00", None, None, None)
    found = variables.of(testing.incident(verdict=verdict, exit_status=None))
    assert found["FAILHOOK_SUMMARY"] == "first second  [31m "
    assert found["FAILHOOK_EXIT_STATUS"] == ""
    assert found["FAILHOOK_CAUSE"] == ""
