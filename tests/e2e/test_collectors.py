# SPDX-License-Identifier: MIT
"""The collectors against a real systemd and a real journal."""

import base64
import io
import json
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bed import Machine
from tests.e2e.conftest import FreshMachine

_CHECKOUT = Path(__file__).parents[2]
_DRIVER = Path(__file__).with_name("collect_driver.py")
_PLACE = "/opt/checkout"

_TALKER = """#!/usr/bin/python3
import socket, struct, sys, syslog
print("plain line", flush=True)
sys.stdout.buffer.write(b"bad \\xff \\x1b[31mred\\n"); sys.stdout.flush()
syslog.syslog("by syslog")
native = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
field = lambda name, value: name + b"\\n" + struct.pack("<Q", len(value)) + value + b"\\n"
message = field(b"MESSAGE", b"first\\nsecond") + b"TWICE=one\\nTWICE=two\\n"
native.sendto(message + field(b"BLOB", bytes(range(256))), "/run/systemd/journal/socket")
print("dying words", flush=True)
sys.exit(7)
"""
_HUGE = """#!/usr/bin/python3
import os, socket, sys
fd = os.memfd_create("message", os.MFD_ALLOW_SEALING)
with os.fdopen(os.dup(fd), "wb") as stream:
    stream.write(b"MESSAGE=begin " + b"x" * (64 << 20) + b" end\\n")
import fcntl
fcntl.fcntl(fd, 1033, 15)  # F_ADD_SEALS: all of them
native = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
native.connect("/run/systemd/journal/socket")
socket.send_fds(native, [b""], [fd])
print("after it", flush=True)
sys.exit(1)
"""


@dataclass(frozen=True, slots=True)
class Collected:
    """What the driver printed."""

    raw: dict[str, Any]
    took_s: float

    def text(self, path: str) -> str:
        """An item, decoded."""
        items = self.raw[path.partition("/")[0]]["items"]
        return base64.b64decode(items[path]).decode()

    def status(self, name: str) -> str:
        """How a collector ended."""
        return str(self.raw[name]["evidence"]["status"])

    def reason(self, name: str) -> str:
        """What a collector said is missing."""
        return str(self.raw[name]["evidence"]["reason"] or "")


def _install(machine: Machine) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(_CHECKOUT / "failhook", "failhook", filter=_sources_only)
        tar.add(_DRIVER, "collect_driver.py")
    machine.run(["mkdir", "-p", _PLACE])
    machine.run(["tar", "-x", "-C", _PLACE], input=packed.getvalue())


