# SPDX-License-Identifier: MIT
"""What was seen on the machine when it was looked at for a verdict: plain data, kept in the bundle.

``checks/facts.json`` in a bundle is one of these. What was not looked at is missing; nothing here
is guessed.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from failhook import document
from failhook.incident import plain

_LONG, _MOST_WORDS = 200, 100
SCHEMA = 1
USUAL = "usual"  # in `Facts.withheld`: where programs of its name keep their data
HOME = "home"  # in `Facts.withheld`: the user's own directory
_END = 3e11  # after the year 9999, where no calendar of Python's goes
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """What one uid may do with a path by mode and owner (access control lists are not read)."""

    uid: int
    read: bool
    write: bool
    execute: bool
    blocked_at: str | None = None  # the first directory on the way that it may not enter


@dataclass(frozen=True, slots=True)
class PathFact:
    """One path. ``kind``: file, directory, fifo, socket, device, loop, or missing; "unknown" where
    it is on a network file system, which is not touched."""

    kind: str
    mode: int | None = None  # permission bits
    owner: str | None = None
    group: str | None = None
    size: int | None = None
    real: str | None = None  # where its links lead, if it has any
    missing_at: str | None = None  # the first part of the way that is not there
    not_a_directory: str | None = None  # the part of the way that is a file
    mount: str | None = None  # the mount point it is below
    options: str | None = None  # of that mount
    acl: bool = False
    access: tuple[Access, ...] = ()

    @property
    def exists(self) -> bool:
        """It is there."""
        return self.kind not in ("missing", "unknown", "loop")

    def may(self, uid: int | None) -> Access | None:
        """What ``uid`` may do, where that was looked at."""
        return next((one for one in self.access if one.uid == uid), None)

    @property
    def described(self) -> str:
        """``mode 0600, owner root``, for people."""
        if self.mode is None:
            return ""
        owner = self.owner if self.owner == self.group else f"{self.owner}:{self.group}"
        return f"mode {self.mode:04o}, owner {owner}"


@dataclass(frozen=True, slots=True)
class ProgramFact:
    """The start of an executable file: a script's interpreter, or what an ELF file is made for."""

    interpreter: str | None = None  # of the #! line, or the dynamic loader of an ELF file
    interpreter_exists: bool | None = None
    script: bool = False
    carriage_return: bool = False  # the #! line ends with one: written on Windows
    machine: str | None = None  # an ELF file's, where it is not this machine's
    known: bool = True  # False: neither #! nor ELF
    empty: bool = False


@dataclass(frozen=True, slots=True)
class CertificateFact:
    """The validity of the first certificate in a file, Unix seconds."""

    not_before: float
    not_after: float


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that was looked at. ``at`` is when, Unix seconds."""

    at: float = 0.0
    paths: Mapping[str, PathFact] = field(default_factory=dict)
    programs: Mapping[str, ProgramFact] = field(default_factory=dict)
    certificates: Mapping[str, CertificateFact] = field(default_factory=dict)
    users: Mapping[str, int | None] = field(default_factory=dict)  # name -> uid, None: no such user
    groups: Mapping[str, int | None] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)  # uid -> name
    libraries: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # wanted -> like it
    hosts: Mapping[str, bool] = field(default_factory=dict)  # in /etc/hosts or not
    name_servers: tuple[str, ...] | None = None
    addresses: tuple[str, ...] | None = None  # of this machine
    lines: Mapping[str, str] = field(default_factory=dict)  # "file:number" -> that line of root's
    configurations: tuple[str, ...] = ()  # that its environment files name, or its package brought
    absent: Mapping[str, str] = field(
        default_factory=dict
    )  # named there, missing: path -> file:line
    unmade: Mapping[str, str] = field(
        default_factory=dict
    )  # missing as well, named by its own scripts, which may make it: path -> script:line
    withheld: Mapping[str, str] = field(
        default_factory=dict
    )  # named there, not for its user: path -> file:line, or HOME
    data: Mapping[str, str] = field(
        default_factory=dict
    )  # files of data that its own scripts name and that are there -> script:line
    strangers: Mapping[str, str] = field(
        default_factory=dict
    )  # users that the configurations name and that do not exist: FILE:LINE
    empty: Mapping[str, str] = field(
        default_factory=dict
    )  # named there, of no content: path -> file:line
    endpoints: Mapping[str, str] = field(
        default_factory=dict
    )  # hosts, addresses, interfaces, ports named there -> file:line
    listens: tuple[str, ...] = ()  # those of `endpoints` that it is to listen on
    including: tuple[str, ...] = ()  # configurations that read further files
    foreign: tuple[str, ...] = ()  # in the unit's own directories, not for its user to write
    upgrading: tuple[str, ...] = ()  # package managers that run: name (pid N)
    unset: tuple[str, ...] = ()  # variables of the command lines that nothing sets
    machine: str = ""
    words: Mapping[str, str] = field(
        default_factory=dict
    )  # errors of the system as the unit's language has them -> in English

    def user(self, uid: int | None) -> str:
        """The user's name, or his number."""
        if uid is None:
            return "its user"
        return self.names.get(uid) or ("root" if uid == 0 else f"uid {uid}")


