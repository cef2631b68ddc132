# SPDX-License-Identifier: MIT
"""Which files, directories and places a unit's settings speak of: what its fingerprint is of."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterator

from failhook.diagnose.subjects import commands, paths_in
from failhook.mask.quoting import split_words
from failhook.systemd.unit import UnitState

# What `show` is asked for; one call for many units.
PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "Type", "Result", "InvocationID", "MainPID",
    "ActiveEnterTimestamp", "ExecMainStartTimestamp", "ExecMainExitTimestamp", "ExecMainCode",
    "ExecMainStatus", "FragmentPath", "SourcePath", "DropInPaths", "ExecCondition", "ExecStartPre",
    "ExecStart", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost", "EnvironmentFiles",
    "User", "DynamicUser", "WorkingDirectory", "RootDirectory", "RootImage", "RequiresMountsFor",
    "StateDirectory", "LogsDirectory", "CacheDirectory", "ConfigurationDirectory", "What", "Where",
)  # fmt: skip
_OURS = "/50-failhook.conf"
_HOOK = "failhook"
_SEARCHED = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_MAX_MATCHES = 32
_BASES = {
    "StateDirectory": "/var/lib",
    "CacheDirectory": "/var/cache",
    "LogsDirectory": "/var/log",
    "ConfigurationDirectory": "/etc",
}
_WILD = re.compile(r"[*?\[]")
# Their own directories below /etc are not this unit's: /etc/python3, /etc/perl, /etc/systemd.
_GENERAL = re.compile(
    r"(?:ba|da|z|k|c|tc)?sh|env|python[\d.]*|perl[\d.]*|ruby[\d.]*|node(?:js)?|php[\d.]*|java|lua"
    r"|systemd.*|sleep|cat|echo|true|false|test|mkdir|chown|chmod|rm|cp|mv|ln|kill|timeout|nice"
    r"|runuser|su|sudo|setpriv|flock|start-stop-daemon|default|init\.d|ssl|alternatives|X11|pam\.d"
)


def unit_files(state: UnitState) -> list[str]:
    """The unit's file, what it was generated from, and its drop-ins but ours."""
    drop_ins = split_words(state.properties.get("DropInPaths", "")) or []
    named = [state.get("FragmentPath"), state.get("SourcePath"), *drop_ins]
    return [path for path in named if path and path.startswith("/") and not path.endswith(_OURS)]


def programs(state: UnitState, head: Callable[[str], bytes]) -> list[str]:
    """The executables of Exec lines, each followed by a script's interpreter."""
    found: list[str] = []
    for _, program, _ in commands(state):
        path = program.lstrip("-@:+!")
        if path.rpartition("/")[2] == _HOOK:
            continue
        found += _with_interpreter(path, head) if path.startswith("/") else _searched(path, head)
    return list(dict.fromkeys(found))[:40]


def _searched(name: str, head: Callable[[str], bytes]) -> list[str]:
    """systemd looks for names without a slash itself (systemd.exec(5), "ExecSearchPath=")."""
    if not name or "/" in name:
        return []
    for directory in _SEARCHED:
        if head(f"{directory}/{name}"):
            return _with_interpreter(f"{directory}/{name}", head)
    return []


def _with_interpreter(path: str, head: Callable[[str], bytes]) -> list[str]:
    start = head(path)
    if not start.startswith(b"#!"):
        return [path]
    words = [os.fsdecode(word) for word in start[2:].partition(b"\n")[0].split()]
    found = [path, *[word for word in words[:1] if word.startswith("/")]]
    if words and words[0].endswith("/env"):
        names = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        for name in names[:1]:
            places = [f"{directory}/{name}" for directory in _SEARCHED]
            found += [place for place in places if head(place)][:1]
    return found


def named(state: UnitState) -> list[str]:
    """Files that command lines and EnvironmentFile= name, and the unit's /etc/NAME.conf."""
    found: list[str] = []
    for _, program, argv in commands(state):
        if program.rpartition("/")[2] != _HOOK:
            found += [path for path in paths_in(argv) if path != program]
    for line in (state.get("EnvironmentFiles") or "").split("\n"):
        path = re.sub(r" \(ignore_errors=\w+\)$", "", line)
        found += list(_matching(path)) if path.startswith("/") else []
    found += [f"/etc/{name}.conf" for name in _names(state, ())]
    return list(dict.fromkeys(found))[:150]


def _matching(pattern: str) -> Iterator[str]:
    if not _WILD.search(pattern):
        yield pattern
        return
    # Path.glob has no absolute patterns
    for number, path in enumerate(glob.iglob(pattern)):  # noqa: PTH207
        if number >= _MAX_MATCHES:
            return
        yield path


def directories(state: UnitState, of_programs: list[str]) -> list[str]:
    """/etc/NAME for what the unit and its programs are called, and ConfigurationDirectory=."""
    found = [f"/etc/{name}" for name in _names(state, of_programs)]
    own = (state.get("ConfigurationDirectory") or "").split()
    found += [f"/etc/{name.partition(':')[0]}" for name in own]
    return list(dict.fromkeys(one for one in found if ".." not in one.split("/")))[:12]


def _names(state: UnitState, of_programs: list[str] | tuple[str, ...]) -> Iterator[str]:
    stem = state.name.rpartition(".")[0]
    candidates = [stem, stem.partition("@")[0], *(one.rpartition("/")[2] for one in of_programs)]
    for name in dict.fromkeys(candidates):
        if name and not name.startswith(".") and "/" not in name and not _GENERAL.fullmatch(name):
            yield name


def places(state: UnitState) -> list[str]:
    """Directories that the unit needs mounted."""
    found = split_words(state.properties.get("RequiresMountsFor", "")) or []
    for setting in ("WorkingDirectory", "RootDirectory", "What", "Where"):
        path = (state.get(setting) or "").lstrip("!-")
        found += [path] if path.startswith("/") else []
    for setting, base in _BASES.items():
        for name in (state.get(setting) or "").split():
            found.append(f"{base}/{name.partition(':')[0]}")
    return [path for path in dict.fromkeys(found) if path.startswith("/")][:60]
