# SPDX-License-Identifier: MIT
"""The file system of the machine, and what its configurations and scripts say of it.

Nothing is written and nothing executed. Of what only root writes the text is read, and nothing of
it is kept but the paths, hosts, addresses and ports that it names.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from failhook.diagnose import elf, tongue
from failhook.diagnose.certificate import validity
from failhook.diagnose.config_file import configurations_of, includes_others, paths_of, users_of
from failhook.diagnose.endpoints import MOST, endpoints_of, is_code, sets_secret
from failhook.diagnose.facts import HOME, USUAL, CertificateFact, PathFact, ProgramFact
from failhook.diagnose.place import CONFIGS, DATABASES, SYSTEM_PLACES, Place
from failhook.diagnose.shipped import shipped
from failhook.diagnose.subjects import SCRIPTS, Subjects
from failhook.diagnose.walk import Mount, User, Walk, mounts, uid_of
from failhook.safe_open import open_regular

_VARIABLE = re.compile(
    r"(?:export )?(?P<name>\w{1,60})=(?P<q>['\"]?)(?P<path>/[^\s'\"]{2,500})(?P=q)"
)
_HEAD = 512
_CERTIFICATE_BYTES = 64 << 10
_CONFIGURATION_BYTES = 1 << 20
_MAX_ENTRIES = 200
_MAX_FILES = 30
_READING_S = 1.0  # of CPU, for all texts: a list of a million lines is no configuration
_MAX_CONFIGURATIONS = 8
_DATA = (".json", ".jsonl", ".xml", ".yaml", ".yml", ".csv", ".tsv", ".toml", ".ini", ".txt", ".dat",
         ".pickle", ".pkl", ".npy", ".xlsx", ".gz", ".zip", ".sqlite", ".sqlite3", ".db")  # fmt: skip
_LIBRARIES = ("/lib", "/usr/lib", "/usr/local/lib", "/lib64", "/usr/lib64")
_SAME = {"i686": "i386", "i586": "i386", "ppc64le": "ppc64", "armv7l": "arm", "armv6l": "arm"}


class Machine:
    """The file system below ``root``."""

    def __init__(self, root: Path) -> None:
        self._root = str(root).rstrip("/")
        self._mounts = sorted(mounts(), key=lambda mount: len(mount.point))
        # Most paths share their first directories; one look at each is also one state for all.
        self._mount_of: dict[str, Mount | None] = {}
        self._states: dict[str, os.stat_result] = {}
        self._until = time.thread_time() + _READING_S
        # Several questions are asked of each text, and one answer is all there is to be.
        self._contents: dict[str, str | None] = {}
        self._paths: dict[str, list[tuple[int, str, bool]]] = {}

    def user(self, uid: int) -> User:
        """With all the groups that he is in."""
        try:
            entry = pwd.getpwuid(uid)
            return User(uid, frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid)))
        except (KeyError, OSError, OverflowError):
            return User(uid, frozenset([uid]))

    def mount_of(self, path: str) -> Mount | None:
        """The innermost mount that ``path`` is below."""
        if path not in self._mount_of:
            self._mount_of[path] = self._innermost(path)
        return self._mount_of[path]

    def state_of(self, path: str) -> os.stat_result:
        """lstat(2) of ``path``. Raises OSError, ValueError."""
        if path not in self._states:
            self._states[path] = os.lstat(self._root + path)
        return self._states[path]

    def _innermost(self, path: str) -> Mount | None:
        inside = [
            mount
            for mount in self._mounts
            if mount.point in ("/", path) or path.startswith(mount.point + "/")
        ]
        return inside[-1] if inside else None

    def path(self, path: str, users: Iterable[User]) -> PathFact:
        """What ``path`` is, following its links by hand."""
        return Walk(self.mount_of, self._root, users, self.state_of).to(path)

    def configurations(self, names: Iterable[str], users: list[User]) -> dict[str, PathFact]:
        """Those that are there: most of the usual places are empty."""
        seen = {path: self.path(path, users) for path in names}
        return {path: fact for path, fact in seen.items() if fact.exists}

    def shipped(self, names: Iterable[str]) -> list[str]:
        """The configurations that are there of the package that these names fit."""
        return [path for path in shipped(names, self._open) if self.path(path, ()).kind == "file"]

    def with_entries(self, names: Iterable[str]) -> list[str]:
        """With the configurations that lie in those that are directories (``--config-dir``)."""
        found: list[str] = []
        for path in names:
            found.append(path)
            fact = self.path(path, ())
            if fact.kind == "directory" and fact.owner == "root" and path.startswith("/etc/"):
                with (
                    contextlib.suppress(OSError),
                    os.scandir(self._root + (fact.real or path)) as entries,
                ):
                    inside = sorted(entry.name for entry in islice(entries, _MAX_ENTRIES))
                    named = [name for name in inside if name.lower().endswith(CONFIGS)]
                    found += [f"{path.rstrip('/')}/{name}" for name in named[:_MAX_CONFIGURATIONS]]
        return found

    def _open(
        self, path: str, max_bytes: int = _CERTIFICATE_BYTES, offset: int = 0
    ) -> bytes | None:
        """The start of a regular file of this machine, or what stands at an ``offset``; None where
        it is none."""
        fact = self.path(path, ())
        if fact.kind != "file":
            return None
        try:
            with open_regular(fact.real or path, self._root or "/") as stream:
                stream.seek(offset)
                return stream.read(max_bytes)
        except (OSError, OverflowError, ValueError):  # an offset that no file has
            return None

    def program(self, path: str, inside: str = "") -> ProgramFact | None:
        """How the kernel would start it (execve(2)); None where it cannot be read. ``inside`` is the
        directory that the program takes for the root."""
        head = self._open(path)
        if head is None:
            return None
        if head.startswith(b"#!"):
            line = head[2:_HEAD].partition(b"\n")[0]
            words = line.split()
            name = os.fsdecode(words[0]) if words else ""
            odd = line.endswith(b"\r")
            there = False if odd or not name.startswith("/") else self._exists(inside + name)
            return ProgramFact(name, there, script=True, carriage_return=odd)
        if head.startswith(elf.MAGIC):
            return self._elf(path, head, inside)
        return ProgramFact(known=False, empty=not head)

    def own_program(self, path: str) -> ProgramFact | None:
        """As `program`, of a path that a log line names: only what root alone may write."""
        fact = self.path(path, ())
        mode = fact.mode or 0
        is_roots = fact.kind == "file" and fact.owner == "root" and not mode & 0o022
        return self.program(path) if is_roots and mode & 0o111 else None

    def _elf(self, path: str, head: bytes, inside: str) -> ProgramFact:
        def read_at(offset: int, size: int) -> bytes:
            if offset + size <= len(head):
                return head[offset : offset + size]
            return self._open(path, size, offset) or b""

        found = elf.read(head, read_at)
        own = os.uname().machine
        foreign = found.machine not in (own, _SAME.get(own, own)) and not (
            own == "x86_64" and found.machine == "i386"
        )
        machine = found.machine if foreign else None
        if found.loader is None:
            return ProgramFact(machine=machine)
        return ProgramFact(found.loader, self._exists(inside + found.loader), machine=machine)

    def _exists(self, path: str) -> bool | None:
        fact = self.path(path, ())
        return None if fact.kind == "unknown" else fact.exists

    def certificate(self, path: str) -> CertificateFact | None:
        """The dates of the first certificate in a PEM file."""
        data = self._open(path)
        dates = validity(data) if data else None
        return CertificateFact(*dates) if dates else None

    def lines(self, places: Iterable[Place], users: list[User]) -> dict[str, str]:
        """The lines of configurations that messages point to, if nobody but root writes the file
        and everybody may read it: what a line of a log points to is anybody's choice."""
        found: dict[str, str] = {}
        for place in places:
            fact = self.path(place.file, users) if place.file.startswith("/") else None
            if fact is None or fact.kind != "file" or fact.owner != "root" or place.line is None:
                continue
            if (fact.mode or 0) & 0o026 != 0o004 or not all(one.read for one in fact.access):
                continue
            data = self._open(place.file, _CONFIGURATION_BYTES) or b""
            text = data.decode("utf-8", "replace").split("\n")
            number = int(place.line)
            if 0 < number <= len(text):
                found[f"{place.file}:{number}"] = text[number - 1].strip()[:300]
        return found

    def of_environment(self, subjects: Subjects) -> list[str]:
        """The configurations that environment files name. Of those files nothing but that and
        `endpoints` is kept: they may hold secrets."""
        found: list[str] = []
        for _, text in self._environment_files(subjects):
            found += configurations_of(text, subjects.variables)
        return list(dict.fromkeys(found))[:_MAX_CONFIGURATIONS]

    def words(self, environment: str) -> dict[str, str]:
        """The errors of the system in the language of a unit with that environment."""
        defaults = [self.text(file) or "" for file in tongue.DEFAULTS]
        return tongue.words_of(tongue.languages_of(environment, defaults), self._open)

    def _environment_files(self, subjects: Subjects) -> Iterator[tuple[str, str]]:
        for file in subjects.environment_files:
            text = self.text(file)
            if text is not None:
                yield file, text

    def missing_of(self, subjects: Subjects, users: list[User]) -> dict[str, str]:
        """The paths that variables of the command line have, by environment files, and that are not
        there, with their places."""
        found: dict[str, str] = {}
        for file, text in self._environment_files(subjects):
            for number, line in enumerate(text.splitlines()[:_MAX_ENTRIES], 1):
                match = _VARIABLE.fullmatch(line.strip())
                if match is None or match["name"] not in subjects.variables or sets_secret(line):
                    continue
                if self.path(match["path"], users).kind == "missing":
                    found.setdefault(match["path"], f"{file}:{number}")
        return found

    def absent(self, files: Iterable[str], users: list[User]) -> dict[str, str]:
        """What the configurations name and is not there, though it had to be: a file that is only
        read, or one in a directory that does not exist. Of their text nothing else is kept."""
        found: dict[str, str] = {}
        for place, path, needed in self._named(files):
            seen = self.path(path, users)
            at = seen.missing_at if seen.kind == "missing" else None
            if at is not None and at.count("/") > 1 and (at != path or needed):
                found.setdefault(path, place)
        return dict(islice(found.items(), _MAX_CONFIGURATIONS))

    def unmade(self, scripts: Iterable[str]) -> dict[str, str]:
        """What scripts name and is not there, beside what `absent` tells: some may be made by them."""
        found: dict[str, str] = {}
        for place, path, needed in self._named(scripts):
            if not needed and self.path(path, ()).missing_at == path:
                found.setdefault(path, place)
        return dict(islice(found.items(), _MAX_CONFIGURATIONS))

    def withheld(
        self, files: Iterable[str], own: int | None, data: Iterable[str]
    ) -> dict[str, str]:
        """What the configurations name and the unit's user may not use: a file that he may not read,
        a directory that he may not write, or none where he has to make one; his home; his data."""
        if not own:
            return {}
        user = self.user(own)
        found: dict[str, str] = {}
        home = _home(own)
        in_use = home is None or not home.startswith("/var/lib/")  # else it keeps its data there
        if home is not None and is_withheld(self.path(home, [user]), own, home=in_use):
            found[home] = HOME
        for place, path, _needed in self._named(files):
            seen = self.path(path, [user])
            if seen.missing_at == path and not path.startswith(SYSTEM_PLACES):
                seen = self.path(path.rpartition("/")[0] or "/", [user])
            access = seen.may(own) if seen.kind == "file" and _is_database(path) else None
            if (access is not None and not access.write) or is_withheld(
                seen, own, home=path.startswith(SYSTEM_PLACES)
            ):
                found.setdefault(path, place)
        closed = [path for path in data if is_withheld(self.path(path, [user]), own, home=False)]
        found |= {path: USUAL for path in closed if path not in found}
        return dict(islice(found.items(), _MAX_CONFIGURATIONS))

    def environment(self, unit_files: Iterable[str]) -> list[str]:
        """Those with Environment= (systemd.exec(5)); as if they had nothing else, since what their
        other settings name may well be missing (ConditionPathExists=), and has causes of its own."""
        found: list[str] = []
        for file in islice(unit_files, _MAX_FILES):
            lines = (self.text(file) or "").splitlines()
            kept = [line if line.startswith("Environment=") else "" for line in lines]
            self._contents[file] = "\n".join(kept)
            found += [file] if any(kept) else []
        return found

    def named_by(self, files: Iterable[str]) -> list[str]:
        """The configurations that scripts and settings name, which only those read."""
        named = (path for _, path, _ in self._named(files) if path.lower().endswith(CONFIGS))
        return list(dict.fromkeys(named))[:_MAX_CONFIGURATIONS]

    def scripts(self, paths: Iterable[str]) -> list[str]:
        """Those that are one: its text names what it works with."""
        return [
            path
            for path in paths
            if path.endswith(SCRIPTS) or ((one := self.program(path)) is not None and one.script)
        ]

    def _named(self, files: Iterable[str]) -> Iterator[tuple[str, str, bool]]:
        """(place, path, is it only read) in the configurations that only root writes."""
        for file, text in self._texts(files):
            if file not in self._paths:
                self._paths[file] = list(islice(paths_of(text), _MAX_ENTRIES))
            for number, path, needed in self._paths[file]:
                yield f"{file}:{number}", path, needed

    def _texts(self, files: Iterable[str]) -> Iterator[tuple[str, str]]:
        """The content of those that only root writes."""
        for file in islice(dict.fromkeys(files), _MAX_FILES):
            if file not in self._contents:
                self._contents[file] = self.text(file)
            text = self._contents[file]
            if text is not None and time.thread_time() < self._until:
                yield file, text

    def text(self, file: str) -> str | None:
        """The content of a file that only root writes; None of any other."""
        fact = self.path(file, ())
        if fact.kind != "file" or fact.owner != "root" or (fact.mode or 0) & 0o022:
            return None
        return (self._open(file, _CONFIGURATION_BYTES) or b"").decode("utf-8", "replace")

    def data(self, files: Iterable[str]) -> dict[str, str]:
        """The files of data that scripts name and that are there."""
        found: dict[str, str] = {}
        for place, path, _ in self._named(files):
            if path.lower().endswith(_DATA) and self.path(path, ()).kind == "file":
                found.setdefault(path, place)
        return dict(islice(found.items(), _MAX_CONFIGURATIONS))

    def empty(self, files: Iterable[str]) -> dict[str, str]:
        """What the configurations name, is only read, and has no content."""
        found: dict[str, str] = {}
        for place, path, needed in self._named(files):
            seen = self.path(path, ()) if needed else None
            if seen is not None and seen.kind == "file" and seen.size == 0:
                found.setdefault(path, place)
        return dict(islice(found.items(), _MAX_CONFIGURATIONS))

    def strangers(self, files: Iterable[str]) -> dict[str, str]:
        """The users that the configurations name and that there are none of."""
        found: dict[str, str] = {}
        for file, text in self._texts(files):
            for number, name in islice(users_of(text), _MAX_ENTRIES):
                if name not in found and uid_of(name) is None:
                    found[name] = f"{file}:{number}"
        return dict(islice(found.items(), _MAX_CONFIGURATIONS))

    def endpoints(self, files: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...]]:
        """The hosts, addresses, interfaces and ports that the configurations name, and which of
        them it is to listen on."""
        found: dict[str, str] = {}
        listens: dict[str, None] = {}
        for file, text in self._texts(files):
            quoted = is_code(file, text)
            for number, one, is_own in islice(endpoints_of(text, quoted=quoted), MOST):
                found.setdefault(one, f"{file}:{number}")
                listens |= {one: None} if is_own else {}
        return found, tuple(listens)

    def including(self, files: Iterable[str]) -> tuple[str, ...]:
        """Those that read further files, if only root writes them."""
        return tuple(
            file
            for file in islice(files, _MAX_FILES)
            if self.path(file, ()).owner == "root"
            and includes_others((self._open(file) or b"").decode("utf-8", "replace"))
        )

    def foreign(
        self, directories: Iterable[str], own: int | None, users: list[User]
    ) -> tuple[str, ...]:
        """What lies in the unit's own directories and its user may not write."""
        found: list[str] = []
        for directory in directories if own else ():
            fact = self.path(directory, users)
            if fact.kind != "directory":
                continue
            try:
                with os.scandir(self._root + (fact.real or directory)) as entries:
                    names = [entry.name for entry in islice(entries, _MAX_ENTRIES)]
            except OSError:
                continue
            for name in names:
                access = self.path(f"{directory}/{name}", users).may(own)
                if access is not None and not access.write:
                    found.append(f"{directory}/{name}")
        return tuple(found[:8])

    def libraries_like(self, name: str) -> tuple[str, ...]:
        """Shared libraries of the same base name, in the usual places."""
        base = name.partition(".so")[0] + ".so"
        found: set[str] = set()
        for top in _LIBRARIES:
            for directory in (top, f"{top}/{os.uname().machine}-linux-gnu"):
                try:
                    with os.scandir(self._root + directory) as entries:
                        found |= {entry.name for entry in entries if entry.name.startswith(base)}
                except OSError:
                    continue
        return tuple(sorted(found))[:8]

    def hosts(self, names: Iterable[str]) -> dict[str, bool]:
        """Which of them /etc/hosts knows. Nobody else is asked: that could take seconds."""
        try:
            text = Path(f"{self._root}/etc/hosts").read_text("utf-8", "replace")[: 1 << 20]
        except OSError:
            text = ""
        known = {word for line in text.splitlines() for word in line.partition("#")[0].split()[1:]}
        return {name: name in known for name in names}

    def name_servers(self) -> tuple[str, ...] | None:
        """From /etc/resolv.conf (resolv.conf(5)); None where there is no such file."""
        try:
            text = Path(f"{self._root}/etc/resolv.conf").read_text("utf-8", "replace")[: 1 << 16]
        except OSError:
            return None
        return tuple(re.findall(r"^\s*nameserver\s+(\S+)", text, re.MULTILINE))[:6]


def _home(uid: int) -> str | None:
    """The home directory of a user; None where he has none that counts."""
    try:
        home = pwd.getpwuid(uid).pw_dir
    except (KeyError, OverflowError):
        return None
    return home if home.startswith("/") and home.count("/") > 1 else None


def is_withheld(fact: PathFact, own: int, *, home: bool) -> bool:
    """It is there, and of no use to this uid; ``home``: to be entered and read is enough."""
    access = fact.may(own)
    if access is None or not fact.exists:
        return False
    if access.blocked_at is not None or not access.read:
        return True
    return fact.kind == "directory" and not (access.execute if home else access.write)


def _is_database(path: str) -> bool:
    """A file that a library reads and writes in the program's own process."""
    return path.lower().endswith(DATABASES)
