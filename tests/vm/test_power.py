# SPDX-License-Identifier: MIT
"""The power fails, the machine hangs, a rule always reboots: nothing is lost, nothing loops."""

from __future__ import annotations

import pytest

from tests.vm.conftest import NewMachine
from tests.vm.hooked import CRITICAL, furnish, rule
from tests.vm.machine import Incident, Machine, actions_of, listed, show, wait_done
from tests.vm.qemu import Run

UNIT = "acme-cut.service"
_DONE = "/var/lib/acme-done"
_OVER = ("done", "failed", "interrupted", "left-out")
_CONFIGURATION = f"""[collect]
deadline = "5s"

[limits]
reboots = "500 per 1d"

[action.write-down]
type = "command"
argv = ["/usr/local/bin/write-down"]
sandbox = false

[action.go]
type = "system"
min_uptime = "0s"
pause = "0s"

[[rule]]
name = "cut"
unit = ["{UNIT}"]
within = "1d"
step = [{{ on = "1..", do = ["write-down", "go"] }}]
"""
_SERVICE = """[Unit]
OnFailure=failhook@%n.service
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo acme-cut: no more room in the pool; exit 4'
ExecStopPost=-failhook
"""
_WRITE_DOWN = f'#!/bin/sh\necho "$FAILHOOK_ID" >>{_DONE} && sync {_DONE}\n'
# Until the failure is on record: from then on nothing may be lost.
_FAIL = """
old=$(ls /var/lib/failhook/incidents 2>/dev/null | wc -l)
systemctl start --no-block {unit}
while :; do
    set -- /var/lib/failhook/incidents/*/incident.json
    [ $# -gt "$old" ] && [ -e "$1" ] && break
    sleep 0.3
done
"""
_INTEGRITY = (
    "import sqlite3; "
    "print(sqlite3.connect('/var/lib/failhook/index.sqlite').execute("
    "'pragma integrity_check').fetchone()[0])"
)


def _look(machine: Machine, run: Run, boots: int) -> list[Incident]:
    """What is there after a cut: sound, whole or marked as cut, and nothing done twice."""
    found = _wait_settled(run, boots)
    assert run.run(f'python3 -I -c "{_INTEGRITY}"').text.strip() == "ok"
    written = run.run(f"cat {_DONE}", check=False).text.split()
    for one in found:
        assert written.count(one["id"]) <= 1, (one["id"], written)
        assert one["verdict"], one
        for step in one["actions"]:
            assert step["state"] in _OVER, step
    newest = found[-1]
    if newest["bundle"]:
        run.run(f"failhook verify {newest['bundle']['path']}")
    states = ", ".join(f"{step['name']} {step['state']}" for step in newest["actions"])
    machine.note(f"    {boots} failures on record; of the last one: {states or 'no step'}")
    return found


def _wait_settled(run: Run, count: int) -> list[Incident]:
    deadline = run.age_s + 150
    while True:
        found = listed(run, UNIT)
        if len(found) >= count and all(_is_over(one) for one in found):
            return found
        assert run.age_s < deadline, _what_is_missing(run, found, count)
        run.watch(2.0)


def _what_is_missing(run: Run, found: list[Incident], count: int) -> str:
    lines = [f"{len(found)} of {count} are on record; not over:"]
    for one in found:
        if not _is_over(one):
            steps = ", ".join(f"{step['name']} {step['state']}" for step in one["actions"])
            lines.append(f"{one['id']}: {one['stage']}, {steps or 'no step'}")
    here = run.run("ls -l --time-style=full-iso /var/lib/failhook/incidents/* /run/failhook/*")
    return "\n".join([*lines, here.text])


def _is_over(incident: Incident) -> bool:
    return incident["stage"] == "done" and all(
        step["state"] in _OVER for step in incident["actions"]
    )


