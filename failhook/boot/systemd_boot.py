# SPDX-License-Identifier: MIT
"""systemd-boot: entries whose file names count their tries, marked by systemd-bless-boot.

systemd-bless-boot(8): "status" prints good, bad, indeterminate, clean, from 258 on dirty; "bad"
renames the entry to ``+0-DONE``, which the loader takes only where there is no other; neither is
possible without the variable LoaderBootCountPath, "Not booted with boot counting in effect". Until
257 an entry that had no try left when it was booted is called indeterminate: that is dirty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from failhook.boot import loader_default
from failhook.boot.host import Host
from failhook.boot.model import Entry, Mark, Marked, Standing

NAME = "systemd-boot"
TOOLS = ("/usr/lib/systemd/systemd-bless-boot", "/lib/systemd/systemd-bless-boot")
_COUNTED = re.compile(r"(?P<stem>.+)\+(?P<left>\d{1,9})(?:-(?P<tried>\d{1,9}))?(?P<end>\.\w+)?")
_WORDS = {
    "good": Mark.GOOD,
    "bad": Mark.BAD,
    "indeterminate": Mark.INDETERMINATE,
    "clean": Mark.CLEAN,
    "dirty": Mark.DIRTY,
}
_DIRECTORIES = (("/loader/entries", ".conf"), ("/EFI/Linux", ".efi"))  # type 1 and type 2
_MOST = 200  # entries that are looked at


@dataclass(frozen=True, slots=True)
class Name:
    """The name of an entry's file, taken apart ("Boot Counting" in the specification)."""

    id: str  # without the counter
    left: int | None = None
    tried: int | None = None


def parse_name(text: str) -> Name:
    """ "a+2-1.conf" -> a.conf with 2 left and 1 tried; also of a path, with / or \\."""
    name = text.replace("\\", "/").rpartition("/")[2]
    match = _COUNTED.fullmatch(name)
    if match is None:
        return Name(name)
    return Name(
        match["stem"] + (match["end"] or ""), int(match["left"]), int(match["tried"] or "0")
    )


