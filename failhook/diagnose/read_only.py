# SPDX-License-Identifier: MIT
"""What cannot be written: a file system that is mounted read-only, or that a setting makes so."""

from __future__ import annotations

import re

from failhook.diagnose.case import Case
from failhook.diagnose.finding import SAID, SEEN, Finding, from_message, quote
from failhook.diagnose.nearby import ERRNO, named_paths, told_paths
from failhook.diagnose.sandbox import sandboxed, write_protected
from failhook.diagnose.subjects import paths_in
from failhook.diagnose.text import Message
from failhook.diagnose.wording import FAILURE, STRERROR, without_advice

_READ_ONLY = re.compile(
    r"read-only file ?system|\bEROFS\b|errno[ =:]*30\b|os error 30\b", re.IGNORECASE
)
# Without the reason.
_WRITE_FAILED = re.compile(
    r"\b(?:can(?:no|')t|can not|couldn't|could not|unable to|fail(?:ed|ure)?(?: to)?|error(?: in)?)\b.{0,30}"
    r"\b(?:creat|writ|mak|sav|renam|mkdir|remov|unlink|updat|back(?:ing)? up)\w{0,6}\b",
    re.IGNORECASE,
)


def read_only(case: Case, message: Message) -> Finding | None:
    """A file system that is mounted read-only, or that a setting makes so."""
    by_words = _READ_ONLY.search(message.text) is not None
    if not by_words and not _WRITE_FAILED.search(message.text):
        return None
    paths = named_paths(case, message) or (_named_below(case, message) if by_words else [])
    path = paths[0] if paths else ""
    mount = case.mount(path) if path else None
    if mount is not None and "ro" in mount.options.split(","):
        return from_message(
            case, message, "read-only",
            what=f"{mount.point} is mounted read-only, {path} cannot be written: "
            f"“{quote(message.text, 140)}”",
            advice=f"mount -o remount,rw {mount.point}; the kernel does that to a damaged file "
            "system: dmesg",
            confidence=SEEN, more=[case.checked(f"{mount.point}: {mount.options}", "system/mounts.txt")],
        )  # fmt: skip
    if not by_words:
        return _unsaid(case, message, paths) if paths else _perhaps_protected(case, message)
    setting = write_protected(case, path) if path else case.unit.get("ProtectSystem")
    if setting is not None and setting not in ("no", "full", "yes"):
        setting = setting if "=" in setting else f"ProtectSystem={setting}"
        return sandboxed(case, message, path or "what it writes to", setting)
    return from_message(
        case, message, "read-only",
        what=f"a file system is read-only: “{quote(message.text)}”", advice="mount | grep ' ro[, ]'",
    )  # fmt: skip


def _unsaid(case: Case, message: Message, paths: list[str]) -> Finding | None:
    """``error creating the file /srv/out/a.tmp``, without the reason, where the sandbox lets nobody
    write."""
    if ERRNO.search(message.text) or STRERROR.search(message.text):
        return None
    for path in reversed(paths):
        setting = write_protected(case, path)
        if setting is not None:
            return sandboxed(case, message, path, setting, SAID)
    return None


def _named_below(case: Case, message: Message) -> list[str]:
    """``zip I/O error: Read-only file system`` / ``Could not create output file (/srv/etc.zip)``; else
    what of the command line lies where nobody may write."""
    for one in case.messages[message.number + 1 : message.number + 2]:
        is_same = one.pid == message.pid and one.level is message.level
        found = paths_in(without_advice(one.raw))
        if found and is_same and FAILURE.search(one.text[:600]):
            return found
    return [path for path in told_paths(case) if write_protected(case, path)][:1]


def _perhaps_protected(case: Case, message: Message) -> Finding | None:
    """``Processing /srv/a.png`` / ``Can't back up the output file``: neither the reason nor the file;
    the file above lies where the sandbox lets nobody write."""
    if ERRNO.search(message.text) or ": " in message.text:
        return None
    for one in reversed(case.messages[max(0, message.number - 4) : message.number]):
        for path in paths_in(one.raw) if one.pid == message.pid else ():
            setting = write_protected(case, path)
            return sandboxed(case, message, path, setting, SAID) if setting else None
    return None
