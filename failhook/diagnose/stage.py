# SPDX-License-Identifier: MIT
"""The diagnosis as a stage of the pipeline: what it is given, what it gives, and its process.

Imports nothing of the causes: only the process that looks for them does, while others collect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from failhook.collector import Collector, Context, Sink
from failhook.config.custom_cause import CustomCause
from failhook.incident import Incident

TIMEOUT_S = 4.0
# The collectors of what it looks at.
SOURCES = ("journal", "unit", "failed", "system", "kernel", "coredump", "cgroup", "logs")
CHANGES = "changes.json"
FACTS = "checks/facts.json"
VERDICT = "verdict.json"
VERDICT_PLUGINS = "verdict-plugins.json"
# The items that a verdict looks at: what else is in a bundle is for people.
_WANTED = (
    "journal/journal.json", "journal/journal.txt", "journal/lost.txt", "journal/before.txt",
    "unit/show.txt", "unit/cat.txt", "unit/dependencies.txt", "unit/required.json",
    "kernel/kernel.txt", "system/system.json", "failed/units.txt",
    CHANGES, FACTS, VERDICT, VERDICT_PLUGINS,
)  # fmt: skip
_WANTED_BELOW = ("cgroup/", "logs/", "output/", "coredump/")


@dataclass(frozen=True, slots=True)
class Own:
    """What the administrator adds to the built-in causes."""

    causes: Sequence[CustomCause] = ()
    plugins: Sequence[Path] = ()


def is_wanted(item: str) -> bool:
    """Is this item of a bundle one that a verdict looks at, or the verdict?"""
    return item in _WANTED or item.startswith(_WANTED_BELOW)


def collector(incident: Incident, items: Mapping[str, bytes], own: Own) -> Collector:
    """The stage as a collector: one that hangs or crashes costs the cause alone."""
    return Collector(
        "diagnose",
        "why it failed",
        partial(_collect, incident, items, own),
        TIMEOUT_S,
        shares_process=not own.plugins,  # which may do anything to their process
    )


def warm() -> None:
    """Import the causes."""
    from failhook.diagnose import engine  # noqa: F401


def _collect(
    incident: Incident, items: Mapping[str, bytes], own: Own, context: Context, sink: Sink
) -> None:
    from failhook.diagnose import engine

    set_there = context.unit.get("Environment") or ""
    engine.examine(incident, items, sink, user=context.user, own=own, environment=set_there)
