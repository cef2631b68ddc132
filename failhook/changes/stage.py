# SPDX-License-Identifier: MIT
"""What changed, as a collector: nothing at all of a unit that was never seen running well.

Imports little: only the process that compares imports the rest.
"""

from __future__ import annotations

import json
import time
from functools import partial

from failhook.changes.keep import Keep
from failhook.incident import JsonObject, rfc3339
from failhook.places import Places
from failhook.plugin import Collector, Context, Sink

ITEM = "changes.json"
TIMEOUT_S = 3.0
_LOOK_S = 2.0


def collectors(places: Places, unit: str) -> list[Collector]:
    """The collector, where there is something to compare ``unit`` with."""
    if not Keep(places).path(unit).exists():
        return []
    what = "what changed since the unit last ran well"
    compare = partial(_collect, places)
    return [Collector("changes", what, compare, TIMEOUT_S, shares_process=True)]


def _collect(places: Places, context: Context, sink: Sink) -> None:
    from failhook.changes.compare import Times, compare
    from failhook.changes.take import Machine, again

    keep = Keep(places)
    before = keep.load(context.incident.unit)
    if before is None:
        sink.problem("the fingerprint of the unit is damaged and will be replaced")
        return
    machine = Machine(key=keep.key(), until=time.monotonic() + _LOOK_S, system=not context.user)
    now = again(context.unit, machine, before, now=context.incident.first_seen)
    differing = [name for name, one in now.packages.items() if one != before.packages.get(name)]
    times = Times(machine.packages.times(differing), _booted())
    changes = compare(before, now, times)
    document: JsonObject = {
        "last_well": rfc3339(before.seen),
        "changes": [
            {"what": one.what, "before": one.before, "after": one.after, "at": rfc3339(one.at)}
            for one in changes
        ],
    }
    sink.put(ITEM, json.dumps(document, ensure_ascii=False, indent=1) + "\n")


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
