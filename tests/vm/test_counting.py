# SPDX-License-Identifier: MIT
"""Boot assessment as systemd does it by itself: what all the rest stands on."""

from __future__ import annotations

from tests.vm.conftest import NewMachine
from tests.vm.machine import Entry, selected_entry

# Fails in the new entry only; Automatic Boot Assessment alone reboots nothing.
CRITICAL = """[Unit]
Description=What this machine is for
FailureAction=reboot
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c '! grep -q vm.new /proc/cmdline'
"""


def test_an_entry_counts_down_and_falls_back(new_machine: NewMachine) -> None:
    """+3, +2-1, +1-2, +0-3, and then the old entry boots: systemd alone, by FailureAction=."""
    machine = new_machine()
    machine.disk.put(
        {"/etc/systemd/system/critical.service": CRITICAL},
        {"/etc/systemd/system/multi-user.target.wants/critical.service": "../critical.service"},
    )
    machine.disk.put(
        {
            "/etc/systemd/system/boot-complete.target.d/critical.conf": (
                "[Unit]\nRequires=critical.service\nAfter=critical.service\n"
            )
        }
    )
    machine.install_systemd_boot([Entry("one.conf", 1), Entry("two+3.conf", 2, "vm.new")])
    for expected in ("two+2-1.conf", "two+1-2.conf", "two+0-3.conf"):
        assert machine.boot_to_the_end().end == "guest-reset"
        assert machine.entries() == ["one.conf", expected]
    run = machine.boot_up()
    assert selected_entry(run) == "one.conf"
    assert run.run("systemctl is-active critical.service").text.strip() == "active"
    machine.switch_off()
    assert machine.entries() == ["one.conf", "two+0-3.conf"]


def test_a_default_does_not_care_for_the_counter(new_machine: NewMachine) -> None:
    """The loader boots what loader.conf names, without a try left: `failhook boot` says so."""
    machine = new_machine()
    machine.install_systemd_boot([Entry("one.conf", 1), Entry("two+0-3.conf", 2)])
    machine.disk.put_on_esp({"loader/loader.conf": b"timeout 0\ndefault two*\n"})
    run = machine.boot_up()
    assert selected_entry(run) == "two.conf"
    said = " ".join(run.run("failhook boot").text.split())
    machine.note(said)
    # Nothing failed, so systemd-bless-boot.service blesses it, or is about to.
    assert "two.conf" in said
    assert "loader.conf says two*" in said
    refused = run.run("failhook boot bad", check=False)
    assert refused.status == 1
    machine.switch_off()
