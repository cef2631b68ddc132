# SPDX-License-Identifier: MIT
"""``failhook boot check``: is this boot a good one? What failhook-boot-check.service runs, too.

A person's call looks and tells; only the unit's (``--at-boot``) runs green.d or red.d and keeps the
report, which says what was found when it mattered.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator

from failhook import places
from failhook.boot.check import engine, report
from failhook.boot.check.report import Check, Report
from failhook.cli.errors import UsageError
from failhook.config import load
from failhook.config.model import Configuration
from failhook.incident import JsonObject
from failhook.places import Places

EPILOG = """\
Checks what [boot] in the configuration names, and runs the scripts in
/etc/failhook/boot/required.d and wanted.d, then greenboot's in
/etc/greenboot/check. Red is exit code 1. At boot failhook-boot-check.service
does this before boot-complete.target: failhook boot enable.

  failhook boot check                  now, as a person; changes nothing
  failhook boot check --dry-run        what would be checked
  failhook boot check --last           what was found when this machine booted"""

_COLUMNS = ("CHECK", "", "WHAT", "TOOK")
_WHAT = 2
_SHOWN_EVERY_S = 0.3


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="only say what would be checked")
    how.add_argument("--last", action="store_true", help="what the check of this boot found")
    how.add_argument(
        "--at-boot",
        action="store_true",
        help="as the unit does: run green.d or red.d afterwards, keep the report",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(options: argparse.Namespace) -> int:
    """Check, or tell."""
    if getattr(options, "user", False):
        raise UsageError("the boot is the machine's: call it without --user")
    where = places.find(user=False)
    if options.last:
        return _last(where, as_json=options.json)
    configuration = load.load(where)
    if options.dry_run:
        return _dry_run(where, configuration, as_json=options.json)
    if options.at_boot:
        return _at_boot(where, configuration)
    if os.geteuid() != 0:
        print("failhook: at boot root checks, and may find something else", file=sys.stderr)
    found = _checked(where, configuration)
    _show(found, as_json=options.json)
    return 0 if found.green else 1


def _at_boot(where: Places, configuration: Configuration) -> int:
    """As the unit runs it: lines for the journal, the report, and what is to follow."""
    found = engine.run(where, configuration)
    _keep(found, where)
    found = engine.follow(found, where, configuration)
    for line in found.journal_lines():
        print(line, file=sys.stderr)
    _keep(found, where)
    return 0 if found.green else 1


def _keep(found: Report, where: Places) -> None:
    """Also before green.d and red.d, which may look at it or take the machine down."""
    try:
        report.save(found, where)
    except OSError as error:  # what was found counts, not whether it can be kept
        print(f"<4>the report cannot be kept: {error}", file=sys.stderr)


def _checked(where: Places, configuration: Configuration) -> Report:
    with _telling() as tell:
        return engine.run(where, configuration, progress=tell)


@contextlib.contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Show which check it is at, where a person looks and has waited for a second."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from threading import Event, Thread

    from failhook.cli.terminal import Progress

    progress, over, at = Progress("checking"), Event(), [""]

    def show() -> None:
        while not over.wait(_SHOWN_EVERY_S):
            progress.step(at[0])

    thread = Thread(target=show, daemon=True)
    thread.start()
    try:
        yield lambda name: at.__setitem__(0, name)
    finally:
        over.set()
        thread.join()
        progress.end()


def _last(where: Places, *, as_json: bool) -> int:
    try:
        found = report.last(where)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if found is None:
        from failhook.store.incidents import NotFound

        raise NotFound("no boot check ran in this boot; see: failhook boot enable")
    _show(found, as_json=as_json)
    return 0 if found.green else 1


def _show(found: Report, *, as_json: bool) -> None:
    from failhook.cli import terminal

    if as_json:
        terminal.print_json("boot_check", found.to_json())
        return
    state = terminal.styled("GREEN", "good") if found.green else terminal.styled("RED", "bad")
    words = found.summary.partition(": ")[2]
    print(f"{state}  {terminal.visible(words)}")
    print(f"checked at {terminal.full_clock(found.at)} in {terminal.span(found.took_ms / 1000)}")
    rows = [_row(one) for one in sorted(found.checks, key=_first_the_bad)]
    rows += [_row(one, "afterwards") for one in found.procedures]
    if rows:
        print()
        print(terminal.table(_COLUMNS, rows, stretch=_WHAT))
    for one in (*found.checks, *found.procedures):
        if one.output:
            print(f"\n{terminal.visible(one.name)} said:")
            print("\n".join(f"  {terminal.visible(line)}" for line in one.output.splitlines()))
    for note in found.notes:
        print(f"\nnote: {terminal.visible(note)}")


def _first_the_bad(one: Check) -> tuple[bool, bool]:
    return (one.ok, not one.required)


def _row(one: Check, kind: str = "") -> tuple[str, str, str, str]:
    kind = kind or ("required" if one.required else "wanted")
    state = "ok" if one.ok else "failed"
    return (one.name, f"{kind} {state}", one.detail, f"{one.took_ms} ms")


def _dry_run(where: Places, configuration: Configuration, *, as_json: bool) -> int:
    from failhook.cli import terminal

    planned = engine.plan(where, configuration)
    if as_json:
        checks: list[JsonObject] = [
            {
                "name": one.name,
                "kind": one.kind,
                "required": one.required,
                "what": one.what,
                "timeout_s": one.timeout_s,
            }
            for one in planned.probes
        ]
        terminal.print_json("boot_check", {"checks": [*checks], "notes": [*planned.notes]})
        return 0
    print(_count(len(planned.probes)))
    rows = [
        (
            one.name,
            "required" if one.required else "wanted",
            one.what,
            f"up to {one.timeout_s:g} s",
        )
        for one in planned.probes
    ]
    if rows:
        print()
        print(terminal.table(_COLUMNS, rows, stretch=_WHAT))
    for note in planned.notes:
        print(f"\nnote: {terminal.visible(note)}")
    return 0


def _count(number: int) -> str:
    if not number:
        return "nothing would be checked: [boot] names nothing and there are no scripts"
    return f"{number} check{'' if number == 1 else 's'} would be made"
