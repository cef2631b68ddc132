# SPDX-License-Identifier: MIT
"""Who listens where, and which process and unit that is.

States are those of include/net/tcp_states.h: 0A is LISTEN, 07 a UDP socket that is not connected.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from failhook.collect import sock_diag
from failhook.collect.columns import table
from failhook.incident import JsonObject, plain

_NET = Path("/proc/net")
_TCP = (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6))
_UDP = ("udp", "udp6")
_HEADER = ("PROTO", "ADDRESS", "PORT", "QUEUE", "PID", "PROGRAM", "UNIT", "UID")
_RIGHT = "..rrr"
_OWNERS_S = 1.0
_MAX = 2000


@dataclass(frozen=True, slots=True)
class Listener:
    """One socket that waits for others. ``queue`` is what nobody has fetched yet."""

    protocol: str
    address: str
    port: int
    queue: int
    uid: int
    inode: int
    pid: int | None = None
    program: str | None = None
    unit: str | None = None


def listeners(net: Path = _NET) -> list[Listener]:
    """The listening sockets of our network namespace, without owners."""
    found: list[Listener] = []
    for protocol, family in _TCP:
        by_netlink = _by_netlink(protocol, family) if net == _NET else None
        found += _by_table(net, protocol, "0A") if by_netlink is None else by_netlink
    for protocol in _UDP:
        found += _by_table(net, protocol, "07")
    return found[:_MAX]


def _by_netlink(protocol: str, family: socket.AddressFamily) -> list[Listener] | None:
    try:
        found = sock_diag.listening_tcp(family)
    except OSError:  # a kernel without it, or a sandbox
        return None
    return [
        Listener(
            protocol,
            socket.inet_ntop(family, each.address),
            each.port,
            each.queue,
            each.uid,
            each.inode,
        )
        for each in found
    ]


def _by_table(net: Path, protocol: str, state: str) -> list[Listener]:
    try:
        lines = (net / protocol).read_text("ascii", "replace").splitlines()[1:]
    except OSError:  # no IPv6
        return []
    return [one for one in (parse(protocol, line, state) for line in lines) if one is not None]


def parse(protocol: str, line: str, state: str) -> Listener | None:
    """A line of /proc/net/tcp and the like (proc(5)); None in another state."""
    fields = line.split()
    if len(fields) < 10 or fields[3] != state:
        return None
    address, _, port = fields[1].partition(":")
    queue = fields[4].partition(":")[2]
    try:
        return Listener(
            protocol,
            _address(address),
            int(port, 16),
            int(queue, 16),
            int(fields[7]),
            int(fields[9]),
        )
    except (ValueError, OSError, struct.error):
        return None


def _address(text: str) -> str:
    """Words of 32 bits in the machine's own byte order."""
    raw = bytes.fromhex(text)
    words = struct.unpack(f"={len(raw) // 4}I", raw)
    packed = struct.pack(f">{len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def with_owners(found: Iterable[Listener], proc: Path = Path("/proc")) -> list[Listener]:
    """The same with process, program and unit, as far as a second is enough to find them."""
    sockets = {f"socket:[{one.inode}]": one for one in found if one.inode}
    owned: dict[int, Listener] = {}
    until = time.monotonic() + _OWNERS_S
    with os.scandir(proc) as entries:
        pids = sorted(int(entry.name) for entry in entries if entry.name.isdigit())
    for pid in pids:
        if len(owned) == len(sockets) or time.monotonic() > until:
            break
        for name in _links(proc / str(pid) / "fd"):
            one = sockets.get(name)
            if one is not None and one.inode not in owned:
                owned[one.inode] = _owned(one, pid, proc)
    return [owned.get(one.inode, one) for one in found]


def _links(directory: Path) -> list[str]:
    names = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    names.append(os.readlink(entry.path))
                except OSError:  # closed meanwhile
                    continue
    except OSError:  # ended, or not ours to see
        return names
    return names


def _owned(one: Listener, pid: int, proc: Path) -> Listener:
    return Listener(
        one.protocol, one.address, one.port, one.queue, one.uid, one.inode,
        pid=pid,
        program=_line(proc / str(pid) / "comm"),
        unit=unit_of(_line(proc / str(pid) / "cgroup")),
    )  # fmt: skip


def _line(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace").strip() or None
    except OSError:
        return None


def unit_of(cgroup: str | None) -> str | None:
    """The unit from the content of /proc/PID/cgroup: the last part that names one."""
    for line in (cgroup or "").splitlines():
        if line.startswith("0::") or ":name=systemd:" in line:
            for part in reversed(line.rpartition(":")[2].split("/")):
                if part.endswith((".service", ".scope", ".socket", ".mount", ".swap")):
                    return part
    return None


def text(found: Iterable[Listener]) -> str:
    """A table by port."""
    rows = [
        (
            each.protocol,
            each.address,
            each.port,
            each.queue,
            each.pid,
            each.program,
            each.unit,
            each.uid,
        )
        for each in sorted(found, key=lambda one: (one.port, one.protocol))
    ]
    return table(_HEADER, rows, _RIGHT)


def to_json(one: Listener) -> JsonObject:
    """For ``system.json``."""
    known: JsonObject = plain(one)
    return known
