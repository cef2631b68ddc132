# SPDX-License-Identifier: MIT
"""A new boot entry that fails, with failhook: left at once or by counting, and told afterwards."""

from __future__ import annotations

from tests.bed import BedError
from tests.vm.conftest import NewMachine
from tests.vm.hooked import CRITICAL, SAID, WANTS, furnish, rule
from tests.vm.machine import Entry, Machine, actions_of, listed, selected_entry, show
from tests.vm.qemu import Run

GOOD = Entry("one.conf", 1)
BAD_NEW = Entry("two+3.conf", 2, "vm.bad")


def the_story(machine: Machine, run: Run) -> str:
    """What people see in the boot that survives; printed, too."""
    incident = listed(run, CRITICAL)[-1]
    for command in ("failhook list", f"failhook show {incident['id']}", "cat /run/motd.d/* || :"):
        machine.note(f"# {command}")
        for line in run.run(command).text.splitlines()[:24]:
            machine.note(f"    {line}")
    return run.run("journalctl -b --no-pager -o cat SYSLOG_IDENTIFIER=failhook").text


def wait_told(run: Run) -> None:
    """Until the story of the last boot is told."""
    run.run("systemctl start failhook-aftermath.service", check=False)
    deadline = 90
    command = "systemctl is-active failhook-aftermath.service failhook.service"
    for _ in range(deadline):
        states = run.run(command, check=False).text.split()
        if not {"active", "activating"} & set(states):
            return
        run.watch(1.0)
    raise AssertionError(run.run("systemctl status 'failhook*'", check=False).text)


def test_marked_bad_at_once(new_machine: NewMachine) -> None:
    """Two boots: the new entry is marked bad and left; the next boot tells the whole story."""
    machine = new_machine()
    furnish(machine, rule("boot-bad"))
    machine.install_systemd_boot([GOOD, BAD_NEW])
    assert machine.boot_to_the_end().end == "guest-reset"
    assert machine.entries() == ["one.conf", "two+0-1.conf"]
    run = machine.boot_up()
    assert selected_entry(run) == "one.conf"
    wait_told(run)
    journal = the_story(machine, run)
    incident = show(run, listed(run, CRITICAL)[-1]["id"])
    assert SAID.partition(": ")[2] in incident["verdict"]["summary"]
    step = actions_of(incident, "go")[0]
    assert step["state"] == "done", step
    assert "rolled back from two to one" in journal.lower()
    assert incident["aftermath"]["rolled_back"]
    assert incident["aftermath"]["is_well"]
    assert len(listed(run, CRITICAL)) == 1
    machine.switch_off()
    assert machine.entries() == ["one.conf", "two+0-1.conf"]


def test_rolled_back_by_counting(new_machine: NewMachine) -> None:
    """Four boots: a rule reboots, the loader counts; the fourth boot is the old entry's."""
    machine = new_machine()
    furnish(machine, rule("system"))
    machine.install_systemd_boot([GOOD, BAD_NEW])
    for expected in ("two+2-1.conf", "two+1-2.conf", "two+0-3.conf"):
        assert machine.boot_to_the_end().end == "guest-reset"
        assert machine.entries() == ["one.conf", expected]
    run = machine.boot_up()
    assert selected_entry(run) == "one.conf"
    wait_told(run)
    the_story(machine, run)
    incidents = [show(run, one["id"]) for one in listed(run, CRITICAL)]
    assert len({one["boot_id"] for one in incidents}) == 3
    assert all(actions_of(one, "go")[0]["state"] == "done" for one in incidents)
    assert incidents[-1]["aftermath"]["rolled_back"], incidents[-1]["aftermath"]
    machine.switch_off()


def test_blessed_although_something_unimportant_failed(new_machine: NewMachine) -> None:
    """The boot check is green: the counter goes, whatever else failed; later `bad` refuses."""
    machine = new_machine()
    unimportant = (
        "[Unit]\nOnFailure=failhook@%n.service\n[Service]\nType=oneshot\nExecStart=/bin/false\n"
    )
    furnish(machine, rule("boot-bad"))
    machine.disk.put(
        {"/etc/systemd/system/unimportant.service": unimportant},
        {f"{WANTS}/unimportant.service": "../unimportant.service"},
    )
    machine.install_systemd_boot([GOOD, Entry("two+3.conf", 2)])
    run = machine.boot_up()
    assert selected_entry(run) == "two.conf"
    assert run.run("failhook boot check --last").text.startswith("GREEN")
    run.wait(lambda: machine.entries() == ["one.conf", "two.conf"], "the blessing", 60)
    assert listed(run, "unimportant.service")
    machine.note(run.run("failhook boot").text.splitlines()[0])
    machine.switch_off()
    assert machine.entries() == ["one.conf", "two.conf"]
    run = machine.boot_up()
    refused = run.run("failhook boot bad", check=False)
    machine.note(f"failhook boot bad: {refused.status}, {refused.text.strip()}")
    assert refused.status == 1
    assert "two.conf" in refused.text
    assert machine.entries() == ["one.conf", "two.conf"]
    machine.switch_off()


# They leave when nothing is left to do; then nobody is there who could ask for a reboot.
_WORKED_OFF = """
busy() {
    systemctl list-units --plain --no-legend --state=active,activating,deactivating \\
        failhook.service failhook-act.service failhook-deliver.service | grep -q . ||
        ls /run/failhook/spool /var/lib/failhook/due/now | grep -q json
}
quiet=0
for i in $(seq 240); do
    sleep 1
    quiet=$((quiet + 1))
    if busy; then quiet=0; fi
    [ $quiet -lt 3 ] || break
done
"""


def stays_up(run: Run) -> bool:
    """All failures of this boot are worked off, and nothing was asked for; False: it went down."""
    try:
        run.settle()
        run.run(_WORKED_OFF, timeout_s=260)
        run.watch(10)
    except BedError:
        if run.running:
            raise
    return run.running


def test_both_entries_bad_and_no_circle(new_machine: NewMachine) -> None:
    """Neither entry works: after a bounded number of boots the machine stays up, to log in."""
    machine = new_machine()
    furnish(machine, rule("boot-bad"))
    machine.install_systemd_boot(
        [Entry("one+3.conf", 1, "vm.bad"), Entry("two+3.conf", 2, "vm.bad")]
    )
    seen = []
    run = machine.boot()
    while not stays_up(run):
        run.wait_end()
        seen.append(machine.entries())
        machine.note(f"boot {machine.boots}: {machine.ended(run)}")
        assert len(seen) < 5, "it goes in circles"
        run = machine.boot()
    machine.note(f"boot {machine.boots}: stays up; on the ESP: {', '.join(machine.entries())}")
    the_story(machine, run)
    assert seen
    run.log_in()
    machine.switch_off()
