# SPDX-License-Identifier: MIT
"""Which directories may be cleaned: those of a unit as systemd has them, and what is refused.

A wrong path in the configuration must not cost the machine: whole trees that belong to the system
or to people are no cache, whoever wrote them down. What is refused is compared by name and by
device and inode, so that a bind mount or another way there makes no difference.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from failhook import proc
from failhook.actions.beneath import Root
from failhook.places import Places
from failhook.systemd.unit import UnitState

# What systemd calls them (systemd.exec(5)): our word, the property, the root for the system.
KINDS = {
    "cache": ("CacheDirectory", "/var/cache"),
    "runtime": ("RuntimeDirectory", "/run"),
    "state": ("StateDirectory", "/var/lib"),
    "logs": ("LogsDirectory", "/var/log"),
    "configuration": ("ConfigurationDirectory", "/etc"),
}
PROPERTIES = ("LoadState", "ActiveState", "SubState", *(one for one, _ in KINDS.values()))

# Neither these nor anything below them.
_SYSTEM = (
    *("/bin", "/boot", "/dev", "/efi", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc"),
    *("/sbin", "/sys", "/usr", "/run/systemd", "/run/udev", "/run/dbus", "/run/credentials"),
    *("/var/lib/dpkg", "/var/lib/apt", "/var/lib/rpm", "/var/lib/pacman", "/var/lib/systemd"),
    *("/var/lib/dbus", "/var/lib/private", "/var/cache/private", "/var/log/private"),
)
# Not these themselves; what lies below them may be somebody's cache.
_SHARED = ("/home", "/root", "/run/user", "/var", "/srv", "/opt", "/mnt", "/media")
# These only with an age or a pattern: they belong to many.
_COMMON = ("/var/cache", "/var/log", "/var/spool", "/var/tmp")  # noqa: S108 - nothing is made there
_OF_A_HOME = (".config", ".local", ".local/share", ".local/state", ".ssh", ".gnupg")


class Refused(Exception):
    """This is not cleaned: says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """One directory that is to be cleaned, and how it came to be one."""

    path: str
    kind: str | None = None  # of a unit's directory, None for a declared path


def of_unit(state: UnitState, kinds: tuple[str, ...], *, user: bool) -> list[Target]:
    """The directories of those kinds that systemd keeps for the unit. Raises Refused."""
    targets = []
    for kind in kinds:
        name, base = KINDS[kind]
        for word in (state.get(name) or "").split():
            if word == "[unprintable]":
                raise Refused(f"{name}= of {state.name} has a name that systemctl does not print")
            if word.startswith("/") or ".." in word.split("/"):
                raise Refused(f"{name}={word} of {state.name} is no name below {base}")
            root = _of_user(kind) if user else base
            # With DynamicUser= the directory lies below private/ and its name is a link to it.
            targets += [Target(f"{root}/{word}", kind), Target(f"{root}/private/{word}", kind)]
    return targets


def _of_user(kind: str) -> str:
    """Where the user manager keeps that kind: systemd.exec(5), "Automatic directory creation"."""
    home = os.environ.get("HOME") or str(Path.home())
    config = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    state = os.environ.get("XDG_STATE_HOME") or f"{home}/.local/state"
    if _user_manager_version() < 254:  # before, state and logs were below the configuration
        state = config
    return {
        "cache": os.environ.get("XDG_CACHE_HOME") or f"{home}/.cache",
        "runtime": os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}",
        "state": state,
        "logs": f"{state}/log",
        "configuration": config,
    }[kind]


def _user_manager_version() -> int:
    done = proc.run(["systemctl", "--user", "show", "-p", "Version", "--value"], timeout_s=5)
    number = done.text.strip().partition(".")[0].partition("~")[0]
    return int(number) if number.isdecimal() else 0


def check(root: Root, target: Target, places: Places, *, limited: bool) -> None:
    """``limited``: an age or a pattern says what goes. Raises Refused."""
    path, identity = root.path, root.identity
    if len(Path(path).parts) < 3:
        raise Refused(f"{path} is a top-level directory")
    if target.kind is None:
        for place in _SYSTEM:
            if path == place or path.startswith(f"{place}/") or identity == _identity(place):
                raise Refused(f"{path} belongs to the system")
    _check_shared(path, identity, limited=limited)
    for ours in (places.state, places.run, *places.configuration):
        _check_ours(path, identity, ours)


def _check_shared(path: str, identity: tuple[int, int], *, limited: bool) -> None:
    homes = {os.path.expanduser("~"), os.environ.get("HOME") or "/root"}  # noqa: PTH111 - a text
    exact = {"/", *_SYSTEM, *_SHARED, *homes}
    exact |= {f"{home}/{name}" for home in homes for name in _OF_A_HOME}
    parent = str(Path(path).parent)
    of_var = parent == "/var" and path not in _COMMON
    if parent in ("/home", "/run/user") or of_var or path in exact:
        raise Refused(f"{path} is no directory of one service")
    if any(identity == _identity(place) for place in exact):
        raise Refused(f"{path} is another name of a directory that is not cleaned")
    common = path in _COMMON or any(identity == _identity(place) for place in _COMMON)
    if common and not limited:
        raise Refused(f"{path} is shared by many; say older_than or pattern")


def _check_ours(path: str, identity: tuple[int, int], ours: Path) -> None:
    real = os.path.realpath(ours)
    if path == real or f"{path}/".startswith(f"{real}/") or f"{real}/".startswith(f"{path}/"):
        raise Refused(f"{path} holds what failhook keeps")
    if identity in [_identity(str(each)) for each in (ours, *ours.parents)]:
        raise Refused(f"{path} holds what failhook keeps")


def spared(places: Places) -> frozenset[tuple[int, int]]:
    """Directories that are not entered, wherever they turn up."""
    found = (_identity(str(one)) for one in (places.state, places.run, *places.configuration))
    return frozenset(one for one in found if one is not None)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        state = os.stat(path)  # noqa: PTH116 - a text
    except OSError:
        return None
    return state.st_dev, state.st_ino
