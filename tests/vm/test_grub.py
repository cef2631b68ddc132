# SPDX-License-Identifier: MIT
"""GRUB with its environment block and the script of contrib/grub: counts down and falls back."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from tests.vm.conftest import NewMachine
from tests.vm.hooked import furnish, rule
from tests.vm.machine import Machine
from tests.vm.qemu import KERNEL_OPTIONS

_SNIPPET = Path(__file__).resolve().parents[2] / "contrib/grub/08_failhook_boot_counter"
_MODULES = "part_gpt ext2 fat normal linux loadenv test echo configfile search reboot minicmd"
_BLOCK = "/boot/grub/grubenv"


def _configuration() -> str:
    """As grub-mkconfig would join it: the environment block, the script's part, the entries."""
    counted = subprocess.run(
        ["sh", str(_SNIPPET)],
        env={**os.environ, "FAILHOOK_FALLBACK": "old"},
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    entries = "".join(
        f"menuentry '{name}' --id {name} {{\n  linux /boot/vmlinuz {KERNEL_OPTIONS} {more}\n}}\n"
        for name, more in (("new", "vm.bad vm.entry=new"), ("old", "vm.entry=old"))
    )
    begin = "load_env -f $prefix/grubenv\nset default=0\nset timeout=0\n"
    return f"{begin}{counted}{entries}"


def _block(**variables: str) -> str:
    """An environment block with these."""
    with tempfile.TemporaryDirectory(prefix="failhook-vm-") as made:
        path = Path(made, "grubenv")
        subprocess.run(["grub-editenv", str(path), "create"], check=True)
        pairs = [f"{name}={value}" for name, value in variables.items()]
        subprocess.run(["grub-editenv", str(path), "set", *pairs], check=True)
        return path.read_text("ascii")


def _image() -> bytes:
    """GRUB as one file for the firmware, which looks for its configuration on the root."""
    with tempfile.TemporaryDirectory(prefix="failhook-vm-") as made:
        path = Path(made, "grub.efi")
        where = ["--format=x86_64-efi", "--prefix=(hd0,gpt2)/boot/grub", f"--output={path}"]
        subprocess.run(["grub-mkimage", *where, *_MODULES.split()], check=True)
        return path.read_bytes()


def _install(machine: Machine, **variables: str) -> None:
    machine.disk.put({"/boot/grub/grub.cfg": _configuration(), _BLOCK: _block(**variables)})
    machine.install_firmware({"EFI/BOOT/BOOTX64.EFI": _image()})


def _variables(machine: Machine) -> dict[str, str]:
    """The environment block on the disk, between two boots."""
    machine.disk.check()
    lines = machine.disk.read(_BLOCK).decode("ascii").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_grub_counts_down_and_falls_back(new_machine: NewMachine) -> None:
    """boot_counter 2, 1, 0, then -1 and the fallback; a rule reboots, `failhook boot` tells."""
    machine = new_machine()
    furnish(machine, rule("system", checked=False), checked=False)
    _install(machine, boot_counter="2", boot_success="0")
    for expected in ("1", "0"):
        run = machine.boot()
        assert run.wait_end(240) == "guest-reset"
        found = _variables(machine)
        machine.note(f"boot {machine.boots}: ended by {run.end}; {found}")
        assert found["boot_counter"] == expected
    run = machine.boot_up()
    assert "vm.entry=old" in run.run("cat /proc/cmdline").text
    machine.note(run.run("failhook boot").text.splitlines()[0])
    machine.switch_off()
    found = _variables(machine)
    machine.note(f"at last: {found}")
    assert found["boot_counter"] == "-1"


def test_grub_is_told_that_a_boot_is_bad(new_machine: NewMachine) -> None:
    """`failhook boot bad --reboot`: the next boot is the fallback's, without counting down."""
    machine = new_machine()
    _install(machine, boot_counter="3", boot_success="0")
    run = machine.boot_up()
    assert "vm.entry=new" in run.run("cat /proc/cmdline").text
    machine.note(run.run("failhook boot").text.splitlines()[0])
    said = run.run("failhook boot bad")
    machine.note(f"failhook boot bad: {said.text.strip()}")
    run.ask("systemctl reboot")
    assert run.wait_end(120) == "guest-reset"
    assert _variables(machine)["boot_counter"] == "-1"
    run = machine.boot_up()
    assert "vm.entry=old" in run.run("cat /proc/cmdline").text
    machine.switch_off()
