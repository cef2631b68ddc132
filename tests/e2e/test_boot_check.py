# SPDX-License-Identifier: MIT
"""The boot check under a booted systemd: what stands before boot-complete.target."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bed import Machine, Tree, failhook_tree
from tests.e2e.hooked import Hooked

UNIT = "failhook-boot-check.service"
TARGET = "boot-complete.target"
OWN = "/etc/failhook/boot"
FAILING = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 1'\n"
# As greenboot's own look: functions, arrays, [[, no x bit, a status of its own.
GREENBOOT = """#!/bin/bash
set -eo pipefail
source /etc/os-release
looks=("$ID" debian)
function same() { [[ "${looks[0]}" == "${looks[1]}" ]]; }
same || { echo "not Debian: $ID" >&2; exit 1; }
"""
GREEN = """[boot]
active = ["dbus.socket"]
not_failed = ["*.mount", "failhook*"]
disk = [{ path = "/", free = "1M" }]
network = { resolve = ["localhost"] }
"""


@pytest.fixture(scope="module")
def checked(tree: Tree) -> Iterator[Hooked]:
    """A bed that these tests share and reboot."""
    with Machine(failhook_tree(tree)) as bed:
        yield Hooked(bed)


@pytest.fixture(autouse=True)
def _afterwards(checked: Hooked) -> Iterator[None]:
    yield
    bed = checked.machine
    bed.shell(f"rm -rf {OWN} /etc/greenboot /etc/failhook/failhook.toml /run/ran")
    bed.systemctl("stop", TARGET, UNIT, check=False)
    bed.systemctl("reset-failed", check=False)


def _report(checked: Hooked) -> dict[str, Any]:
    done = checked.machine.run(["failhook", "boot", "check", "--last", "--json"], check=False)
    found: dict[str, Any] = json.loads(done.stdout)["boot_check"]
    return found


def _script(bed: Machine, name: str, body: str) -> None:
    bed.write(f"{OWN}/{name}", f"#!/bin/sh\n{body}\n", 0o755)


def _state(bed: Machine, unit: str) -> str:
    return bed.show(unit, "ActiveState")["ActiveState"]


def test_off_until_it_is_enabled_and_then_part_of_every_boot(checked: Hooked) -> None:
    bed = checked.machine
    assert bed.systemctl("is-enabled", UNIT, check=False).text == "disabled"
    bed.systemctl("start", TARGET)
    assert _state(bed, UNIT) == "inactive"
    assert f"enabled {UNIT}" in bed.run(["failhook", "boot", "enable"]).text
    assert "nothing to change" in bed.run(["failhook", "boot", "enable"]).text
    bed.write("/etc/greenboot/check/required.d/01_os.sh", GREENBOOT)
    bed.write("/etc/greenboot/check/required.d/02_watchdog.sh", "exit 1\n")
    bed.write("/etc/greenboot/greenboot.conf", 'DISABLED_HEALTHCHECKS=("02_watchdog.sh")\n')
    _script(bed, "green.d/g", "echo green >/run/ran")
    bed.write("/etc/failhook/failhook.toml", GREEN)
    before = len(bed.journal("-u", "failhook.service"))
    bed.reboot()
    assert _state(bed, UNIT) == "active"  # multi-user.target asked for it, and waited for nothing
    assert bed.read("/run/ran") == b"green\n"
    found = _report(checked)
    assert found["summary"] == "the boot check is green: 5 required checks passed"
    names = ["dbus.socket", "not_failed", "/", "localhost", "01_os.sh"]
    assert [one["name"] for one in found["checks"]] == names
    bed.systemctl("start", TARGET)
    assert _state(bed, TARGET) == "active"
    said = [line["MESSAGE"] for line in bed.journal("-b", "-u", UNIT, "_PID=1")]
    assert not any("ordering cycle" in line["MESSAGE"] for line in bed.journal("-b", "_PID=1"))
    assert any("Finished" in line for line in said)
    # Nothing else of failhook ran in a boot without failures.
    assert len(bed.journal("-u", "failhook.service")) == before
    assert checked.incidents(UNIT) == []


def test_a_red_boot_is_an_incident_with_its_reason(checked: Hooked) -> None:
    bed = checked.machine
    bed.run(["failhook", "boot", "enable"])
    bed.units({"db.service": FAILING})
    bed.systemctl("start", "db.service", check=False)
    bed.write("/etc/failhook/failhook.toml", '[boot]\nactive = ["db.service"]\n')
    _script(bed, "required.d/10-a", "echo 'no database' >&2; exit 3")
    _script(bed, "required.d/20-b", "exit 0")
    _script(bed, "red.d/r", "echo red >/run/ran")
    assert bed.systemctl("start", TARGET, check=False).returncode != 0
    assert (_state(bed, UNIT), _state(bed, TARGET)) == ("failed", "inactive")
    assert bed.read("/run/ran") == b"red\n"
    (incident,) = checked.wait_done(UNIT)
    reason = "the boot check is red: db.service is failed (exit status 1)"
    assert incident["verdict"]["summary"] == f"{reason}; 2 of 3 required checks failed"
    assert incident["verdict"]["cause"] == "boot-check"
    assert {one["kind"] for one in incident["triggers"]} == {"stop-post", "on-failure"}
    journal = checked.bundle_files(incident)["journal/journal.txt"].decode()
    assert "| 10-a: no database" in journal
    found = _report(checked)
    assert [(one["name"], one["ok"]) for one in found["procedures"]] == [("r", True)]
    assert "Boot check red" in bed.run(["failhook", "status"]).text
    # It is the only one of ours that is ever an incident.
    assert [one["unit"] for one in checked.incidents("failhook*")] == [UNIT]
    bed.shell(f"rm {OWN}/required.d/10-a; printf '' >/etc/failhook/failhook.toml")
    bed.systemctl("start", TARGET)  # and what was mended is looked at again
    assert checked.wait_field(UNIT, "state", "recovered")["id"] == incident["id"]


def test_a_script_that_hangs_costs_its_own_limit(checked: Hooked) -> None:
    bed = checked.machine
    bed.run(["failhook", "boot", "enable"])
    count = len(checked.incidents(UNIT))
    bed.write("/etc/failhook/failhook.toml", '[boot]\ntimeouts = { "10-hangs" = "500ms" }\n')
    hang = "trap '' TERM HUP INT; setsid sleep 4242 & while :; do sleep 4243; done"
    _script(bed, "required.d/10-hangs", hang)
    _script(bed, "required.d/20-well", "exit 0")
    assert bed.systemctl("start", TARGET, check=False).returncode != 0
    found = _report(checked)
    assert [one["ok"] for one in found["checks"]] == [False, True]
    assert found["took_ms"] < 20_000
    left = bed.run(["pgrep", "-f", "sleep 424[23]"], check=False)
    assert left.text == ""
    newest = checked.wait_done(UNIT, count + 1)[-1]
    assert "10-hangs did not finish within 0.5 s" in newest["verdict"]["summary"]


def test_disabling_and_uninstalling_leave_nothing(checked: Hooked) -> None:
    bed = checked.machine
    bed.run(["failhook", "boot", "enable"])
    assert f"disabled {UNIT}" in bed.run(["failhook", "boot", "disable"]).text
    links = f"find /etc/systemd/system -name {UNIT}"
    assert bed.shell(links).text == ""
    assert not bed.exists(OWN)
    assert bed.systemctl("is-enabled", UNIT, check=False).text == "disabled"
    assert "nothing to change" in bed.run(["failhook", "boot", "disable"]).text
    bed.run(["failhook", "boot", "enable"])
    _script(bed, "required.d/a", "exit 1")
    bed.systemctl("start", UNIT, check=False)
    bed.run(["failhook", "uninstall"], timeout=60)
    assert bed.shell(links).text == ""
    assert bed.systemctl("list-units", "--all", "--no-legend", UNIT).text == ""
    assert not bed.exists(f"/usr/local/lib/systemd/system/{UNIT}")
