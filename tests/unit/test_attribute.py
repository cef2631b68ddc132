# SPDX-License-Identifier: MIT
"""Which run a trigger means that does not say so, and which failed runs no trigger told of."""

import json
from dataclasses import replace
from typing import Any

import pytest

from failhook import attribute
from failhook.incident import incident_id
from failhook.record import record
from failhook.store.incidents import Store
from failhook.systemd import history
from failhook.systemd.boot import boot_id
from failhook.trigger import Kind, Trigger
from tests.unit.collect.bench import DATA, VERSIONS, Programs
from tests.unit.samples import AT, incident, run_id

UNIT = "a.service"


def _handler(**changes: Any) -> Trigger:
    """A call by OnFailure= that names no run: two units share the handler, or systemd is old."""
    plain = Trigger("t", Kind.ON_FAILURE, UNIT, boot_id(), AT)
    return replace(plain, **changes)


def _lines(number: int, at: float, *, status: str = "3", code: str = "exited") -> list[str]:
    """What the manager logs of a failed run, as ``journalctl -o json`` shows it."""
    common = {
        "UNIT": UNIT,
        "INVOCATION_ID": run_id(number),
        "_PID": "1",
        "_BOOT_ID": boot_id(),
        "_COMM": "systemd",
    }
    ended = common | {
        "MESSAGE_ID": history.PROCESS_EXIT,
        "COMMAND": "ExecStart",
        "EXIT_CODE": code,
        "EXIT_STATUS": status,
        "__REALTIME_TIMESTAMP": str(int((at - 0.01) * 1e6)),
        "MESSAGE": f"a.service: Main process exited, code={code}, status={status}",
    }
    result = common | {
        "MESSAGE_ID": history.UNIT_RESULT,
        "UNIT_RESULT": "exit-code" if code == "exited" else "signal",
        "__REALTIME_TIMESTAMP": str(int(at * 1e6)),
        "MESSAGE": "a.service: Failed with result 'exit-code'.",
    }
    return [json.dumps(ended), json.dumps(result)]


def _machine(programs: Programs, journal: list[str], **properties: str) -> None:
    """A systemd that shows these properties, and a journal with these lines."""
    shown = {"Id": UNIT, "LoadState": "loaded"} | properties
    show = programs.directory / "show.txt"
    show.write_text("".join(f"{name}={value}\n" for name, value in shown.items()))
    logged = programs.directory / "journal.txt"
    logged.write_text("".join(f"{line}\n" for line in journal))
    programs.add("systemctl", f"cat '{show}'")
    programs.add("journalctl", f"cat '{logged}'")


def _told(triggers: list[Trigger]) -> list[tuple[str | None, str | None, str]]:
    return [(one.invocation_id, one.result, one.kind) for one in triggers]


def test_a_trigger_that_names_its_run_is_believed(store: Store, programs: Programs) -> None:
    _machine(programs, [], ActiveState="activating", Result="success")
    named = _handler(invocation_id=run_id(1), result="signal")
    assert attribute.resolve(store, named) == [named]


def test_a_unit_that_still_is_as_it_failed(store: Store, programs: Programs) -> None:
    """Not a service, or a systemd without MONITOR_*."""
    _machine(programs, [], ActiveState="failed", Result="timeout", InvocationID=run_id(1))
    (own,) = attribute.resolve(store, _handler(unit=UNIT))
    assert (own.invocation_id, own.result) == (run_id(1), "timeout")


def test_a_restart_that_overtook_the_handler(store: Store, programs: Programs) -> None:
    """MONITOR_* speaks of the unit as it is when the handler is spawned: the next run by now."""
    _machine(
        programs,
        _lines(1, AT - 0.2, status="9", code="killed"),
        ActiveState="active",
        Result="success",
        InvocationID=run_id(2),
        NRestarts="1",
    )
    overtaken = _handler(invocation_id=run_id(2), result="success")
    (own,) = attribute.resolve(store, overtaken)
    assert (own.invocation_id, own.result) == (run_id(1), "signal")
    assert (own.exit_code, own.exit_status) == ("killed", "KILL")


def test_a_unit_that_never_ran(store: Store, programs: Programs) -> None:
    """A dependency failed: inactive, success, no invocation."""
    _machine(programs, [], ActiveState="inactive", Result="success", InvocationID="")
    (own,) = attribute.resolve(store, _handler())
    assert (own.invocation_id, own.result) == (None, "success")
    assert record(store, own).result is None


