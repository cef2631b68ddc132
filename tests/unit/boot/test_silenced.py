# SPDX-License-Identifier: MIT
"""Units whose FailureAction= is quicker than anybody's OnFailure=."""

from failhook.boot.silenced import silenced, told
from failhook.systemd.unit import UnitState
from tests.unit.collect.bench import Programs


def _state(name: str, **properties: str) -> UnitState:
    return UnitState(name, {"LoadState": "loaded", **properties})


def test_only_those_that_do_something() -> None:
    states = [
        _state("plain.service", FailureAction="none", StartLimitAction="none"),
        _state("socket.socket"),
        _state("vital.service", FailureAction="reboot-force", StartLimitAction="none"),
        _state("loop.service", FailureAction="none", StartLimitAction="poweroff"),
        _state("failhook-boot-check.service", FailureAction="reboot"),
        UnitState("gone.service", {"LoadState": "not-found", "FailureAction": "reboot"}),
    ]
    found = told({one.name: one for one in states})
    assert [one.partition(":")[0] for one in found] == ["loop.service", "vital.service"]
    assert "StartLimitAction=poweroff takes the machine down before OnFailure= runs" in found[0]
    assert 'type = "system", action = "reboot-force"' in found[1]


def test_all_loaded_units_are_asked_for_in_one_call(programs: Programs) -> None:
    shown = "Id=a.service\nLoadState=loaded\nFailureAction=reboot\n\nId=b.service\nLoadState=loaded"
    programs.add("systemctl", f"printf '{shown}'")
    assert [one.partition(":")[0] for one in silenced()] == ["a.service"]
    assert len(programs.calls) == 1


def test_nobody_answers(programs: Programs) -> None:
    programs.add("systemctl", "exit 1")
    assert silenced() == []
