# SPDX-License-Identifier: MIT
"""The built-in collectors by name, in the order in which they start.

First what matters most and what takes long.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from importlib import import_module

from failhook.collect.command import CommandOptions
from failhook.collect.command import make as make_command
from failhook.collect.files import FilesOptions
from failhook.collect.files import make as make_files
from failhook.collector import Collector
from failhook.config.model import CustomCollector

_MODULES = {
    "journal": "failhook.collect.journal",
    "unit": "failhook.collect.unit",
    "failed": "failhook.collect.failed",
    "system": "failhook.collect.system",
    "kernel": "failhook.collect.kernel",
    "coredump": "failhook.collect.coredump",
    "cgroup": "failhook.collect.cgroup",
    "logs": "failhook.collect.logs",
    # Those at which a verdict does not look: it is looked for meanwhile.
    "processes": "failhook.collect.processes",
    "boot": "failhook.collect.boot",
}
NAMES = tuple(_MODULES)


def load(names: Iterable[str] = NAMES) -> list[Collector]:
    """The built-in collectors of these names, in the table's order. Raises KeyError."""
    wanted = set(names)
    if unknown := wanted - set(NAMES):
        raise KeyError(f"no such collector: {', '.join(sorted(unknown))}")
    return [_built_in(name) for name in NAMES if name in wanted]


@cache
def _built_in(name: str) -> Collector:
    made: Collector = import_module(_MODULES[name]).COLLECTOR
    return replace(made, shares_process=True)


def make(name: str, kind: str, options: CustomCollector) -> Collector:
    """A configured collector; ``kind`` is "files" or "command". Raises ValueError."""
    if kind == "files":
        files = FilesOptions(options.paths, options.max_bytes, options.timeout_s)
        return make_files(name, files)
    if kind == "command":
        command = CommandOptions(options.argv, options.max_bytes, options.timeout_s)
        return make_command(name, command)
    raise ValueError(f'{kind!r} is not a kind of collector ("files" or "command")')


def warm() -> None:
    """Import once what collectors would import each in a process of its own: some 15 ms of CPU."""
    import ctypes  # noqa: F401
    import threading  # noqa: F401

    import psutil  # noqa: F401

    load()
