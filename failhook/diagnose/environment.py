# SPDX-License-Identifier: MIT
"""Which variables has a unit's environment? Their names only: values may be secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable

from failhook.diagnose.subjects import commands, variables_in
from failhook.systemd.environment_file import assignments, parse
from failhook.systemd.unit import UnitState

# What systemd sets (systemd.exec(5), "Environment Variables Set or Propagated by the Service Manager").
_OF_SYSTEMD = frozenset((
    "PATH", "LANG", "USER", "LOGNAME", "HOME", "SHELL", "INVOCATION_ID", "XDG_RUNTIME_DIR",
    "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY",
    "CONFIGURATION_DIRECTORY", "CREDENTIALS_DIRECTORY", "MAINPID", "MANAGERPID", "LISTEN_FDS",
    "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
    "SYSTEMD_EXEC_PID", "TERM", "JOURNAL_STREAM", "LOG_NAMESPACE", "SERVICE_RESULT", "EXIT_CODE",
    "EXIT_STATUS", "PIDFILE", "REMOTE_ADDR", "REMOTE_PORT", "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE", "FDSTORE", "DEBUG_INVOCATION",
))  # fmt: skip
_IS_PATTERN = re.compile(r"[*?\[]")  # glob(7)
_OF_A_CLASS = ("MONITOR_", "TRIGGER_", "XDG_", "DBUS_", "LC_")


def names_set(environment: str, state: UnitState) -> tuple[str, ...]:
    """The names that ``environment``, which is the unit's ``Environment=``, and ``PassEnvironment=``
    have. Where a file is named by a pattern, which is not looked for, it may set any that is used."""
    names = [name for name, _ in assignments(environment)]
    names += (state.get("PassEnvironment") or "").split()
    if _IS_PATTERN.search(state.get("EnvironmentFiles") or ""):
        names += [name for _, _, argv in commands(state) for name in variables_in(argv)]
    return tuple(dict.fromkeys(names))


def unset(used: Iterable[str], known: Iterable[str], files: Iterable[str]) -> tuple[str, ...]:
    """Of the variables ``used``, those that are not ``known`` and that no environment file sets."""
    there = {*known, *(name for text in files for name, _ in parse(text))}
    return tuple(
        name
        for name in used
        if name not in there | _OF_SYSTEMD and not name.startswith(_OF_A_CLASS)
    )
