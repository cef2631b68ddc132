# SPDX-License-Identifier: MIT
"""A worker that is forked before its runner knows what for: both then import side by side.

A cold runner spends more time on imports than on anything else, and there is a second processor on
most machines. So this module imports next to nothing.
"""

from __future__ import annotations

import os
import socket
import sys

Recruit = tuple[int, socket.socket]  # a process that waits, and our end of the channel to it


def recruit(*, user: bool) -> Recruit | None:
    """Fork one; None where that is not possible. Call it before anything large is imported, and
    before there is a second thread."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        pid = os.fork()
    except OSError:  # the runner tries again when there is work, and says so
        ours.close()
        theirs.close()
        return None
    if pid == 0:
        try:
            ours.close()
            _become_worker(theirs, user=user)
        finally:
            os._exit(1)
    theirs.close()
    return pid, ours


def _become_worker(channel: socket.socket, *, user: bool) -> None:
    from failhook import journal_lines, places, staff
    from failhook.config import load

    journal_lines.prepare(sys.stderr)
    found = places.find(user=user)
    staff.serve(found, load.load(found), channel)