def dump(facts: Facts) -> bytes:
    """``checks/facts.json``."""
    return document.text({"schema": SCHEMA, **plain(facts)}).encode()


def load(data: bytes) -> Facts:
    """Facts from a bundle, perhaps a hostile one; what is not well-formed counts as not seen."""
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):
        return Facts()
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        return Facts()
    return Facts(
        at=_number(raw.get("at")),
        paths=_each(raw.get("paths"), _path),
        programs=_each(raw.get("programs"), lambda one: _typed(ProgramFact, one)),
        certificates=_each(raw.get("certificates"), _certificate),
        users=_ids(raw.get("users")),
        groups=_ids(raw.get("groups")),
        names={
            int(uid): str(name)
            for uid, name in _object(raw.get("names")).items()
            if uid.isdecimal() and len(uid) <= 10
        },
        libraries={
            name: tuple(map(str, found))
            for name, found in _object(raw.get("libraries")).items()
            if isinstance(found, list)
        },
        hosts={name: found is True for name, found in _object(raw.get("hosts")).items()},
        name_servers=_texts(raw.get("name_servers")),
        addresses=_texts(raw.get("addresses")),
        lines={name: str(text) for name, text in _object(raw.get("lines")).items()},
        configurations=_texts(raw.get("configurations")) or (),
        absent={path: str(place) for path, place in _object(raw.get("absent")).items()},
        unmade={path: str(place) for path, place in _object(raw.get("unmade")).items()},
        withheld={path: str(place) for path, place in _object(raw.get("withheld")).items()},
        data={path: str(place) for path, place in _object(raw.get("data")).items()},
        empty={path: str(place) for path, place in _object(raw.get("empty")).items()},
        strangers={name: str(place) for name, place in _object(raw.get("strangers")).items()},
        endpoints={one: str(place) for one, place in _object(raw.get("endpoints")).items()},
        listens=_texts(raw.get("listens")) or (),
        including=_texts(raw.get("including")) or (),
        foreign=_texts(raw.get("foreign")) or (),
        upgrading=_texts(raw.get("upgrading")) or (),
        unset=_texts(raw.get("unset")) or (),
        machine=str(raw.get("machine") or ""),
        words=_words(raw.get("words")),
    )


def _object(raw: Any) -> dict[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _words(raw: Any) -> dict[str, str]:
    """As many as a catalogue can give: they become one pattern."""
    found = ((own, str(one)) for own, one in _object(raw).items())
    sound = [(own, one) for own, one in found if 0 < len(own) < _LONG and len(one) < _LONG]
    return dict(sound[:_MOST_WORDS])


def _number(raw: Any) -> float:
    return float(raw) if isinstance(raw, int | float) and abs(raw) < _END else 0.0


def _texts(raw: Any) -> tuple[str, ...] | None:
    return tuple(map(str, raw)) if isinstance(raw, list) else None


def _ids(raw: Any) -> dict[str, int | None]:
    found = _object(raw).items()
    return {name: value if isinstance(value, int) else None for name, value in found}


def _each(raw: Any, read: Any) -> dict[str, Any]:
    found = {name: read(one) for name, one in _object(raw).items()}
    return {name: one for name, one in found.items() if one is not None}


def _certificate(raw: Any) -> CertificateFact | None:
    dates = _typed(CertificateFact, raw)
    if dates is None or not (abs(dates.not_before) < _END and abs(dates.not_after) < _END):
        return None
    return dates


def _path(raw: Any) -> PathFact | None:
    fact = _typed(PathFact, raw)
    if fact is None:
        return None
    access = tuple(one for one in (_typed(Access, each) for each in fact.access) if one is not None)
    return dataclasses.replace(fact, access=access)


def _typed(kind: type[T], raw: Any) -> T | None:
    """An instance of a dataclass whose every value has the type of its field; None otherwise."""
    if not isinstance(raw, dict):
        return None
    fields = {one.name: one for one in dataclasses.fields(kind)}  # type: ignore[arg-type]
    given = {}
    for name, found in raw.items():
        if name not in fields:
            continue
        value = tuple(found) if isinstance(found, list) else found
        wanted = str(fields[name].type)
        if not any(word in wanted for word in _NAMES_OF.get(type(value), ())):
            return None
        given[name] = value
    try:
        return kind(**given)
    except TypeError:
        return None


_NAMES_OF: dict[type, tuple[str, ...]] = {
    str: ("str",),
    int: ("int", "float"),
    float: ("float",),
    bool: ("bool",),
    tuple: ("tuple",),
    type(None): ("None",),
}
