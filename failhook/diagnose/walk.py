# SPDX-License-Identifier: MIT
"""From / to a path, one component at a time, as the kernel goes (path_resolution(7)).

Says what is missing on the way, what is a link, and who may not pass. What is below a network or
automounted file system is not touched: a dead server would never answer.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from failhook.diagnose.facts import Access, PathFact

_MAX_LINKS = 16
REMOTE = re.compile(r"nfs\d?|cifs|smb3?|fuse.*|9p|ceph|glusterfs|afs|autofs|davfs|lustre|sshfs")


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount of PID 1's namespace."""

    point: str
    type: str
    options: str


@dataclass(frozen=True, slots=True)
class User:
    """A uid and the groups that it is in."""

    uid: int
    groups: frozenset[int]


class Walk:
    """From / to a path, one component at a time."""

    def __init__(
        self,
        mount_of: Callable[[str], Mount | None],
        root: str,
        users: Iterable[User],
        state_of: Callable[[str], os.stat_result] | None = None,
    ) -> None:
        """``state_of`` is lstat(2) below ``root``, for who asks about many paths."""
        self._mount_of = mount_of
        self._root = root
        self._users = list(users)
        self._state_of = state_of or (lambda path: os.lstat(root + path))
        self._blocked: dict[int, str] = {}
        self._links = 0
        self._is_link = False  # the path itself, not something on the way to it

    def to(  # noqa: C901, PLR0911 - one loop and its obstacles, as path_resolution(7) has it
        self, path: str
    ) -> PathFact:
        """The fact about ``path``."""
        here, todo = "", [part for part in path.split("/") if part not in ("", ".")]
        state: os.stat_result | None = None
        while todo:
            part = todo.pop(0)
            if part == "..":
                here, state = here.rpartition("/")[0], None
                continue
            there = f"{here}/{part}"
            mount = self._mount_of(there)
            if mount is not None and REMOTE.fullmatch(mount.type):
                return PathFact("unknown", mount=mount.point, options=mount.options)
            try:
                state = self._state_of(there)
            except NotADirectoryError:
                return self._missing(path, there, not_a_directory=here)
            except FileNotFoundError:
                return self._missing(path, there)
            except (OSError, ValueError):  # not ours to see, or no path at all (NUL, too long)
                return self._unknown(there)
            if stat.S_ISLNK(state.st_mode):
                self._links += 1
                self._is_link = self._is_link or not todo
                if self._links > _MAX_LINKS:
                    return PathFact("loop")
                try:
                    target = os.readlink(self._root + there)
                except OSError:  # gone since a moment ago
                    return self._unknown(there)
                todo = [each for each in target.split("/") if each not in ("", ".")] + todo
                here = "" if target.startswith("/") else here
                continue
            if todo and not stat.S_ISDIR(state.st_mode):
                return self._missing(path, f"{there}/{todo[0]}", not_a_directory=there)
            if todo:
                self._enter(there, state)
            here = there
        if state is None:
            state = self._state_of(here or "/")
        return self._found(path, here or "/", state)

    def _enter(self, directory: str, state: os.stat_result) -> None:
        for user in self._users:
            if user.uid not in self._blocked and not _may(user, state, 0o1):
                self._blocked[user.uid] = directory

    def _unknown(self, at: str) -> PathFact:
        mount = self._mount_of(at)
        return PathFact(
            "unknown",
            mount=mount.point if mount else None,
            options=mount.options if mount else None,
            access=self._none(),
        )

    def _none(self) -> tuple[Access, ...]:
        return tuple(
            Access(user.uid, False, False, False, self._blocked.get(user.uid))
            for user in self._users
        )

    def _missing(self, path: str, at: str, not_a_directory: str | None = None) -> PathFact:
        mount = self._mount_of(at)
        return PathFact(
            "missing",
            missing_at=at,
            not_a_directory=not_a_directory,
            real=at if self._is_link and at != path else None,
            mount=mount.point if mount else None,
            options=mount.options if mount else None,
            access=self._none(),
        )

    def _found(self, path: str, real: str, state: os.stat_result) -> PathFact:
        mount = self._mount_of(real)
        return PathFact(
            kind=_kind(state.st_mode),
            mode=stat.S_IMODE(state.st_mode),
            owner=name_of(state.st_uid) or str(state.st_uid),
            group=_group(state.st_gid) or str(state.st_gid),
            size=state.st_size,
            real=real if real != path.rstrip("/") else None,
            mount=mount.point if mount else None,
            options=mount.options if mount else None,
            acl=_has_acl(self._root + real),
            access=tuple(self._access(user, state) for user in self._users),
        )

    def _access(self, user: User, state: os.stat_result) -> Access:
        blocked = self._blocked.get(user.uid)
        read, write, execute = (
            blocked is None and _may(user, state, bit) for bit in (0o4, 0o2, 0o1)
        )
        return Access(user.uid, read, write, execute, blocked)


def _may(user: User, state: os.stat_result, bit: int) -> bool:
    """By mode and owner (path_resolution(7)). Root may all, but not execute what nobody may."""
    if user.uid == 0:
        return bit != 0o1 or stat.S_ISDIR(state.st_mode) or bool(state.st_mode & 0o111)
    if state.st_uid == user.uid:
        return bool(state.st_mode & bit << 6)
    if state.st_gid in user.groups:
        return bool(state.st_mode & bit << 3)
    return bool(state.st_mode & bit)


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISFIFO(mode):
        return "fifo"
    return "socket" if stat.S_ISSOCK(mode) else "device"


def _has_acl(path: str) -> bool:
    try:
        return "system.posix_acl_access" in os.listxattr(path, follow_symlinks=False)
    except OSError:
        return False


def mounts() -> list[Mount]:
    """Of PID 1's mount namespace (proc(5), mountinfo)."""
    for source in ("/proc/1/mountinfo", "/proc/self/mountinfo"):
        try:
            lines = Path(source).read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        found = []
        for line in lines:
            fields, _, rest = line.partition(" - ")
            words, tail = fields.split(), rest.split()
            if len(words) > 5 and len(tail) > 2:
                point = words[4].replace("\\040", " ")
                found.append(Mount(point, tail[0], f"{words[5]},{tail[2]}"))
        return found
    return []


def uid_of(name: str) -> int | None:
    if name.isdecimal() and len(name) <= 10:
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, OSError, ValueError):  # ValueError: NUL in it
        return None


def gid_of(name: str) -> int | None:
    if name.isdecimal() and len(name) <= 10:
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, OSError, ValueError):  # ValueError: NUL in it
        return None


def name_of(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError, OverflowError):
        return None


def _group(gid: int) -> str | None:
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OSError, OverflowError):
        return None
