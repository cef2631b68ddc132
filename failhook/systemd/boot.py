# SPDX-License-Identifier: MIT
"""Which boot is this, as the manager and its journal call it?

A container manager gives its container a boot id of its own by mounting over the kernel's file, and
systemd before 253 gives a unit with ProtectKernelTunables=, ProtectControlGroups= or ProtectProc= a
fresh /proc, which does not have that mount. So the manager's own view is asked first; and what a
hook in a sandbox read is replaced by it when the trigger is taken from this boot's spool.
"""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

_FILE = "proc/sys/kernel/random/boot_id"


@cache
def boot_id() -> str:
    """The id of this boot (random(4), sd_id128_get_boot(3)), 32 hex digits."""
    for root in ("/proc/1/root", "/"):
        try:
            return (Path(root) / _FILE).read_text(encoding="ascii").strip().replace("-", "")
        except OSError:
            continue
    return "0" * 32


def up_s() -> float:
    """How long the manager has been running, in seconds: a container is younger than its machine.

    From the start time of PID 1, field 22 of proc(5).
    """
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    try:
        fields = Path("/proc/1/stat").read_bytes().rpartition(b")")[2].split()
        return max(0.0, now - int(fields[19]) / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return now