def test_a_failure_of_long_ago_is_not_what_a_handler_means(
    store: Store, programs: Programs
) -> None:
    record(store, _handler(id="old", invocation_id=run_id(1), result="signal", realtime=AT - 600))
    _machine(programs, _lines(1, AT - 600), ActiveState="inactive", Result="success")
    (own,) = attribute.resolve(store, _handler())
    assert own.invocation_id is None


def test_runs_that_no_trigger_told_of(store: Store, programs: Programs) -> None:
    """systemd before 254 calls once for all restarts."""
    journal = [line for n in range(1, 5) for line in _lines(n, AT - 8 + 2 * n)]
    _machine(
        programs,
        journal,
        ActiveState="failed",
        Result="exit-code",
        InvocationID=run_id(4),
        NRestarts="3",
    )
    told = attribute.resolve(store, _handler())
    assert _told(told) == [
        (run_id(1), "exit-code", "journal"),
        (run_id(2), "exit-code", "journal"),
        (run_id(3), "exit-code", "journal"),
        (run_id(4), "exit-code", "on-failure"),
    ]
    assert len({one.id for one in told}) == 4
    assert [one.realtime for one in told] == [AT - 6, AT - 4, AT - 2, AT]
    assert {(one.exit_code, one.exit_status) for one in told[:3]} == {("exited", "3")}


def test_what_has_an_incident_already_is_not_told_again(store: Store, programs: Programs) -> None:
    journal = [line for n in range(1, 4) for line in _lines(n, AT - 6 + 2 * n)]
    _machine(programs, journal, ActiveState="failed", Result="exit-code", InvocationID=run_id(3))
    store.create(
        replace(
            incident(2, first_seen=AT - 2),
            id=incident_id(boot_id(), UNIT, run_id(2)),
            invocation_id=run_id(2),
        )
    )
    told = attribute.resolve(store, _handler())
    assert _told(told) == [
        (run_id(1), "exit-code", "journal"),
        (run_id(3), "exit-code", "on-failure"),
    ]
    for one in told:
        record(store, one)
    assert _told(attribute.resolve(store, _handler(id="again"))) == [
        (run_id(3), "exit-code", "on-failure")
    ]


def test_runs_from_before_this_chain_of_restarts_are_left_alone(
    store: Store, programs: Programs
) -> None:
    """They failed before failhook was there."""
    journal = [line for n in range(1, 6) for line in _lines(n, AT - 10 + 2 * n)]
    _machine(
        programs,
        journal,
        ActiveState="failed",
        Result="exit-code",
        InvocationID=run_id(5),
        NRestarts="1",
    )
    told = attribute.resolve(store, _handler())
    assert [one.invocation_id for one in told] == [run_id(4), run_id(5)]


def test_a_call_that_meant_one_that_was_missed(store: Store, programs: Programs) -> None:
    """By the time of the handler the unit runs well; what failed stands in the journal alone."""
    _machine(
        programs,
        [*_lines(1, AT - 50), *_lines(2, AT - 40)],
        ActiveState="inactive",
        Result="success",
        NRestarts="1",
    )
    told = attribute.resolve(store, _handler(result="success", invocation_id=run_id(3)))
    assert _told(told) == [
        (run_id(1), "exit-code", "journal"),
        (run_id(2), "exit-code", "journal"),
    ]


@pytest.mark.parametrize("script", ["exit 1", "echo rubbish", "echo '{}'", "printf '[]\\n7\\n'"])
def test_no_systemd_and_no_journal_still_is_an_incident(
    store: Store, programs: Programs, script: str
) -> None:
    for name in ("systemctl", "journalctl"):
        programs.add(name, script)
    (own,) = attribute.resolve(store, _handler())
    assert own.invocation_id is None
    assert record(store, own).unit == UNIT


def test_the_right_manager_is_asked(store: Store, programs: Programs) -> None:
    attribute.resolve(store, _handler(manager="user"))
    systemctl, journalctl = programs.calls
    assert systemctl.startswith("systemctl --user show ")
    assert systemctl.endswith(" -- a.service")
    assert f"USER_UNIT={UNIT}" in journalctl
    assert "_PID=1" not in journalctl
    assert f"_BOOT_ID={boot_id()}" in journalctl


@pytest.mark.parametrize("version", VERSIONS)
def test_failed_runs_as_a_real_journal_has_them(programs: Programs, version: str) -> None:
    logged = DATA / version / "talker.json"
    wanted = f"-e {history.UNIT_RESULT} -e {history.PROCESS_EXIT}"
    programs.add("journalctl", f"tac '{logged}' | grep {wanted}")  # recorded newest first
    *_, run = history.failed_runs("talker.service", boot_id())
    assert (run.result, run.exit_code, run.exit_status) == ("exit-code", "exited", "7")
    assert run.invocation_id in logged.read_text()
