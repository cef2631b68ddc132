# SPDX-License-Identifier: MIT
"""Which journal entries about cores are systemd-coredump's own.

Its fields (COREDUMP_UNIT=, COREDUMP_PID=) have no protection: any client of the journal may set
them. The sender is what counts: systemd-coredump logs from its own unit, after it has given up root
(uid of ``systemd-coredump``, or of the crashed process), and may be gone before journald has looked
up its unit.
"""

from __future__ import annotations

import pwd
from functools import cache

from failhook.systemd.export import Entry


def is_trusted(entry: Entry) -> bool:
    """Whether an entry with COREDUMP_* fields comes from systemd-coredump or from root."""
    if entry.text("_SYSTEMD_UNIT"):
        return entry.text("_SYSTEMD_UNIT").startswith("systemd-coredump@")
    return entry.text("_UID") in ("0", _own_uid())


@cache
def _own_uid() -> str:
    try:
        return str(pwd.getpwnam("systemd-coredump").pw_uid)
    except KeyError:
        return "0"