def test_power_cuts(new_machine: NewMachine, pytestconfig: pytest.Config) -> None:
    """Cut at many points between failure and reboot; the next boot has the incident each time."""
    cuts: int = pytestconfig.getoption("--cuts")
    machine = new_machine()
    machine.disk.put(
        {
            f"/etc/systemd/system/{UNIT}": _SERVICE,
            "/etc/failhook/failhook.toml": _CONFIGURATION,
            "/usr/local/bin/write-down": _WRITE_DOWN,
        }
    )
    run = machine.boot_up()
    began = _fail(run)
    assert run.wait_end(120) == "guest-reset"
    whole_s = run.age_s - began
    machine.note(f"uncut: from the record to the reset {whole_s:.1f} s")
    made = failures = 0
    while made < cuts:
        failures += 1
        assert failures <= 2 * cuts, "the machine reboots before it can be cut"
        run = machine.boot_up()
        _look(machine, run, failures)
        after_s = whole_s * made / cuts
        began = _fail(run)
        run.watch(after_s)
        took_s = run.age_s - began
        run.cut()
        if run.end == "killed":
            made += 1
            machine.note(f"cut {made}: {took_s:.1f} s after the record: killed")
        else:  # it was quicker this time: no cut, and the points lie closer from here on
            whole_s = min(whole_s, took_s)
            machine.note(f"no cut: {run.end} already {took_s:.1f} s after the record")
    run = machine.boot_up()
    found = _look(machine, run, failures + 1)
    assert len({one["id"] for one in found}) == failures + 1
    machine.switch_off()


def _fail(run: Run) -> float:
    """Let the unit fail; when it was on record."""
    run.run(_FAIL.format(unit=UNIT))
    return run.age_s


def test_a_rule_that_always_reboots_stops(new_machine: NewMachine) -> None:
    """Twice a day, says the limit: then the machine stays up, says why, and one can log in."""
    machine = new_machine()
    furnish(machine, rule("system", reboots=2, checked=False), checked=False)
    for _ in range(2):
        run = machine.boot("vm.bad")
        assert run.wait_end(240) == "guest-reset"
        machine.note(f"boot {machine.boots}: {machine.ended(run)}")
    run = machine.boot_up("vm.bad")
    incident = wait_done(run, CRITICAL, count=3)[-1]
    step = actions_of(incident, "go")[0]
    machine.note(f"boot {machine.boots} stays up: {step['state']}, {step['detail']}")
    assert step["state"] != "done"
    assert "2 per" in step["detail"] or "used up" in step["detail"]
    run.log_in()
    machine.switch_off()


def test_a_hanging_pid_1_is_reset_by_the_watchdog(new_machine: NewMachine) -> None:
    """PID 1 stands still, the watchdog resets the machine; the next boot tells what it can."""
    machine = new_machine()
    configuration = rule("system", checked=False).replace("0s", "1h", 1)  # it waits for an hour
    furnish(machine, configuration, checked=False)
    run = machine.boot_up("vm.bad")
    run.wait(lambda: listed(run, CRITICAL), "the incident", 120)
    waiting = show(run, CRITICAL)
    run.run("modprobe softdog soft_margin=8")
    manager = "org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager"
    run.run(f"busctl set-property {manager} RuntimeWatchdogUSec t 8000000")
    run.run("sync")
    # PTRACE_ATTACH stops it, and it stays so as long as this process lives.
    run.ask(
        "python3 -I -c 'import ctypes, time; "
        "ctypes.CDLL(None).ptrace(16, 1, None, None); time.sleep(600)'",
        600,
    )
    assert run.wait_end(120) == "guest-reset"
    machine.note(f"boot {machine.boots}: {machine.ended(run)}")
    run = machine.boot_up()
    run.run("systemctl start --wait failhook-aftermath.service", check=False)
    incident = show(run, waiting["id"])
    machine.note(f"told: {incident['aftermath']['summary']}")
    assert incident["aftermath"]["ended"] in ("cut", "watchdog")
    assert incident["aftermath"]["is_well"]
    machine.switch_off()
