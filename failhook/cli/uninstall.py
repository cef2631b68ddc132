# SPDX-License-Identifier: MIT
"""``failhook uninstall``: no trace but the history."""

from __future__ import annotations

import argparse

from failhook import places
from failhook.setup import installation
from failhook.setup.changes import Changes
from failhook.setup.layout import layout

EPILOG = "Removes the drop-ins of every unit as well. The history stays; it says where."


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")


def run(options: argparse.Namespace) -> int:
    """Uninstall and say what changed."""
    changes = Changes(options.dry_run)
    where = places.find(user=options.user)
    installation.uninstall(layout(user=options.user), where, changes)
    print("\n".join(changes.said) if changes.said else "nothing of failhook is installed")
    if where.state.exists():
        print(f"the history stays in {where.state}; remove it with: rm -r {where.state}")
    return 0
