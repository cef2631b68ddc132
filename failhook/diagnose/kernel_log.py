# SPDX-License-Identifier: MIT
"""Disks with errors, damaged file systems, tasks that hang and bad memory, as the kernel logged them.

The kernel names a device or a process, never a unit. What ties the one to the other is a path: of
the unit, or of a line that complains, on a mount that lies on the device; or the pid. Without such
a tie the kernel's line is one answer among others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from failhook.diagnose.around import Mount
from failhook.diagnose.case import Case
from failhook.diagnose.finding import LIKELY, SEEN, Cause, Finding, fails
from failhook.diagnose.subjects import commands, own_directories, paths_in
from failhook.diagnose.text import Message
from failhook.incident import Proof

_WHERE = "kernel/kernel.txt"
_MOST = 4  # of one kind
# The names of block/blk-core.c that tell of a disk; "operation not supported" is only a discard.
_DISK = re.compile(
    r"(?:I/O|critical medium|critical target|recoverable transport|protection|timeout|device offline)"
    r" error, dev (?P<block>[\w-]{1,32}), sector (?P<sector>\d{1,20})"
    r"|Buffer I/O error on dev(?:ice)? (?P<buffer>[\w-]{1,32})"
)
_FILE_SYSTEM = re.compile(
    r"(?:EXT[234]-fs error|BTRFS:? (?:error|critical)) \(device (?P<named>[\w-]{1,32})[) ]"
    r"|XFS \((?P<xfs>[\w-]{1,32})\): .{0,120}(?:error|corrupt|shut ?down|Corruption)"
    # "Volume was not properly unmounted. Some data may be corrupt" is said of many a healthy one.
    r"|(?:FAT|F2FS)-fs \((?P<other>[\w-]{1,32})\): (?!Volume was not).{0,80}(?:error|corrupt|Inconsistent)"
)
_MADE_READ_ONLY = re.compile(
    r"\((?:device )?(?P<device>[\w-]{1,32})[^)]{0,20}\):? .{0,80}"
    r"(?:remounting filesystem read-only|set read-only|forced readonly|forcing ro\b)",
    re.IGNORECASE,
)
_HANGS = re.compile(
    r"task (?P<name>\S{1,40}):(?P<pid>\d{1,10}) blocked for more than (?P<seconds>\d{1,9}) seconds"
)
_BAD_MEMORY = re.compile(
    r"(?:Killing|Sending SIGBUS to) (?P<name>\S{1,40}):(?P<pid>\d{1,10}) due to hardware memory corruption"
)
_HARDWARE = re.compile(r"Machine check|Hardware Error|mce: \[Hardware Error\]")
_FRAME = re.compile(r" (?P<function>[A-Za-z_][\w.]{1,80})\+0x")
# By what the frames of a call trace are called, the innermost reason first.
_WAITS = (
    (re.compile(r"^(?:nfs|rpc|xprt)\w*"), "an NFS server that does not answer"),
    (re.compile(r"^cifs\w*|^smb\w*"), "an SMB server that does not answer"),
    (re.compile(r"^(?:__)?fuse_\w+|^request_wait_answer"), "a FUSE daemon that does not answer"),
    (re.compile(r"^(?:mnt_want_write|sb_start_write|__sb_start_write|percpu_rwsem_wait)\w*"),
     "a file system that is frozen, to write to it (fsfreeze)"),
    (re.compile(r"^(?:io_schedule|blk_mq_|submit_bio_wait|folio_wait_|wait_on_page|bit_wait_io)\w*"),
     "a disk that does not answer"),
)  # fmt: skip
# What a program says of data that it could not read or write as it was.
_SUFFERS = re.compile(
    r"input/output error|\bE(?:IO|UCLEAN|ROFS)\b|errno[ =:]*(?:5|30|117)\b|os error (?:5|30|117)\b"
    r"|structure needs cleaning|read-only file ?system|malformed|corrupt|truncated|shrank|short read"
    r"|checksum|\bcrc\b|unexpected end|read error|(?:unable|cannot|can't|failed|error) (?:to )?read"
    r"|bad message",
    re.IGNORECASE,
)
_RELATIVE = re.compile(r"(?<![\w/.-])[\w.-]{1,64}/[\w./-]{1,200}")
_OF_THE_SYSTEM = ("/", "/usr", "/boot", "/run", "/tmp", "/var", "/home")  # noqa: S108 - only names


@dataclass(frozen=True, slots=True)
class _Tie:
    """How a device has to do with the unit."""

    mount: Mount | None = None  # of the unit, on that device
    elsewhere: bool = False  # mounted where the unit names nothing
    suffers: bool = False  # it complained of data

    @property
    def confidence(self) -> float:
        if self.mount is not None:
            return SEEN + 0.02 if self.suffers else LIKELY + 0.05
        if self.elsewhere:
            return LIKELY - 0.15 if self.suffers else LIKELY - 0.35
        return LIKELY + 0.1 if self.suffers else LIKELY - 0.25

    def proof(self, case: Case, *lines: str) -> tuple[Proof, ...]:
        said = [Proof("kernel", line, _WHERE) for line in dict.fromkeys(lines)]
        if self.mount is not None:
            seen = f"{self.mount.point} is on {self.mount.source or 'it'}"
            said.append(case.checked(seen, "system/mounts.txt"))
        return tuple(said)


def _disks(case: Case) -> Iterator[Finding]:
    """Sectors that cannot be read or written."""
    for device, (line, match) in _by_device(case, _DISK).items():
        tie = _tie(case, device)
        what = f"the disk {device} has I/O errors"
        if tie.mount is not None:
            what = f"the disk {device}, on which {tie.mount.point} is, has I/O errors"
        what += f" (sector {match['sector']})" if match["sector"] else ""
        advice = f"smartctl -a /dev/{device}; copy what can still be read, and replace it"
        yield Finding("disk", fails(case, what), advice, tie.confidence, tie.proof(case, line))


def _file_systems(case: Case) -> Iterator[Finding]:
    """Damage that the file system itself came upon."""
    read_only = {
        match["device"]: line
        for line in case.kernel
        if (match := _MADE_READ_ONLY.search(line)) is not None
    }
    for device, (line, _) in _by_device(case, _FILE_SYSTEM).items():
        tie = _tie(case, device)
        what = f"the file system on {device} is damaged"
        if tie.mount is not None:
            what = f"the {tie.mount.type} file system on {device} ({tie.mount.point}) is damaged"
        lines = [line]
        if device in read_only:
            what += ", and the kernel has made it read-only"
            lines.append(read_only[device])
        place = tie.mount.point if tie.mount is not None else "it"
        advice = f"unmount {place} and run fsck on /dev/{device}; dmesg tells if its disk fails"
        yield Finding(
            "file-system", fails(case, what), advice, tie.confidence, tie.proof(case, *lines)
        )


def _by_device(case: Case, pattern: re.Pattern[str]) -> dict[str, tuple[str, re.Match[str]]]:
    """The first line of each device that the pattern finds."""
    found: dict[str, tuple[str, re.Match[str]]] = {}
    for line in case.kernel:
        match = pattern.search(line)
        if match is not None:
            names = match.groupdict()
            names.pop("sector", None)
            device = next(filter(None, names.values()))
            if device not in found and len(found) < _MOST:
                found[device] = (line, match)
    return found


def _tie(case: Case, device: str) -> _Tie:
    used = case.once("mounts of the unit", lambda: _used(case))
    mount = next((one for one in used if one.lies_on(device)), None)
    others = [one for one in case.mounts if one.lies_on(device)]
    elsewhere = bool(others) and all(one.point not in _OF_THE_SYSTEM for one in others)
    return _Tie(mount, elsewhere, bool(_complaints(case)))


def _complaints(case: Case) -> list[Message]:
    """The program's lines about data that is not as it should be."""
    return case.once(
        "complaints of data", lambda: [one for one in case.messages if _SUFFERS.search(one.text)]
    )


