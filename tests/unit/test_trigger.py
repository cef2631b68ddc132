# SPDX-License-Identifier: MIT
"""What systemd told us, and what somebody else only pretends that it did."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook.trigger import Kind, TriggerError, is_unit_name, parse

RUN = "0123456789abcdef0123456789abcdef"


def _record(**changes: Any) -> bytes:
    record = {
        "schema": 1,
        "kind": "stop-post",
        "unit": "a.service",
        "manager": "system",
        "boot_id": "f" * 32,
        "realtime": 1.5,
        "monotonic": 2.0,
        "uid": 0,
        "pid": 7,
        "env": {
            "SERVICE_RESULT": "signal",
            "EXIT_CODE": "killed",
            "EXIT_STATUS": "RTMIN+3",
            "INVOCATION_ID": RUN,
        },
    }
    return json.dumps(record | changes).encode()


def test_stop_post() -> None:
    trigger = parse("x", _record())
    assert (trigger.kind, trigger.unit, trigger.invocation_id) == (
        Kind.STOP_POST,
        "a.service",
        RUN,
    )
    assert (trigger.result, trigger.exit_code, trigger.exit_status) == (
        "signal",
        "killed",
        "RTMIN+3",
    )


def test_handler_believes_monitor_variables_only() -> None:
    env = {"SERVICE_RESULT": "success", "MONITOR_SERVICE_RESULT": "watchdog", "INVOCATION_ID": RUN}
    trigger = parse("x", _record(kind="on-failure", env=env))
    assert trigger.result == "watchdog"
    assert trigger.invocation_id is None  # the handler's own run is not the failed one


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 2),
        ("kind", "coup"),
        ("unit", "no-type"),
        ("unit", "../../etc/x.service"),
        ("unit", "a b.service"),
        ("unit", "a\n.service"),
        ("unit", "x" * 248 + ".service"),
        ("unit", None),
        ("unit", "failhook-act.service"),
        ("unit", "failhook-boot-check.timer"),
        ("unit", "failhook@failhook-boot-check.service.service"),
        ("realtime", "now"),
        ("realtime", -1),
        ("realtime", True),
        ("uid", None),
        ("env", []),
        ("cgroup", "x"),
    ],
)
def test_what_is_no_record_of_ours_is_refused(field: str, value: object) -> None:
    with pytest.raises(TriggerError):
        parse("x", _record(**{field: value}))


def test_the_boot_check_is_the_one_of_ours_that_is_an_incident() -> None:
    name = "failhook-boot-check.service"
    assert parse("x", _record(unit=name)).unit == name


@pytest.mark.parametrize("variable", ["EXIT_STATUS", "INVOCATION_ID", "EXIT_CODE"])
def test_odd_values_of_a_hostile_environment_are_unknown(variable: str) -> None:
    env = {"SERVICE_RESULT": "signal", variable: "$(reboot)\n"}
    trigger = parse("x", _record(env=env))
    assert (trigger.exit_code, trigger.exit_status, trigger.invocation_id) == (None, None, None)


def test_huge_and_deep_records_are_refused() -> None:
    for data in (b"x" * (3 << 20), b"[" * 100000, b"\xff\xfe", b""):
        with pytest.raises(TriggerError):
            parse("x", data)


def test_lone_surrogates_do_not_reach_what_writes_utf8() -> None:
    data = _record().replace(b'"env"', b'"cgroup": {"x": "\\udcff"}, "env"')
    assert parse("x", data).cgroup["x"].encode()


@given(st.binary(max_size=400))
def test_any_bytes_give_a_trigger_or_an_error(data: bytes) -> None:
    with pytest.raises(TriggerError):
        parse("x", data)


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("a.service", True),
        ("-.mount", True),
        (r"dev-disk\x2dby.device", True),
        ("foo-bar@x-y.service", True),
        ("x" * 247 + ".service", True),
        ("x" * 248 + ".service", False),
        (".service", False),
        ("a.services", False),
        ("a/b.service", False),
        ("", False),
    ],
)
def test_unit_names(name: str, valid: bool) -> None:
    assert is_unit_name(name) == valid
