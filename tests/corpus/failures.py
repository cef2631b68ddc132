# SPDX-License-Identifier: MIT
"""How to break a program, and what is truly at fault then: one TOML table per failure."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
PARTS = ("known", "held_out")


@dataclass(frozen=True, slots=True)
class Failure:
    """One way to break one program."""

    name: str  # of the fixture: letters, digits, "-"
    program: str
    unit: str  # the unit that fails and whose evidence is kept
    script: str  # sh, as root, with the packages there: breaks it; leaves `unit` stopped
    truth: str  # what is at fault, for people
    names: tuple[str, ...]  # regular expressions, all of which a right sentence matches
    documented: str  # where the program's own documentation says so
    held_out: bool
    packages: tuple[str, ...] = ()
    tree: str = "bookworm"
    start: str = ""  # sh; default: systemctl start UNIT
    incident: str = "last"  # which incident of the unit: "first" or "last" (after its restarts)
    hooked: bool = True  # by `failhook enable`; False: the unit's own file does it
    kernel: bool = False  # needs a kernel of its own: a virtual machine instead of a bed
    generic_kernel: bool = False  # and that one knows the hardware: machine checks, bad memory
    disk_mib: int = 0  # with a second disk of that size, /dev/nvme1n1 (`kernel`)
    bad_sector: int | None = None  # of 512 bytes, which that disk cannot read
    calm: str = "2s"  # how long no further incident of the unit must come before one is taken
    near_miss: tuple[str, ...] = ()  # causes that look likely and must not be found

    @property
    def bundle(self) -> Path:
        """The recorded evidence."""
        return HERE / PARTS[self.held_out] / f"{self.name}.tar.gz"

    def named_by(self, sentence: str) -> bool:
        """Does this sentence name the thing that is truly at fault?"""
        return all(re.search(pattern, sentence, re.IGNORECASE) for pattern in self.names)


@cache
def load(part: str) -> tuple[Failure, ...]:
    """All failures of `known` or `held_out`, in the order of their files."""
    found = []
    for path in sorted((HERE / part).glob("*.toml")):
        tables = tomllib.loads(path.read_text(encoding="utf-8"))["failure"]
        found += [_failure(table, part == "held_out") for table in tables]
    names = [each.name for each in found]
    assert len(set(names)) == len(names), f"a name stands twice in {part}"
    return tuple(found)


def chosen(names: Iterable[str]) -> list[Failure]:
    """Those with these names, or of these programs; all where none is given."""
    wanted = set(names)
    every = [failure for part in PARTS for failure in load(part)]
    return [each for each in every if not wanted or wanted & {each.name, each.program}]


def _failure(table: dict[str, object], held_out: bool) -> Failure:
    for name in ("packages", "names", "near_miss"):
        if isinstance(value := table.get(name), list):
            table[name] = tuple(value)
    return Failure(**table, held_out=held_out)  # type: ignore[arg-type]
