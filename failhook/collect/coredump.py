# SPDX-License-Identifier: MIT
"""Where the core of this run is, and the backtrace that systemd-coredump made of it.

The core itself stays where it is: it is large, and it is the process's memory with every secret in
it. The entry in the journal has all that is known; it may come after systemd has said that the unit
failed, hence the second look.
"""

from __future__ import annotations

import time
from pathlib import Path

from failhook import document, proc
from failhook.collector import Collector, Context, Sink, Skipped
from failhook.systemd import cores, journal
from failhook.systemd.export import Entry
from failhook.systemd.journal import Query

_RESULTS = ("core-dump", "signal", "watchdog")
_PATTERN = Path("/proc/sys/kernel/core_pattern")
_LATE_S = 2.0
_AGAIN_S = 0.25
_MARGIN_S = 2.0
_FACTS = (
    "COREDUMP_PID",
    "COREDUMP_TID",
    "COREDUMP_COMM",
    "COREDUMP_EXE",
    "COREDUMP_CMDLINE",
    "COREDUMP_CWD",
    "COREDUMP_SIGNAL",
    "COREDUMP_SIGNAL_NAME",
    "COREDUMP_UID",
    "COREDUMP_GID",
    "COREDUMP_RLIMIT",
    "COREDUMP_TIMESTAMP",
    "COREDUMP_FILENAME",
    "COREDUMP_TRUNCATED",
    "COREDUMP_PACKAGE_NAME",
    "COREDUMP_PACKAGE_VERSION",
)


def collect(context: Context, sink: Sink) -> None:
    """The facts of each core of the run, and its backtrace."""
    incident = context.incident
    dumped = incident.exit_code == "dumped" or incident.result == "core-dump"
    if not dumped and incident.result not in _RESULTS:
        raise Skipped("no process of the run was ended by a signal")
    entries = _entries(context)
    until = time.monotonic() + _LATE_S
    while not entries and dumped and _handler() and time.monotonic() < until:
        time.sleep(_AGAIN_S)
        entries = _entries(context)
    if not entries:
        raise Skipped(_why_none(dumped))
    for number, entry in enumerate(entries, 1):
        name = "coredump/core" if len(entries) == 1 else f"coredump/core-{number}"
        _put(sink, name, entry)


def _entries(context: Context) -> list[Entry]:
    """The cores of this run. No invocation id is in them: process id or time must fit."""
    incident = context.incident
    field = "COREDUMP_USER_UNIT" if context.user else "COREDUMP_UNIT"
    boot = f"_BOOT_ID={incident.boot_id.replace('-', '')}"
    query = Query((f"MESSAGE_ID={journal.COREDUMP}", f"{field}={incident.unit}", boot))
    found = journal.ask(query).entries
    started = (incident.main.started or incident.first_seen) - _MARGIN_S
    pid = str(incident.main.pid)
    of_the_run = [e for e in found if e.text("COREDUMP_PID") == pid or e.realtime >= started]
    return [entry for entry in of_the_run if cores.is_trusted(entry)][-5:]


def _put(sink: Sink, name: str, entry: Entry) -> None:
    facts: dict[str, object] = {
        field.removeprefix("COREDUMP_").lower(): entry.text(field)
        for field in _FACTS
        if field in entry.fields
    }
    stored = entry.text("COREDUMP_FILENAME")
    if stored:
        try:
            facts["bytes"], facts["present"] = Path(stored).stat().st_size, True
        except OSError as error:
            facts["present"] = not isinstance(error, FileNotFoundError)
    else:
        facts["present"] = "COREDUMP" in entry.fields  # Storage=journal
    sink.put(f"{name}.json", document.text(facts))
    lines = "".join(f"{key:16} {journal.visible(str(value))}\n" for key, value in facts.items())
    message = "\n".join(journal.visible(line) for line in entry.text("MESSAGE").split("\n"))
    sink.put(f"{name}.txt", f"{lines}\n{message}\n")


def _handler() -> bool:
    """Does systemd-coredump take the cores of this machine?"""
    return "systemd-coredump" in _pattern()


def _pattern() -> str:
    try:
        return _PATTERN.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _why_none(dumped: bool) -> str:
    pattern = _pattern()
    if not _handler():
        installed = proc.find("coredumpctl") is not None
        missing = "" if installed else "; the package systemd-coredump is not installed"
        return f"cores do not go to systemd-coredump but to {pattern or '?'!r}{missing}"
    return "systemd-coredump has no core of this run" + ("" if dumped else " (none was made)")


COLLECTOR = Collector(
    "coredump", "where the core is, and its backtrace", collect, timeout_s=8.0, max_bytes=1 << 20
)
