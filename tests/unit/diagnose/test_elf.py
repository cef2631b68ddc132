# SPDX-License-Identifier: MIT
"""The header of a program: its machine and its loader, and headers that lead nowhere."""

import struct

import pytest

from failhook.diagnose import elf

LOADER = b"/lib/ld-nowhere.so.2"


def made_elf(
    loader: bytes = LOADER, *, bits: int = 64, order: str = "<", machine: int = 62, at: int = 0x318
) -> bytes:
    """A program that is nothing but its headers, and its loader's name at ``at``."""
    ident = elf.MAGIC + bytes((bits // 32, 1 if order == "<" else 2, 1)) + b"\0" * 9
    kind = struct.pack(f"{order}HHI", 3, machine, 1)
    length = len(loader) + 1
    if bits == 64:
        rest = struct.pack(f"{order}QQQIHHHHHH", 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
        headers = struct.pack(f"{order}IIQQQQQQ", 6, 4, 64, 0, 0, 112, 112, 8)
        headers += struct.pack(f"{order}IIQQQQQQ", 3, 4, at, 0, 0, length, length, 1)
    else:
        rest = struct.pack(f"{order}IIIIHHHHHH", 0, 52, 0, 0, 52, 32, 2, 0, 0, 0)
        headers = struct.pack(f"{order}IIIIIIII", 6, 52, 0, 0, 64, 64, 4, 4)
        headers += struct.pack(f"{order}IIIIIIII", 3, at, 0, 0, length, length, 4, 1)
    head = ident + kind + rest + headers
    return head.ljust(at, b"\x01") + loader + b"\0"


def read(data: bytes) -> elf.Elf:
    return elf.read(data[:600], lambda offset, size: data[offset : offset + size])


@pytest.mark.parametrize("at", [0x200, 0x5000])
@pytest.mark.parametrize(("bits", "order"), [(64, "<"), (64, ">"), (32, "<"), (32, ">")])
def test_the_loader(bits: int, order: str, at: int) -> None:
    """Whatever stands before its name: Debian 13 puts a note there."""
    data = made_elf(bits=bits, order=order, machine=183, at=at)
    assert read(data) == elf.Elf("aarch64", LOADER.decode())


@pytest.mark.parametrize(
    "data",
    [
        elf.MAGIC,
        elf.MAGIC + b"\xff" * 600,
        made_elf()[:200],
        made_elf(b"relative/ld.so"),
        made_elf(b""),
        elf.MAGIC + b"\x02\x01" + b"\0" * 600,
    ],
)
def test_headers_that_lead_nowhere(data: bytes) -> None:
    assert read(data).loader is None


def test_no_more_of_a_file_is_read_than_headers_can_be() -> None:
    asked: list[int] = []

    def read_at(_: int, size: int) -> bytes:
        asked.append(size)
        return b""

    elf.read(elf.MAGIC + b"\x02\x01" + b"\xff" * 600, read_at)
    assert max(asked) <= 64 * 0xFFFF


def test_a_machine_that_nobody_knows() -> None:
    assert read(made_elf(machine=4711)).machine == "machine 4711"
