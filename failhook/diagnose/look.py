# SPDX-License-Identifier: MIT
"""Looks at the machine: does the file exist, who may read it, is the user there?

Only looks: nothing is written, nothing is executed, and of what a log line names
no content is read but a certificate's dates.

Paths are walked component by component with lstat(2); what is below a network or automounted file
system is not touched, since a dead server would never answer. Runs in a collector's process with a
time limit of its own.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from failhook.diagnose.environment import unset
from failhook.diagnose.facts import Facts, PathFact
from failhook.diagnose.machine import Machine
from failhook.diagnose.place import SYSTEM_PLACES, Place
from failhook.diagnose.subjects import Subjects, paths_in
from failhook.diagnose.walk import User, gid_of, name_of, uid_of

T = TypeVar("T")
_ROOT = Path("/proc/1/root")  # as PID 1 sees the machine, not as our sandbox shows it
_MAX_MORE = 30
_PACKAGE_MANAGERS = ("dpkg", "apt", "apt-get", "aptitude", "unattended-upgr", "rpm", "dnf", "dnf5",
                     "yum", "zypper", "pacman", "apk")  # fmt: skip
_NOTHING = PathFact("missing")


def here(*, system: bool = True) -> Machine:
    """The machine, as PID 1 sees it where ``system``."""
    return Machine(_root(system=system))


def look(subjects: Subjects, *, system: bool = True, machine: Machine | None = None) -> Facts:
    """What there is to see of ``subjects`` now; with a ``machine`` on that. Never raises for what it
    finds."""
    machine = machine or here(system=system)
    own = uid_of(subjects.runs_as)
    uids = dict.fromkeys([*subjects.uids, *([] if own is None else [own])])
    users = [machine.user(uid) for uid in uids]
    paths = {path: machine.path(path, users) for path in subjects.paths}
    named_there, configurations = _its_configurations(machine, subjects, users)
    paths |= {path: machine.path(path, users) for path in named_there}
    paths |= machine.configurations(configurations, users)
    lines = machine.lines([*subjects.places, *_lone(configurations, subjects, paths)], users)
    environment = machine.environment(subjects.unit_files)
    scripts = machine.scripts(subjects.scripts)
    own_texts = [*scripts, *environment]
    named_by_them = machine.named_by(own_texts)
    texts = [*own_texts, *named_by_them, *machine.with_entries(configurations)]
    told = _told(machine, subjects, texts, users, own)
    inside = subjects.programs if subjects.root else ()
    paths |= {path: machine.path(path, users) for path in (*told.absent, *told.withheld, *inside)}
    foreign = machine.foreign(subjects.directories, own, users)
    named = [path for line in lines.values() for path in paths_in(line)]
    closed = [one.blocked_at for fact in paths.values() for one in fact.access if one.blocked_at]
    around = [*dict.fromkeys([*closed, *_where_to_make(paths)])]
    for path in [*foreign, *named, *around][:_MAX_MORE]:
        paths.setdefault(path, machine.path(path, users))
    return Facts(
        at=time.time(),
        paths=paths,
        programs=_known(
            {path: machine.program(path, subjects.root) for path in subjects.programs}
            | {path: machine.own_program(path) for path in subjects.executed}
        ),
        certificates=_known({path: machine.certificate(path) for path in subjects.certificates}),
        users={name: uid_of(name) for name in subjects.users},
        groups={name: gid_of(name) for name in subjects.groups},
        names={uid: name for uid in uids if (name := name_of(uid))},
        libraries={name: machine.libraries_like(name) for name in subjects.libraries},
        hosts=machine.hosts(subjects.hosts),
        name_servers=machine.name_servers(),
        addresses=_addresses(),
        lines=lines,
        configurations=tuple(named_there),
        absent=told.absent,
        unmade=machine.unmade(scripts),
        withheld=told.withheld,
        data=machine.data(own_texts),
        empty=told.empty,
        strangers=told.strangers,
        endpoints=told.endpoints,
        listens=told.listens,
        including=machine.including(configurations) if subjects.lone_lines else (),
        foreign=foreign,
        upgrading=_upgrading(),
        unset=_unset(machine, subjects),
        machine=os.uname().machine,
        words=subjects.words,
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """What the texts name that only root writes, by what is wrong with it; see `Facts`."""

    absent: dict[str, str]
    withheld: dict[str, str]
    empty: dict[str, str]
    strangers: dict[str, str]
    endpoints: dict[str, str]
    listens: tuple[str, ...]


def _told(
    machine: Machine, subjects: Subjects, texts: Sequence[str], users: list[User], own: int | None
) -> _Told:
    endpoints, listens = machine.endpoints([*subjects.environment_files, *texts])
    return _Told(
        absent={**machine.missing_of(subjects, users), **machine.absent(texts, users)},
        withheld=machine.withheld(texts, own, subjects.data),
        empty=machine.empty(texts),
        strangers=machine.strangers(texts),
        endpoints=endpoints,
        listens=listens,
    )


def _root(*, system: bool) -> Path:
    """PID 1's, where we may see it."""
    try:
        os.lstat(_ROOT / "usr")
    except OSError:
        return Path("/")
    return _ROOT if system else Path("/")


