# SPDX-License-Identifier: MIT
"""An incident as ``FAILHOOK_*`` variables, for programs that do not want to read JSON.

Pure. What is unknown is empty, never missing, so that a script under ``set -u`` works. Values have
no control characters: they come from journals and unit names, and end up in shells and logs.
"""

from __future__ import annotations

import re

from failhook.incident import Incident

_MAX = 4096
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\udc80-\udcff]")


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


def plain(value: object) -> str:
    """One line of printable text."""
    return "" if value is None else _CONTROL.sub(" ", str(value))[:_MAX]