def _used(case: Case) -> list[Mount]:
    """The mounts that the unit names, those of lines that complain of data first."""
    complaints = _complaints(case)
    complained = [path for one in complaints for path in paths_in(one.raw)]
    texts = [argv for _, _, argv in commands(case.unit)] + [one.raw for one in complaints]
    told = [path for text in texts for path in _paths(case, text)]
    told += [case.unit.get("WorkingDirectory") or "", *own_directories(case.unit)]
    told += [path for one in case.messages for path in paths_in(one.raw)]
    found = [mount for path in complained if (mount := case.mount(path)) is not None]
    found += [
        mount
        for path in told
        if (mount := case.mount(path)) is not None and mount.point not in _OF_THE_SYSTEM
    ]
    return list(dict.fromkeys(found))


def _paths(case: Case, text: str) -> list[str]:
    """The paths that a text names, relative ones from where the unit works."""
    base = (case.unit.get("WorkingDirectory") or "/").lstrip("-!").rstrip("/")
    relative = _RELATIVE.findall(text) if base.startswith("/") or not base else []
    return paths_in(text) + [f"{base}/{path}" for path in relative[:8]]


def _hangs(case: Case) -> Iterator[Finding]:
    """Tasks that waited in the kernel, where no signal reaches them (hung_task_timeout_secs)."""
    hung: dict[str, tuple[str, re.Match[str], str]] = {}
    for number, line in enumerate(case.kernel):
        match = _HANGS.search(line)
        if match is not None and (match["pid"] in hung or len(hung) < _MOST):
            first = hung.get(match["pid"], (line, match, ""))
            reason = first[2] or _waits_for(case.kernel[number + 1 : number + 60])
            hung[match["pid"]] = (first[0], match, reason)
    for line, match, reason in hung.values():
        sure = _how_much_ours(case, match)
        what = f"{match['name']} (pid {match['pid']}) hung in the kernel for more than {match['seconds']} s"
        what += f": it waited for {reason}" if reason else ""
        advice = f"see the stack in {_WHERE}; a dead disk or mount, mostly"
        yield Finding("hang", fails(case, what), advice, sure, (Proof("kernel", line, _WHERE),))


