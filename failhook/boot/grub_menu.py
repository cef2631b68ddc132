# SPDX-License-Identifier: MIT
"""What GRUB's configuration offers: its menu entries, the default, and whether anybody counts.

Read from grub.cfg as grub-mkconfig writes it (one ``menuentry '…' $menuentry_id_option 'id' {`` a
line), and from the files of the Boot Loader Specification where it says ``blscfg`` (Fedora). It is
a program, and is not run here: what is not in that form is not seen.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from failhook.boot.host import Host

CONFIGURATIONS = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/efi/EFI/*/grub.cfg")
_LINUX = ("linux", "linux16", "linuxefi")
_ID_OPTION = ("$menuentry_id_option", "--id")
_FALLBACK = re.compile(r"\s*set failhook_fallback=(?P<value>.+)")
_DEFAULT = re.compile(r"\s*set default=(?P<value>.+)")
_COUNTS = re.compile(r"^[^#\n]*\bboot_counter\b", re.MULTILINE)
_BLS = re.compile(r"^\s*blscfg\b", re.MULTILINE)
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """One menu entry that boots a Linux."""

    id: str  # as GRUB's `default` takes it: "submenu>entry"
    title: str
    kernel: str = ""  # path of the kernel, as written there
    arguments: tuple[str, ...] = ()

    @property
    def is_for_repair(self) -> bool:
        """Nothing to fall back to: it ends in a shell."""
        return "-recovery-" in self.id or "single" in self.arguments


@dataclass(frozen=True, slots=True)
class Menu:
    """One configuration."""

    path: str
    items: tuple[Item, ...]
    default: str = "0"  # as `set default=` has it
    counts: bool = False  # it looks at boot_counter
    is_ours: bool = False  # by the script of contrib/grub
    fallback: str = ""  # what that one takes instead
    positions: tuple[str, ...] = field(default=())  # ids at the top level, in order

    def named(self, id_: str) -> Item | None:
        """The entry that ``default`` would mean: an id, a title, or its number at the top."""
        if id_.isascii() and id_.isdecimal() and len(id_) < 4:
            number = int(id_)
            id_ = self.positions[number] if number < len(self.positions) else id_
        same = [one for one in self.items if id_ in (one.id, one.title)]
        # A submenu, or the last part alone: its first entry is taken.
        within = [one for one in self.items if one.id.startswith(f"{id_}>")]
        return next(iter([*same, *within]), None)


def read(host: Host) -> Menu | None:
    """The first configuration that is there."""
    for pattern in CONFIGURATIONS:
        for path in host.names(pattern):
            data = host.read(path, _MAX_BYTES)
            if data is not None:
                return parse(path, data.decode("utf-8", "replace"), _of_files(host))
    return None


def parse(path: str, text: str, files: Sequence[Item] = ()) -> Menu:
    """A configuration; ``files`` are the entries of the Boot Loader Specification. Pure."""
    items, positions = _items(text)
    if _BLS.search(text):
        items = [*files, *items]
        positions = [*(one.id for one in files), *positions]
    fallback = [_words(match["value"]) for match in _FALLBACK.finditer(text)]
    default = [_words(match["value"]) for match in _DEFAULT.finditer(text)]
    # The one that stands last in 00_header is the ordinary one; ours sets a variable.
    plain = [one for one in default if one and "failhook" not in one and one != "${next_entry}"]
    return Menu(
        path,
        tuple(items),
        default=plain[0] if plain else "0",
        counts=_COUNTS.search(text) is not None,
        is_ours=bool(fallback),
        fallback=next((one for one in fallback if one), ""),
        positions=tuple(positions),
    )


def running(menu: Menu, cmdline: str) -> Item | None:
    """The entry whose kernel runs: GRUB tells the kernel its own path (BOOT_IMAGE=)."""
    words = cmdline.split()
    image = next((one.partition("=")[2] for one in words if one.startswith("BOOT_IMAGE=")), None)
    if image is None:
        return None
    kernel = _without_device(image)
    same = [one for one in menu.items if _without_device(one.kernel) == kernel]
    rest = tuple(one for one in words if not one.startswith("BOOT_IMAGE="))
    whole = [one for one in same if one.arguments == rest]
    return next(iter([*whole, *same]), None)


def distinct(menu: Menu) -> Iterator[Item]:
    """Each thing that can be booted once: a kernel is listed at the top and in a submenu."""
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for one in menu.items:
        key = (one.kernel, one.arguments)
        if key not in seen and not one.is_for_repair:
            seen.add(key)
            yield one


def same(one: Item | None, other: Item | None) -> bool:
    """They boot the same thing."""
    if one is None or other is None:
        return False
    return (one.kernel, one.arguments) == (other.kernel, other.arguments)


def _without_device(path: str) -> str:
    """ "(hd0,gpt2)/vmlinuz" -> /vmlinuz"""
    return path.rpartition(")")[2]


def _items(text: str) -> tuple[list[Item], list[str]]:
    """All entries with a kernel, and the ids of what stands at the top, in order."""
    items: list[Item] = []
    top: list[str] = []
    opened: list[tuple[str, str, str]] = []  # kind, id, title
    for raw in text.splitlines():
        line = raw.strip()
        if line == "}":
            del opened[-1:]
        elif line.endswith("{"):
            opened.append(_opened(line))
            if opened[-1][0] and not any(kind for kind, _, _ in opened[:-1]):
                top.append(opened[-1][1])
        elif opened and opened[-1][0] == "menuentry":
            words = line.split()
            if len(words) > 1 and words[0] in _LINUX:
                way = ">".join(id_ for kind, id_, _ in opened if kind)
                items.append(Item(way, opened[-1][2], words[1], tuple(words[2:])))
    return items, top


def _opened(line: str) -> tuple[str, str, str]:
    """ "menuentry" or "submenu", its id and title; "" for another block."""
    kind = line.split(maxsplit=1)[0]
    if kind not in ("menuentry", "submenu"):
        return "", "", ""
    try:
        words = shlex.split(line)
    except ValueError:
        return "", "", ""
    title = words[1] if len(words) > 2 else ""
    for before, word in itertools.pairwise(words):
        if before in _ID_OPTION:
            return kind, word, title
    return kind, title, title


def _words(value: str) -> str:
    """A value in a script, without its quotes."""
    try:
        return "".join(shlex.split(value))
    except ValueError:
        return ""


def _of_files(host: Host) -> list[Item]:
    """Entries of the Boot Loader Specification, newest first as GRUB's blscfg has them."""
    found = []
    for path in host.names("/boot/loader/entries/*.conf"):
        fields = _fields(host.text(path) or "")
        name = path.rpartition("/")[2].removesuffix(".conf")
        if "linux" in fields:
            arguments = tuple(fields.get("options", "").split())
            found.append(Item(name, fields.get("title", ""), fields["linux"], arguments))
    return sorted(found, key=lambda one: _natural(one.id), reverse=True)


def _fields(text: str) -> Mapping[str, str]:
    lines = (line.strip().partition(" ") for line in text.splitlines())
    return {key: value.strip() for key, _, value in lines if key and not key.startswith("#")}


def _natural(text: str) -> list[tuple[int, str]]:
    """6.1.10 after 6.1.9."""
    return [
        (int(one), "") if one.isascii() and one.isdecimal() and len(one) < 19 else (-1, one)
        for one in re.findall(r"\d+|\D+", text)
    ]
