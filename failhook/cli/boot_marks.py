# SPDX-License-Identifier: MIT
"""``failhook boot status|good|bad``: the boot loader's entries, and marks by hand."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from failhook import places, proc
from failhook.cli import terminal
from failhook.cli.terminal import styled, visible

if TYPE_CHECKING:
    from failhook.boot.detect import Found
    from failhook.boot.model import Entry, Marked, Standing
    from failhook.incident import JsonObject

_STYLES = {"good": "good", "bad": "bad", "dirty": "bad", "indeterminate": "warn", "unknown": "warn"}
_REBOOT_S = 30.0


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of all three; those that change nothing are few."""
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="one JSON document"
    )
    name = parser.prog.rpartition(" ")[2]
    if name in ("good", "bad"):
        parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    if name == "bad":
        parser.add_argument("--reboot", action="store_true", help="and reboot, once it is marked")


# -- status ---------------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> int:
    """Show how the running entry stands. Changes nothing."""
    from failhook.boot import detect, proven

    found = detect.find()
    standing = found.loader.standing()
    others = detect.others_who_mark()
    known = proven.read(places.find(user=False)).good
    if options.json:
        document: JsonObject = {
            **_document(standing),
            "further_loaders": list(found.others),
            "others_who_mark": list(others),
            "entries": [
                {**_entry(one), "good_since": known[one.id].first if one.id in known else None}
                for one in standing.entries
            ],
        }
        terminal.print_json("boot", document)
        return 0
    print(styled(_wrapped(f"{standing.mark}: {standing.reason}"), _style(standing)))
    print("\n".join(_lines(found, standing)))
    if standing.entries:
        rows = [
            (*_cells(one), terminal.clock(known[one.id].first) if one.id in known else "-")
            for one in standing.entries
        ]
        print()
        print(terminal.table(("", "ENTRY", "TRIES", "MARK", "GOOD SINCE"), rows, stretch=1))
    for one in others:
        print()
        print(styled(_wrapped(f"Besides: {one}"), "warn"))
    return 0


def _wrapped(text: str) -> str:
    """In lines that fit, where a person looks."""
    room = terminal.width()
    return visible(text) if room is None else textwrap.fill(visible(text), max(room, 20))


def _style(standing: Standing) -> str:
    return _STYLES.get(standing.mark, "strong")


def _lines(found: Found, standing: Standing) -> Iterator[str]:
    further = f" (found as well: {', '.join(found.others)}; not used)" if found.others else ""
    yield visible(f"  Loader   {standing.loader}{further}")
    if standing.can_mark:
        names = ", ".join(one.id for one in standing.others[:3])
        yield visible(f"  Bad      can be marked (failhook boot bad); then boots {names}")
    else:
        yield "  Bad      cannot be marked now"


def _cells(one: Entry) -> tuple[str, str, str, str]:
    tries = "-" if one.left is None else f"{one.left} left"
    tries += f", {one.tried} done" if one.left is not None and one.tried else ""
    mark = "bad" if one.is_bad else "on trial" if one.is_on_trial else "-"
    return "*" if one.is_current else "", one.id, tries, mark


def _document(standing: Standing) -> JsonObject:
    return {
        "loader": standing.loader,
        "mark": str(standing.mark),
        "reason": standing.reason,
        "can_mark": standing.can_mark,
        "current": standing.current.id if standing.current is not None else None,
    }


def _entry(one: Entry) -> JsonObject:
    return {
        "id": one.id,
        "title": one.title,
        "path": one.path or None,
        "left": one.left,
        "tried": one.tried,
        "current": one.is_current,
        "bad": one.is_bad,
    }


# -- good, bad ------------------------------------------------------------------------------------


def good(options: argparse.Namespace) -> int:
    """Bless the running entry, and write down that it was good."""
    from failhook.boot import detect

    loader = detect.find().loader
    standing = loader.standing()
    if options.dry_run:
        ok = standing.current is not None and standing.mark != "unknown"
        text = f"would mark {_name(standing)} good: {standing.reason}" if ok else standing.reason
        return _say(options, ok, text, standing)
    marked = loader.good()
    clean = standing.mark == "clean" and standing.current is not None
    if marked.ok or clean:
        # Where nothing is counted there is nothing to bless, but it is worth knowing later.
        _write_down(standing, is_good=True)
    if clean and not marked.ok:
        text = f"{_name(standing)} is written down as good; nothing to bless: {marked.detail}"
        return _say(options, True, text, standing)
    return _told(options, marked, loader.standing())


def bad(options: argparse.Namespace) -> int:
    """Mark the running entry bad; with --reboot the machine goes down then."""
    from failhook.boot import detect

    loader = detect.find().loader
    standing = loader.standing()
    if options.dry_run:
        names = ", ".join(one.id for one in standing.others[:3])
        then = " and reboot" if options.reboot else ""
        text = f"would mark {_name(standing)} bad{then}; the next boot takes another one: {names}"
        ok = standing.can_mark
        return _say(options, ok, text if ok else f"not marked bad: {standing.reason}", standing)
    marked = loader.bad()
    if not marked.ok:
        return _say(options, False, f"not marked bad: {marked.detail}", standing)
    _write_down(standing, is_good=False)
    code = _told(options, marked, loader.standing())
    if not options.reboot:
        return code
    return _reboot(standing, quiet=options.json)


def _write_down(standing: Standing, *, is_good: bool) -> None:
    """For later decisions; the mark is made already, and a full disk does not undo it."""
    from failhook.boot import proven

    where = places.find(user=False)
    try:
        if is_good:
            proven.note_good(where, standing)
        elif standing.current is not None:
            proven.note_bad(where, standing.current.id)
    except OSError as error:
        print(f"failhook: not written down: {visible(str(error))}", file=sys.stderr)


def _reboot(standing: Standing, *, quiet: bool) -> int:
    message = f"--message=failhook boot bad: {_name(standing)} was marked bad"
    asked = proc.run(["systemctl", "--no-block", message, "reboot"], timeout_s=_REBOOT_S)
    if not asked.ok:
        raise OSError(f"it is marked bad, and systemd refuses to reboot: {asked.why()}")
    if not quiet:
        print("the machine reboots now")
    return 0


def _name(standing: Standing) -> str:
    return standing.current.id if standing.current is not None else "the running entry"


def _told(options: argparse.Namespace, marked: Marked, standing: Standing) -> int:
    return _say(options, marked.ok, marked.detail, standing)


def _say(options: argparse.Namespace, ok: bool, text: str, standing: Standing) -> int:
    if options.json:
        document = {**_document(standing), "ok": ok, "detail": text}
        terminal.print_json("boot", document)
    else:
        print(styled(_wrapped(text), "good" if ok else "bad"))
    return 0 if ok else 1
