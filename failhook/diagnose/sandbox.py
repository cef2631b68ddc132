# SPDX-License-Identifier: MIT
"""Which setting of a unit's sandbox hides a path or makes it read-only (systemd.exec(5))."""

from __future__ import annotations

import re

from failhook.diagnose.case import Case
from failhook.diagnose.facts import PathFact
from failhook.diagnose.finding import SEEN, Finding, from_message, quote
from failhook.diagnose.subjects import own_directories
from failhook.diagnose.text import Message

# Of /proc, what is of no process (proc(5)).
_OF_THE_MACHINE = re.compile(r"/proc/(?!\d|self\b|thread-self\b)\w")


def hidden_by(case: Case, path: str, fact: PathFact | None) -> str | None:
    """The setting of the sandbox that takes a path away which is there."""
    if fact is not None and not fact.exists and fact.kind != "unknown":
        return None
    home = case.unit.get("ProtectHome") or "no"
    if home in ("yes", "tmpfs") and path.startswith(("/home/", "/root/", "/run/user/")):
        return f"ProtectHome={home}"
    if (setting := _shut_off(case, path)) is not None:
        return setting
    private = case.unit.get("PrivateTmp") not in (None, "no")
    if private and fact is not None and path.startswith(("/tmp/", "/var/tmp/")):  # noqa: S108
        return f"PrivateTmp={case.unit.get('PrivateTmp')}"
    return None


def _shut_off(case: Case, path: str) -> str | None:
    for word in (case.unit.get("InaccessiblePaths") or "").split():
        place = word.lstrip("-+")
        if path == place or path.startswith(f"{place}/"):
            return f"InaccessiblePaths={place}"
    if (emptied := _replaced(case, path)) is not None:
        return f"TemporaryFileSystem={emptied}"
    of_machine = case.unit.get("ProcSubset") == "pid" and _OF_THE_MACHINE.match(path)
    return "ProcSubset=pid" if of_machine else None


def _replaced(case: Case, path: str) -> str | None:
    """The place of an empty file system of the unit's own that the path is below."""
    words = (case.unit.get("TemporaryFileSystem") or "").split()
    bound = [
        word.split(":")[1] if ":" in word else word.lstrip("-")
        for setting in ("BindPaths", "BindReadOnlyPaths")
        for word in (case.unit.get(setting) or "").split()
    ]
    for place in (word.partition(":")[0].rstrip("/") for word in words):
        below = path.startswith(f"{place}/")
        if below and not any(path == one or path.startswith(f"{one}/") for one in bound):
            return place or "/"
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


def sandboxed(
    case: Case, message: Message, path: str, setting: str, confidence: float = SEEN
) -> Finding:
    """The finding that this setting is what stands in the way."""
    read_only = setting.startswith(("ReadOnly", "ProtectSystem", "ProtectHome=read"))
    effect = "makes it read-only for the unit" if read_only else "hides it from the unit"
    advice = f"change {setting}"
    if setting.startswith(("DevicePolicy", "DeviceAllow")):
        effect, advice = "lets the unit not use it", f"DeviceAllow={path} rw"
    elif setting.startswith("NoExecPaths"):
        effect, advice = "lets the unit not execute it", f"ExecPaths={path}"
    elif setting.startswith("PrivateDevices"):
        advice = "PrivateDevices=no, and DevicePolicy=closed with DeviceAllow= for what it needs"
    if read_only:
        advice = f"ReadWritePaths={_to_be_let_through(case, path)} (or StateDirectory=)"
    return from_message(
        case, message, "sandbox",
        what=f"{path}: {setting} {effect}: “{quote(message.text, 140)}”",
        advice=advice, confidence=confidence, more=[case.checked(setting, "unit/show.txt")],
    )  # fmt: skip


def _to_be_let_through(case: Case, path: str) -> str:
    """The directory: with a path that is not there no unit starts (systemd.exec(5), 226/NAMESPACE)."""
    fact = case.path(path)
    is_directory = fact is not None and fact.kind == "directory"
    return path if is_directory or not path.startswith("/") else path.rpartition("/")[0] or "/"