class SystemdBoot:
    """This machine's systemd-boot."""

    name = NAME

    def __init__(self, host: Host | None = None) -> None:
        self._host = host or Host()

    def is_here(self) -> bool:
        """It says so itself (LoaderInfo), or it counted this boot."""
        host = self._host
        if host.is_container() or not host.is_efi():
            return False
        told = host.efi_text("LoaderInfo") or ""
        return told.startswith("systemd-boot") or self._counter() is not None

    def standing(self) -> Standing:  # noqa: PLR0911 - a list of reasons
        """As `systemd-bless-boot status` has it, with what that one does not look at."""
        host = self._host
        if host.is_container():
            return self._unknown("this is a container: what boots its host is not its business")
        if not host.is_efi():
            return self._unknown("this machine was not booted by UEFI, and systemd-boot needs it")
        entries = self._entries()
        stale = host.not_by_loader()
        if stale is not None:
            entries = tuple(replace(one, is_current=False) for one in entries)
            return Standing(NAME, Mark.UNKNOWN, stale, entries)
        counter = self._counter()
        if counter is None:
            return Standing(NAME, Mark.CLEAN, _why_clean(entries), entries)
        partitions, why = self._partitions()
        if not partitions:
            return Standing(NAME, Mark.UNKNOWN, f"the ESP is not mounted: {why}", entries)
        mark, why = self._mark(counter)
        if mark is None:
            return Standing(NAME, Mark.UNKNOWN, why, entries)
        chosen = loader_default.chosen(host, partitions[0], entries)
        base = Standing(NAME, mark, "", entries, chosen=chosen)
        return _judged(base, parse_name(counter), self._where_read_only(partitions))

    def good(self) -> Marked:
        """Drop the counter."""
        before = self.standing()
        if before.mark not in (Mark.INDETERMINATE, Mark.GOOD, Mark.BAD, Mark.DIRTY):
            return Marked(False, before.reason)
        problem = self._bless("good")
        if problem is not None:
            return Marked(False, problem)
        after = self.standing()
        if after.mark is not Mark.GOOD:
            return Marked(False, f"it was blessed, and yet it is {after.mark}: {after.reason}")
        return Marked(True, f"{_of(after)} is good: it is not counted any more")

    def bad(self) -> Marked:
        """Rename it to +0-DONE, and look whether that happened."""
        before = self.standing()
        if before.mark is Mark.BAD and before.others:
            return Marked(True, before.reason)
        if not before.can_mark:
            return Marked(False, before.reason)
        problem = self._bless("bad")
        if problem is not None:
            return Marked(False, problem)
        after = self.standing()
        if after.mark is not Mark.BAD:
            return Marked(False, f"it was marked, and yet it is {after.mark}: {after.reason}")
        if not self._is_renamed():
            return Marked(False, f"{_of(after)} was marked bad, and no file on the ESP says so")
        return Marked(True, after.reason)

    # -- what is there ----------------------------------------------------------------------------

    def _unknown(self, reason: str) -> Standing:
        return Standing(NAME, Mark.UNKNOWN, reason)

    def _counter(self) -> str | None:
        """The file that was booted, as it was then called; None: counting is not in effect."""
        return self._host.efi_text("LoaderBootCountPath")

    def _tool(self) -> str | None:
        return next((str(self._host.path(one)) for one in TOOLS if self._host.exists(one)), None)

    def _mark(self, counter: str) -> tuple[Mark | None, str]:
        tool = self._tool()
        if tool is None:
            return None, "systemd-bless-boot is not installed (Debian: package systemd-boot)"
        asked = self._host.run([tool, "status"])
        mark = _WORDS.get(asked.text.strip()) if asked.ok else None
        if mark is None:
            return None, f"systemd-bless-boot does not say how this boot is marked: {asked.why()}"
        if parse_name(counter).left == 0 and mark in (Mark.INDETERMINATE, Mark.BAD):
            return Mark.DIRTY, ""
        return mark, ""

    def _bless(self, verb: str) -> str | None:
        """Have it marked; what went wrong."""
        tool = self._tool()
        if tool is None:
            return "systemd-bless-boot is not installed (Debian: package systemd-boot)"
        asked = self._host.run([tool, verb])
        return None if asked.ok else asked.why()

    def _partitions(self) -> tuple[list[str], str]:
        """Where ESP and XBOOTLDR are mounted, and why there is none (bootctl(1), -p, -x)."""
        found: list[str] = []
        why = ""
        for option in ("--print-esp-path", "--print-boot-path"):
            asked = self._host.run(["bootctl", option])
            path = asked.text.strip()
            if asked.ok and path.startswith("/") and "\n" not in path:
                found += [path] if path not in found else []
            else:
                why = why or asked.why()
        return found, why

    def _where_read_only(self, partitions: list[str]) -> str | None:
        """The partition with the counted file, where it cannot be written."""
        holding = [one for one in partitions if self._files_on(one)] or partitions
        return next((one for one in holding if self._host.is_read_only(self._host.path(one))), None)

    def _files_on(self, partition: str) -> list[Name]:
        """The counted entry on this partition, whatever its counter is now.

        Only where entries may lie: the variable is the firmware's word, and not a way to anywhere.
        """
        counted = parse_name(self._counter() or "").id
        names = [
            parse_name(path)
            for directory, suffix in _DIRECTORIES
            for path in self._host.listing(f"{partition}{directory}", suffix)
        ]
        return [one for one in names if one.id.casefold() == counted.casefold()]

    def _is_renamed(self) -> bool:
        partitions, _ = self._partitions()
        return any(one.left == 0 for place in partitions for one in self._files_on(place))

    # -- entries ----------------------------------------------------------------------------------

    def _entries(self) -> tuple[Entry, ...]:
        """From `bootctl list`, else from the files; the menu's order where bootctl gives it."""
        told = self._counter() or self._host.efi_text("LoaderEntrySelected") or ""
        current = parse_name(told).id.casefold()
        found: dict[str, Entry] = {}
        for one in self._listed() or self._on_disk():
            found.setdefault(one.id, replace(one, is_current=one.id.casefold() == current))
        return tuple(found.values())[:_MOST]

    def _listed(self) -> list[Entry]:
        """``bootctl list --json=short``: id, title, path, …; a list, in 252 a line for each. Those
        that the loader makes up itself (auto-reboot-to-firmware-setup), and in 252 the names that
        a counted entry had before, have the variable LoaderEntries as their path: no file, and
        nothing to fall back to."""
        asked = self._host.run(["bootctl", "list", "--json=short"])
        made = []
        for row in _rows(asked.text) if asked.ok else ():
            path = row.get("path") if isinstance(row, dict) else None
            if isinstance(path, str) and path.endswith(tuple(end for _, end in _DIRECTORIES)):
                title = row.get("showTitle") or row.get("title")
                made.append(_entry(path, title if isinstance(title, str) else ""))
        return made

    def _on_disk(self) -> Iterator[Entry]:
        partitions, _ = self._partitions()
        for partition in partitions:
            for directory, suffix in _DIRECTORIES:
                for path in self._host.listing(f"{partition}{directory}", suffix)[:_MOST]:
                    text = (self._host.text(path) or "") if suffix == ".conf" else ""
                    yield _entry(path, _title(text))


