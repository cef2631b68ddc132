# SPDX-License-Identifier: MIT
"""Is there a network: a default route, an address that others can reach, names that resolve?

Read from procfs (proc_net(5)); names through getent(1), so that what nsswitch.conf says holds, in a
process of its own: a resolver can take longer than any limit. Looked at until it is well: at boot
the network may still be on its way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from failhook import proc
from failhook.boot.check.probe import Found, Probe, until_final
from failhook.config.model import BootChecks

_UP, _REJECT = 0x1, 0x200  # RTF_* of linux/route.h
_GLOBAL = "00"  # the scope of an address in if_inet6
_LOCAL_V4 = re.compile(r"\|-- ([0-9.]{7,15})\n\s+/32 host LOCAL")
_NOT_REACHED = ("127.", "169.254.")


def probes(checks: BootChecks, root: Path = Path("/")) -> Iterator[Probe]:
    """The checks of one table."""
    net = root / "proc/net"
    if checks.network.route:
        look = partial(until_final, partial(_route, net))
        yield Probe("route", "network", "there is a default route", look)
    if checks.network.address:
        look = partial(until_final, partial(_address, net))
        what = "there is an address that is not only this machine's or the link's"
        yield Probe("address", "network", what, look)
    for name in checks.network.resolve:
        look = partial(until_final, partial(_resolves, name))
        yield Probe(name, "network", f"{name} resolves", look)


def _route(net: Path, _left_s: float) -> Found:
    if any(_is_default_v4(row) for row in _rows(net / "route")):
        return Found(True, "there is a default route")
    if any(_is_default_v6(row) for row in _rows(net / "ipv6_route")):
        return Found(True, "there is a default route (IPv6)")
    return Found(False, "there is no default route", final=False)


def _is_default_v4(row: list[str]) -> bool:
    if len(row) < 8 or row[1] != "00000000" or row[7] != "00000000":
        return False
    flags = int(row[3], 16)
    return bool(flags & _UP) and not flags & _REJECT


def _is_default_v6(row: list[str]) -> bool:
    if len(row) < 10 or row[0] != "0" * 32 or row[1] != "00" or row[9] == "lo":
        return False
    flags = int(row[8], 16)
    return bool(flags & _UP) and not flags & _REJECT


def _address(net: Path, _left_s: float) -> Found:
    found = [one for one in _LOCAL_V4.findall(_text(net / "fib_trie")) if not _is_local(one)]
    if found:
        return Found(True, f"this machine has the address {found[0]}")
    # address, interface number, prefix length, scope, flags, interface
    for row in _rows(net / "if_inet6"):
        if len(row) >= 6 and row[3] == _GLOBAL:
            return Found(True, f"{row[5]} has an address (IPv6)")
    what = "this machine has no address but its own loopback and the link's"
    return Found(False, what, final=False)


def _is_local(address: str) -> bool:
    return address.startswith(_NOT_REACHED)


def _resolves(name: str, left_s: float) -> Found:
    done = proc.run(["getent", "ahosts", "--", name], timeout_s=left_s, max_bytes=4096)
    address = next(iter(done.text.split()), "")
    if done.ok and address:
        return Found(True, f"{name} is {address}")
    how = "in time" if done.timed_out else "(getent ahosts)"
    return Found(False, f"the name {name} does not resolve {how}", final=done.timed_out)


def _rows(path: Path) -> list[list[str]]:
    return [line.split() for line in _text(path).splitlines()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