def _sources_only(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in info.name else info


def _collect(machine: Machine, unit: str, *options: str, user: str = "root") -> Collected:
    started = time.monotonic()
    done = machine.run(
        ["/usr/bin/python3", f"{_PLACE}/collect_driver.py", unit, *options],
        env={"PYTHONPATH": _PLACE},
        user=user,
    )
    return Collected(json.loads(done.stdout), time.monotonic() - started)


def _fail(machine: Machine, name: str, service: str, unit: str = "") -> None:
    """Write a unit, start it, wait until it has failed."""
    machine.units({name: f"[Unit]\n{unit}[Service]\n{service}"})
    machine.systemctl("start", "--", name, check=False)
    machine.wait_state(name, "failed")


@pytest.fixture
def bed(machine: Machine) -> Machine:
    """The shared bed with this checkout in it."""
    if not machine.exists(f"{_PLACE}/collect_driver.py"):
        _install(machine)
    return machine


def test_a_service_that_failed(bed: Machine) -> None:
    bed.write("/usr/local/bin/talker", _TALKER, 0o755)
    bed.write("/etc/systemd/system/talker.service.d/x.conf", "[Service]\nNice=1\n")
    _fail(bed, "talker.service", "ExecStart=/usr/local/bin/talker\n", "After=dbus.service\n")
    before = bed.show("talker.service", "InvocationID")
    bed.systemctl("start", "talker.service")
    bed.wait_state("talker.service", "failed")
    got = _collect(bed, "talker.service")

    statuses = {name: got.status(name) for name in got.raw}
    nothing = dict.fromkeys(("cgroup", "coredump", "logs"), "skipped")
    assert statuses == dict.fromkeys(statuses, "ok") | nothing
    assert got.took_s < 3

    lines = got.text("journal/journal.txt").splitlines()
    assert lines[-1].endswith("systemd[1]: talker.service: Failed with result 'exit-code'.")
    messages = [line.split("]: ", 1)[-1] for line in lines]
    assert "bad \\xff \\x1b[31mred" in messages
    assert "dying words" in messages
    assert "        second" in lines
    assert messages.count("plain line") == 1  # of this run, not of the one before
    assert "plain line" in got.text("journal/before.txt")
    entries = [json.loads(line) for line in got.text("journal/journal.json").splitlines()]
    assert all(before["InvocationID"] not in entry.values() for entry in entries)
    native = next(entry for entry in entries if "BLOB" in entry)
    assert native["BLOB"] == list(range(256))
    assert native["TWICE"] == ["one", "two"]

    assert "ExecMainStatus=7" in got.text("unit/show.txt")
    assert "# /etc/systemd/system/talker.service.d/x.conf\n[Service]\nNice=1" in got.text(
        "unit/cat.txt"
    )
    assert "dbus.service" in got.text("unit/dependencies.txt")
    assert "talker.service" in got.text("failed/units.txt")
    assert "Debian" in got.text("system/summary.txt")


def test_the_json_is_what_journalctl_says(bed: Machine) -> None:
    bed.write("/usr/local/bin/talker", _TALKER, 0o755)
    _fail(bed, "talker-json.service", "ExecStart=/usr/local/bin/talker\n")
    run = bed.show("talker-json.service", "InvocationID")["InvocationID"]
    got = _collect(bed, "talker-json.service")
    entries = [json.loads(line) for line in got.text("journal/journal.json").splitlines()]
    matches = [f"_SYSTEMD_INVOCATION_ID={run}", "+", f"INVOCATION_ID={run}", "_UID=0"]
    assert entries == bed.journal(*matches)


def test_lines_of_processes_that_had_ended(bed: Machine) -> None:
    script = "for i in 1 2 3 4 5 6 7 8; do logger -t short lost-or-not-$i; done; exit 1"
    _fail(bed, "short.service", f"ExecStart=/bin/sh -c '{script}'\n")
    got = _collect(bed, "short.service")
    everything = got.text("journal/journal.txt")
    if "journal/lost.txt" in got.raw["journal"]["items"]:
        everything += got.text("journal/lost.txt")
    assert all(f"lost-or-not-{number}" in everything for number in range(1, 9))


def test_what_never_ran(bed: Machine) -> None:
    bed.units({"need.service": "[Service]\nType=oneshot\nExecStart=/bin/false\n"})
    bed.units(
        {
            "victim.service": "[Unit]\nRequires=need.service\nAfter=need.service\n"
            "[Service]\nExecStart=/bin/true\n"
        }
    )
    bed.systemctl("start", "victim.service", check=False)
    got = _collect(bed, "victim.service")
    assert "Dependency failed for victim.service" in got.text("journal/journal.txt")
    first = got.text("unit/dependencies.txt").splitlines()[1].split()
    assert first[:6] == ["!", "need.service", "loaded", "failed", "failed", "exit-code"]


def test_a_name_with_every_odd_character(bed: Machine) -> None:
    name = "-a:b_c.d\\x2fe@f:g-\\x20.service"
    _fail(bed, name, "ExecStart=/bin/sh -c 'echo odd; exit 1'\n")
    got = _collect(bed, name)
    assert "odd" in got.text("journal/journal.txt")
    assert got.status("unit") == "ok"
    assert name in got.text("failed/units.txt").replace("\\\\", "\\")


def test_a_unit_that_is_gone(bed: Machine) -> None:
    got = _collect(bed, "never-was.service")
    assert "LoadState=not-found" in got.text("unit/show.txt")
    assert "not loaded" in got.reason("unit")
    assert got.status("journal") == "failed"
    assert "no line of this run" in got.reason("journal")


def test_a_journal_line_of_64_mib(bed: Machine) -> None:
    bed.write("/usr/local/bin/huge", _HUGE, 0o755)
    _fail(bed, "huge.service", "ExecStart=/usr/local/bin/huge\n")
    got = _collect(bed, "huge.service")
    text = got.text("journal/journal.txt")
    assert "after it" in text
    assert len(text) < 200_000
    assert got.status("journal") == "ok"


def test_a_flood_keeps_its_end(bed: Machine) -> None:
    limits = "LogRateLimitIntervalSec=1s\nLogRateLimitBurst=10000000\n"
    # Once the unit is gone the limits are journald's own again, and it may drop the very last line.
    script = "seq 1 40000; sleep 1; echo dying words; sleep 0.2; exit 1"
    _fail(bed, "flood.service", f"{limits}ExecStart=/bin/sh -c '{script}'\n")
    got = _collect(bed, "flood.service")
    lines = got.text("journal/journal.txt").splitlines()
    assert any(line.endswith("dying words") for line in lines[-4:])
    assert got.raw["journal"]["evidence"]["truncated"]
    assert "rate limit" in got.reason("journal")
    assert len(got.text("journal/journal.txt")) <= 2 << 20


def test_a_log_namespace(bed: Machine) -> None:
    # long enough for the namespace's journald, which starts with this line, to see who wrote it
    script = "echo apart; sleep 0.5; exit 1"
    _fail(bed, "spaced.service", f"LogNamespace=fhtest\nExecStart=/bin/sh -c '{script}'\n")
    got = _collect(bed, "spaced.service")
    text = got.text("journal/journal.txt")
    assert "apart" in text
    assert "Failed with result 'exit-code'" in text


def test_what_is_left_of_the_unit(bed: Machine) -> None:
    script = "sleep 300 & exit 1"
    _fail(bed, "leaver.service", f"KillMode=none\nExecStart=/bin/sh -c '{script}'\n")
    got = _collect(bed, "leaver.service")
    text = got.text("processes/unit.txt")
    bed.shell("pkill -KILL -x sleep || true")
    assert "sleep 300" in text or "no process is left" in text


def test_the_user_manager(fresh_machine: FreshMachine) -> None:
    bed = fresh_machine()
    _install(bed)
    bed.shell(
        "useradd -m -u 1000 ann; install -d -m 755 /var/log/journal; systemctl start user@1000"
    )
    unit = "[Service]\nExecStart=/bin/sh -c 'echo mine; exit 3'\n"
    place = "~ann/.config/systemd/user"
    bed.shell(f"install -d -o ann -g ann {place}; cat >{place}/mine.service", input=unit)
    for command in ("daemon-reload", "start mine.service"):
        bed.run(["systemctl", "--user", *command.split()], user="ann")

    def failed() -> bool:
        done = bed.run(
            ["systemctl", "--user", "is-failed", "mine.service"], user="ann", check=False
        )
        return done.text == "failed"

    bed.wait(failed)
    got = _collect(bed, "mine.service", "--user", user="ann")
    assert "Result=exit-code" in got.text("unit/show.txt")
    assert "mine.service" in got.text("failed/units.txt")
    if got.status("journal") == "ok":
        assert "mine" in got.text("journal/journal.txt")
    else:
        assert "not readable" in got.reason("journal")


def test_without_dbus_and_without_journald(fresh_machine: FreshMachine) -> None:
    bed = fresh_machine()
    _install(bed)
    _fail(bed, "acme.service", "ExecStart=/bin/sh -c 'echo words; exit 3'\n")
    bed.shell(
        "systemctl stop dbus.socket dbus.service;"
        "systemctl stop systemd-journald.socket systemd-journald-dev-log.socket"
        " systemd-journald-audit.socket systemd-journald.service || true;"
        "rm -rf /var/log/journal /run/log/journal"
    )
    got = _collect(bed, "acme.service")
    assert got.took_s < 8
    assert "Result=exit-code" in got.text("unit/show.txt")
    assert got.status("journal") == "failed"
    assert "keeps no journal" in got.reason("journal")
    for name in ("failed", "processes", "system", "boot"):
        assert got.status(name) == "ok", name
