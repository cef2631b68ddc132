# SPDX-License-Identifier: MIT
"""``failhook runner``: what failhook.service runs. Not for people; ``failhook run UNIT`` is."""

from __future__ import annotations

import argparse
import logging
import os
import sys

from failhook import places
from failhook.intake import listeners
from failhook.runner import IDLE_S, Runner

_LEVELS = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 5, logging.ERROR: 3}


class _Priority(logging.Formatter):
    """sd-daemon(3) prefixes on every line: a newline in a text cannot forge a priority."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_LEVELS.get(record.levelno, 4)}>"
        return "\n".join(prefix + line for line in super().format(record).splitlines())


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--idle", type=float, default=IDLE_S, help="seconds to stay without work")


def run(options: argparse.Namespace) -> int:
    """Work until idle."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Priority("%(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    Runner(places.find(user=options.user), listeners(dict(os.environ)), idle_s=options.idle).run()
    return 0
