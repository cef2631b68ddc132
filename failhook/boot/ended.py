# SPDX-License-Identifier: MIT
"""How a boot that is over ended: by whom, or by what.

From the tail of its journal, what the kernel left in the firmware (pstore(8)), what the watchdog
says of the last reset (Documentation/watchdog/watchdog-api.rst), and our own record. Where the
journal just stops, that is what is said: power, a reset and a hang look the same afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from failhook import files
from failhook.systemd import journal, shutdown
from failhook.systemd.export import Entry
from failhook.systemd.journal import Query

_LINES = 60
_SHOWN = 20
_READ_S = 5.0
_CARD_RESET = 0x20  # WDIOF_CARDRESET (linux/watchdog.h)
_PANIC = re.compile(
    r"(Kernel panic - not syncing: [^\n]{1,200}|BUG: [^\n]{1,200}|Oops: [^\n]{1,200})"
)
_OOM = re.compile(r"Out of memory: Killed process (\d{1,10}) \(([^)\n]{1,64})\)")
_OOM_S = 120.0
_PSTORE = ("var/lib/systemd/pstore", "sys/fs/pstore")
_MAX_DUMP = 256 << 10
_MOST_DUMPS = 50


class Kind(StrEnum):
    """What ended it."""

    ORDERLY = "orderly"  # a shutdown, whoever asked for it
    PANIC = "panic"
    WATCHDOG = "watchdog"
    OOM = "oom"  # it stopped just after the kernel ran out of memory
    CUT = "cut"  # the journal just stops: power, a reset, a hang
    UNKNOWN = "unknown"  # no journal of it


@dataclass(frozen=True, slots=True)
class Ended:
    """``at`` is Unix seconds, the last sign of life; ``text`` completes "the boot before …"."""

    kind: Kind
    text: str
    at: float | None = None
    lines: tuple[str, ...] = ()


def look(boot: str, *, root: Path = Path("/")) -> Ended:
    """How the boot with that id ended."""
    entries = journal.ask(Query((), boot=boot, max_entries=_LINES), timeout_s=_READ_S).entries
    at = entries[-1].realtime if entries else None
    return judge(entries, dumps(root, since=at), reset_by_watchdog(root))


def judge(entries: Sequence[Entry], dumped: Sequence[str], watchdog: bool) -> Ended:
    """From the last lines of its journal and what was found beside them. Pure."""
    lines = tuple(journal.to_text(one).rstrip("\n") for one in entries[-_SHOWN:])
    at = entries[-1].realtime if entries else None
    if entries and shutdown.orderly(entries):
        return Ended(Kind.ORDERLY, "was shut down", at, lines)
    for text in dumped:
        if found := _PANIC.search(text):
            return Ended(Kind.PANIC, f"ended in a kernel panic: {found[1].strip()}", at, lines)
    if watchdog:
        return Ended(Kind.WATCHDOG, "was reset by the hardware watchdog", at, lines)
    if not entries:
        return Ended(Kind.UNKNOWN, "left no journal")
    for one in reversed(entries):
        found = _OOM.search(one.text("MESSAGE")) if one.text("_TRANSPORT") == "kernel" else None
        if found and entries[-1].realtime - one.realtime < _OOM_S:
            text = (
                f"stopped after the kernel ran out of memory (it killed {found[2]}, pid {found[1]})"
            )
            return Ended(Kind.OOM, text, at, lines)
    return Ended(Kind.CUT, "just stopped: power, a reset or a hang", at, lines)


def dumps(root: Path, *, since: float | None) -> list[str]:
    """What the kernel said when it died, if that was after ``since`` (Unix seconds)."""
    found: list[str] = []
    for top in _PSTORE:
        for path in sorted((root / top).glob("**/dmesg*"))[:_MOST_DUMPS]:
            try:
                if since is not None and path.lstat().st_mtime < since - 60.0:
                    continue
                found.append(files.read_bounded(path, _MAX_DUMP).decode("utf-8", "replace"))
            except OSError:
                continue
    return found


def reset_by_watchdog(root: Path) -> bool:
    """A watchdog says that it reset the machine (/sys/class/watchdog/*/bootstatus)."""
    for path in sorted((root / "sys/class/watchdog").glob("watchdog*/bootstatus"))[:8]:
        try:
            if int(path.read_text("ascii").strip() or "0", 0) & _CARD_RESET:
                return True
        except (OSError, ValueError):
            continue
    return False
