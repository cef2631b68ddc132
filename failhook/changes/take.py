# SPDX-License-Identifier: MIT
"""Looks at the machine and makes a unit's fingerprint. Only looks; of content stays a digest.

Everything is bounded in number, size and time; what lies below a network or automounted file system
is not touched, since a dead server would never answer. Run it in a process that can be killed.
"""

from __future__ import annotations

import contextlib
import grp
import hashlib
import hmac
import os
import pwd
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from failhook.changes import packages, subjects
from failhook.changes.fingerprint import (
    FileMark,
    Fingerprint,
    Kind,
    Mounted,
    Package,
    is_passing,
    is_restless,
)
from failhook.changes.packages import Packages
from failhook.classify import timestamp
from failhook.collect import mounts
from failhook.safe_open import open_regular
from failhook.systemd.unit import UnitState

MAX_FILES = 400
MAX_OF_DIRECTORIES = 200
_MAX_HASHED = 8 << 20
_MAX_HASHED_IN_DIRECTORIES = 1 << 20
_MAX_HASHED_IN_ALL = 96 << 20
_MAX_MAPS = 4 << 20
_MAX_LIBRARIES = 300
_MAX_DESCRIPTORS = 1000
_CHUNK = 1 << 18
_LIBRARY = re.compile(r"(/\S*\.so(?:\.[\w.+-]*)?)(?: \(deleted\))?$", re.MULTILINE)
# The options of a mount that make a program fail; the others are the file system's own business.
_TELLING = ("ro", "rw", "noexec", "nosuid", "nodev", "sync", "noatime")


@dataclass(slots=True)
class Machine:
    """Where to look, with what key, and until when (`time.monotonic`)."""

    root: Path = Path("/")
    key: bytes = b""
    until: float = float("inf")
    packages: Packages = field(default_factory=packages.manager)
    system: bool = True  # mounts are as PID 1 sees them, which an ordinary user may not know
    known: Mapping[str, FileMark] = field(default_factory=dict)  # with digests of the same key
    automounts: set[str] = field(default_factory=set)  # filled with `mounts`
    _hashed: int = 0
    _mounts: dict[str, mounts.Mount] | None = None
    _names: dict[tuple[int, int], str] = field(default_factory=dict)

    @property
    def key_name(self) -> str:
        """Tells keys apart without telling them."""
        return hashlib.sha256(b"name of " + self.key).hexdigest()[:12]

    @property
    def mounts(self) -> dict[str, mounts.Mount]:
        """All mounts by their point; of those that cover one another the one that is seen."""
        if self._mounts is None:
            self._mounts = {}
            for line in self._mount_table().split("\n"):
                one = mounts.parse(line)
                if one is not None:
                    self._mounts[one.point] = one
                    self.automounts |= {one.point} if one.type == "autofs" else set()
        return self._mounts

    def _mount_table(self) -> str:
        for whose in ("1", "self") if self.system else ("self",):
            with contextlib.suppress(OSError):
                table = self.root / "proc" / whose / "mountinfo"
                return table.read_text("utf-8", "surrogateescape")
        return ""

    def is_out_of_reach(self, path: str) -> bool:
        """Looking there may hang, or mount something."""
        innermost = next((self.mounts[one] for one in _upward(path) if one in self.mounts), None)
        return innermost is not None and (innermost.remote or innermost.type == "autofs")

    def use(self, known: Fingerprint | None) -> None:
        """Spare to read what is as it was then."""
        if known is not None and known.key == self.key_name:
            self.known = known.files

    def mark(self, path: str, kind: Kind, *, most: int = _MAX_HASHED) -> FileMark | None:
        """``path`` as it is; None where it is no plain file or must not be touched."""
        if self.is_out_of_reach(path) or time.monotonic() > self.until:
            return None
        try:
            with open_regular(self._real(path)) as stream:
                return self._marked(path, kind, stream, most)
        except FileNotFoundError:
            return FileMark(path, kind, missing=True)
        except (OSError, ValueError):
            return None

    def _real(self, path: str) -> str:
        return path if self.root == Path("/") else f"{self.root}{path}"

    def _marked(self, path: str, kind: Kind, stream: BinaryIO, most: int) -> FileMark:
        state = os.fstat(stream.fileno())
        mark = FileMark(path, kind, mode=stat.S_IMODE(state.st_mode), owner=self._owner(state))
        if kind is not Kind.PROGRAM and is_restless(path):
            return mark
        mark = replace(mark, size=state.st_size, modified=state.st_mtime, changed=state.st_ctime)
        old = self.known.get(path)
        if old is not None and _times(old) == _times(mark):  # nobody can set st_ctime back
            return replace(mark, digest=old.digest)
        return replace(mark, digest=self._digest(stream, most) if state.st_size < most else None)

    def _digest(self, stream: BinaryIO, most: int) -> str | None:
        """With a key of this machine: a short secret cannot be guessed from it elsewhere."""
        made = hmac.new(self.key, digestmod="sha256")
        while chunk := stream.read(_CHUNK):
            made.update(chunk)
            self._hashed += len(chunk)
            most -= len(chunk)
            if most < 0 or self._hashed > _MAX_HASHED_IN_ALL or time.monotonic() > self.until:
                return None
        return made.hexdigest()

    def _owner(self, state: os.stat_result) -> str:
        key = (state.st_uid, state.st_gid)
        if key not in self._names:
            user, group = _user_name(state.st_uid), _group_name(state.st_gid)
            self._names[key] = user if user == group else f"{user}:{group}"
        return self._names[key]

    def head(self, path: str) -> bytes:
        """The first bytes of a program."""
        if not self.is_out_of_reach(path):
            with contextlib.suppress(OSError, ValueError), open_regular(self._real(path)) as stream:
                return stream.read(512)
        return b""

    def below(self, directory: str) -> list[str]:
        """The files of a directory, two levels deep, bounded; links to files count as files."""
        found: list[str] = []
        todo = [(directory, 0)]
        while todo and len(found) < MAX_OF_DIRECTORIES:
            place, depth = todo.pop(0)
            with contextlib.suppress(OSError), os.scandir(self._real(place)) as entries:
                for entry in entries:
                    path = f"{place}/{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        todo += [(path, depth + 1)] if depth < 2 else []
                    elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                        found.append(path)
        return sorted(found[:MAX_OF_DIRECTORIES])

    def process(self, pid: int) -> tuple[list[str], list[str]]:
        """The libraries that a process has mapped, and the files below /etc that it has open."""
        place = self.root / "proc" / str(pid)
        with contextlib.suppress(OSError):
            if os.readlink(place / "root") != "/":
                return [], []  # its paths are not ours
        libraries: list[str] = []
        with contextlib.suppress(OSError), (place / "maps").open("rb") as stream:
            text = stream.read(_MAX_MAPS).decode("utf-8", "surrogateescape")
            libraries = list(dict.fromkeys(_LIBRARY.findall(text)))[:_MAX_LIBRARIES]
        return libraries, [path for path in self._open_by(place) if path.startswith("/etc/")]

    def _open_by(self, place: Path) -> Iterator[str]:
        with contextlib.suppress(OSError), os.scandir(place / "fd") as entries:
            for number, entry in enumerate(entries):
                if number > _MAX_DESCRIPTORS:
                    return
                with contextlib.suppress(OSError):
                    yield os.readlink(entry.path)

    def resolved(self, path: str) -> str:
        """Where links lead; package managers know files by their own names."""
        if self.is_out_of_reach(path):
            return path
        real = os.path.realpath(self._real(path))
        return real if self.root == Path("/") else real.removeprefix(str(self.root))