def _waits_for(lines: tuple[str, ...]) -> str:
    """What its frames wait for, up to the next task; nothing where they do not tell."""
    functions: list[str] = []
    for line in lines:
        if _HANGS.search(line):
            break
        functions += [match["function"] for match in _FRAME.finditer(line)]
    return next((reason for pattern, reason in _WAITS if any(map(pattern.match, functions))), "")


def _hardware(case: Case) -> Iterator[Finding]:
    """Machine checks, and who was killed for memory that they found to be corrupt."""
    for line in case.kernel:
        match = _BAD_MEMORY.search(line)
        if match is not None and _is_ours(case, match):
            what = (
                f"memory of {match['name']} (pid {match['pid']}) is corrupt, by the report of the "
                "hardware: the kernel killed it (SIGBUS)"
            )
            advice = "rasdaemon or mcelog tell which module; test the memory and replace it"
            proof = (Proof("kernel", line, _WHERE),)
            yield Finding("hardware", fails(case, what), advice, SEEN, proof)
            return
    for line in case.kernel:
        match = _HARDWARE.search(line)
        if match is not None:
            what = f"the hardware reported an error ({match.group()})"
            sure = LIKELY + 0.1 if _complaints(case) else LIKELY - 0.25
            proof = (Proof("kernel", line, _WHERE),)
            yield Finding(
                "hardware", fails(case, what), "rasdaemon, mcelog; test the memory", sure, proof
            )
            return


def _is_ours(case: Case, process: re.Match[str]) -> bool:
    """By its pid, which systemd, a line of the program or its core gives."""
    return process["pid"] in case.pids


def _how_much_ours(case: Case, process: re.Match[str]) -> float:
    """Of another one with the name of our program (comm, proc(5)) nobody knows whose it is: half of
    a machine's services are python3."""
    if _is_ours(case, process):
        return SEEN
    named = {program.rpartition("/")[2][:15] for _, program, _ in commands(case.unit)}
    is_alike = process["name"] in named or bool(_complaints(case))
    return LIKELY + 0.1 if is_alike else LIKELY - 0.25


CAUSES = (
    Cause("disk", "disks with I/O errors in the kernel log", _disks),
    Cause("file-system", "damaged file systems in the kernel log", _file_systems),
    Cause("hang", "tasks that hung in the kernel", _hangs),
    Cause("hardware", "machine checks and memory that is corrupt", _hardware),
)
