# SPDX-License-Identifier: MIT
"""Did a boot end in an orderly way? Judged by the last lines of its journal."""

from __future__ import annotations

from collections.abc import Sequence

from failhook.systemd import journal
from failhook.systemd.export import Entry

_ENDINGS = ("Journal stopped", "Shutting down.", "Rebooting.", "Powering off.")
_TARGETS = ("shutdown.target", "reboot.target", "poweroff.target", "halt.target", "kexec.target")


def orderly(entries: Sequence[Entry]) -> bool:
    """Whether the last lines of a boot speak of a shutdown; by somebody who can know."""
    for entry in entries:
        if entry.text("_UID") not in ("0", "") or entry.text("_TRANSPORT") == "stdout":
            continue
        if entry.text("MESSAGE_ID") in (journal.JOURNAL_STOPPED, journal.SHUTDOWN):
            return True
        if entry.text("UNIT") in _TARGETS and entry.text("JOB_RESULT") == "done":
            return True
        if entry.text("MESSAGE") in _ENDINGS:
            return True
    return False
