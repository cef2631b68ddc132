# SPDX-License-Identifier: MIT
"""Mounts with space and inodes.

Read as PID 1 sees them: the runner's own sandbox makes nearly all of them read-only for itself.
statvfs(2) on a dead network mount never returns, so those are kept apart.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from failhook.collect.columns import size, table
from failhook.incident import JsonObject, plain

_REMOTE = re.compile(
    r"nfs\d?|cifs|smb\d?|ceph|gluster.*|fuse(\..*)?|9p|afs|lustre|gfs2|ocfs2|ncpfs|davfs|virtiofs"
)
# Asking one of these how full it is mounts what is behind it, or says nothing.
_NEVER = {"autofs", "proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "debugfs", "tracefs"}
_ESCAPE = re.compile(r"\\([0-7]{3})")
_HEADER = (
    "MOUNT",
    "SOURCE",
    "TYPE",
    "SIZE",
    "USED",
    "FREE",
    "USE%",
    "INODES",
    "IFREE",
    "IUSE%",
    "OPTIONS",
)
_RIGHT = "...rrrrrrr"
_MAX_MOUNTS, _MAX_DISKS = 500, 16
_TABLES = (Path("/proc/1/mountinfo"), Path("/proc/self/mountinfo"))
_BLOCK = Path("/sys/dev/block")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo (proc(5)), and how full it is where that was asked."""

    point: str
    source: str
    type: str
    options: str
    device: str = ""  # major:minor
    bytes: int | None = None
    free: int | None = None  # for ordinary users
    used: int | None = None
    inodes: int | None = None
    inodes_free: int | None = None
    disks: tuple[str, ...] = ()  # the kernel's names of what it lies on

    @property
    def remote(self) -> bool:
        """Whether asking it may hang."""
        return _REMOTE.fullmatch(self.type) is not None


def read(paths: Sequence[Path] = _TABLES) -> tuple[list[Mount], list[Mount]]:
    """Local and remote mounts; of those that cover one another the one that can be seen."""
    found: dict[str, Mount] = {}
    for line in _first(paths).split("\n"):
        mount = parse(line)
        if mount is not None:
            found.pop(mount.point, None)
            found[mount.point] = mount
    mounts = [mount for mount in found.values() if mount.type not in _NEVER][:_MAX_MOUNTS]
    local = [mount for mount in mounts if not mount.remote]
    return local, [mount for mount in mounts if mount.remote]


def _first(paths: Sequence[Path]) -> str:
    for path in paths:
        try:
            return path.read_text("utf-8", "surrogateescape")
        except OSError:  # another user's process
            continue
    return ""


def parse(line: str) -> Mount | None:
    """``36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue``."""
    left, dash, right = line.partition(" - ")
    fields, after = left.split(" "), right.split(" ")
    if not dash or len(fields) < 6 or len(after) < 3:
        return None
    options = dict.fromkeys(f"{fields[5]},{after[2]}".split(","))
    return Mount(_plain(fields[4]), _plain(after[1]), after[0], ",".join(options), fields[2])


def _plain(text: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match.group(1), 8)), text)


def measure(mount: Mount) -> Mount:
    """How full ``mount`` is, and its disks; unchanged where it cannot say (no space of its own, no
    permission)."""
    try:
        state = os.statvfs(mount.point)
    except OSError:
        return mount
    if not state.f_blocks:
        return mount
    block = state.f_frsize
    return replace(
        mount,
        bytes=state.f_blocks * block,
        free=state.f_bavail * block,
        used=(state.f_blocks - state.f_bfree) * block,
        inodes=state.f_files or None,
        inodes_free=state.f_favail if state.f_files else None,
        disks=disks(mount.device),
    )


def disks(device: str, block: Path = _BLOCK) -> tuple[str, ...]:
    """What the block device ``major:minor`` lies on, itself first: ``dm-0``, ``sda3``, ``sda``.

    The kernel names these in its log, where a mount's source may be /dev/mapper/… (sysfs: the
    directory ``slaves``, and a partition's parent).
    """
    return tuple(dict.fromkeys(islice(_below(Path(os.path.realpath(block / device))), _MAX_DISKS)))


def _below(place: Path) -> Iterator[str]:
    if not (place / "dev").is_file():
        return  # of no disk
    yield place.name
    if (place / "partition").is_file():
        yield from _below(place.parent)
    try:
        slaves = sorted((place / "slaves").iterdir())
    except OSError:
        return
    for slave in slaves:
        yield from _below(Path(os.path.realpath(slave)))


def text(mounts: Iterable[Mount]) -> str:
    """A table like df's."""
    rows = [
        (
            mount.point,
            mount.source,
            mount.type,
            size(mount.bytes),
            size(mount.used),
            size(mount.free),
            _percent(mount.used, mount.free),
            mount.inodes,
            mount.inodes_free,
            _percent(_less(mount.inodes, mount.inodes_free), mount.inodes_free),
            mount.options[:80],
        )
        for mount in mounts
    ]
    return table(_HEADER, rows, _RIGHT)


def to_json(mount: Mount) -> JsonObject:
    """For ``system.json``."""
    known: JsonObject = plain(mount)
    return known


def _less(total: int | None, free: int | None) -> int | None:
    return None if total is None or free is None else total - free


def _percent(used: int | None, free: int | None) -> str:
    """As df counts: of what ordinary users can have."""
    if used is None or free is None or used + free <= 0:
        return "-"
    return f"{-(-100 * used // (used + free))}%"
