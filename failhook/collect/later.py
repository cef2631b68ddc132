# SPDX-License-Identifier: MIT
"""A second thing at the same time, within one collector's process: mostly waiting for systemd."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from failhook.collector import Context

Result = TypeVar("Result")


class Later(Generic[Result]):
    """Starts ``call`` in a thread; `result` waits for it and gives or raises what it did. Where
    ``context`` says that many incidents wait it is called at once: two programs at a time for each
    of them would only be more processes, not more processors."""

    def __init__(self, context: Context, call: Callable[[], Result]) -> None:
        self._call = call
        self._given: list[Result] = []
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None
        if context.in_storm:
            self._work()
            return
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            self._given.append(self._call())
        except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
            self._error = error

    def result(self) -> Result:
        """What ``call`` returned; raises what it raised."""
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error
        return self._given[0]
