# SPDX-License-Identifier: MIT
"""What an action knows of a thread from one message to the next: an issue's number, labels sent.

One JSON file in the action's own directory. Losing it costs a second issue or a new thread in a
chat, no message: so a damaged one is begun anew.
"""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

from failhook import files
from failhook.incident import JsonObject

MOST = 2000  # threads; those that nothing was heard of for the longest time go
_NAME = "threads.json"
_MAX = 8 << 20


class Memory:
    """Of one action. Without a directory nothing is kept."""

    def __init__(self, directory: Path | None) -> None:
        self._path = directory / _NAME if directory is not None else None

    def get(self, thread: str) -> JsonObject:
        """What is known of a thread; empty where that is nothing."""
        found = self._all().get(thread, {}).get("known", {})
        return found if isinstance(found, dict) else {}

    def put(self, thread: str, known: JsonObject) -> None:
        """Keep it; nothing known is forgotten. Raises OSError."""
        threads = self._all()
        threads.pop(thread, None)
        if known:
            threads[thread] = {"at": time.time(), "known": known}
        if self._path is not None:
            newest = dict(list(threads.items())[-MOST:])
            files.write(self._path, json.dumps(newest))

    def _all(self) -> dict[str, JsonObject]:
        """In the order in which something was last heard of them."""
        if self._path is None:
            return {}
        with contextlib.suppress(OSError, ValueError, RecursionError):
            raw = json.loads(files.read_bounded(self._path, _MAX))
            if isinstance(raw, dict):
                return {key: one for key, one in raw.items() if isinstance(one, dict)}
        return {}
