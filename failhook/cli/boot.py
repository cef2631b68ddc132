# SPDX-License-Identifier: MIT
"""``failhook boot``: how the running boot stands with the boot loader, and what to do about it.

A verb with verbs of its own, each in a module beside this one: with ``arguments`` and a function
that carries it out.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import cast

from failhook.cli.errors import UsageError

EPILOG = """\
  failhook boot                        which entry runs, how it is marked
  failhook boot good                   bless the running entry
  failhook boot bad --dry-run          what marking it bad would do
  failhook boot bad --reboot           ... and boot another one at once
  failhook boot check                  is this boot a good one?
  failhook boot enable                 have that checked at every boot

Boot loaders: systemd-boot (by systemd-bless-boot), GRUB (by its environment
block, see contrib/grub), RAUC, ostree and bootc. What cannot be marked is
left alone and the reason is said: exit code 1. See docs/boot.md."""

# sub-verb -> module, function, what it does
SUB_VERBS = {
    "status": ("boot_marks", "run", "which entry runs, how it is marked, what else there is"),
    "good": ("boot_marks", "good", "bless the running entry: it is not counted any more"),
    "bad": ("boot_marks", "bad", "mark the running entry bad: the next boot takes another"),
    "check": ("boot_check", "run", "is this boot a good one? Checks what the configuration says"),
    "enable": ("boot_enable", "run", "have that checked at every boot, before it is called good"),
    "disable": ("boot_enable", "disable", "do not check boots any more"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options, and those of the sub-verbs."""
    parser.add_argument("--json", action="store_true", help="one JSON document")
    verbs = parser.add_subparsers(metavar="WHAT", dest="what")
    for name, (module, _, summary) in SUB_VERBS.items():
        loaded = importlib.import_module(f"failhook.cli.{module}")
        sub = verbs.add_parser(
            name,
            help=summary,
            description=f"{summary[:1].upper()}{summary[1:]}.",
            epilog=getattr(loaded, "EPILOG", None),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        loaded.arguments(sub)
        # So that they may also stand last, as with every other command.
        sub.add_argument("--user", action="store_true", default=argparse.SUPPRESS,
                         help=argparse.SUPPRESS)  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Hand on to the sub-verb; status unless one is named."""
    if options.user:
        raise UsageError("a boot is the machine's, not a user's: leave out --user")
    module, function, _ = SUB_VERBS[options.what or "status"]
    found = getattr(importlib.import_module(f"failhook.cli.{module}"), function)
    return cast("Callable[[argparse.Namespace], int]", found)(options)
