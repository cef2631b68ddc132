# SPDX-License-Identifier: MIT
"""Runs inside a bed: does one action about a unit and prints its outcome as JSON.

Reads {"action": …, "options": {…}, "unit": …, "incident": {…}, "request": {…}} from standard input;
the incident is that of the unit as systemd shows it now, but for what is given of it.
"""

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

from failhook import testing
from failhook.actions import table
from failhook.classify import timestamp
from failhook.incident import Incident, Phase, State
from failhook.systemd import jobs
from failhook.systemd import unit as units
from failhook.systemd.boot import boot_id
from failhook.systemd.jobs import Watch

LISTENS = Path("/run/action-driver-listens")
_PATHS = ("bundle", "state")


def _incident(unit: str, changes: dict[str, Any], user: bool) -> Incident:
    state = units.show(unit, user=user)
    now = time.time()
    for name, kind in (("phase", Phase), ("state", State)):
        if name in changes:
            changes[name] = kind(changes[name])
    if "actions" in changes:
        changes["actions"] = tuple(changes["actions"])
    ended = timestamp(state.get("ExecMainExitTimestamp")) or now - 0.5
    base = testing.incident(
        unit=unit,
        boot_id=boot_id(),
        invocation_id=state.get("InvocationID"),
        result=state.get("Result"),
        first_seen=ended,
        last_seen=now,
        manager="user" if user else "system",
        main=dataclasses.replace(testing.incident().main, exited=ended),
    )
    return dataclasses.replace(base, **changes)


def _tell_when_it_listens() -> None:
    """So that a test can act while the action waits."""
    listen = jobs.watch

    def watch(*, user: bool = False, path: str | None = None) -> Watch:
        found = listen(user=user, path=path)
        LISTENS.touch()
        return found

    jobs.watch = watch


def main() -> None:
    """Do it and print how it went."""
    order = json.load(sys.stdin)
    fields = order.get("request", {})
    for name in _PATHS:
        if name in fields:
            fields[name] = Path(fields[name])
    if "state" in fields:
        fields["state"].mkdir(parents=True, exist_ok=True)
    if LISTENS.parent.stat().st_uid == 0 and not fields.get("user"):
        LISTENS.unlink(missing_ok=True)
        _tell_when_it_listens()
    incident = _incident(order["unit"], order.get("incident", {}), fields.get("user", False))
    action = table.load(order["action"])
    outcome = testing.run(action, order.get("options", {}), incident=incident, **fields)
    print(json.dumps(dataclasses.asdict(outcome)))


if __name__ == "__main__":
    main()
