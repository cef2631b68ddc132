# SPDX-License-Identifier: MIT
"""``failhook status``: is it wired up, what failed last, what is waiting?"""

from __future__ import annotations

import argparse
import shutil

from failhook import places
from failhook.cli import list as listing
from failhook.cli import terminal
from failhook.cli.access import open_store
from failhook.cli.terminal import styled, visible
from failhook.incident import JsonObject
from failhook.places import Places
from failhook.setup import dropins
from failhook.setup.layout import STARTED, layout
from failhook.spool import Spool
from failhook.store.incidents import Store
from failhook.systemd import unit


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    where = places.find(user=options.user)
    store = open_store(options, missing_is_empty=True)
    facts = _facts(where, store, user=options.user)
    if options.json:
        terminal.print_json("status", facts)
        return 0
    print("\n".join(_lines(facts)))
    if store is not None:
        rows = store.rows(limit=5)
        if rows:
            lines = [listing.cells(row) for row in rows]
            print()
            print(terminal.table(("WHEN", "UNIT", "WHY", "TIMES", "STATE", "ID"), lines, stretch=2))
    return 0


def _facts(where: Places, store: Store | None, *, user: bool) -> JsonObject:
    names = ["failhook.path"] if user else list(STARTED)
    states = unit.show_many(names, ["ActiveState", "LoadState"], user=user)
    hooked = dropins.hooked(layout(user=user).drop_ins)
    set_aside = list(where.set_aside.glob("*.json")) if store is not None else []
    return {
        "units": {
            name: (states[name].get("ActiveState") if name in states else None) for name in names
        },
        "hooked": list(hooked),
        "waiting": len(Spool(where).waiting()),
        "unreadable": len(set_aside),
        "incidents": store.ask(lambda index: index.count()) if store else 0,
        "open": store.ask(lambda index: index.count("state = 'open'")) if store else 0,
        "bytes": sum(row.bytes for row in store.rows()) if store else 0,
        "free_percent": _free(where),
        "history": str(where.state),
    }


def _free(where: Places) -> float | None:
    try:
        usage = shutil.disk_usage(where.state)
    except OSError:
        return None
    return round(100 * usage.free / usage.total, 1)


def _history(facts: JsonObject) -> str:
    size = terminal.size(int(str(facts["bytes"])))
    return f"{facts['incidents']} incidents, {facts['open']} open, {size} in {facts['history']}"


def _lines(facts: JsonObject) -> list[str]:
    units = facts["units"]
    assert isinstance(units, dict)
    down = [name for name, state in units.items() if state != "active"]
    wired = styled("ready", "good") if not down else styled(f"not active: {', '.join(down)}", "bad")
    hooked = facts["hooked"]
    assert isinstance(hooked, list)
    shown = ", ".join(str(name) for name in hooked[:6]) + (" …" if len(hooked) > 6 else "")
    lines = [
        f"Triggers   {wired}" + ("" if not down else " (failhook install)"),
        f"Hooked     {visible(shown) or 'no unit yet (failhook enable UNIT…)'}",
        f"History    {_history(facts)}",
    ]
    if facts["waiting"]:
        lines.append(f"Waiting    {facts['waiting']} triggers in the spool")
    if facts["unreadable"]:
        lines.append(
            f"Unreadable {facts['unreadable']} spool files, set aside in {facts['history']}"
        )
    return lines
