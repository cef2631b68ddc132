# SPDX-License-Identifier: MIT
"""(d) Journals of any size, written by systemd-journal-remote from an export stream."""

from tests.bed import BedError, Machine

# Half of the entries are of earlier boots, half of this one, from a hundred units, among them those
# whose bundles are timed. The stream is that of journalctl -o export (systemd.io/JOURNAL_EXPORT).
_WRITER = """
import sys, time
count, machine, boot = int(sys.argv[1]), sys.argv[2], sys.argv[3]
boots = [f"{number:032x}" for number in range(1, 9)]
units = [f"acme-{number}.service" for number in range(90)]
units += [f"bench@{kind}{number}.service" for kind in ("warm", "cold") for number in range(5)]
start = time.time_ns() // 1000 - count * 1000
out = sys.stdout
for number in range(count):
    this = boot if number * 2 >= count else boots[number * 16 // count % 8]
    unit = units[number * 7 % 100]
    at = start + number * 1000
    out.write(
        f"__REALTIME_TIMESTAMP={at}\\n__MONOTONIC_TIMESTAMP={number * 1000 + 1}\\n"
        f"_BOOT_ID={this}\\n_MACHINE_ID={machine}\\n_HOSTNAME=failhook-bed\\n_TRANSPORT=stdout\\n"
        f"PRIORITY={6 if number % 50 else 3}\\nSYSLOG_IDENTIFIER={unit[:6]}\\n_UID={number % 20}\\n"
        f"_PID={1000 + number // 50 % 30000}\\n_COMM={unit[:6]}\\n_SYSTEMD_UNIT={unit}\\n"
        f"_SYSTEMD_SLICE=system.slice\\n_SYSTEMD_CGROUP=/system.slice/{unit}\\n"
        f"_SYSTEMD_INVOCATION_ID={number // 1000:032x}\\n_CAP_EFFECTIVE=0\\n"
        f"_STREAM_ID={number // 500:032x}\\n"
        f"MESSAGE=request {number} of client {number % 977}: 200 in {number % 91} ms\\n\\n"
    )
"""
_REMOTE = "/lib/systemd/systemd-journal-remote"
# journald must not make room for itself by removing what was just made.
_ROOM = "[Journal]\nSystemMaxUse=64G\nSystemKeepFree=1M\nRuntimeMaxUse=64G\n"


def fill(machine: Machine, count: int) -> None:
    """Put `count` entries into the journal of a bed that has systemd-journal-remote."""
    machine.write("/etc/systemd/journald.conf.d/bench.conf", _ROOM)
    machine.systemctl("restart", "systemd-journald.service")
    machine.write("/root/export.py", _WRITER)
    boot = machine.read("/proc/sys/kernel/random/boot_id").decode().strip().replace("-", "")
    mine = machine.read("/etc/machine-id").decode().strip()
    directory = f"/var/log/journal/{mine}"
    made = "/var/tmp/made"
    machine.shell(
        f"mkdir -p {made}; python3 /root/export.py {count} {mine} {boot} |"
        f" {_REMOTE} --split-mode=none --output={made}/bench.journal -; mv {made}/* {directory}/",
        timeout=3600,
    )
    headers = machine.shell("journalctl --header | grep '^Entry objects:'").text.splitlines()
    found = sum(int(line.split()[-1]) for line in headers)
    if found < count:
        raise BedError(f"the journal holds {found} entries instead of {count}: some were vacuumed")
