# SPDX-License-Identifier: MIT
"""Which variables has a unit's environment? Their names only: values may be secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable

from failhook.mask.quoting import split_words

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
_OF_A_CLASS = ("MONITOR_", "TRIGGER_", "XDG_", "DBUS_", "LC_")
_SETS = re.compile(r"^\s{0,40}(?:export\s{1,8})?(?P<name>[A-Za-z_]\w{0,200})=", re.MULTILINE)


def names_set(environment: str, passed: str) -> tuple[str, ...]:
    """The names that ``Environment=`` and ``PassEnvironment=`` have; of values nothing is kept."""
    words = split_words(environment) or []
    return tuple(dict.fromkeys([*(word.partition("=")[0] for word in words), *passed.split()]))


def unset(used: Iterable[str], known: Iterable[str], files: Iterable[str]) -> tuple[str, ...]:
    """Of the variables ``used``, those that are not ``known`` and that no environment file sets."""
    there = {*known, *(match["name"] for text in files for match in _SETS.finditer(text))}
    return tuple(
        name
        for name in used
        if name not in there | _OF_SYSTEMD and not name.startswith(_OF_A_CLASS)
    )
