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

# The kernel's part: a program of BPF in the unit's cgroup, or a /dev of its own, of real devices.
REFUSED = {
    "acme-disk.service": (
        "DevicePolicy=closed\nExecStart=/usr/bin/head -c 1 /dev/nvme0n1",
        "/dev/nvme0n1: DevicePolicy=closed lets the unit not use it",
    ),
    "acme-other-disk.service": (
        "DeviceAllow=/dev/nvme0n1p1 r\nExecStart=/usr/bin/head -c 1 /dev/nvme0n1",
        "/dev/nvme0n1: DeviceAllow=/dev/nvme0n1p1 r lets the unit not use it",
    ),
    "acme-no-disk.service": (
        "PrivateDevices=yes\nExecStart=/usr/bin/head -c 1 /dev/nvme0n1",
        "/dev/nvme0n1: PrivateDevices=yes hides it from the unit",
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


def test_what_the_kernel_refuses(new_machine: NewMachine) -> None:
    """Devices and ports, in one machine; Debian 12's systemd is built without SocketBindDeny=."""
    machine = new_machine()
    port = "SocketBindDeny=any\nExecStart=/usr/bin/python3 -m http.server 8080"
    bodies = {name: body for name, (body, _) in REFUSED.items()} | {"acme-port.service": port}
    machine.disk.put({f"/etc/systemd/system/{name}": _unit(body) for name, body in bodies.items()})
    run = machine.boot_up()
    refused = dict(REFUSED)
    if "+BPF_FRAMEWORK" in run.run("systemctl --version").text:
        refused["acme-port.service"] = (port, "SocketBindDeny=any lets it bind no such port")
    for name, (_, said) in refused.items():
        verdict = _failed(machine, run, name)["verdict"]
        assert verdict["cause"] == "sandbox", verdict
        assert said in verdict["summary"]
    machine.switch_off()


def test_a_machine_without_ipv6(new_machine: NewMachine) -> None:
    """ipv6.disable=1: the kernel has no such sockets, and no setting of the unit is to blame."""
    machine = new_machine()
    body = "ExecStart=/usr/bin/python3 -m http.server --bind :: 8080"
    machine.disk.put({"/etc/systemd/system/acme-six.service": _unit(body)})
    run = machine.boot_up("ipv6.disable=1")
    verdict = _failed(machine, run, "acme-six.service")["verdict"]
    assert verdict["cause"] == "address-not-here", verdict
    assert "this machine has no IPv6, not even ::1" in verdict["summary"]
    machine.switch_off()
