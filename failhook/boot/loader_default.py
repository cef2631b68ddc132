# SPDX-License-Identifier: MIT
"""What systemd-boot is told to start, whatever an entry's counter says.

An entry without a try left only sorts last in the menu. A default that somebody chose is looked for
before the order of the menu matters, so one that names such an entry starts it again:
loader.conf(5) "default"; systemd-boot(7) LoaderEntryDefault, LoaderEntryOneShot, LoaderEntrySaved.
("preferred", from systemd 260 on, leaves bad entries out: it needs no look.)

By which name? That of the file without its counter; systemd-boot 252 takes the counter for a part
of the name. LoaderEntrySelected of a boot that was counted shows which.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator

from failhook.boot.host import Host
from failhook.boot.model import Chosen, Entry

_SAVED = "@saved"


def chosen(host: Host, esp: str, entries: tuple[Entry, ...]) -> Chosen | None:
    """What the next boot takes by a setting, once the running entry is marked bad.

    None: no setting names an entry that is there, so that the counters decide. ``esp`` is where the
    EFI system partition is mounted; its loader.conf is untrusted text of bounded size.
    """
    order = sorted(entries, key=lambda one: one.is_bad or one.is_current)
    with_counter = "+" in (host.efi_text("LoaderEntrySelected") or "")
    for pattern, by, remedy in _settings(host, esp):
        for entry in order:
            name = _file_name(entry) if with_counter else entry.id
            if fnmatch.fnmatchcase(name.casefold(), pattern.casefold()):
                return Chosen(entry.id, f"{by} says {pattern[:80]}", remedy)
    return None


def _file_name(entry: Entry) -> str:
    """What its file is called; of the running one, once it is marked bad."""
    if not entry.is_current:
        return entry.path.replace("\\", "/").rpartition("/")[2] or entry.id
    stem, dot, end = entry.id.rpartition(".")
    return f"{stem}+0-{entry.tried or 1}{dot}{end}"


def _settings(host: Host, esp: str) -> Iterator[tuple[str, str, str]]:
    """In its order: once, by variable, by file. The pattern, what says so, what undoes it."""
    saved = host.efi_text("LoaderEntrySaved")
    configured = _configured(host.text(f"{esp}/loader/loader.conf") or "")
    for pattern, by, remedy in (
        (host.efi_text("LoaderEntryOneShot"), "LoaderEntryOneShot", "`bootctl set-oneshot ''`"),
        (host.efi_text("LoaderEntryDefault"), "LoaderEntryDefault", "`bootctl set-default ''`"),
        (configured, f'"default" in {esp}/loader/loader.conf', "a pattern that fits others too"),
    ):
        if pattern == _SAVED and saved:
            yield saved, f"LoaderEntrySaved (for {by})", remedy
        elif pattern:
            yield pattern, by, remedy


def _configured(text: str) -> str | None:
    """The value of the last "default" in loader.conf."""
    found = None
    for line in text.splitlines():
        key, _, value = line.strip().replace("\t", " ").partition(" ")
        if key == "default":
            found = value.strip().strip("\"'") or None
    return found
