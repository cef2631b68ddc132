# SPDX-License-Identifier: MIT
"""Which setting of a unit's sandbox hides a path or makes it read-only (systemd.exec(5))."""

from __future__ import annotations

from failhook.diagnose.case import Case
from failhook.diagnose.facts import PathFact
from failhook.diagnose.finding import SEEN, Finding, from_message, quote
from failhook.diagnose.subjects import own_directories
from failhook.diagnose.text import Message


def hidden_by(case: Case, path: str, fact: PathFact | None) -> str | None:
    """The setting of the sandbox that takes a path away which is there."""
    if fact is not None and not fact.exists and fact.kind != "unknown":
        return None
    home = case.unit.get("ProtectHome") or "no"
    if home in ("yes", "tmpfs") and path.startswith(("/home/", "/root/", "/run/user/")):
        return f"ProtectHome={home}"
    for word in (case.unit.get("InaccessiblePaths") or "").split():
        place = word.lstrip("-+")
        if path == place or path.startswith(f"{place}/"):
            return f"InaccessiblePaths={place}"
    return None


def write_protected(case: Case, path: str) -> str | None:
    """The setting of the sandbox that makes a path read-only which is writable otherwise."""
    for word in (case.unit.get("ReadOnlyPaths") or "").split():
        place = word.lstrip("-+")
        if path == place or path.startswith(f"{place}/"):
            return f"ReadOnlyPaths={place}"
    if case.unit.get("ProtectHome") == "read-only" and path.startswith(("/home/", "/root/")):
        return "ProtectHome=read-only"
    system = case.unit.get("ProtectSystem") or "no"
    if system == "strict" and not _let_through(case, path):
        return "ProtectSystem=strict"
    protected = {"yes": ("/usr/", "/boot/", "/efi/"), "full": ("/usr/", "/boot/", "/efi/", "/etc/")}
    if path.startswith(protected.get(system, ("\0",))) and not _let_through(case, path):
        return f"ProtectSystem={system}"
    return None


def _let_through(case: Case, path: str) -> bool:
    """It may be written although ProtectSystem= is set."""
    words = (case.unit.get("ReadWritePaths") or "").split()
    places = [*(word.lstrip("-+") for word in words), *own_directories(case.unit)]
    private = case.unit.get("PrivateTmp") not in (None, "no")
    places += ["/dev", "/proc", "/sys", *(["/tmp", "/var/tmp"] if private else [])]  # noqa: S108
    return any(path == place or path.startswith(f"{place.rstrip('/')}/") for place in places)


def sandboxed(case: Case, message: Message, path: str, setting: str) -> Finding:
    """The finding that this setting is what stands in the way."""
    read_only = setting.startswith(("ReadOnly", "ProtectSystem", "ProtectHome=read"))
    effect = "makes it read-only for the unit" if read_only else "hides it from the unit"
    advice = f"ReadWritePaths={path} (or StateDirectory=)" if read_only else f"change {setting}"
    return from_message(
        case, message, "sandbox",
        what=f"{path}: {setting} {effect}: “{quote(message.text, 140)}”",
        advice=advice, confidence=SEEN, more=[case.checked(setting, "unit/show.txt")],
    )  # fmt: skip
