# SPDX-License-Identifier: MIT
"""What the tests of collectors share: an incident, a sink that keeps, programs that answer."""

import contextlib
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from failhook.collector import Collector, Context, Skipped
from failhook.gather.sink import CollectorSink
from failhook.incident import Incident, Process
from failhook.item import Item
from failhook.systemd.boot import boot_id
from failhook.systemd.unit import UnitState

DATA = Path(__file__).parents[2] / "data"
VERSIONS = ("252", "257")
RUN = "9f2bd3c62e824037964d92a76fbc569c"
BASE = Incident(
    id="x",
    host="h",
    boot_id=boot_id(),
    unit="talker.service",
    first_seen=1795301107.1,
    last_seen=1795301107.1,
    invocation_id=RUN,
    result="exit-code",
    exit_code="exited",
    exit_status="7",
    main=Process(2007, 1795301106.9, 1795301107.0),
)


def context(
    incident: Incident = BASE,
    properties: Mapping[str, str] | None = None,
    *,
    user: bool = False,
) -> Context:
    """A context for ``incident``."""
    return Context(incident, UnitState(incident.unit, dict(properties or {})), user=user)


@dataclass(slots=True)
class Gave:
    """What a collector gave."""

    items: dict[str, Item] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    skipped: str | None = None

    def text(self, path: str) -> str:
        """An item, decoded."""
        return self.items[path].data.decode()


def run(collector: Collector, given: Context) -> Gave:
    """Run ``collector`` in this process, with its own limit and no masking."""
    gave = Gave()

    def keep(item: Item) -> None:
        assert item.path not in gave.items
        gave.items[item.path] = item

    sink = CollectorSink(
        collector.name, collector.max_bytes, lambda data, _: (data, {}), keep, gave.problems.append
    )
    try:
        collector.collect(given, sink)
    except Skipped as skipped:
        gave.skipped = str(skipped)
    return gave


class Programs:
    """A directory of fake programs, found before the real ones."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "calls.log"

    def add(self, name: str, script: str) -> None:
        """A program that logs its arguments and then does what ``script`` (sh) says."""
        path = self.directory / name
        log = shlex.quote(str(self.log))
        path.write_text(f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >>{log}\n{script}\n')
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        """The command lines so far."""
        with contextlib.suppress(FileNotFoundError):
            return self.log.read_text().splitlines()
        return []

    def path(self, fallback: str) -> str:
        """The search path with these first."""
        return f"{self.directory}{os.pathsep}{fallback}"
