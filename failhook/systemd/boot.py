# SPDX-License-Identifier: MIT
"""Which boot is this, as the manager and its journal call it?

A container manager gives its container a boot id of its own by mounting over the kernel's file, and
systemd before 253 gives a unit with ProtectKernelTunables=, ProtectControlGroups= or ProtectProc= a
fresh /proc, which does not have that mount. So the manager's own view is asked first; and what a
hook in a sandbox read is replaced by it when the trigger is taken from this boot's spool.
"""

from __future__ import annotations

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
