# SPDX-License-Identifier: MIT
"""What the runner, its workers and the boot check say: lines on standard error, for journald."""

from __future__ import annotations

import logging
from typing import TextIO

# How lines of the boot check begin that `failhook.diagnose.boot_check` reads back.
RED = "the boot check is red: "
REQUIRED_FAILED = "required check failed: "
_LEVELS = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 5, logging.ERROR: 3}


class _Priority(logging.Formatter):
    """sd-daemon(3) prefixes on every line: a newline in a text cannot forge a priority."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_LEVELS.get(record.levelno, 4)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def prepare(stream: TextIO) -> None:
    """Send what is logged from now on to ``stream``."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Priority("%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
