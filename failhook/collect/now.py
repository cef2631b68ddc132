# SPDX-License-Identifier: MIT
"""Is what can be seen now still what the incident speaks of?"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from failhook.plugin import Context, Skipped


@cache
def boot_id() -> str:
    """The running kernel's, 32 hex digits."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")


def of_this_boot(context: Context) -> bool:
    """Whether the run failed since this machine was started last."""
    return context.incident.boot_id.replace("-", "") == boot_id()


def need_this_boot(context: Context) -> None:
    """Raise Skipped where the state of now says nothing about the failure."""
    if not of_this_boot(context):
        raise Skipped("the run failed on an earlier boot: the state of now says nothing about it")
