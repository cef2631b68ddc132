# SPDX-License-Identifier: MIT
"""The machine: load, pressure, memory, mounts, network, versions.

Read from /proc: no process is started but one for systemd's version. Each item is sent as soon as
it is there and what may hang comes last, so that a dead mount costs its own line and no more.
"""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

from failhook import document, proc
from failhook.collect import mounts, network, sockets
from failhook.collect.columns import duration, size
from failhook.collect.known import known
from failhook.collect.later import Later
from failhook.collect.now import of_this_boot
from failhook.collector import Collector, Context, Sink
from failhook.incident import Json, JsonObject
from failhook.systemd.journal import visible
from failhook.version import VERSION

_MEMORY = (
    "MemTotal", "MemFree", "MemAvailable", "Buffers", "Cached", "Shmem", "Slab", "SReclaimable",
    "SwapTotal", "SwapFree", "Dirty", "Writeback", "Committed_AS", "CommitLimit",
)  # fmt: skip
_TIMESYNCD = Path("/run/systemd/timesync/synchronized")
_UNSYNCHRONISED_US = 16_000_000  # as timedated has it


def collect(context: Context, sink: Sink) -> None:
    """Text for people, and ``system.json``."""
    if not of_this_boot(context):
        sink.problem("the machine was started again since the run failed: this is the state of now")
    version = Later(context, lambda: _systemd(user=context.user))
    facts: JsonObject = {"load": _load(), "pressure": _pressure(), "memory": _memory()}
    facts |= {"uptime_s": _uptime(), "cpus": os.cpu_count(), **_release()}
    facts |= {
        "clock_synchronised": _synchronised(),
        "failhook": VERSION,
        "systemd": version.result(),
    }
    sink.put("system/summary.txt", _summary(facts))
    local, remote = mounts.read()
    measured = [mount for mount in map(mounts.measure, local) if mount.bytes]
    shown = mounts.text([*measured, *remote])
    sink.put("system/mounts.txt", shown)
    links, routes = network.links(), network.routes()
    sink.put("system/network.txt", network.text(links, routes))
    listening = sockets.with_owners(sockets.listeners())
    sink.put("system/listening.txt", sockets.text(listening))
    facts["mounts"] = [mounts.to_json(each) for each in (*measured, *remote)]
    facts["links"] = list(links)
    facts["routes"] = [list(route) for route in routes]
    facts["listening"] = [sockets.to_json(each) for each in listening]
    sink.put("system/system.json", document.text(facts))
    for mount in remote:  # the first dead one is the last that is asked
        sink.put(f"system/remote{_name(mount.point)}.txt", mounts.text([mounts.measure(mount)]))


def _name(point: str) -> str:
    return "".join(each if each.isalnum() or each in "-." else "_" for each in point)[:100]


def _load() -> Json:
    return [round(value, 2) for value in os.getloadavg()]


def _uptime() -> float:
    return round(time.clock_gettime(time.CLOCK_BOOTTIME), 1)


def _pressure() -> JsonObject:
    """PSI (Documentation/accounting/psi.rst), as far as this kernel has it."""
    found: JsonObject = {}
    for what in ("cpu", "memory", "io"):
        lines: JsonObject = {}
        for line in _text(f"/proc/pressure/{what}").splitlines():
            kind, *pairs = line.split()
            values: JsonObject = {
                name: float(value) for name, _, value in (pair.partition("=") for pair in pairs)
            }
            lines[kind] = values
        if lines:
            found[what] = lines
    return found


def _memory() -> JsonObject:
    found: JsonObject = {}
    for line in _text("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        if name in _MEMORY and rest.split():
            found[name] = int(rest.split()[0]) * 1024
    return found


def _release() -> JsonObject:
    uname = os.uname()
    release: JsonObject = {"kernel": f"{uname.release} {uname.machine}", "host": uname.nodename}
    for line in (_text("/etc/os-release") or _text("/usr/lib/os-release")).splitlines():
        name, _, value = line.partition("=")
        if name in ("PRETTY_NAME", "ID", "VERSION_ID"):
            release[f"os_{name.lower()}"] = value.strip("\"'")
    release["python"] = platform.python_version()
    return release


def _systemd(*, user: bool) -> str | None:
    """The first line of ``systemctl --version``, until the program is another."""

    def ask() -> str | None:
        done = proc.run(["systemctl", "--version"], timeout_s=2.0, own_group=False)
        return done.text.splitlines()[0] if done.ok and done.text else None

    found = proc.find("systemctl")
    try:
        status = Path(found or "").stat()
    except OSError:  # an upgrade takes it away for a moment
        return None
    program = f"{found} {status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"
    return known("systemd", program, ask, user=user)


def _synchronised() -> bool | None:
    """What ``timedatectl`` calls synchronised, without starting timedated; None: not known.

    ProtectClock= forbids the question as well; then there is timesyncd's own mark.
    """
    try:
        import ctypes  # here: not to be had in every sandbox

        buffer = (ctypes.c_byte * 512)()  # struct timex; modes 0 only reads
        state = ctypes.CDLL(None).adjtimex(ctypes.byref(buffer))
        before = 3 * ctypes.sizeof(ctypes.c_long)  # modes (an int, padded), offset, freq
        error = ctypes.c_long.from_buffer(buffer, before).value  # maxerror
    except (ImportError, OSError, AttributeError, MemoryError):
        state, error = -1, 0
    if state < 0:
        return True if _TIMESYNCD.exists() else None
    return error < _UNSYNCHRONISED_US


def _summary(facts: JsonObject) -> str:
    memory, pressure = facts["memory"], facts["pressure"]
    lines = [(name, facts.get(name)) for name in ("host", "os_pretty_name", "kernel", "systemd")]
    lines += [("failhook", f"{facts['failhook']}, Python {facts.get('python')}")]
    lines += [("up", duration(_uptime())), ("clock synchronised", facts["clock_synchronised"])]
    load = facts["load"] if isinstance(facts["load"], list) else []
    lines += [("load", f"{' '.join(map(str, load))} on {facts['cpus']} CPUs")]
    if isinstance(memory, dict):
        lines += [(name, size(value)) for name, value in memory.items() if isinstance(value, int)]
    if isinstance(pressure, dict):
        for what, kinds in pressure.items():
            for kind, values in (kinds if isinstance(kinds, dict) else {}).items():
                pairs = values if isinstance(values, dict) else {}
                shown = " ".join(f"{name}={value}" for name, value in pairs.items())
                lines.append((f"pressure {what} {kind}", shown))
    return "".join(
        f"{name:22} {visible(str(value))}\n" for name, value in lines if value is not None
    )


def _text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""


COLLECTOR = Collector(
    "system",
    "load, pressure, memory, mounts, network, listening sockets, versions",
    collect,
    max_bytes=1 << 20,
)
