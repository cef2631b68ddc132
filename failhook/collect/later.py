# SPDX-License-Identifier: MIT
"""A second thing at the same time, within one collector's process: mostly waiting for systemd."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Later(Generic[Result]):
    """Starts ``call`` in a thread; `result` waits for it and gives or raises what it did."""

    def __init__(self, call: Callable[[], Result]) -> None:
        self._call = call
        self._given: list[Result] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            self._given.append(self._call())
        except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
            self._error = error

    def result(self) -> Result:
        """What ``call`` returned; raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._given[0]
