# SPDX-License-Identifier: MIT
"""``failhook disable``: takes failhook out of units again."""

from __future__ import annotations

import argparse

from failhook.cli.errors import UsageError
from failhook.setup import dropins
from failhook.setup.changes import Changes
from failhook.setup.installation import reload
from failhook.setup.layout import layout
from failhook.trigger import is_unit_name

EPILOG = """\
--all removes what `enable --all` wrote; single units that were named then stay
hooked."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("unit", metavar="UNIT", nargs="*")
    parser.add_argument("--all", action="store_true", help="undo `enable --all`")
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")


def run(options: argparse.Namespace) -> int:
    """Disable and say what changed."""
    if not options.unit and not options.all:
        raise UsageError("which units? write: failhook disable UNIT…, or --all")
    where = layout(user=options.user)
    changes = Changes(options.dry_run)
    if options.all:
        dropins.disable_all(where.drop_ins, changes)
    for word in options.unit:
        name = word if "." in word else f"{word}.service"
        if not is_unit_name(name):
            raise UsageError(f"{name!r} is not the name of a unit")
        dropins.disable(where.drop_ins, name, changes)
    if changes.changed:
        reload(changes, user=options.user)
    print("\n".join(changes.said) if changes.said else "already so, nothing to change")
    return 0
