# SPDX-License-Identifier: MIT
"""``failhook enable``: hooks failhook into units."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys

from failhook import places
from failhook.changes import watch
from failhook.cli.errors import UsageError
from failhook.setup import dropins
from failhook.setup.changes import Changes
from failhook.setup.installation import reload
from failhook.setup.layout import layout
from failhook.store.incidents import NotFound

EPILOG = """\
A unit gets both triggers: ExecStopPost= sees every failed run and what is
about to vanish with it, OnFailure= sees what never ran. --all gives OnFailure=
to every unit that can fail. The hook runs as the unit's own user. --privileged
runs it as root with the unit's environment: whoever may write that environment
then runs code as root. Only for sandboxes that leave no way. A unit gets
OnFailure= alone where its own NoExecPaths= or RootDirectory= lets no hook run,
or where a hook would empty the file of its StandardOutput=truncate:.

  failhook enable nginx postgresql@15-main
  failhook enable --all --dry-run"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument(
        "unit", metavar="UNIT", nargs="*", help="units; templates too: foo@.service"
    )
    parser.add_argument("--all", action="store_true", help="every unit of the types that can fail")
    parser.add_argument("--privileged", action="store_true", help="ExecStopPost=+… (see below)")
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")


def run(options: argparse.Namespace) -> int:
    """Enable and say what changed."""
    if not options.unit and not options.all:
        raise UsageError("which units? write: failhook enable UNIT…, or --all")
    where = layout(user=options.user)
    if not (where.units / "failhook@.service").exists():
        raise UsageError("failhook is not installed yet; run: failhook install")
    changes = Changes(options.dry_run)
    wrong: list[str] = []
    if options.all:
        dropins.enable_all(where.drop_ins, changes)
    for word in options.unit:
        name = word if "." in word else f"{word}.service"
        try:
            dropins.enable(
                where.drop_ins, name, changes, privileged=options.privileged, user=options.user
            )
        except dropins.Problem as problem:
            wrong.append(str(problem))
    if changes.changed:
        reload(changes, user=options.user)
    for line in wrong:
        print(f"failhook: {line}", file=sys.stderr)
    if wrong and len(wrong) == len(options.unit) and not options.all:
        raise NotFound("nothing was changed")
    print("\n".join(changes.said) if changes.said else "already so, nothing to change")
    if not options.dry_run:
        _remember(options)
    return 1 if wrong else 0


def _remember(options: argparse.Namespace) -> None:
    """How those that run now look: so that their first failure can be compared with it."""
    found = places.find(user=options.user)
    names = (
        () if options.all else [word if "." in word else f"{word}.service" for word in options.unit]
    )
    if os.geteuid() == 0 or options.user:
        with contextlib.suppress(OSError):
            watch.look_once(found, names)
