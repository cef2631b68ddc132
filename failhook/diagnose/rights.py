# SPDX-License-Identifier: MIT
"""What a path's owner and mode, those of the directories on the way, and the mount keep a user from."""

from __future__ import annotations

from failhook.diagnose.case import Case
from failhook.diagnose.facts import PathFact
from failhook.diagnose.finding import SEEN, Finding, from_message, quote
from failhook.diagnose.place import SYSTEM_PLACES
from failhook.diagnose.text import Message


def forbidden(
    case: Case, message: Message, path: str, fact: PathFact, uid: int | None, *, writes: bool
) -> Finding | None:
    """What its mode, or that of a directory on the way, keeps this user from; None: nothing."""
    access = fact.may(uid)
    if access is None or uid == 0:
        return None
    user = case.facts.user(uid)
    if access.blocked_at is not None:
        seen = case.path(access.blocked_at)
        mode = f" ({seen.described})" if seen is not None and seen.described else ""
        what = f"{user} may not enter {access.blocked_at}{mode} on the way to {path}"
        advice = f"let {user} pass: chmod o+x {access.blocked_at}, or set its group"
    elif fact.exists and not access.read:
        what = f"{path} cannot be read by {user} ({fact.described})"
        advice = f"chown {user} {path}, or give its group the right"
    elif fact.exists and not access.write and (writes or fact.kind == "directory"):
        what = f"{path} cannot be written by {user} ({fact.described})"
        advice = f"chown {user} {path}, or give its group the right"
    elif not fact.exists and fact.missing_at is not None:
        return _forbidden_parent(case, message, path, fact, uid)
    else:
        return None
    return from_message(
        case, message, "permission",
        what=f"{what}: “{quote(message.text, 140)}”", advice=advice, confidence=SEEN,
        more=[case.checked(f"{path}: {fact.described or 'behind a closed directory'}")],
    )  # fmt: skip


def _forbidden_parent(
    case: Case, message: Message, path: str, fact: PathFact, uid: int | None
) -> Finding | None:
    """A file that is to be made in a directory that its user may not write."""
    parent = (fact.missing_at or path).rpartition("/")[0] or "/"
    seen = case.path(parent)
    access = seen.may(uid) if seen is not None else None
    if seen is None or access is None or access.write:
        return None
    user = case.facts.user(uid)
    return from_message(
        case, message, "permission",
        what=f"{user} may not make {path}: {parent} is not writable for it ({seen.described}): "
        f"“{quote(message.text, 120)}”",
        advice=f"chown {user} {parent}", confidence=SEEN,
        more=[case.checked(f"{parent}: {seen.described}")],
    )  # fmt: skip


def unmakeable(case: Case, message: Message, path: str, fact: PathFact) -> Finding | None:
    """It is not there, and the program could not have made it either."""
    if fact.missing_at != path or path.startswith(SYSTEM_PLACES):
        return None
    parent = path.rpartition("/")[0] or "/"
    if "ro" in (fact.options or "").split(","):
        return from_message(
            case, message, "read-only",
            what=f"{path} does not exist and cannot be made, {fact.mount} is mounted read-only: "
            f"“{quote(message.text, 120)}”",
            advice=f"mount -o remount,rw {fact.mount}; the kernel does that to a damaged file "
            "system: dmesg",
            confidence=SEEN, more=[case.checked(f"{fact.mount}: {fact.options}")],
        )  # fmt: skip
    uid = message.uid if message.uid is not None else case.uid
    seen = case.path(parent)
    access = seen.may(uid) if seen is not None else None
    if seen is None or access is None or access.write or uid == 0:
        return None
    user = case.facts.user(uid)
    return from_message(
        case, message, "permission",
        what=f"{path} does not exist, and {user} may not make it in {parent} ({seen.described}): "
        f"“{quote(message.text, 120)}”",
        advice=f"chown {user} {parent}, or restore the file", confidence=SEEN,
        more=[case.checked(f"{parent}: {seen.described}")],
    )  # fmt: skip