def _times(mark: FileMark) -> tuple[int | None, float | None, float | None]:
    return mark.size, mark.modified, mark.changed


def _upward(path: str) -> Iterator[str]:
    """``path`` and the directories that it lies in, "/" last."""
    while path and path != "/":
        yield path
        path = path.rpartition("/")[0]
    yield "/"


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OSError):
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OSError):
        return str(gid)


def take(
    state: UnitState, machine: Machine, known: Fingerprint | None = None, *, now: float
) -> Fingerprint:
    """The unit as it runs now. ``known``, an earlier one, only spares work.

    Never raises for what the machine has or lacks.
    """
    machine.use(known)
    pid = state.number("MainPID") or 0
    libraries, opened = machine.process(pid) if pid else ([], [])
    marks, directories = _files(state, machine, opened)
    owned = _owned(machine, marks.values(), libraries, known)
    names = sorted({name for name in owned.values() if name})[: packages.MAX_PACKAGES]
    return Fingerprint(
        unit=state.name,
        seen=now,
        invocation=state.get("InvocationID"),
        started=timestamp(state.get("ExecMainStartTimestamp") or state.get("ActiveEnterTimestamp")),
        kernel=os.uname().release,
        key=machine.key_name,
        stamp=machine.packages.stamp(),
        files=marks,
        directories=tuple(directories),
        owned=owned,
        packages=machine.packages.versions(names),
        mounts=_mounts(state, machine, marks),
        users=_users([state.get("User") or ""] if state.get("DynamicUser") != "yes" else []),
    )


def again(state: UnitState, machine: Machine, before: Fingerprint, *, now: float) -> Fingerprint:
    """The unit as it is now, where it does not run: what ``before`` saw is looked at once more."""
    machine.use(before)
    marks, directories = _files(state, machine, (), before)
    same = before.stamp and before.stamp == machine.packages.stamp()
    return Fingerprint(
        unit=before.unit,
        seen=now,
        kernel=os.uname().release,
        key=machine.key_name,
        files=marks,
        directories=tuple(directories),
        packages=before.packages if same else machine.packages.versions(before.packages),
        mounts=_mounts(state, machine, {*marks, *before.files, *before.mounts}),
        users=_users(before.users),
    )


