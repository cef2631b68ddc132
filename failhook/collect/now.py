# SPDX-License-Identifier: MIT
"""Is what can be seen now still what the incident speaks of?"""

from __future__ import annotations

from failhook.collector import Context, Skipped
from failhook.systemd.boot import boot_id


def of_this_boot(context: Context) -> bool:
    """Whether the run failed since this machine was started last."""
    return context.incident.boot_id.replace("-", "") == boot_id()


def need_this_boot(context: Context) -> None:
    """Raise Skipped where the state of now says nothing about the failure."""
    if not of_this_boot(context):
        raise Skipped("the run failed on an earlier boot: the state of now says nothing about it")
