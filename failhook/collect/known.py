# SPDX-License-Identifier: MIT
"""What stays as it is until the machine is started again: found out once, kept in memory (tmpfs).

A failure waits for its evidence, and starting a program costs more than most of what it tells.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from failhook import files, places
from failhook.systemd.boot import boot_id

_MAX_BYTES = 4096


def known(
    name: str, subject: str, find_out: Callable[[], str | None], *, user: bool = False
) -> str | None:
    """What ``find_out`` said of ``subject`` in this boot, or says now; None is not kept, nor where
    failhook's directory in /run is missing or not ours to write."""
    path = places.find(user=user).run / f"known-{name}"
    about = f"{boot_id()} {subject}"
    with contextlib.suppress(OSError, ValueError):
        kept, found, value = files.read_bounded(path, _MAX_BYTES).decode().partition("\n")
        if kept == about and found:
            return value
    value_now = find_out()
    if value_now is not None:
        with contextlib.suppress(OSError):
            files.write(path, f"{about}\n{value_now}")
    return value_now