def as_begun(fresh: Fingerprint, known: Fingerprint | None) -> Fingerprint:
    """``fresh`` as its run began: what was written later is not what it runs well with.

    Such a file is as it was seen before (``known``), or said to be late. Pure.
    """
    started = fresh.started
    if started is None:
        return fresh
    files: dict[str, FileMark] = {}
    for path, mark in fresh.files.items():
        old = known.files.get(path) if known is not None and known.key == fresh.key else None
        if mark.changed is None or mark.changed <= started:
            files[path] = mark
        else:
            files[path] = old if old is not None else replace(mark, late=True)
    return replace(fresh, files=files)


def as_installed_then(
    fresh: Fingerprint, known: Fingerprint | None, times: Mapping[str, float]
) -> Fingerprint:
    """The same for packages: one that was upgraded under a running unit was not tried yet. Pure."""
    if fresh.started is None or known is None:
        return fresh
    kept: dict[str, Package] = {}
    for name, one in fresh.packages.items():
        old = known.packages.get(name)
        late = times.get(name, 0.0) > fresh.started
        kept[name] = old if late and old is not None else one
    if kept == fresh.packages:
        return fresh
    return replace(fresh, packages=kept, stamp="")  # which speaks of what is installed now


@dataclass(slots=True)
class _Looked:
    """The files of one fingerprint, each looked at once."""

    machine: Machine
    marks: dict[str, FileMark] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        """There is no place for more."""
        return len(self.marks) >= MAX_FILES

    def look(self, paths: Iterable[str], kind: Kind, most: int = _MAX_HASHED) -> None:
        """Look at those that stay as they are while all is well."""
        for path in paths:
            if path in self.marks or self.is_full or is_passing(path):
                continue
            mark = self.machine.mark(path, kind, most=most)
            if mark is not None:
                self.marks[path] = mark


def _files(
    state: UnitState, machine: Machine, opened: Iterable[str], known: Fingerprint | None = None
) -> tuple[dict[str, FileMark], list[str]]:
    looked = _Looked(machine)
    looked.look(subjects.unit_files(state), Kind.UNIT)
    if (state.get("RootDirectory") or "/") != "/" or state.get("RootImage"):
        return looked.marks, []  # its paths are not ours
    programs = subjects.programs(state, machine.head)
    looked.look(programs, Kind.PROGRAM)
    looked.look([*subjects.named(state), *opened], Kind.FILE)
    for path, old in known.files.items() if known else ():
        looked.look([path], old.kind)
    further = known.directories if known else ()
    directories = list(dict.fromkeys([*subjects.directories(state, programs), *further]))
    return looked.marks, _whole(looked, directories)


def _whole(looked: _Looked, directories: Iterable[str]) -> list[str]:
    """Look at the files of ``directories``; those of which all were."""
    left = MAX_OF_DIRECTORIES
    whole: list[str] = []
    for directory in directories:
        if looked.machine.is_out_of_reach(directory):
            continue
        files = looked.machine.below(directory)[:left]
        left -= len(files)
        looked.look(files, Kind.FILE, _MAX_HASHED_IN_DIRECTORIES)
        if left > 0 and not looked.is_full:
            whole.append(directory)
    return whole


def _owned(
    machine: Machine,
    marks: Iterable[FileMark],
    libraries: Iterable[str],
    known: Fingerprint | None,
) -> dict[str, str]:
    """Path -> package of programs and libraries, "" for none; searched only if that is news."""
    programs = [mark.path for mark in marks if mark.kind is Kind.PROGRAM]
    wanted = {path: machine.resolved(path) for path in dict.fromkeys([*programs, *libraries])}
    stamp = machine.packages.stamp()
    if known is not None and stamp and known.stamp == stamp and known.owned.keys() >= wanted.keys():
        return {path: known.owned[path] for path in wanted} | _unplaced(known.owned)
    found = machine.packages.owners(set(wanted.values()))
    return {path: found.get(real, "") for path, real in wanted.items()} | _unplaced(found)


def _unplaced(owned: Mapping[str, str]) -> dict[str, str]:
    """rpm cannot always say which path a package is of."""
    return {path: name for path, name in owned.items() if path.startswith("?")}


def _mounts(state: UnitState, machine: Machine, marks: Iterable[str]) -> dict[str, Mounted]:
    places = {place for path in (*marks, *subjects.places(state)) for place in _upward(path)}
    found: dict[str, Mounted] = {}
    for point in sorted(places & machine.mounts.keys() - machine.automounts):
        # Automounts are there and not there while all is well.
        one = machine.mounts[point]
        words = one.options.split(",")
        if "ro" in words:  # of the mount or of the whole file system
            words = [word for word in words if word != "rw"]
        options = ",".join(word for word in _TELLING if word in words)
        found[point] = Mounted(one.source[:200], one.type[:40], options)
    return found


def _users(names: Iterable[str]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for name in names:
        if name and not name.isdigit():
            try:
                found[name] = pwd.getpwnam(name).pw_uid
            except KeyError:
                found[name] = None
            except OSError:
                continue
    return found
