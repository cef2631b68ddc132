# SPDX-License-Identifier: MIT
"""Incidents and spool records for tests, as systemd's calls would give them."""

import hashlib
import json
from dataclasses import replace
from typing import Any

from failhook.incident import Incident, Stage, incident_id
from failhook.systemd.boot import boot_id

AT = 1795297777.25  # Sat 2026-11-21 21:49:37 UTC


def run_id(number: int) -> str:
    """An invocation id."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:32]


def incident(number: int = 1, **changes: Any) -> Incident:
    """A failed run of a.service, done and an hour after the one before it."""
    unit = changes.get("unit", "a.service")
    boot = changes.get("boot_id", boot_id())
    plain = Incident(
        id=incident_id(boot, unit, run_id(number)),
        host="h",
        boot_id=boot,
        unit=unit,
        first_seen=AT + number * 3600,
        last_seen=AT + number * 3600,
        invocation_id=run_id(number),
        result="exit-code",
        exit_code="exited",
        exit_status="3",
        stage=Stage.DONE,
    )
    return replace(plain, **changes)


def record(unit: str = "a.service", number: int = 1, **changes: Any) -> dict[str, Any]:
    """What the hook writes into the spool for a failed run."""
    written: dict[str, Any] = {
        "schema": 1,
        "kind": "stop-post",
        "unit": unit,
        "manager": "system",
        "boot_id": boot_id(),
        "realtime": AT + number,
        "monotonic": 1.0,
        "uid": 0,
        "pid": 7,
        "env": {
            "SERVICE_RESULT": "exit-code",
            "EXIT_CODE": "exited",
            "EXIT_STATUS": "3",
            "INVOCATION_ID": run_id(number),
        },
    }
    return written | changes


def spooled(unit: str = "a.service", number: int = 1, **changes: Any) -> bytes:
    """`record`, as the file's content."""
    return json.dumps(record(unit, number, **changes)).encode()
