# SPDX-License-Identifier: MIT
"""Nothing lost, nothing twice: killed runners, full disks, shutdowns, rubbish in the spool."""

import json
import signal
import time

import pytest

from tests.bed import Machine
from tests.e2e.hooked import Hooked, service

_FAIL = "ExecStart=sh -c 'echo going down; exit 3'\n"


def test_list_shows_a_failure_within_two_seconds(hooked: Hooked) -> None:
    unit = "quick.service"
    hooked.machine.units({unit: service("stop-post", _FAIL)})
    hooked.machine.wait(
        lambda: hooked.machine.show("failhook.service", "ActiveState")["ActiveState"] == "inactive",
        timeout=40,
        what="the runner to have left",
    )
    start = time.monotonic()
    hooked.machine.systemctl("start", unit)
    hooked.machine.wait(lambda: hooked.incidents(unit) != [], timeout=10, what="the incident")
    assert time.monotonic() - start < 2.0
    hooked.wait_done(unit)  # until its verdict is there, the line says "being looked at"
    text = hooked.machine.run(["failhook", "list"]).text
    assert "quick.service" in text
    assert "status 3" in text


def test_runner_leaves_when_idle_and_nothing_of_ours_failed(hooked: Hooked) -> None:
    bed = hooked.machine
    bed.wait(
        lambda: bed.show("failhook.service", "ActiveState")["ActiveState"] == "inactive",
        timeout=60,
        what="the runner to leave",
    )
    failed = bed.systemctl("list-units", "--failed", "--plain", "--no-legend").text
    assert "failhook" not in failed
    assert not bed.exists("/var/lib/failhook/unfinished")


def test_killed_runner_goes_on_where_it_was(fresh_hooked: Hooked) -> None:
    """SIGKILL to the whole service again and again while 24 units fail: each is there, once."""
    bed = fresh_hooked.machine
    names = [f"kill-{number}.service" for number in range(24)]
    bed.units({name: service("both", _FAIL) for name in names})
    bed.systemctl("start", *names, check=False)
    for _ in range(12):
        bed.systemctl("kill", "-s", "KILL", "failhook.service", check=False)
        time.sleep(0.35)
    for name in names:
        (incident,) = fresh_hooked.wait_done(name, timeout=90)
        assert incident["count"] == 1
        assert incident["result"] == "exit-code"
        assert {trigger["kind"] for trigger in incident["triggers"]} <= {"stop-post", "on-failure"}
        assert len({trigger["id"] for trigger in incident["triggers"]}) == len(incident["triggers"])
    left = bed.shell("ls -A /run/failhook/spool /run/failhook/incoming").text
    assert ".json" not in left


def test_unreadable_spool_files_are_set_aside_and_reported(hooked: Hooked) -> None:
    bed = hooked.machine
    bed.write("/run/failhook/spool/00000000000000000001-1.json", "{ not json")
    bed.write("/run/failhook/spool/00000000000000000002-1.json", '{"schema": 99}')
    bed.shell("mkfifo /run/failhook/spool/00000000000000000003-1.json")
    bed.wait(
        lambda: bed.shell("ls /run/failhook/spool").text.strip() == "",
        timeout=20,
        what="the spool to be empty",
    )
    aside = bed.shell("ls /var/lib/failhook/unreadable").text.split()
    assert "00000000000000000001-1.json" in aside
    assert "set aside" in json.dumps([str(line) for line in bed.journal("_COMM=python3")])
    status = json.loads(bed.run(["failhook", "status", "--json"]).stdout)["status"]
    assert status["unreadable"] >= 2
    unit = "after-rubbish.service"
    bed.units({unit: service("stop-post", _FAIL)})
    bed.systemctl("start", unit)
    hooked.wait_done(unit)


def test_failure_during_shutdown_is_recorded_by_the_next_boot(fresh_hooked: Hooked) -> None:
    bed = fresh_hooked.machine
    unit = "late.service"
    bed.units(
        {
            unit: service(
                "both",
                "ExecStart=sh -c 'trap \"exit 5\" TERM; while :; do sleep 0.1; done'\n",
            )
        }
    )
    bed.systemctl("start", unit)
    bed.systemctl("start", "failhook.path", "failhook.socket", "failhook-keep.service")
    time.sleep(0.5)
    bed.run(["systemctl", "reboot"], check=False)
    bed.wait_ended(timeout=60)
    bed.boot()
    (incident,) = fresh_hooked.wait_done(unit, timeout=30)
    assert incident["phase"] == "shutdown"
    assert incident["state"] == "closed"
    assert incident["exit_status"] == "5"
    boot_id = bed.read("/proc/sys/kernel/random/boot_id").decode().strip().replace("-", "")
    assert incident["boot_id"] != boot_id


