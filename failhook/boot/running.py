# SPDX-License-Identifier: MIT
"""What is running: the kernel and the entry that the boot loader chose. Kept for the next boot.

While a unit is waited for, a small file on disk says in which boots: the next one learns from it
what ran before, and from its being there that somebody waits (`failhook-aftermath.service` is
not started without it). Nothing is written in a boot in which nothing fails.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from failhook import files
from failhook.places import Places
from failhook.systemd.boot import boot_id

# Boot Loader Interface: UTF-16 after four bytes of attributes.
_SELECTED = "sys/firmware/efi/efivars/LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
_IMAGE = re.compile(r"(?:^|\s)BOOT_IMAGE=(\S{1,300})")
_COUNTER = re.compile(r"\+\d{1,9}(?:-\d{1,9})?(?=\.(?:conf|efi)$)")
_MAX_BYTES = 64 << 10
_MAX_NAME = 300
_MOST = 20


@dataclass(frozen=True, slots=True)
class Running:
    """One boot. ``entry`` is the loader's name of it without a counter, None where none is told."""

    boot_id: str
    kernel: str
    entry: str | None = None

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.kernel if self.entry is None else self.entry.removesuffix(".conf")


def running(root: Path = Path("/")) -> Running:
    """This boot."""
    return Running(boot_id(), os.uname().release, _selected(root) or _image(root))


def _selected(root: Path) -> str | None:
    """What systemd-boot says (Boot Loader Interface, LoaderEntrySelected)."""
    try:
        raw = files.read_bounded(root / _SELECTED, 4 + 2 * _MAX_NAME)
    except OSError:
        return None
    name = raw[4:].decode("utf-16-le", "replace").rstrip("\0")
    return _COUNTER.sub("", name) or None


def _image(root: Path) -> str | None:
    """What GRUB says: the kernel that it loaded."""
    try:
        words = files.read_bounded(root / "proc/cmdline", _MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
    match = _IMAGE.search(words)
    return match[1].rpartition("/")[2] if match else None


# -- for the next boot ----------------------------------------------------------------------------


def boots(places: Places) -> tuple[Running, ...]:
    """The boots in which somebody waits, oldest first; none where the file is damaged."""
    try:
        raw = json.loads(files.read_bounded(places.waited_for, _MAX_BYTES))
        return tuple(_running(one) for one in raw["boots"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return ()


def _running(raw: dict[str, str | None]) -> Running:
    entry = raw["entry"]
    return Running(str(raw["boot_id"]), str(raw["kernel"]), None if entry is None else str(entry))


def remember(places: Places, *, root: Path = Path("/")) -> None:
    """Somebody waits for a unit in this boot. Raises OSError."""
    known = boots(places)
    if not any(one.boot_id == boot_id() for one in known):
        _keep(places, (*known, running(root)))


def forget(places: Places) -> None:
    """Nobody waits in this boot any more; what earlier ones left stays. Raises OSError."""
    known = boots(places)
    kept = tuple(one for one in known if one.boot_id != boot_id())
    if kept != known or not kept:
        _keep(places, kept)


def told(places: Places) -> None:
    """What earlier boots left is told: only this one counts from now on. Raises OSError."""
    _keep(places, tuple(one for one in boots(places) if one.boot_id == boot_id()))


def _keep(places: Places, kept: tuple[Running, ...]) -> None:
    if not kept:
        with contextlib.suppress(FileNotFoundError):
            places.waited_for.unlink()
        return
    files.make_private(places.waited_for.parent)
    rows = [asdict(one) for one in kept[-_MOST:]]
    files.write(places.waited_for, json.dumps({"schema": 1, "boots": rows}))
