# SPDX-License-Identifier: MIT
"""``failhook keep-spool``: what failhook-keep.service runs late in a shutdown."""

from __future__ import annotations

import argparse

from failhook import places
from failhook.spool import Spool


def arguments(parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(options: argparse.Namespace) -> int:
    """Move the spool to disk."""
    moved = Spool(places.find(user=options.user)).keep_for_next_boot()
    if moved:
        print(f"{moved} failures of this shutdown wait for the next boot")
    return 0