def test_a_word_in_the_fifo_starts_a_runner_and_no_word_starts_a_second(
    fresh_hooked: Hooked,
) -> None:
    """Anybody may write there: it costs a start of the runner, and none while there is one."""
    bed = fresh_hooked.machine
    service_name = "failhook.service"
    bed.systemctl("stop", service_name, check=False)
    before = bed.show(service_name, "InvocationID")["InvocationID"]
    bed.shell("printf . >/run/failhook/wake", user="nobody")
    bed.wait(lambda: _state(bed) == "active", what="the runner")
    first = bed.show(service_name, "InvocationID")["InvocationID"]
    assert first != before
    bed.shell("for i in $(seq 300); do printf . >/run/failhook/wake; done", user="nobody")
    assert bed.show(service_name, "InvocationID")["InvocationID"] == first
    bed.wait(lambda: _would_hear(bed), what="the runner to be ready for SIGTERM")
    bed.systemctl("stop", service_name)
    time.sleep(1.0)
    assert _state(bed) == "inactive"
    assert bed.show(service_name, "InvocationID")["InvocationID"] == first
    unit = "after-wake.service"
    bed.units({unit: service("stop-post", _FAIL)})
    bed.systemctl("start", unit, check=False)
    fresh_hooked.wait_done(unit)


def _would_hear(bed: Machine) -> bool:
    """One that is stopped before it can empty the FIFO is started again, as it should be."""
    pid = bed.show("failhook.service", "MainPID")["MainPID"]
    status = bed.read(f"/proc/{pid}/status").decode()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def _state(bed: Machine) -> str:
    return bed.show("failhook.service", "ActiveState")["ActiveState"]


def test_full_disk_records_the_incident_with_a_reduced_bundle(fresh_hooked: Hooked) -> None:
    bed = fresh_hooked.machine
    unit = "full.service"
    bed.systemctl("stop", "failhook.path", "failhook.socket", "failhook.service", check=False)
    bed.shell("mount -t tmpfs -o size=16M,mode=0700 none /var/lib/failhook")
    bed.systemctl("start", "failhook.path", "failhook.socket")
    first = "before-full.service"
    bed.units({unit: service("stop-post", _FAIL), first: service("stop-post", _FAIL)})
    bed.systemctl("start", first)
    fresh_hooked.wait_done(first)
    bed.wait(lambda: bed.exists("/var/lib/failhook/reserve"), what="the reserve")
    bed.shell("dd if=/dev/zero of=/var/lib/failhook/filler bs=4k 2>/dev/null || true")
    assert bed.shell("echo y > /var/lib/failhook/x", check=False).returncode != 0
    bed.systemctl("start", unit)
    (incident,) = fresh_hooked.wait_done(unit, timeout=40)
    assert incident["exit_status"] == "3"
    assert any("reduced" in problem for problem in incident["problems"])
    assert set(fresh_hooked.bundle_files(incident)) >= {"verdict.txt", "manifest.json"}
    shown = bed.run(["failhook", "show", unit]).text
    assert "Missing" in shown
    # a full disk can still be freed
    bed.run(["failhook", "prune", "--incidents", "0"])


_ACT = """
[action.note]
type = "command"
argv = ["/bin/sh", "-c", "echo noted"]
[action.tell]
type = "webhook"
url = "http://127.0.0.1:9/"
[[rule]]
name = "all"
unit = ["no-room.service"]
step = [{ on = "1", do = ["note", "tell"] }]
"""


def test_a_full_root_keeps_no_part_of_it_from_starting(fresh_hooked: Hooked) -> None:
    """Not even a directory can be made in /tmp: systemd's own PrivateDevices= fails on that."""
    bed = fresh_hooked.machine
    bed.write("/etc/failhook/failhook.toml", _ACT)
    for place in ("/tmp", "/var/tmp"):
        bed.shell(f"mount -t tmpfs -o mode=1777,nr_inodes=1 none {place}")
        assert bed.shell(f"mkdir {place}/x", check=False).returncode != 0
    unit = "no-room.service"
    bed.units({unit: service("on-failure", _FAIL)})
    bed.systemctl("start", unit)
    (incident,) = fresh_hooked.wait_done(unit)
    assert incident["exit_status"] == "3"

    def states() -> dict[str, str]:
        steps = fresh_hooked.show(incident["id"])["actions"]
        return {one["name"]: one["state"] for one in steps}

    expected = {"note": "done", "tell": "waiting"}  # nobody listens: it was tried
    bed.wait(lambda: states() == expected, timeout=20, what=f"{expected}")
    for name in ("failhook-later.service", "failhook-keep.service"):
        bed.systemctl("restart", name)
    said = bed.run(["systemctl", "--failed", "--plain", "--no-legend", "list-units", "failhook*"])
    assert said.text.strip() == ""


