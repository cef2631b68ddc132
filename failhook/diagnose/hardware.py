# SPDX-License-Identifier: MIT
"""Disks that fail, file systems that are damaged, clocks that are wrong, as the program says it."""

from __future__ import annotations

import re

from failhook.diagnose.case import Case
from failhook.diagnose.finding import LIKELY, SAID, Cause, Finding, each, from_message, quote
from failhook.diagnose.subjects import commands, paths_in
from failhook.diagnose.text import Message
from failhook.diagnose.wording import FAILURE

_IO = re.compile(r"input/output error|\bEIO\b|errno[ =:]*5\b|os error 5\b", re.IGNORECASE)
# EIO of a connection or a terminal is no disk's.
_NO_DISK = re.compile(
    r"\b(?:sockets?|connections?|peer|remote|client|server|end of file|stream|sleep|suspend|hibernat\w*|tty\w*|terminal|pty|serial)\b",
    re.IGNORECASE,
)
_UDEV = re.compile(
    r"\bpermissions?\b.{0,80}\budev\b|\budev rules?\b.{0,80}\bpermissions?\b|\bfix the device permissions\b",
    re.IGNORECASE,
)
_HANGUP = re.compile(
    r"\bhang-?up\b|\bhung up\b|\bno carrier\b|\b(?:link|line|peer) .{0,40}\bdisconnected\b",
    re.IGNORECASE,
)
_NEAR = 8  # lines
_UNREPAIRED = re.compile(
    r"file ?system still has errors|unexpected inconsistency|errors (?:were )?left uncorrected|file ?system (?:is )?inconsistent",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?:clock|time) (?:is|was|has) .{0,40}(?:wrong|skew|behind|ahead|moved|jump|back|future)"
    r"|clock skew|(?:set|step|adjust|chang)\w{0,5} (?:the )?system (?:time|clock)|not yet valid|timestamp.{0,30}in the future|adjtimex|CAP_SYS_TIME",
    re.IGNORECASE,
)


def _io(case: Case, message: Message) -> Finding | None:
    if not _IO.search(message.text) or _NO_DISK.search(message.text) or _hung_up(case, message):
        return None
    return from_message(
        case, message, "io-error", what=f"reading or writing failed: “{quote(message.text)}”",
        advice="dmesg tells which disk", confidence=SAID,
    )  # fmt: skip


def _hung_up(case: Case, message: Message) -> bool:
    """The other side of a line had gone: reads fail with EIO after that (termios(3))."""
    above = case.messages[max(0, message.number - _NEAR) : message.number]
    return not paths_in(message.raw) and any(_HANGUP.search(one.text[:300]) for one in above)


def _device_rights(case: Case, message: Message) -> Finding | None:
    """libusb's programs know what helps, and say it below the error."""
    if not _UDEV.search(message.text):
        return None
    above = case.messages[max(0, message.number - 1) : message.number]
    lines = (*(one for one in above if FAILURE.search(one.text[:300])), message)
    return from_message(
        case, lines[0], "permission",
        what="its user may not open a device, whose rights udev sets: "
        f"“{quote(' / '.join(one.text for one in lines))}”",
        advice="add the udev rules that come with it (udevadm control --reload; udevadm trigger), "
        "or the user to the device's group", confidence=SAID + 0.02,
    )  # fmt: skip


def _clock(case: Case, message: Message) -> Finding | None:
    if not _CLOCK.search(message.text):
        return None
    return from_message(
        case, message, "clock", what=f"the clock: “{quote(message.text)}”",
        advice="timedatectl; is time synchronised, and may this unit set the clock?",
        confidence=LIKELY,
    )  # fmt: skip


def _checked(case: Case, message: Message) -> Finding | None:
    """fsck's last word (e2fsck(8), exit status 4; fsck.fat, xfs_repair and others say the same)."""
    match = _UNREPAIRED.search(message.text)
    if match is None:
        return None
    named = re.match(r"(/\S{1,200}):? ", message.text)
    where = named[1].rstrip(":") if named else next(iter(paths_in(_argv(case))), "a file system")
    return from_message(
        case, message, "file-system",
        what=f"the file system on {where} has errors that were not repaired: “{quote(message.text)}”",
        advice=f"keep a copy, unmount it and run fsck on {where}", confidence=SAID + 0.1,
    )  # fmt: skip


def _argv(case: Case) -> str:
    """What the program was given, without the program itself."""
    return " ".join(
        argv.partition(" ")[2] for name, _, argv in commands(case.unit) if name == "ExecStart"
    )


def _said(case: Case) -> list[Finding]:
    return list(each(case, _io, _device_rights, _clock, _checked))


CAUSES = (Cause("io", "I/O errors and clocks in the program's log", _said),)