def _entry(path: str, title: str) -> Entry:
    name = parse_name(path)
    return Entry(name.id, title, path, name.left, name.tried, is_bad=name.left == 0)


def _rows(text: str) -> list[Any]:
    """One document, or one in each line; none where it is neither."""
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        try:
            return [json.loads(line) for line in text.splitlines()]
        except (ValueError, RecursionError):
            return []
    return read if isinstance(read, list) else [read]


def _title(text: str) -> str:
    """Of a configuration file of the Boot Loader Specification."""
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if key == "title":
            return value.strip()
    return ""


def _of(standing: Standing) -> str:
    return standing.current.id if standing.current is not None else "the running entry"


def _why_clean(entries: tuple[Entry, ...]) -> str:
    name = next((one.id for one in entries if one.is_current), "the running entry")
    return (
        f"{name} was booted without counting: it is on no trial, or was blessed in an earlier "
        "boot; systemd-bless-boot cannot mark it bad"
    )


def _judged(  # noqa: PLR0911 - a list of reasons
    base: Standing, counted: Name, read_only: str | None
) -> Standing:
    """The reason for a person, and whether marking it bad now has an effect."""
    mark = base.mark
    tries = f"{counted.left} tries left when it was booted" if counted.left else "no try left"
    names = ", ".join(one.id for one in base.others[:3])
    if mark is Mark.CLEAN:
        return replace(base, reason=_why_clean(base.entries))
    if mark is Mark.BAD:
        told = f"the next boot takes another one ({names})" if names else _why_no_other(base)
        return replace(base, reason=f"{_of(base)} is marked bad: {told}")
    if mark is Mark.DIRTY:
        chosen = base.chosen
        why = f"{chosen.by}; {chosen.remedy} helps" if chosen else "nothing else was chosen"
        reason = f"{_of(base)} had no try left and was booted all the same: {why}"
        return replace(base, reason=reason)
    if base.current is None:
        reason = f"the entry that was booted is not on the ESP ({counted.id[:100]}, {mark})"
        return replace(base, reason=reason)
    if read_only is not None:
        return replace(base, reason=f"{_of(base)} is {mark}; {read_only} is mounted read-only")
    if not names:
        return replace(base, reason=f"{_of(base)} is {mark}; {_why_no_other(base)}")
    how = "was blessed in this boot" if mark is Mark.GOOD else f"is on trial, {tries}"
    return replace(base, reason=f"{_of(base)} {how}; besides it there is {names}", can_mark=True)


def _why_no_other(standing: Standing) -> str:
    """Nothing else can be booted, or a setting would boot something bad all the same."""
    chosen = standing.chosen
    if chosen is None:
        return "there is no other good entry"
    return f"the next boot takes {chosen.id} whatever its mark: {chosen.by}; {chosen.remedy} helps"