def test_read_only_var_is_said_clearly_and_harms_no_unit(fresh_hooked: Hooked) -> None:
    bed = fresh_hooked.machine
    unit = "frozen.service"
    bed.units({unit: service("stop-post", _FAIL)})
    bed.systemctl("stop", "failhook.path", "failhook.socket", "failhook.service", check=False)
    bed.shell(
        "mount -t tmpfs -o mode=0700 none /var/lib/failhook && "
        "mount -o remount,ro /var/lib/failhook"
    )
    bed.systemctl("start", "failhook.path", "failhook.socket")
    bed.systemctl("start", unit)
    bed.wait_state(unit, "failed")
    bed.wait(
        lambda: any(
            "ead-only" in str(line["MESSAGE"])
            for line in bed.journal("_SYSTEMD_UNIT=failhook.service")
        ),
        timeout=20,
        what="a word in the journal",
    )
    assert bed.show(unit, "Result")["Result"] == "exit-code"
    # the trigger waits; once the disk can be written, the incident is there
    bed.shell("mount -o remount,rw /var/lib/failhook")
    (incident,) = fresh_hooked.wait_done(unit, timeout=60)
    assert incident["exit_status"] == "3"


def test_no_journald_is_recorded_all_the_same(fresh_hooked: Hooked) -> None:
    bed = fresh_hooked.machine
    unit = "mute.service"
    bed.units({unit: service("stop-post", _FAIL)})
    bed.systemctl(
        "mask",
        "--runtime",
        "systemd-journald.service",
        "systemd-journald.socket",
        "systemd-journald-dev-log.socket",
        "systemd-journald-audit.socket",
    )
    bed.systemctl(
        "stop",
        "systemd-journald.service",
        "systemd-journald.socket",
        "systemd-journald-dev-log.socket",
        check=False,
    )
    bed.shell("rm -rf /var/log/journal /run/log/journal")
    bed.systemctl("start", unit, check=False)
    (incident,) = fresh_hooked.wait_done(unit, timeout=60)
    assert incident["exit_status"] == "3"
    assert incident["bundle"]


def test_no_dbus_is_recorded_all_the_same(fresh_hooked: Hooked) -> None:
    bed = fresh_hooked.machine
    unit = "busless.service"
    bed.units({unit: service("both", f"User=nobody\n{_FAIL}")})
    bed.systemctl("mask", "--runtime", "dbus.service", "dbus.socket")
    bed.systemctl("stop", "dbus.service", "dbus.socket", check=False)
    bed.systemctl("start", unit, check=False)
    (incident,) = fresh_hooked.wait_done(unit, timeout=40)
    assert incident["exit_status"] == "3"
    assert incident["phase"] == "failed"


@pytest.mark.parametrize("offset", [-86400.0, 86400.0 * 400])
def test_clock_that_jumps_loses_nothing(hooked: Hooked, offset: float) -> None:
    """The trigger's time is far from the machine's: as if the clock was set in between."""
    bed = hooked.machine
    unit = f"clock{int(offset)}.service".replace("-", "m")
    bed.units({unit: "[Service]\nExecStart=sleep 60\n"})
    bed.systemctl("start", unit)
    boot_id = bed.read("/proc/sys/kernel/random/boot_id").decode().strip().replace("-", "")
    record = {
        "schema": 1,
        "kind": "stop-post",
        "unit": unit,
        "manager": "system",
        "boot_id": boot_id,
        "realtime": time.time() + offset,
        "monotonic": 1.0,
        "uid": 0,
        "pid": 1,
        "env": {
            "SERVICE_RESULT": "exit-code",
            "EXIT_CODE": "exited",
            "EXIT_STATUS": "1",
            "INVOCATION_ID": bed.show(unit, "InvocationID")["InvocationID"],
        },
    }
    bed.write("/run/failhook/incoming/clock.json", json.dumps(record))
    bed.shell("mv /run/failhook/incoming/clock.json /run/failhook/spool/clock.json")
    (incident,) = hooked.wait_done(unit)
    assert incident["exit_status"] == "1"


def test_recovery_is_noticed_by_a_later_clean_run(hooked: Hooked) -> None:
    bed = hooked.machine
    unit = "sometimes.service"
    bed.units({unit: service("stop-post", "Type=oneshot\nExecStart=test -e /run/now-it-works\n")})
    bed.systemctl("start", unit, check=False)
    (incident,) = hooked.wait_done(unit)
    assert incident["state"] == "open"
    bed.wait(lambda: bed.exists("/run/failhook/open"), what="the list of open units")
    assert unit in bed.read("/run/failhook/open").decode().split()
    bed.write("/run/now-it-works", "")
    bed.systemctl("start", unit)
    recovered = hooked.wait_field(unit, "state", "recovered")
    assert recovered["recovered_at"] > recovered["first_seen"]
