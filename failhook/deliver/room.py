# SPDX-License-Identifier: MIT
"""A disk without room: what it is, and what is said of it. Pure.

Who delivers needs room after each try, to write down what became of it. Where there is none,
nothing else is tried at that destination until there is: what was delivered would be delivered
again, and again, only because nobody could remember it.
"""

from __future__ import annotations

import errno
from pathlib import Path

AGAIN_S = 5.0  # until somebody looks whether there is room
_LACK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def is_lack(error: OSError) -> bool:
    """Whether it is about room (full, over quota, read-only), and so will pass."""
    return error.errno in _LACK


def told(error: OSError, directory: Path) -> str:
    """What has to wait, why, and the remedy; ``directory`` is where the room is missing."""
    reason = error.strerror or str(error)
    return (
        f"cannot write in {directory} ({reason}): what is to be delivered waits and is not lost; "
        "free some space there, or: failhook prune"
    )
