# SPDX-License-Identifier: MIT
"""What changed, as a collector: nothing at all of a unit that was never seen running well.

Imports little: only the process that compares imports the rest.
"""

from __future__ import annotations

import time
from collections.abc import Container
from functools import partial

from failhook import document
from failhook.changes.keep import Keep
from failhook.collector import Collector, Context, Sink
from failhook.diagnose.stage import CHANGES
from failhook.incident import JsonObject, rfc3339
from failhook.places import Places

NAME = "changes"
SUMMARY = "what changed since the unit last ran well"
TIMEOUT_S = 1.0
_LOOK_S = 0.5
_PACKAGES_S = 0.4


def collectors(places: Places, unit: str, skip: Container[str] = ()) -> list[Collector]:
    """The collector, where there is something to compare ``unit`` with."""
    if NAME in skip or not Keep(places).path(unit).exists():
        return []
    return [collector(places)]


def collector(places: Places) -> Collector:
    """The collector of a failhook that keeps its fingerprints in ``places``."""
    return Collector(NAME, SUMMARY, partial(_collect, places), TIMEOUT_S, shares_process=True)


def _collect(places: Places, context: Context, sink: Sink) -> None:
    from failhook.changes import packages
    from failhook.changes.compare import Times, compare
    from failhook.changes.take import Machine, again

    keep = Keep(places)
    before = keep.load(context.incident.unit)
    if before is None:
        sink.problem("the fingerprint of the unit is damaged and will be replaced")
        return
    machine = Machine(
        key=keep.key(),
        until=time.monotonic() + _LOOK_S,
        packages=packages.manager(limit_s=_PACKAGES_S),
        system=not context.user,
    )
    now = again(context.unit, machine, before, now=context.incident.first_seen)
    if time.monotonic() > machine.until:
        sink.problem(f"not all files could be looked at within {_LOOK_S:g} s")
    if before.packages and not now.packages:
        sink.problem("the versions of packages could not be read")
    differing = [name for name, one in now.packages.items() if one != before.packages.get(name)]
    times = Times(machine.packages.times(differing), _booted())
    changes = compare(before, now, times)
    found: JsonObject = {
        "last_well": rfc3339(before.seen),
        "changes": [
            {"what": one.what, "before": one.before, "after": one.after, "at": rfc3339(one.at)}
            for one in changes
        ],
    }
    sink.put(CHANGES, document.text(found, ascii_only=False))


def _booted() -> float | None:
    """When this boot began (proc(5), "btime")."""
    try:
        with open("/proc/stat", "rb") as file:
            for line in file:
                if line.startswith(b"btime "):
                    return float(line.split()[1])
    except (OSError, ValueError):
        pass
    return None