def _its_configurations(
    machine: Machine, subjects: Subjects, users: list[User]
) -> tuple[list[str], list[str]]:
    """Those that it is known to read without its command line naming them, and all that it may:
    what its environment files name, or it says itself; else those of the usual places, or of its
    package where there are none."""
    named = machine.of_environment(subjects)
    named = named or [*machine.configurations(subjects.read, users)]
    if named and subjects.usual:
        return named, named
    if subjects.usual and not machine.configurations(subjects.configurations, users):
        shipped = machine.shipped(subjects.called)
        return shipped, shipped
    return named, [*named, *subjects.configurations]


def _lone(
    configurations: Sequence[str], subjects: Subjects, paths: dict[str, PathFact]
) -> list[Place]:
    """The lines that messages speak of without a file: of the one configuration that is there."""
    files = [path for path in configurations if paths.get(path, _NOTHING).kind == "file"]
    if len({paths[path].real or path for path in files}) != 1:
        return []
    return [Place(files[0], number) for number in subjects.lone_lines]


def _where_to_make(paths: dict[str, PathFact]) -> list[str]:
    """The directories of what is not there, though only it is missing."""
    missing = [path for path, fact in paths.items() if fact.missing_at == path]
    return [path.rpartition("/")[0] for path in missing if not path.startswith(SYSTEM_PLACES)]


def _known(found: dict[str, T | None]) -> dict[str, T]:
    return {name: one for name, one in found.items() if one is not None}


def _addresses() -> tuple[str, ...]:
    """This machine's own, from the kernel's routing tables (proc(5), fib_trie and if_inet6)."""
    found: list[str] = []
    try:
        lines = Path("/proc/net/fib_trie").read_text("ascii", "replace").splitlines()
        last = ""
        for line in lines:
            if "|--" in line:
                last = line.split()[-1]
            elif "host LOCAL" in line and last:
                found.append(last)
        inet6 = Path("/proc/net/if_inet6").read_text("ascii", "replace").split("\n")
        raw = [bytes.fromhex(line.split()[0]) for line in inet6 if line]
        found += [socket.inet_ntop(socket.AF_INET6, each) for each in raw]
    except (OSError, ValueError, IndexError):
        pass
    return tuple(dict.fromkeys(found))[:40]


def _unset(machine: Machine, subjects: Subjects) -> tuple[str, ...]:
    """The variables of the command lines that nothing sets; none where one of the files that may set
    them is not read here."""
    texts = {file: machine.text(file) for file in subjects.environment_files}
    hidden = (file for file, text in texts.items() if text is None)
    if any(machine.path(file, ()).kind != "missing" for file in hidden):
        return ()
    return unset(subjects.variables, subjects.variables_set, filter(None, texts.values()))


def _upgrading() -> tuple[str, ...]:
    """Package managers at work."""
    found = []
    try:
        pids = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return ()
    for pid in pids:
        try:
            name = Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
        except OSError:
            continue
        if name in _PACKAGE_MANAGERS:
            found.append(f"{name} (pid {pid})")
    return tuple(found)[:4]
