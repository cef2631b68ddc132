# SPDX-License-Identifier: MIT
"""``failhook install``: from wherever pip, pipx or uv put it to where systemd finds it."""

from __future__ import annotations

import argparse

from failhook.cli.errors import UsageError
from failhook.setup import installation
from failhook.setup.changes import Changes
from failhook.setup.layout import LayoutError, layout

EPILOG = """\
Writes the command (/usr/local/bin/failhook), the units
(/usr/local/lib/systemd/system), a tmpfiles.d entry and the hook's own small
library, and starts failhook.path and failhook.socket. Changes no unit of
yours: that is what `failhook enable` does. Run it again after every upgrade.

  sudo /opt/failhook/bin/failhook install
  failhook install --user"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")
    parser.add_argument("--no-start", action="store_true", help="enable the units, start nothing")


def run(options: argparse.Namespace) -> int:
    """Install and say what changed."""
    changes = Changes(options.dry_run)
    try:
        installation.install(layout(user=options.user), changes, start=not options.no_start)
    except LayoutError as error:
        raise UsageError(str(error)) from None
    print("\n".join(changes.said) if changes.said else "everything is in its place")
    if not options.dry_run:
        print("next: failhook enable UNIT…   (or: failhook enable --all)")
    return 0
