# SPDX-License-Identifier: MIT
"""This boot, and whether the one before it ended in an orderly way.

A failure soon after a crash of the machine is often its consequence. The previous boot is not
looked at when the machine has been up for long: it explains nothing then, and finding it costs.
"""

from __future__ import annotations

import time
from pathlib import Path

from failhook import document
from failhook.collect.known import known
from failhook.collector import Collector, Context, Sink
from failhook.systemd import journal, shutdown
from failhook.systemd.boot import boot_id
from failhook.systemd.export import Entry
from failhook.systemd.journal import Query

_OLD_S = 7 * 86400.0
_LINES = 60
_READ_S = 2.0
_NOT_THERE = "not in the journal"
_FLUSHED = Path("/run/systemd/journal/flushed")  # systemd-journald.service(8)


def collect(context: Context, sink: Sink) -> None:
    """The facts of this boot; the end of the previous one where it was not orderly."""
    started = _started()
    facts: dict[str, object] = {
        "boot_id": boot_id(),
        "incident_boot_id": context.incident.boot_id,
        "started": round(started, 1),
        "uptime_s": round(time.time() - started, 1),
        "command_line": Path("/proc/cmdline").read_text("utf-8", "replace").strip(),
        "previous": "not looked at",
    }
    previous = _Previous()
    if time.time() - started >= _OLD_S:
        facts["previous"] = "not looked at: this boot is older than a week"
    elif not context.user:
        facts["previous"] = known("previous-boot", "", previous.look) or previous.told
    sink.put("boot/boot.txt", _text(facts, started))
    sink.put("boot/boot.json", document.text(facts))
    if previous.lines:
        sink.put("boot/previous.txt", "".join(journal.to_text(entry) for entry in previous.lines))


class _Previous:
    """The end of the previous boot: ``told`` in a sentence; ``lines`` where it was not orderly."""

    def __init__(self) -> None:
        self.told = ""
        self.lines: tuple[Entry, ...] = ()

    def look(self) -> str | None:
        """What will be told of it at every failure of this boot; None where that is more than a
        sentence, or may be another one once the journal is on disk."""
        query = Query((), boot="-1", max_entries=_LINES)
        reading = journal.ask(query, timeout_s=_READ_S, max_bytes=1 << 20)
        self.told = _verdict(reading.entries, reading.problem)
        if reading.entries and not shutdown.orderly(reading.entries):
            self.lines = reading.entries
            return None
        is_final = bool(reading.entries) or (self.told == _NOT_THERE and _FLUSHED.exists())
        return self.told if is_final else None


def _started() -> float:
    for line in Path("/proc/stat").read_text("ascii", "replace").splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    return 0.0


def _verdict(entries: tuple[Entry, ...], problem: str | None) -> str:
    if not entries:
        unknown = problem is None or "boot" in problem  # "No journal boot entry found", "-1"
        return _NOT_THERE if unknown else f"not known: {problem}"
    last = journal.stamp(entries[-1].realtime)
    if shutdown.orderly(entries):
        return f"ended in an orderly way, last line {last}"
    return f"ended without a shutdown (crash, power cut, reset?), last line {last}"


def _text(facts: dict[str, object], started: float) -> str:
    shown = {**facts, "started": journal.stamp(started)}
    return "".join(
        f"{name.replace('_', ' '):17} {journal.visible(str(it))}\n" for name, it in shown.items()
    )


COLLECTOR = Collector(
    "boot", "this boot, and how the previous one ended", collect, timeout_s=5.0, max_bytes=256 << 10
)
