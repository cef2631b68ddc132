# SPDX-License-Identifier: MIT
"""Runs inside a bed: collects for a unit and prints as JSON what came. Arguments: UNIT [--user]."""

import base64
import dataclasses
import json
import sys
import time
from datetime import UTC, datetime

from failhook.collect import table
from failhook.collector import Context
from failhook.gather.stage import gather
from failhook.incident import Incident, Process
from failhook.systemd import unit as units
from failhook.systemd.boot import boot_id
from failhook.systemd.unit import UnitState

_CODES = {"1": "exited", "2": "killed", "3": "dumped"}


def _time(state: UnitState, key: str) -> float | None:
    text = state.get(key)
    if text is None or "." not in text:
        return None
    return datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC).timestamp()


def _context(unit: str, user: bool) -> Context:
    state = units.show(unit, user=user)
    now = time.time()
    incident = Incident(
        id="x",
        host="bed",
        boot_id=boot_id(),
        unit=unit,
        first_seen=now,
        last_seen=now,
        invocation_id=state.get("InvocationID"),
        result=state.get("Result"),
        exit_code=_CODES.get(state.get("ExecMainCode") or ""),
        exit_status=state.get("ExecMainStatus"),
        main=Process(
            state.number("ExecMainPID") or None,
            _time(state, "ExecMainStartTimestamp"),
            _time(state, "ExecMainExitTimestamp"),
        ),
    )
    return Context(incident, state, user=user)


def main() -> None:
    """Collect and print."""
    context = _context(sys.argv[1], "--user" in sys.argv)
    gathered = {
        one.evidence.name: {
            "evidence": dataclasses.asdict(one.evidence),
            "items": {item.path: base64.b64encode(item.data).decode() for item in one.items},
        }
        for one in gather(context, table.load(), lambda data, _: (data, {}))
    }
    print(json.dumps(gathered))


if __name__ == "__main__":
    main()
