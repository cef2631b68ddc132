# SPDX-License-Identifier: MIT
"""Links, addresses and routes of this machine."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from failhook.collect.columns import table
from failhook.incident import Json, JsonObject

Route: TypeAlias = tuple[str, str, str, int]  # destination, gateway, link, metric
_REACHABLE = 0x1  # RTF_UP
_UP = 0x1  # IFF_UP (netdevice(7)); read from /sys, because the runner may not open AF_INET sockets
_NAME_SERVERS = Path("/etc/resolv.conf")


def links() -> list[JsonObject]:
    """Each link: name, up, speed, MTU, addresses."""
    import psutil  # here: 10 ms, and only this process needs it

    found: list[JsonObject] = []
    for name, addresses in psutil.net_if_addrs().items():
        flags, mtu = _attribute(name, "flags"), _attribute(name, "mtu")
        speed = _attribute(name, "speed") or "0"  # unreadable for a link that has none or is down
        inet: list[Json] = [
            _with_prefix(each.address, each.netmask)
            for each in addresses
            if each.family in (socket.AF_INET, socket.AF_INET6)
        ]
        found.append(
            {
                "name": name,
                "up": bool(int(flags or "0", 16) & _UP),
                "carrier": _attribute(name, "operstate"),
                "mtu": int(mtu) if mtu else None,
                "speed_mbit": int(speed) if speed.isdigit() and int(speed) else None,
                "addresses": inet,
            }
        )
    return found


def _attribute(link: str, name: str) -> str | None:
    try:
        return Path("/sys/class/net", link, name).read_text("ascii", "replace").strip()
    except OSError:
        return None


def _with_prefix(address: str, netmask: str | None) -> str:
    if not netmask:
        return address
    try:
        family = socket.AF_INET6 if ":" in netmask else socket.AF_INET
        bits = int.from_bytes(socket.inet_pton(family, netmask), "big").bit_count()
    except OSError:
        return address
    return f"{address}/{bits}"


def routes(net: Path = Path("/proc/net")) -> list[Route]:
    """IPv4 and IPv6 routes of the main table, without those to the machine itself."""
    return [*_routes4(_lines(net / "route")[1:]), *_routes6(_lines(net / "ipv6_route"))]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("ascii", "replace").splitlines()
    except OSError:
        return []


def _routes4(lines: Iterable[str]) -> list[Route]:
    found = []
    for fields in (line.split() for line in lines):
        if len(fields) < 8 or not int(fields[3], 16) & _REACHABLE:
            continue
        where, gateway, mask = (int(fields[n], 16) for n in (1, 2, 7))
        to = f"{_dotted(where)}/{mask.bit_count()}" if where or mask else "default"
        found.append((to, _dotted(gateway) if gateway else "-", fields[0], int(fields[6])))
    return found


def _dotted(word: int) -> str:
    return socket.inet_ntop(socket.AF_INET, struct.pack("=I", word))


def _routes6(lines: Iterable[str]) -> list[Route]:
    found = []
    for fields in (line.split() for line in lines):
        if len(fields) < 10 or not int(fields[8], 16) & _REACHABLE or fields[9] == "lo":
            continue
        to, gateway = (socket.inet_ntop(socket.AF_INET6, bytes.fromhex(fields[n])) for n in (0, 4))
        bits = int(fields[1], 16)
        where = f"{to}/{bits}" if bits else "default"
        if to.startswith("ff"):
            continue
        found.append((where, gateway if gateway != "::" else "-", fields[9], int(fields[5], 16)))
    return found


def text(found: Iterable[JsonObject], ways: Iterable[Route]) -> str:
    """Links, routes, name servers."""
    rows = [
        (
            link["name"],
            "up" if link["up"] else "down",
            link["carrier"],
            link["mtu"],
            " ".join(str(each) for each in _list(link["addresses"])),
        )
        for link in found
    ]
    shown = table(("LINK", "STATE", "CARRIER", "MTU", "ADDRESSES"), rows, "...r")
    shown += "\n" + table(("ROUTE", "VIA", "LINK", "METRIC"), list(ways), "...r")
    servers = [line for line in _lines(_NAME_SERVERS) if line.startswith(("nameserver", "search"))]
    return shown + "".join(f"\n{line}" for line in servers) + ("\n" if servers else "")


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
