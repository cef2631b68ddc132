# SPDX-License-Identifier: MIT
"""Who called, which unit is meant, and what goes into the spool."""

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from failhook import hook
from failhook.setup.layout import SYSTEM_UNITS

FAILED = {"SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": "1"}


@pytest.fixture(autouse=True)
def run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("spool", "incoming"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(hook, "RUN", str(tmp_path))
    return tmp_path


def _spooled(run: Path) -> list[dict[str, object]]:
    return [json.loads(path.read_text()) for path in sorted((run / "spool").iterdir())]


@pytest.mark.parametrize(
    ("environ", "arguments", "expected"),
    [
        (FAILED, [], True),
        (FAILED, ["a.service"], True),
        (FAILED, ["--wait"], True),
        (FAILED, ["--wait=5", "a.service"], True),
        (FAILED, ["--wait", "list"], False),
        ({}, ["--wait"], False),
        (FAILED, ["list"], False),
        (FAILED, ["show", "a.service"], False),
        ({}, ["--unit", "a.service"], True),
        ({}, ["--unit=a.service"], True),
        ({}, ["--user", "--unit", "a.service"], True),
        ({"MONITOR_SERVICE_RESULT": "signal"}, [], True),
        ({}, [], False),
        ({}, ["a.service"], False),
    ],
)
def test_who_called(environ: Mapping[str, str], arguments: list[str], expected: bool) -> None:
    assert hook.called(environ, arguments) == expected


@pytest.mark.parametrize(
    ("path", "unit", "user"),
    [
        ("/system.slice/a.service", "a.service", False),
        ("/system.slice/a.service/.control", "a.service", False),
        ("/system.slice/system-foo.slice/foo@1.service", "foo@1.service", False),
        ("/a.slice/a-b.slice/_cgroup.service", "cgroup.service", False),
        ("/user.slice/user-7.slice/user@7.service/app.slice/b.service", "b.service", True),
        ("/user.slice/user-7.slice/user@7.service", "user@7.service", False),
        ("/system.slice/a.service/inner.service", "a.service", False),
        ("/", "", False),
        ("/docker/0123", "", False),
    ],
)
def test_unit_of_a_cgroup(path: str, unit: str, user: bool) -> None:
    assert hook.unit_of(path) == (unit, user)


def test_a_failure_is_written_once_and_completely(run_directory: Path) -> None:
    assert hook.main(FAILED, ["a.service"]) == ""
    (record,) = _spooled(run_directory)
    assert record["unit"] == "a.service"
    assert record["kind"] == "stop-post"
    assert record["env"] == FAILED
    assert list((run_directory / "incoming").iterdir()) == []


@contextlib.contextmanager
def _fifo(run_directory: Path) -> Iterator[int]:
    """As systemd holds the one of failhook.socket open."""
    os.mkfifo(run_directory / hook.WAKE)
    fd = os.open(run_directory / hook.WAKE, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield fd
    finally:
        os.close(fd)


def test_a_failure_asks_for_a_runner_at_once(run_directory: Path) -> None:
    with _fifo(run_directory) as fd:
        hook.main({"SERVICE_RESULT": "success"}, ["a.service"])
        with pytest.raises(BlockingIOError):
            os.read(fd, 10)
        hook.main(FAILED, ["a.service"])
        hook.main({}, ["--unit=m.mount"])
        assert os.read(fd, 10) == b".."


def test_nobody_waits_where_nobody_listens(run_directory: Path) -> None:
    with _fifo(run_directory) as fd:
        with contextlib.suppress(BlockingIOError):
            while os.write(fd, bytes(4096)):
                pass
        hook.main(FAILED, ["a.service"])
    hook.main(FAILED, ["b.service"])
    assert [one["unit"] for one in _spooled(run_directory)] == ["a.service", "b.service"]


@pytest.mark.parametrize("result", ["success", "exec-condition"])
def test_no_failure_is_no_news(run_directory: Path, result: str) -> None:
    hook.main({"SERVICE_RESULT": result}, ["a.service"])
    assert _spooled(run_directory) == []


def test_a_clean_stop_is_news_for_the_unit_that_is_waited_for(run_directory: Path) -> None:
    (run_directory / "open").write_text("b.service\na.service\n")
    hook.main({"SERVICE_RESULT": "success"}, ["a.service"])
    hook.main({"SERVICE_RESULT": "success"}, ["other.service"])
    assert [(one["kind"], one["unit"]) for one in _spooled(run_directory)] == [
        ("clean-stop", "a.service")
    ]


def test_a_handler_reports_whatever_its_monitor_variables_say(run_directory: Path) -> None:
    hook.main({"MONITOR_SERVICE_RESULT": "success"}, ["--unit", "a.service"])
    hook.main({}, ["--unit=m.mount"])
    assert [(one["kind"], one["unit"]) for one in _spooled(run_directory)] == [
        ("on-failure", "a.service"),
        ("on-failure", "m.mount"),
    ]


@pytest.mark.parametrize(
    "unit", ["failhook.service", "failhook@a.service.service", "failhook-keep.service"]
)
def test_our_own_units_are_never_news(run_directory: Path, unit: str) -> None:
    hook.main({}, ["--unit", unit])
    assert _spooled(run_directory) == []


def test_the_boot_check_is_the_one_of_ours_that_is_news(run_directory: Path) -> None:
    hook.main(FAILED, [hook.BOOT_CHECK])
    (record,) = _spooled(run_directory)
    assert record["unit"] == "failhook-boot-check.service"
    ours = [name for name in SYSTEM_UNITS if hook.is_ours(name)]
    assert {*SYSTEM_UNITS} - {*ours} == {hook.BOOT_CHECK}


def test_an_unknown_unit_is_said_and_nothing_else(
    run_directory: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook, "_own_cgroup", lambda: "/")
    assert hook.main(FAILED, []) == ""
    assert capfd.readouterr().err.startswith("<3>failhook: cannot tell which unit")
    assert _spooled(run_directory) == []


def test_rubbish_in_the_environment_is_kept_as_text(run_directory: Path) -> None:
    hook.main({**FAILED, "EXIT_STATUS": '"\\\n\udcff'}, ["a.service"])
    (record,) = _spooled(run_directory)
    environ = record["env"]
    assert isinstance(environ, dict)
    assert environ["EXIT_STATUS"] == '"\\\n\udcff'


def test_no_runner_on_the_machine_gives_the_record_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook, "RUN", str(tmp_path / "nowhere"))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert json.loads(hook.main(FAILED, ["a.service"]))["unit"] == "a.service"


def test_whatever_goes_wrong_is_said_and_swallowed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> str:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(hook, "_own_cgroup", broken)
    assert hook.main(FAILED, ["a.service"]) == ""
    assert "RuntimeError: on purpose" in capfd.readouterr().err


# -- --wait -------------------------------------------------------------------------------------

RUN_ID = "0123456789abcdef0123456789abcdef"


def _stop(arguments: list[str], **more: str) -> float:
    """How long a failing stop was held, in seconds."""
    began = time.monotonic()
    assert hook.main({**FAILED, "INVOCATION_ID": RUN_ID, **more}, arguments) == ""
    return time.monotonic() - began


def test_a_stop_is_held_until_its_steps_are_done(run_directory: Path) -> None:
    done = run_directory / "done" / RUN_ID

    def release() -> None:
        done.parent.mkdir()
        done.touch()

    timer = threading.Timer(0.2, release)
    timer.start()
    assert 0.2 <= _stop(["--wait=30", "a.service"]) < 20
    timer.join()
    (record,) = _spooled(run_directory)
    assert (record["unit"], record["wait"]) == ("a.service", True)


def test_a_stop_is_not_held_for_ever(capfd: pytest.CaptureFixture[str]) -> None:
    assert 0.1 <= _stop(["--wait=0.1", "a.service"]) < 20
    assert "were not done within 0.1 s; going on" in capfd.readouterr().err


def test_a_clean_stop_is_never_held(run_directory: Path) -> None:
    assert _stop(["--wait=30", "a.service"], SERVICE_RESULT="success") < 20
    assert _spooled(run_directory) == []


@pytest.mark.parametrize("run", ["", "../../etc/passwd", "a/b"])
def test_what_is_no_id_of_a_run_is_not_waited_for(run_directory: Path, run: str) -> None:
    assert _stop(["--wait=30", "a.service"], INVOCATION_ID=run) < 20
    assert len(_spooled(run_directory)) == 1


def test_without_the_word_nobody_waits(run_directory: Path) -> None:
    assert _stop(["a.service"]) < 20
    assert "wait" not in _spooled(run_directory)[0]


def test_an_odd_number_is_said_and_the_usual_one_taken(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hook, "WAIT_S", 0.05)
    assert _stop(["--wait=soon", "a.service"]) < 20
    assert "--wait=soon: no number of seconds; waiting for 0.05" in capfd.readouterr().err


SAY = """
import sys; sys.path.insert(0, sys.argv[1])
from failhook import hook
hook.JOURNAL = sys.argv[2]
hook.say("no runner\\nhere")
"""


def _say(output: Path, journal: Path) -> str:
    """What a service's file has after a hook had something to say whose standard error it is."""
    output.write_text("the service's own\n")
    with output.open("r+") as file:  # StandardOutput=file:, written from its start on
        root = Path(hook.__file__).parents[1]
        argv = [sys.executable, "-I", "-c", SAY, str(root), str(journal)]
        subprocess.run(argv, stderr=file, check=True)
    return output.read_text()


def test_it_speaks_to_the_journal_and_not_into_the_output_of_the_service(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "journal"))
        assert _say(tmp_path / "out", tmp_path / "journal") == "the service's own\n"
        journal.settimeout(10)
        assert journal.recv(999) == (
            b"PRIORITY=3\nSYSLOG_IDENTIFIER=failhook\nMESSAGE=no runner here\n"
        )


def test_where_no_journal_is_it_speaks_at_the_end_of_that_file(tmp_path: Path) -> None:
    said = _say(tmp_path / "out", tmp_path / "none")
    assert said == "the service's own\n<3>failhook: no runner\nhere\n"


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EMFILE])
def test_a_setting_is_named_only_where_it_is_to_blame(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("_socket.socket", refuse)
    said = hook._hand_over("/nowhere", "{}")
    assert os.strerror(number) in said
    assert ("RestrictAddressFamilies=" in said) == (number == errno.EAFNOSUPPORT)
