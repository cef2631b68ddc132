# SPDX-License-Identifier: MIT
"""What is around a run: who listens, what is mounted, which units it depends on.

Read from the bundle's items ``system/system.json`` and ``unit/dependencies.txt``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_TABLE = 4000
_PARTITION = re.compile(r"p?\d{1,4}")
_NEARLY = 15  # percent that are left


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that was listening, and whose it is."""

    protocol: str
    address: str
    port: int
    pid: int | None
    program: str | None
    unit: str | None

    @property
    def holder(self) -> str:
        """``grafana (pid 812, grafana-server.service)``."""
        known = [f"pid {self.pid}"] if self.pid is not None else []
        known += [self.unit] if self.unit else []
        name = self.program or "another process"
        return f"{name} ({', '.join(known)})" if known else name


_IMAGES = ("squashfs", "iso9660", "udf", "erofs", "cramfs", "romfs", "efivarfs")


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount with its space, as ``df`` and ``df -i`` would show it."""

    point: str
    type: str
    options: str
    bytes: int | None
    free: int | None
    inodes: int | None
    inodes_free: int | None
    source: str = ""
    disks: tuple[str, ...] = ()  # the kernel's names of what it lies on

    def lies_on(self, device: str) -> bool:
        """Whether the kernel means this one by ``sdb1``, or by the ``sdb`` that it is a part of."""
        if self.disks:
            return device in self.disks
        name = self.source.rpartition("/")[2]  # of a bundle that does not say which disks
        rest = name.removeprefix(device)
        is_part = rest != name and _PARTITION.fullmatch(rest) is not None
        # sdb1, but nvme0n1p2: sdb11 is no part of sdb1
        return name == device or (is_part and device[-1:].isdigit() == rest.startswith("p"))

    @property
    def _is_never_written(self) -> bool:
        """An image (a snap, a disc) is full by nature, as is what is mounted read-only for others."""
        return self.type in _IMAGES or "ro" in self.options.split(",")

    @property
    def full(self) -> str | None:
        """``no space`` or ``no inodes`` left; None where there is room, or nobody can write."""
        if self._is_never_written:
            return None
        if self.bytes and self.free is not None and self.free < min(self.bytes // 50, 4 << 20):
            return "space"
        if self.inodes and self.inodes_free is not None and self.inodes_free < 4:
            return "inodes"
        return None

    @property
    def nearly_full(self) -> str | None:
        """``86 % of its space`` or ``94 % of its inodes``, where that much is in use and what is
        left is little; None otherwise."""
        if self._is_never_written:
            return None
        for left, whole, few, what in (
            (self.free, self.bytes, 512 << 20, "space"),
            (self.inodes_free, self.inodes, 1000, "inodes"),
        ):
            if whole and left is not None and left < few and left * 100 < _NEARLY * whole:
                return f"{100 * (whole - left) // whole} % of its {what}"
        return None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A unit that this one depends on (unit/dependencies.txt)."""

    name: str
    load: str
    active: str
    sub: str
    result: str
    relations: tuple[str, ...]


def objects_of(data: bytes) -> dict[str, Any]:
    """The members of a JSON object; none where it is damaged."""
    try:
        found = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def listeners(system: Mapping[str, Any]) -> Iterable[Listener]:
    for raw in _objects(system.get("listening")):
        port = raw.get("port")
        if isinstance(port, int):
            pid = raw.get("pid")
            yield Listener(
                str(raw.get("protocol") or ""),
                str(raw.get("address") or ""),
                port,
                pid if isinstance(pid, int) else None,
                _word(raw.get("program")),
                _word(raw.get("unit")),
            )


def links(system: Mapping[str, Any]) -> Iterable[str]:
    """The names of the network interfaces."""
    return (str(raw["name"]) for raw in _objects(system.get("links")) if "name" in raw)


def mounts(system: Mapping[str, Any]) -> Iterable[Mount]:
    for raw in _objects(system.get("mounts")):
        point = raw.get("point")
        if isinstance(point, str):
            numbers = [raw.get(name) for name in ("bytes", "free", "inodes", "inodes_free")]
            size, free, inodes, inodes_free = (n if isinstance(n, int) else None for n in numbers)
            disks = raw.get("disks")
            yield Mount(
                point,
                str(raw.get("type") or ""),
                str(raw.get("options") or ""),
                size,
                free,
                inodes,
                inodes_free,
                source=str(raw.get("source") or ""),
                disks=tuple(map(str, disks)) if isinstance(disks, list) else (),
            )


def _objects(raw: object) -> list[dict[str, Any]]:
    listed = raw[:MAX_TABLE] if isinstance(raw, list) else []
    return [one for one in listed if isinstance(one, dict)]


def _word(raw: object) -> str | None:
    return raw if isinstance(raw, str) and raw else None


def neighbours(table: str) -> Iterable[Neighbour]:
    """``!  UNIT  LOAD  ACTIVE  SUB  RESULT  RELATION …``, as the unit collector writes it."""
    for line in table.splitlines()[1:MAX_TABLE]:
        words = line[1:].split()
        if len(words) >= 6 and "." in words[0]:
            name, load, active, sub, result = words[:5]
            yield Neighbour(name, load, active, sub, result, tuple(words[5:]))
