# SPDX-License-Identifier: MIT
"""A file without its directory: a service runs in WorkingDirectory=, and in / where that is not set.

"It works when I start it by hand": there it is started in its own directory (systemd.exec(5)).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from failhook.diagnose.case import Case
from failhook.diagnose.finding import SAID, SEEN, Cause, Finding, each, from_message, quote
from failhook.diagnose.subjects import commands, paths_in
from failhook.diagnose.text import Message
from failhook.systemd.unit import UnitState

_NAME = r"(?!/)(?:[\w.-]{1,100}/){0,6}[\w.-]{1,100}\.[A-Za-z]\w{0,7}"
_MISSING = re.compile(
    rf"no such file or directory\b[^\w/]{{0,4}}(?:@ \w{{1,30}} - |, open |open )?['\"]?(?P<after>{_NAME})['\"]?(?: \(Errno::ENOENT\))?\W{{0,2}}$"
    rf"|\b(?:open|read|load|stat|access|find)(?:ing)? (?:file )?['\"]?(?P<before>{_NAME})['\"]?(?: for reading)?[:,] .{{0,20}}no such file or directory"
    rf"|(?:^|[\s:])['\"]?(?P<first>{_NAME})['\"]?: no such file or directory",
    re.IGNORECASE,
)
_OF_PACKAGES = ("/usr/", "/bin/", "/sbin/", "/lib")
_MOST, _LINES = 8, 200


def name_in(text: str) -> str | None:
    """The file of a line that says it is not there, if it has no directory of its own."""
    match = _MISSING.search(text[:600])
    found = match and (match["after"] or match["before"] or match["first"])
    return posixpath.normpath(found) if found and ".." not in found else None


def runs_in(unit: UnitState) -> str | None:
    """The directory in which the unit's programs start; None where that is a home, or the machine
    has another root for them."""
    found = (unit.get("WorkingDirectory") or "/").lstrip("-!") or "/"
    own_root = (unit.get("RootDirectory") or unit.get("RootImage") or "/") != "/"
    return None if own_root or not found.startswith("/") else found


def places(unit: UnitState, name: str) -> list[str]:
    """Where the file is looked for, and beside which of its own programs and scripts it may lie."""
    beside = [
        posixpath.dirname(path)
        for setting, program, argv in commands(unit)
        for path in ((program, *paths_in(argv)) if setting == "ExecStart" else ())
        if not path.startswith(_OF_PACKAGES)
    ]
    here = runs_in(unit)
    directories = dict.fromkeys([here, *beside]) if here else ()
    return [posixpath.join(directory, name) for directory in directories][:_MOST]


def asked(case: Case) -> list[str]:
    """What is to be looked at for the lines of a run."""
    names = (name_in(message.text) for message in case.messages[-_LINES:])
    found = [path for name in dict.fromkeys(names) if name for path in places(case.unit, name)]
    return found[: 2 * _MOST]


def _missing(case: Case, message: Message) -> Finding | None:
    name = name_in(message.text)
    here = runs_in(case.unit)
    if name is None or here is None or case.incident.manager == "user":
        return None  # of a user manager it is his home
    wanted, *others = places(case.unit, name)
    fact = case.path(wanted)
    if fact is None or fact.kind != "missing":
        return None
    set_there = "" if case.unit.get("WorkingDirectory") else " (WorkingDirectory= is not set)"
    there = [path for path in others if (one := case.path(path)) is not None and one.exists]
    if there:
        directory = there[0].removesuffix(name).rstrip("/")
        what, sure = f"{name} is in {directory}, and the service runs in {here}{set_there}", SEEN
        advice = f"WorkingDirectory={directory}, or name {there[0]}"
    else:  # less surely: the program may have gone elsewhere before it looked
        starts = f"the service starts in {here}{set_there}"
        what = f"{name} does not exist, and is named without a directory; {starts}"
        sure = SAID - 0.05
        advice = "set WorkingDirectory=, or name the whole path"
    return from_message(
        case, message, "working-directory", what=f"{what}: “{quote(message.text, 140)}”",
        advice=advice, confidence=sure, more=[case.checked(f"{wanted} is missing")],
    )  # fmt: skip


def _look(case: Case) -> Iterator[Finding]:
    yield from each(case, _missing)


CAUSES = (Cause("working-directory", "a file that is not where the service runs", _look),)
