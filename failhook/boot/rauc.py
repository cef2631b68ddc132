# SPDX-License-Identifier: MIT
"""RAUC: slots that are marked by its own command.

RAUC manual, "Using the command line": ``rauc status --output-format=json`` prints one object with
``booted`` (a bootname), ``boot_primary`` (a slot) and ``slots``, a list of objects with one key
each, the slot's name: class, device, type, bootname, state (booted, active, inactive), parent,
mountpoint, boot_status (good, bad). ``rauc status mark-good|mark-bad booted`` "marks the slot as
good/bad": the boot loader does not choose a bad one. RAUC does not say in which boot a mark was
made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from failhook.boot.host import Host
from failhook.boot.model import Entry, Mark, Marked, Standing

NAME = "rauc"
_CONFIGURATIONS = (
    "/etc/rauc/system.conf",
    "/run/rauc/system.conf",
    "/usr/lib/rauc/system.conf",
)
_STATUS = ("rauc", "status", "--output-format=json")


class Rauc:
    """This machine's RAUC."""

    name = NAME

    def __init__(self, host: Host | None = None) -> None:
        self._host = host or Host()

    def is_here(self) -> bool:
        """It is configured for this machine."""
        return any(self._host.exists(path) for path in _CONFIGURATIONS)

    def standing(self) -> Standing:
        """From ``rauc status``."""
        host = self._host
        if host.is_container():
            reason = "this is a container: what boots its host is not its business"
            return Standing(NAME, Mark.UNKNOWN, reason)
        asked = host.run(_STATUS)
        if not asked.ok:
            return Standing(NAME, Mark.UNKNOWN, f"rauc does not say how it stands: {asked.why()}")
        slots = tuple(_slots(asked.stdout))
        base = Standing(NAME, Mark.UNKNOWN, "", tuple(one for one, _ in slots))
        status = next((told for one, told in slots if one.is_current), None)
        return _judged(base, status)

    def good(self) -> Marked:
        """``rauc status mark-good booted``."""
        return self._marked("mark-good", Mark.GOOD)

    def bad(self) -> Marked:
        """``rauc status mark-bad booted``, where there is another slot to boot."""
        before = self.standing()
        if before.mark is Mark.BAD and before.others:
            return Marked(True, before.reason)
        if not before.can_mark:
            return Marked(False, before.reason)
        return self._marked("mark-bad", Mark.BAD)

    def _marked(self, verb: str, wanted: Mark) -> Marked:
        asked = self._host.run(["rauc", "status", verb, "booted"])
        if not asked.ok:
            return Marked(False, asked.why())
        after = self.standing()
        if after.mark is not wanted:
            return Marked(False, f"rauc said yes, and yet it is {after.mark}: {after.reason}")
        return Marked(True, after.reason)


def _slots(document: bytes) -> Iterator[tuple[Entry, str]]:
    """The slots that a boot loader knows, each with its boot_status."""
    try:
        told = json.loads(document)
    except (ValueError, RecursionError):
        return
    listed = told.get("slots") if isinstance(told, dict) else None
    for row in listed if isinstance(listed, list) else ():
        if not isinstance(row, dict):
            continue
        for name, slot in row.items():
            bootname = slot.get("bootname") if isinstance(slot, dict) else None
            if not isinstance(bootname, str) or not bootname:
                continue
            status = str(slot.get("boot_status"))
            booted = slot.get("state") == "booted"
            entry = Entry(
                str(name), bootname, str(slot.get("device") or ""), is_current=booted,
                is_bad=status == "bad",
            )  # fmt: skip
            yield entry, status


def _judged(base: Standing, status: str | None) -> Standing:
    current = base.current
    if current is None:
        reason = "rauc does not say which slot is booted"
        return Standing(NAME, Mark.UNKNOWN, reason, base.entries)
    names = ", ".join(one.id for one in base.others[:3])
    if status == "bad":
        told = f"the next boot takes {names}" if names else "and there is no other"
        reason = f"{current.id} is marked bad: {told}"
        return Standing(NAME, Mark.BAD, reason, base.entries)
    mark = Mark.GOOD if status == "good" else Mark.INDETERMINATE
    how = "is marked good" if mark is Mark.GOOD else "is neither marked good nor bad"
    if not names:
        reason = f"{current.id} {how}; there is no other slot that is good"
        return Standing(NAME, mark, reason, base.entries)
    reason = f"{current.id} {how}; besides it there is {names}"
    return Standing(NAME, mark, reason, base.entries, can_mark=True)
