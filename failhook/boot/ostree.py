# SPDX-License-Identifier: MIT
"""ostree and bootc: deployments; the bad one is left by a rollback to the one before.

They have no marks and count nothing. A rollback swaps the order of two deployments, and a second
one swaps them back: so it is asked for only while the running one is still what boots next.

- bootc(8): ``bootc status --json``: ``status.booted``, ``status.rollback``, ``status.staged`` each
  null or with ``image.image.image``, ``image.version`` and ``ostree.checksum``;
  ``status.rollbackQueued``. bootc-rollback(8): "Change the bootloader entry ordering; the
  deployment under `rollback` will be queued for the next boot, and the current will become
  rollback."
- rpm-ostree(1): ``rpm-ostree status --json``: ``deployments``, in the order in which they are
  booted, with id, checksum, version, booted, staged; ``rpm-ostree rollback``: "Revert to the
  previously booted tree".
- ostree-admin-status(1): text, ``*`` before the booted one; no command that rolls back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from failhook.boot.grub import Grub
from failhook.boot.host import Host
from failhook.boot.model import Entry, Mark, Marked, Standing

NAME = "ostree"
_TEXT_LINE = re.compile(r"(?P<booted>[* ]) (?P<os>\S+) (?P<id>[0-9a-f]{8,}\.\d+)(?P<rest>.*)")


@dataclass(frozen=True, slots=True)
class _Deployments:
    """In the order in which they are booted, and by whom they were told."""

    tool: str
    entries: tuple[Entry, ...]
    staged: bool = False

    @property
    def is_rolled_back(self) -> bool:
        """The next boot takes another one than that which runs."""
        return bool(self.entries) and not self.entries[0].is_current


class Ostree:
    """This machine's deployments."""

    name = NAME

    def __init__(self, host: Host | None = None) -> None:
        self._host = host or Host()
        self._grub = Grub(self._host)

    def is_here(self) -> bool:
        """Booted into a deployment (ostree-prepare-root(1) leaves /run/ostree-booted)."""
        return self._host.exists("/run/ostree-booted")

    def standing(self) -> Standing:
        """From the tool that is here: bootc, rpm-ostree, ostree."""
        if self._host.is_container():
            reason = "this is a container: what boots its host is not its business"
            return Standing(NAME, Mark.UNKNOWN, reason)
        found = self._deployments()
        if found is None:
            reason = "neither bootc, rpm-ostree nor ostree says which deployments there are"
            return Standing(NAME, Mark.UNKNOWN, reason)
        return _judged(found)

    def good(self) -> Marked:
        """Nothing to mark in ostree itself; a counter of GRUB for it (greenboot) is ended."""
        standing = self.standing()
        if standing.current is None:
            return Marked(False, standing.reason)
        if not self._grub.is_counting():
            return Marked(True, f"{standing.current.id} needs no mark: ostree counts nothing")
        return self._grub.finish(f"{standing.current.id} is good: GRUB does not count any more")

    def bad(self) -> Marked:  # noqa: PLR0911 - a list of reasons
        """Roll back, where there is something to roll back to."""
        before = self.standing()
        if before.mark is Mark.BAD:
            return Marked(True, before.reason)
        if not before.can_mark:
            return Marked(False, before.reason)
        found = self._deployments()
        if found is None:
            return Marked(False, before.reason)
        asked = self._host.run([found.tool, "rollback"])
        if not asked.ok:
            return Marked(False, asked.why())
        after = self.standing()
        if after.mark is not Mark.BAD:
            return Marked(False, f"it was rolled back, and yet {after.reason}")
        if self._grub.is_counting():
            # Else GRUB would count on and take the second entry, which is now the bad one.
            ended = self._grub.finish("")
            if not ended.ok:
                return Marked(False, f"{after.reason}; but boot_counter stays: {ended.detail}")
        return Marked(True, after.reason)

    def _deployments(self) -> _Deployments | None:
        bootc = self._host.run(["bootc", "status", "--json"])
        if bootc.ok and (found := _of_bootc(_document(bootc.stdout))) is not None:
            return found
        layered = self._host.run(["rpm-ostree", "status", "--json"])
        if layered.ok and (found := _of_rpm_ostree(_document(layered.stdout))) is not None:
            return found
        plain = self._host.run(["ostree", "admin", "status"])
        return _of_ostree(plain.text) if plain.ok else None


