# SPDX-License-Identifier: MIT
"""A rule takes the machine down, and the next boot tells the story; on booted systems.

In a container the end of PID 1 is what a reboot is; the real ones are in tests/vm.
"""

import json
from typing import Any

import pytest

from tests.bed import Machine
from tests.e2e.hooked import Hooked, service

_RULE = """
[limits]
reboots = "2 per 1d"
[action.notice]
type = "wall"
[action.told]
type = "journal"
[action.again]
type = "system"
action = "{action}"
min_uptime = 0
pause = 0
[[rule]]
name = "vital"
unit = ["vital.service"]
step = [ {{ on = "1", do = ["notice", "told", "again"] }} ]
"""


def _rule(bed: Machine, action: str = "reboot") -> None:
    bed.write("/etc/failhook/failhook.toml", _RULE.format(action=action))
    bed.run(["failhook", "check"])


def _step(incident: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in incident["actions"] if one["name"] == name]
    return dict(found)


def test_a_reboot_for_a_unit_that_is_well_after_it(fresh_hooked: Hooked) -> None:
    fresh, bed = fresh_hooked, fresh_hooked.machine
    _rule(bed)
    # well in every boot but the first
    start = "ExecStart=sh -c 'mkdir /var/first 2>/dev/null && exit 3; exec sleep 1000'\n"
    install = "[Install]\nWantedBy=multi-user.target\n"
    bed.units({"vital.service": service("both", start) + install})
    bed.systemctl("enable", "vital.service")
    bed.systemctl("start", "vital.service")
    assert bed.wait_ended(60) == "reboot"
    bed.boot()
    incident = fresh.wait_field("vital.service", "state", "recovered", timeout=60)
    assert len(fresh.incidents("vital.service")) == 1
    step = _step(incident, "again")
    assert step["state"] == "done"
    assert step["detail"].startswith("asked systemd for reboot")
    story = incident["aftermath"]
    assert story["ended"] == "failhook"
    assert story["is_well"] is True
    assert story["summary"].startswith("rebooted at ")
    assert "because vital.service" in story["summary"]
    assert story["summary"].endswith("vital.service is well now")
    assert story["lines"]
    shown = bed.run(["failhook", "show", "vital"]).text
    assert "Machine   rebooted at" in shown
    said = bed.journal("SYSLOG_IDENTIFIER=failhook", "-b")
    assert any(str(one["MESSAGE"]).startswith("Rebooted at") for one in said)
    bed.wait(lambda: bed.exists("/run/motd.d/50-failhook"), what="the notice")
    assert "this machine rebooted at" in bed.read("/run/motd.d/50-failhook").decode()
    record = json.loads(bed.read("/var/lib/failhook/boots/endings.json"))
    assert [(one["how"], one["unit"]) for one in record["endings"]] == [("reboot", "vital.service")]
    # the next boot has nothing to tell and starts nothing for it
    bed.reboot()
    bed.wait(
        lambda: bed.show("failhook-aftermath.service", "ConditionResult", "ConditionTimestamp")[
            "ConditionTimestamp"
        ],
        what="the condition to be looked at",
    )
    assert bed.show("failhook-aftermath.service", "ConditionResult")["ConditionResult"] == "no"


def test_a_rule_that_always_reboots_ends_with_a_machine_that_runs(fresh_hooked: Hooked) -> None:
    fresh, bed = fresh_hooked, fresh_hooked.machine
    _rule(bed)
    install = "[Install]\nWantedBy=multi-user.target\n"
    bed.units({"vital.service": service("both", "ExecStart=false\n") + install})
    bed.systemctl("enable", "vital.service")
    bed.systemctl("start", "vital.service")
    for _ in range(2):
        assert bed.wait_ended(60) == "reboot"
        bed.boot()

    def left_out() -> bool:
        known = fresh.incidents("vital.service")
        return len(known) == 3 and any(one["state"] == "left-out" for one in known[-1]["actions"])

    bed.wait(left_out, 60, "the limit")
    assert bed.running
    incidents = [fresh.show(one["id"]) for one in fresh.incidents("vital.service")]
    assert [_step(one, "again")["state"] for one in incidents] == ["done", "done", "left-out"]
    assert "reboots are used up" in _step(incidents[-1], "again")["detail"]
    assert len({one["boot_id"] for one in incidents}) == 3
    # counts survive a reboot, of a container on a machine that has been up for weeks as well
    assert [one["decision"]["steps"][0]["number"] for one in incidents] == [1, 2, 3]
    bed.wait(lambda: fresh.show(incidents[1]["id"])["aftermath"], 60, "the story")
    story = fresh.show(incidents[1]["id"])["aftermath"]
    assert story["is_well"] is False
    assert story["summary"].endswith("vital.service failed again now")


def test_the_power_is_cut_while_somebody_waits(fresh_hooked: Hooked) -> None:
    fresh, bed = fresh_hooked, fresh_hooked.machine
    install = "[Install]\nWantedBy=multi-user.target\n"
    bed.units({"vital.service": service("both", "ExecStart=false\n") + install})
    bed.systemctl("enable", "vital.service")
    bed.systemctl("start", "vital.service")
    (first,) = fresh.wait_done("vital.service")
    bed.wait(lambda: bed.exists("/var/lib/failhook/boots/waited-for"), what="the note")
    bed.run(["journalctl", "--sync"])
    bed.reboot(power_cut=True)
    bed.wait(lambda: fresh.show(first["id"])["aftermath"], 60, "the story")
    story = fresh.show(first["id"])["aftermath"]
    assert story["ended"] == "cut"
    assert story["summary"].startswith("just stopped: power, a reset or a hang at ")


@pytest.mark.parametrize(("action", "end"), [("poweroff", "poweroff"), ("reboot-force", "reboot")])
def test_other_ends(fresh_hooked: Hooked, action: str, end: str) -> None:
    fresh, bed = fresh_hooked, fresh_hooked.machine
    _rule(bed, action)
    bed.units({"vital.service": service("both", "ExecStart=false\n")})
    bed.systemctl("start", "vital.service")
    assert bed.wait_ended(60) == end
    bed.boot()
    (incident,) = fresh.wait_done("vital.service")
    bed.wait(lambda: fresh.show(incident["id"])["aftermath"], 60, "the story")
    after = fresh.show(incident["id"])
    assert after["aftermath"]["ended"] == "failhook"
    assert after["bundle"] is not None
    fresh.bundle_files(after)
    assert _step(after, "again")["state"] == "done"
    assert len(fresh.incidents("vital.service")) == 1
