# SPDX-License-Identifier: MIT
"""Disks that are full, or were a moment ago: no space, no inodes, no quota left."""

from __future__ import annotations

import re

from failhook.diagnose.around import Mount
from failhook.diagnose.case import Case
from failhook.diagnose.finding import SAID, SEEN, Finding, from_message, quote
from failhook.diagnose.memory import WATCHES
from failhook.diagnose.nearby import PUTS, named_paths
from failhook.diagnose.subjects import commands, paths_in
from failhook.diagnose.text import Message
from failhook.diagnose.wording import FAILURE

_FULL = re.compile(
    r"no space left on device|\bENOSPC\b|(?<!or the )disk (?:is )?full|errno[ =:]*28\b|os error 28\b"
    r"|write error: \d{1,15} of \d{1,15} bytes|short write\b"
    r"|not enough (?:free )?(?:disk )?space|out of disk space|insufficient (?:disk )?space",
    re.IGNORECASE,
)
_WRITE_ERROR = re.compile(
    r"\bwrite (?:error|fail)|\b(?:error|failed|failure|unable|cannot|can't|could ?n[o']t)\b.{0,30}\bwrit(?:e|ing)\b",
    re.IGNORECASE,
)
_HALF = re.compile(
    r"\bnot an? .{0,30}(?:database|file|archive|image)|malformed|corrupt|truncated|incomplete|damaged"
    r"|unexpected end|checksum|\b(?:cannot|can't|could not|unable to|failed to) (?:use|open|load|initiali[sz]e)\b.{0,30}\b(?:database|db|store|index|queue|spool)\b",
    re.IGNORECASE,
)
_READS = re.compile(r"\bread(?:ing)?:? ", re.IGNORECASE)
_OF_THE_SYSTEM = ("/", "/usr", "/run", "/tmp")  # noqa: S108 - names, nothing is made there
_OF_BOOT = ("/boot/", "/efi/")
_AROUND = 12  # lines
# As mount(8) and xfs(5) spell them: usrquota, uquota, usrjquota=…, grpquota, prjquota, pquota.
_QUOTA_OPTION = re.compile(r"(?:^|,)([ugp])(?:sr|rp|rj)?j?quota\b")
_QUOTA = re.compile(r"disk quota exceeded|\bEDQUOT\b|errno[ =:]*122\b", re.IGNORECASE)


def full(case: Case, message: Message) -> Finding | None:
    """No space, no inodes, or no quota."""
    if _QUOTA.search(message.text):
        return _over_quota(case, message)
    if not _FULL.search(message.text) or WATCHES.search(message.text):
        return _without_its_name(case, message)
    paths = named_paths(case, message)
    mount = case.mount(paths[0]) if paths else None
    if mount is None or mount.full is None:
        full_ones = [one for one in case.mounts if one.full and not _is_of_boot(one)]
        mount = full_ones[0] if len(full_ones) == 1 or (full_ones and mount is None) else mount
    if mount is None or mount.full is None:
        nearly = [one for one in case.mounts if one.nearly_full and not _is_of_boot(one)]
        if nearly and (mount in nearly or not paths_in(message.raw)):
            return _nearly_full(
                case, message, [mount] if mount is not None and mount in nearly else nearly
            )
    if mount is not None and mount.full is not None:
        return _seen_full(case, message, mount)
    own = _own_disk(case) if mount is None else None
    if own is None and _READS.search(message.text):
        own = _written_around(case, message)
    if own is not None:
        return _small(case, message, own)
    named = f" ({mount.point})" if mount is not None and mount.point != "/" else ""
    written = _written_nearby(case, message)
    named = named or (f" for {written}" if written else "")
    return from_message(
        case, message, "disk-full",
        what=f"there was no space left{named}: “{quote(message.text, 180)}”",
        advice="df -h, df -i", confidence=SAID + 0.08,
    )  # fmt: skip


def _is_of_boot(mount: Mount) -> bool:
    """It is full on many a machine, and what does not name it has not written there."""
    return f"{mount.point}/".startswith(_OF_BOOT)


def _over_quota(case: Case, message: Message) -> Finding:
    """Whose quota, and where; how much of it is in use only root may ask (quotactl(2))."""
    paths = named_paths(case, message)
    mount = case.mount(paths[0]) if paths else None
    if mount is None or mount.point == "/":
        subject, place, more = "a disk quota", "-a", []
    else:
        subject, place = f"the disk quota{_whose(case, mount)} on {mount.point}", mount.point
        more = [case.checked(f"{mount.point}: {mount.options}", "system/mounts.txt")]
    return from_message(
        case, message, "quota", what=f"{subject} is used up: “{quote(message.text, 180)}”",
        advice=f"repquota {place}; setquota(8) raises it", confidence=SAID + 0.05, more=more,
    )  # fmt: skip


