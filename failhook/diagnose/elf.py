# SPDX-License-Identifier: MIT
"""What the header of a program says: for which machine it is, and who loads it (elf(5))."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

MAGIC = b"\x7fELF"
# e_machine, as uname -m calls it.
_MACHINES = {3: "i386", 8: "mips", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "arm", 62: "x86_64",
             183: "aarch64", 243: "riscv64", 258: "loongarch64"}  # fmt: skip
_PT_INTERP = 3
_MOST_HEADERS, _LONGEST = 64, 4096  # PATH_MAX


@dataclass(frozen=True, slots=True)
class Elf:
    """``loader`` is the path of its dynamic loader (PT_INTERP); None for a static program, and
    where the header leads nowhere."""

    machine: str
    loader: str | None


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the fields are: (offset, bytes)."""

    phoff: tuple[int, int]
    phentsize: tuple[int, int]
    phnum: tuple[int, int]
    p_offset: tuple[int, int]
    p_filesz: tuple[int, int]


_OF_32 = _Layout((28, 4), (42, 2), (44, 2), (4, 4), (16, 4))
_OF_64 = _Layout((32, 8), (54, 2), (56, 2), (8, 8), (32, 8))


def read(head: bytes, read_at: Callable[[int, int], bytes]) -> Elf:
    """Of a file that begins with ``head``; ``read_at`` gives so many bytes from an offset on, for
    what lies further behind."""
    order: Literal["big", "little"] = "big" if head[5:6] == b"\x02" else "little"

    def number(data: bytes, field: tuple[int, int], base: int = 0) -> int:
        at = base + field[0]
        return int.from_bytes(data[at : at + field[1]], order)

    machine = number(head, (18, 2))
    layout = _OF_32 if head[4:5] == b"\x01" else _OF_64
    size, count = number(head, layout.phentsize), number(head, layout.phnum)
    table = read_at(number(head, layout.phoff), size * min(count, _MOST_HEADERS))
    loader = None
    for start in range(0, len(table) - size + 1, size) if size else ():
        if number(table, (0, 4), start) == _PT_INTERP:
            length = min(number(table, layout.p_filesz, start), _LONGEST)
            path = read_at(number(table, layout.p_offset, start), length).partition(b"\0")[0]
            loader = os.fsdecode(path) if path.startswith(b"/") else None
            break
    return Elf(_MACHINES.get(machine, f"machine {machine}"), loader)