def _judged(found: _Deployments) -> Standing:
    base = Standing(NAME, Mark.CLEAN, "", found.entries)
    current, others = base.current, base.others
    if current is None:
        reason = f"{found.tool} does not say which deployment is booted"
        return Standing(NAME, Mark.UNKNOWN, reason, found.entries)
    if found.staged:
        reason = f"an update is staged: the next boot takes it and not {current.id}"
        return Standing(NAME, Mark.CLEAN, reason, found.entries)
    if found.is_rolled_back:
        reason = f"{current.id} is rolled back: the next boot takes {found.entries[0].id}"
        return Standing(NAME, Mark.BAD, reason, found.entries)
    if not others:
        reason = f"{current.id} is the only deployment: there is nothing to roll back to"
        return Standing(NAME, Mark.CLEAN, reason, found.entries)
    if found.tool == "ostree":
        reason = f"{current.id} runs; ostree alone has no command to roll back (rpm-ostree, bootc)"
        return Standing(NAME, Mark.CLEAN, reason, found.entries)
    reason = f"{current.id} runs, before it {others[0].id}; deployments are not counted"
    return Standing(NAME, Mark.CLEAN, reason, found.entries, can_mark=True)


def _document(data: bytes) -> Mapping[str, Any]:
    try:
        read = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def _inner(value: object, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _of_bootc(document: Mapping[str, Any]) -> _Deployments | None:
    """Only where it manages this machine: else ``booted`` is null."""
    status = document.get("status")
    booted = _of_bootc_one(_inner(status, "booted"), current=True)
    if booted is None:
        return None
    rollback = _of_bootc_one(_inner(status, "rollback"), current=False)
    entries = [booted] if rollback is None else [booted, rollback]
    if _inner(status, "rollbackQueued") is True:
        entries.reverse()
    staged = _inner(status, "staged") is not None
    return _Deployments("bootc", tuple(entries), staged)


def _of_bootc_one(told: object, *, current: bool) -> Entry | None:
    checksum = _inner(told, "ostree", "checksum")
    if not isinstance(checksum, str) or not checksum:
        return None
    serial = _inner(told, "ostree", "deploySerial")
    title = _inner(told, "image", "image", "image") or _inner(told, "image", "version") or ""
    number = serial if isinstance(serial, int) else 0
    return Entry(f"{checksum}.{number}", str(title), is_current=current)


def _of_rpm_ostree(document: Mapping[str, Any]) -> _Deployments | None:
    rows = document.get("deployments")
    if not isinstance(rows, list) or not rows:
        return None
    known = [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]
    entries = [
        Entry(
            row["id"],
            str(row.get("version") or row.get("container-image-reference") or ""),
            is_current=row.get("booted") is True,
        )
        for row in known
        if row.get("staged") is not True
    ]
    return _Deployments("rpm-ostree", tuple(entries), any(row.get("staged") for row in known))


def _of_ostree(text: str) -> _Deployments | None:
    rows: Sequence[re.Match[str]] = [
        match for line in text.splitlines() if (match := _TEXT_LINE.fullmatch(line))
    ]
    staged = any("(staged)" in row["rest"] for row in rows)
    entries = tuple(
        Entry(f"{row['os']}-{row['id']}", row["os"], is_current=row["booted"] == "*")
        for row in rows
        if "(staged)" not in row["rest"]
    )
    return _Deployments("ostree", entries, staged) if entries else None