def _whose(case: Case, mount: Mount) -> str:
    """The user or the group, where the mount's options leave only one kind (mount(8))."""
    kinds = set(_QUOTA_OPTION.findall(mount.options))
    if kinds == {"u"} and case.uid is not None:
        return f" of the user {case.facts.names.get(case.uid, case.uid)}"
    group = case.unit.get("Group")
    return f" of the group {group}" if kinds == {"g"} and group else ""


def _without_its_name(case: Case, message: Message) -> Finding | None:
    """``Write error``, without the reason, and the disk that it writes to is full; or data that is
    not as it should be, since there was no room for all of it."""
    last = message.text.rpartition(": ")[2]  # "write error: Connection reset" has its reason
    if WATCHES.search(message.text):
        return None
    if not _WRITE_ERROR.search(last):
        return _left_half_done(case, message)
    own = case.mount(paths[0]) if (paths := named_paths(case, message)) else _own_disk(case)
    return _seen_full(case, message, own) if own is not None and own.full is not None else None


def _left_half_done(case: Case, message: Message) -> Finding | None:
    paths = paths_in(message.raw) if _HALF.search(message.text) else []
    for path in paths:
        mount = case.mount(path)
        if mount is not None and mount.full is not None and mount.point not in _OF_THE_SYSTEM:
            return _seen_full(case, message, mount)
    return None


def _seen_full(case: Case, message: Message, mount: Mount) -> Finding:
    command = f"df -i {mount.point}" if mount.full == "inodes" else f"du -xh -d1 {mount.point}"
    return from_message(
        case, message, "disk-full",
        what=f"{mount.point} has no {mount.full} left: “{quote(message.text, 160)}”",
        advice=f"make room there ({command})", confidence=SEEN,
        more=[case.checked(_room(mount), "system/mounts.txt")],
    )  # fmt: skip


def _nearly_full(case: Case, message: Message, mounts: list[Mount]) -> Finding:
    """What did not fit was taken back: there is some room again, and much less than elsewhere."""
    named = " or ".join(f"{one.point} ({one.nearly_full} in use)" for one in mounts[:3])
    return from_message(
        case, message, "disk-full",
        what=f"there was no space left, as it seems on {named}: “{quote(message.text, 160)}”",
        advice=f"make room there (df -h {mounts[0].point})", confidence=SAID + 0.1,
        more=[case.checked(_room(one), "system/mounts.txt") for one in mounts[:3]],
    )  # fmt: skip


def _own_disk(case: Case) -> Mount | None:
    """The one disk beside the root's that its command lines name; what did not fit is gone again."""
    named = [path for _, _, argv in commands(case.unit) for path in paths_in(argv)]
    mounts = {one.point: one for path in named if (one := case.mount(path)) is not None}
    own = [one for point, one in mounts.items() if point not in _OF_THE_SYSTEM]
    return own[0] if len(own) == 1 else None


def _written_around(case: Case, message: Message) -> Mount | None:
    """The one disk beside the root's that the lines around name, where this one names what was
    read: that has room enough."""
    around = case.messages[max(0, message.number - _AROUND) : message.number + _AROUND]
    mounts = {
        one.point: one
        for each in around
        for path in paths_in(each.raw)
        if (one := case.mount(path)) is not None and one.point not in _OF_THE_SYSTEM
    }
    return next(iter(mounts.values())) if len(mounts) == 1 else None


def _small(case: Case, message: Message, mount: Mount) -> Finding:
    return from_message(
        case, message, "disk-full",
        what=f"there was no space left, as it seems on {mount.point}: “{quote(message.text, 160)}”",
        advice=f"make room there (df -h {mount.point})", confidence=SAID + 0.08,
        more=[case.checked(_room(mount), "system/mounts.txt")],
    )  # fmt: skip


def _written_nearby(case: Case, message: Message) -> str:
    """What could not be written, where the line itself names no file and one beside it does."""
    if paths_in(message.raw):
        return ""
    near = case.messages[max(0, message.number - 2) : message.number + 3]
    for one in sorted(near, key=lambda each: abs(each.number - message.number)):
        fails_to_write = FAILURE.search(one.text[:600]) and PUTS.search(one.text[:600])
        paths = paths_in(one.raw) if fails_to_write else []
        if paths:
            return paths[0]
    return ""


def _room(mount: Mount) -> str:
    return (
        f"{mount.point}: {mount.free} of {mount.bytes} bytes free, "
        f"{mount.inodes_free} of {mount.inodes} inodes free"
    )
