# SPDX-License-Identifier: MIT
"""``failhook aftermath``: what failhook-aftermath.service runs once in a boot. Not for people."""

from __future__ import annotations

import argparse
import sys

from failhook import journal_lines


def arguments(parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(options: argparse.Namespace) -> int:
    """Tell how the boot before ended, of those incidents that were not over."""
    from failhook import places
    from failhook.act import aftermath
    from failhook.config import load

    journal_lines.prepare(sys.stderr)
    where = places.find(user=options.user)
    aftermath.tell(where, load.load(where))
    return 0
