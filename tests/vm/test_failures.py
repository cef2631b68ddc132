# SPDX-License-Identifier: MIT
"""What only a kernel of one's own can do: memory that runs out, cores, disks that are full."""

from __future__ import annotations

from tests.vm.conftest import NewMachine
from tests.vm.machine import Incident, Machine, listed, wait_done
from tests.vm.qemu import Run

_HOOKED = (
    "[Unit]\nOnFailure=failhook@%n.service\n{unit}\n[Service]\n{body}\nExecStopPost=-failhook\n"
)
_EAT = "b = []\nwhile True:\n    b.append(b'x' * (1 << 20))\n"
_KEEP_ALIVE = (
    "import socket, os, time\n"
    "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
    "s.connect(os.environ['NOTIFY_SOCKET'])\n"
    "s.send(b'READY=1')\n"
    "time.sleep(600)\n"
)
_FILL = (
    "import sys\n"
    "try:\n"
    "    with open('/var/lib/acme-store', 'wb', buffering=0) as f:\n"
    "        f.write(b'x' * (1 << 20))\n"
    "except OSError as e:\n"
    "    sys.exit(f'acme-store: {e}')\n"
)


def _unit(body: str, unit: str = "") -> str:
    return _HOOKED.format(body=body, unit=unit)


UNITS = {
    "acme-eats.service": _unit(
        "MemoryMax=48M\nMemorySwapMax=0\nExecStart=/usr/bin/python3 -I /opt/eat.py"
    ),
    "acme-core.service": _unit(
        "LimitCORE=infinity\nExecStart=/usr/bin/python3 -I -c 'import ctypes; ctypes.string_at(0)'"
    ),
    "acme-mute.service": _unit(
        "Type=notify\nWatchdogSec=5s\nExecStart=/usr/bin/python3 -I /opt/keep-alive.py"
    ),
    "acme-store.service": _unit("Type=oneshot\nExecStart=/usr/bin/python3 -I /opt/fill.py"),
    "acme-forever.service": (
        "[Service]\nType=oneshot\nTimeoutStartSec=infinity\nExecStart=/bin/sleep infinity\n"
    ),
    "acme-waits.service": _unit(
        "ExecStart=/bin/sleep infinity",
        "Wants=acme-forever.service\nAfter=acme-forever.service\nJobTimeoutSec=10s",
    ),
}


def _failed(machine: Machine, run: Run, unit: str, start: str = "") -> Incident:
    """Start a unit, which fails; its incident when all is said."""
    run.run(start or f"systemctl start --no-block {unit}")
    incident = wait_done(run, unit, timeout_s=180)[-1]
    missing = [one["name"] for one in incident["evidence"] if one["status"] not in ("ok", "none")]
    verdict = incident["verdict"]
    machine.note(f"{unit}: {incident['result']}: {verdict['summary']} ({verdict['cause']})")
    machine.note(f"    missing: {missing or 'nothing'}; bundle: {incident['bundle']}")
    return incident


def test_real_failures(new_machine: NewMachine) -> None:
    """An OOM kill, a core, a watchdog, a job that waits for ever, a full disk: one machine."""
    machine = new_machine()
    files = {f"/etc/systemd/system/{name}": text for name, text in UNITS.items()}
    files |= {"/opt/eat.py": _EAT, "/opt/keep-alive.py": _KEEP_ALIVE, "/opt/fill.py": _FILL}
    machine.disk.put(files)
    run = machine.boot_up()
    assert listed(run) == []

    eaten = _failed(machine, run, "acme-eats.service")
    assert eaten["result"] == "oom-kill"
    assert "memory" in eaten["verdict"]["summary"]
    assert "48M limit (MemoryMax=)" in eaten["verdict"]["summary"]

    dumped = _failed(machine, run, "acme-core.service")
    assert dumped["result"] == "core-dump"
    assert "SEGV" in dumped["verdict"]["summary"] or "segmentation" in dumped["verdict"]["summary"]
    core = next(one for one in dumped["evidence"] if one["name"] == "coredump")
    assert core["status"] == "ok", core

    mute = _failed(machine, run, "acme-mute.service")
    assert mute["result"] == "watchdog"
    assert mute["verdict"]["cause"] == "watchdog"

    waits = _failed(machine, run, "acme-waits.service")
    assert waits["invocation_id"] in (None, "")
    assert "acme-forever.service" in waits["verdict"]["summary"]
    run.run("systemctl kill -s KILL acme-forever.service; systemctl reset-failed")

    filled = run.run("cat /dev/zero >/filler", timeout_s=120, check=False)
    assert "No space left on device" in filled.text
    stored = _failed(machine, run, "acme-store.service")
    summary = stored["verdict"]["summary"]
    assert "/ has no space left" in summary
    assert stored["bundle"]
    run.run("rm /filler")
    assert run.run("failhook list").text.count("acme-") >= 5
    machine.switch_off()
