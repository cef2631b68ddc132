# SPDX-License-Identifier: MIT
"""``failhook boot enable`` and ``disable``: the boot check at every boot, or no more."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from failhook import places, proc
from failhook.boot.check import scripts
from failhook.boot.check.engine import BELOW
from failhook.cli.errors import UsageError
from failhook.hook import BOOT_CHECK
from failhook.places import Places
from failhook.setup.changes import Changes
from failhook.setup.layout import layout

EPILOG = """\
From the next boot on failhook-boot-check.service runs before
boot-complete.target; where it is red that target is not reached, and the boot
loader goes on counting. It runs in every boot, also where nothing counts: a red
one is an incident. Makes /etc/failhook/boot/required.d and its like.

  failhook boot check --dry-run        what would be checked
  failhook boot enable
  failhook boot disable"""

_WAITS_S = 30.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--dry-run", action="store_true", help="only say what would change")


def run(options: argparse.Namespace) -> int:
    """Enable it and say what changed."""
    where = _where(options)
    unit = layout(user=False).units / BOOT_CHECK
    if not unit.exists():
        raise UsageError(f"{unit} is missing; run: failhook install")
    changes = Changes(options.dry_run)
    for kind in scripts.KINDS:
        changes.directory(_directory(where) / kind, 0o755)
    if _state() != "enabled":
        _systemctl(changes, "enable", f"enable {BOOT_CHECK}", f"enabled {BOOT_CHECK}")
    print("\n".join(changes.said) if changes.said else "already so, nothing to change")
    if not options.dry_run:
        print("it runs from the next boot on; now: failhook boot check")
    return 0


def disable(options: argparse.Namespace) -> int:
    """Disable it and say what changed: scripts stay, empty directories go."""
    where = _where(options)
    changes = Changes(options.dry_run)
    if _state() in ("enabled", "enabled-runtime"):
        _systemctl(changes, "disable", f"disable {BOOT_CHECK}", f"disabled {BOOT_CHECK}")
        if not options.dry_run:
            # A red one stays failed until somebody says that it does not matter any more.
            proc.run(["systemctl", "stop", "--", BOOT_CHECK], timeout_s=_WAITS_S)
            proc.run(["systemctl", "reset-failed", "--", BOOT_CHECK], timeout_s=_WAITS_S)
    for place in (_directory(where), *(_directory(where) / kind for kind in scripts.KINDS)):
        _remove_empty(place, changes)
    print("\n".join(changes.said) if changes.said else "already so, nothing to change")
    return 0


def _where(options: argparse.Namespace) -> Places:
    if getattr(options, "user", False):
        raise UsageError("the boot is the machine's: call it without --user")
    if os.geteuid() != 0 and not options.dry_run:
        raise PermissionError(1, "only root may change what runs at boot", BOOT_CHECK)
    return places.find(user=False)


def _directory(where: Places) -> Path:
    return where.configuration[-1] / BELOW


def _state() -> str:
    """enabled, disabled, masked …; "" where systemctl does not say (systemctl(1), is-enabled)."""
    done = proc.run(["systemctl", "is-enabled", "--", BOOT_CHECK], timeout_s=_WAITS_S)
    return done.text.strip()


def _systemctl(changes: Changes, verb: str, what: str, past: str) -> None:
    """Raises OSError where systemctl does not do it."""
    if changes.dry_run:
        changes.said.append(f"would {what}")
        return
    done = proc.run(["systemctl", verb, "-q", "--", BOOT_CHECK], timeout_s=_WAITS_S)
    if not done.ok:
        raise OSError(done.why())
    changes.changed = True
    changes.said.append(past)


def _remove_empty(directory: Path, changes: Changes) -> None:
    """Unless somebody's file is below it."""
    if directory.is_dir() and all(path.is_dir() for path in directory.rglob("*")):
        changes.remove(directory)
