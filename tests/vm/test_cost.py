# SPDX-License-Identifier: MIT
"""What failhook costs a boot in which nothing fails: the boot check, if enabled, and no more."""

from __future__ import annotations

import time

from tests.vm.conftest import NewMachine
from tests.vm.qemu import Run

_LOOP = "n = 0\nfor i in range(3_000_000):\n    n += i * i % 7\n"
# Their only process is `true`, or none: one waits for the shutdown, the others for a failure.
_WAITING = ("failhook-keep.service",)


def _slowdown(run: Run) -> float:
    """How many times slower than this machine the emulated processor runs the same bytecode."""
    code = f"import time\nb = time.process_time()\n{_LOOP}print(time.process_time() - b)\n"
    run.run(f"cat >/tmp/loop.py <<'END'\n{code}END\n")
    inside = float(run.run("python3 -I /tmp/loop.py").text)
    began = time.process_time()
    exec(compile(_LOOP, "loop", "exec"), {})
    return inside / (time.process_time() - began)


def test_a_boot_without_failures(new_machine: NewMachine) -> None:
    """`failhook boot enable`, and the next boot: green, under a second, no other part ran."""
    machine = new_machine()
    machine.disk.put({"/etc/failhook/failhook.toml": '[boot]\nactive = ["dbus.service"]\n'})
    run = machine.boot_up()
    machine.note(f"failhook boot enable: {run.run('failhook boot enable').text.strip()}")
    machine.switch_off()

    run = machine.boot_up()
    ran = run.run(
        "for unit in $(systemctl list-units --all --plain --no-legend 'failhook*.service' |"
        " cut -d ' ' -f 1); do echo $unit"
        " $(systemctl show $unit -P ExecMainStartTimestampMonotonic); done"
    ).text.splitlines()
    started = {line.split()[0] for line in ran if line.split()[1] != "0"}
    assert started - set(_WAITING) == {"failhook-boot-check.service"}, ran
    assert run.run("failhook boot check --last").text.startswith("GREEN")
    first, last = (
        int(run.run(f"systemctl show failhook-boot-check.service -P {name}").text)
        for name in ("ExecMainStartTimestampMonotonic", "ExecMainExitTimestampMonotonic")
    )
    slower = _slowdown(run)
    took_s = (last - first) / 1e6
    machine.note(
        f"the boot check took {took_s:.2f} s of an emulated processor {slower:.0f} times slower "
        f"than this machine: {took_s / slower:.2f} s"
    )
    assert took_s / slower < 1.0
    machine.switch_off()
