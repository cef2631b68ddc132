# SPDX-License-Identifier: MIT
"""What the manager itself logged about a unit: failed runs, failed jobs, requested stops.

Only lines of PID 1 (or of the user manager) count: ``UNIT=`` and ``INVOCATION_ID=`` can be set by
any client of the journal, ``_PID``, ``_UID`` and ``_SYSTEMD_*`` cannot (systemd.journal-fields(7)).
Message ids are from sd-messages.h.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from failhook import proc
from failhook.systemd.exit_status import status_text

UNIT_RESULT = "d9b373ed55a64feb8242e02dbe79a49c"
PROCESS_EXIT = "98e322203f7a4ed290d09fe03c09fe15"
STOPPING = "de5b426a63be47a7b6ac3eaac82e2f6f"
RELOADING = "d34d037fff1847e6ae669a370e694725"
RELOADED = "7b05ebc668384222baa8881179cfda54"
RESTART_SCHEDULED = "5eb03494b6584870a536b337290809b3"
# Of the manager's child, exec-invoke.c, from version 254 on; it has no MESSAGE_ID either.
UNSET = "Referenced but unset environment variable evaluates to an empty string: "
START_LIMIT_TEXT = "Start request repeated too quickly"  # systemd gives it no MESSAGE_ID


@dataclass(frozen=True, slots=True)
class FailedRun:
    """One run that ended badly; ``at`` in Unix seconds."""

    invocation_id: str
    result: str
    at: float
    exit_code: str | None = None
    exit_status: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the manager about a unit."""

    at: float
    message: str
    fields: Mapping[str, str]

    def get(self, name: str) -> str | None:
        """A field of the entry."""
        return self.fields.get(name)


def manager_match(user: bool) -> str:
    """The journal match that only the manager itself can satisfy."""
    return f"_UID={os.getuid()}" if user else "_PID=1"


def lines_about(
    unit: str, boot_id: str, *, user: bool = False, matches: tuple[str, ...] = (), limit: int = 400
) -> list[Line]:
    """The manager's newest lines about ``unit`` on that boot, oldest first."""
    field = "USER_UNIT" if user else "UNIT"
    common = (f"_BOOT_ID={boot_id}", f"{field}={unit}", manager_match(user))
    done = proc.run(
        ["journalctl", "--no-pager", "-q", "-o", "json", "-n", str(limit), *common, *matches],
        timeout_s=5.0,
        max_bytes=8 << 20,
        keep="tail",
    )
    found = (line_of(line) for line in done.stdout.splitlines())
    return [line for line in found if line is not None]


def line_of(text: bytes | str) -> Line | None:
    """One line of ``journalctl -o json``; None where it is none (cut at the front)."""
    try:
        raw = json.loads(text)
        at = int(raw["__REALTIME_TIMESTAMP"]) / 1e6
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    fields = {name: word for name, value in raw.items() if (word := _text(value)) is not None}
    return Line(at, fields.get("MESSAGE", ""), fields)


def _text(value: object) -> str | None:
    """A field as text; journalctl gives one with control characters or odd bytes as an array."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(byte, int) and 0 <= byte < 256 for byte in value):
        return bytes(value).decode("utf-8", "replace")
    return None


def failed_runs(
    unit: str, boot_id: str, *, user: bool = False, limit: int = 100
) -> list[FailedRun]:
    """The newest runs of ``unit`` that systemd called failed on that boot, oldest first."""
    wanted = (f"MESSAGE_ID={UNIT_RESULT}", f"MESSAGE_ID={PROCESS_EXIT}")
    lines = lines_about(unit, boot_id, user=user, matches=wanted, limit=limit * 4)
    name = "USER_INVOCATION_ID" if user else "INVOCATION_ID"
    endings: dict[str, Line] = {}
    runs: dict[str, FailedRun] = {}
    for line in lines:
        run = line.get(name)
        if run is None:
            continue
        if line.get("MESSAGE_ID") == PROCESS_EXIT:
            if line.get("COMMAND") == "ExecStart":
                endings[run] = line
            continue
        ending = endings.get(run)
        runs[run] = FailedRun(
            invocation_id=run,
            result=line.get("UNIT_RESULT") or "",
            at=line.at,
            exit_code=ending.get("EXIT_CODE") if ending else None,
            exit_status=_status(ending) if ending else None,
        )
    return list(runs.values())[-limit:]


def ran_as(unit: str, boot_id: str, invocation_id: str, uid: int) -> bool:
    """Did a process of this uid log anything in this run? journald itself adds these fields."""
    proc.run(["journalctl", "--sync"], timeout_s=2.0)
    run = (f"_SYSTEMD_UNIT={unit}", f"_SYSTEMD_INVOCATION_ID={invocation_id}", f"_UID={uid}")
    done = proc.run(
        ["journalctl", "--no-pager", "-q", "-n", "1", "-o", "cat", f"_BOOT_ID={boot_id}", *run],
        timeout_s=5.0,
    )
    return bool(done.stdout)


def _status(line: Line) -> str | None:
    """EXIT_STATUS as ExecStopPost= would have it; the journal has the bare number."""
    number = line.get("EXIT_STATUS") or ""
    return status_text(line.get("EXIT_CODE"), int(number)) if number.isdigit() else None
