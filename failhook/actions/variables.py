# SPDX-License-Identifier: MIT
"""An incident as ``FAILHOOK_*`` variables, for programs that do not want to read JSON.

Pure. The one table for all that get them: `command`, executables as plugins, and, as fields of the
journal, `journal`. What is unknown is empty, never missing, so that a script under ``set -u``
works. Values are one line without control characters and can be encoded: they come from journals
and unit names, and end up in shells and logs.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from failhook.action import Request
from failhook.incident import Incident

DRY_RUN = "FAILHOOK_DRY_RUN"
_MAX = 4096  # characters; execve(2) refuses a variable of more than 128 KiB
# Line and paragraph separators end a line for some readers; a lone surrogate is no text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def of(incident: Incident) -> dict[str, str]:
    """The variables of ``incident``."""
    verdict = incident.verdict
    fields: dict[str, object] = {
        "ID": incident.id,
        "UNIT": incident.unit,
        "MANAGER": incident.manager,
        "HOST": incident.host,
        "BOOT_ID": incident.boot_id,
        "INVOCATION_ID": incident.invocation_id,
        "RESULT": incident.result,
        "EXIT_CODE": incident.exit_code,
        "EXIT_STATUS": incident.exit_status,
        "EXIT_STATUS_NAME": incident.exit_status_name,
        "PHASE": incident.phase,
        "STATE": incident.state,
        "COUNT": incident.count,
        "SIGNATURE": incident.signature,
        "SUMMARY": verdict.summary if verdict else f"{incident.unit} failed",
        "CAUSE": verdict.cause if verdict else None,
        "ADVICE": verdict.advice if verdict else None,
    }
    return {f"FAILHOOK_{name}": plain(value) for name, value in fields.items()}


def of_request(
    request: Request[Any], *, bundle: Path | str | None, state: Path | None = None
) -> dict[str, str]:
    """Those of its incident, and what is wanted. ``bundle`` and ``state`` are as the program sees
    them, for it may be in a sandbox."""
    asked: dict[str, object] = {
        "FAILHOOK_ACTION": request.name,
        "FAILHOOK_REQUEST_ID": request.id,
        "FAILHOOK_ATTEMPT": request.attempt,
        "FAILHOOK_EVENT": request.message.event if request.message else None,
        "FAILHOOK_BUNDLE": bundle,
        "FAILHOOK_STATE_DIRECTORY": state,
        DRY_RUN: "1" if request.dry_run else "",
    }
    return of(request.incident) | {name: plain(value) for name, value in asked.items()}


def plain(value: object) -> str:
    """One line of printable text."""
    return "" if value is None else _CONTROL.sub(" ", str(value))[:_MAX]
