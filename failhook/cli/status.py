# SPDX-License-Identifier: MIT
"""``failhook status``: is it wired up, what failed last, what is waiting?"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from failhook import places
from failhook.boot.check import report
from failhook.cli import list as listing
from failhook.cli import mute, terminal
from failhook.cli.access import open_store
from failhook.cli.terminal import styled, visible
from failhook.deliver import destination
from failhook.deliver.destination import Destination
from failhook.incident import JsonObject, rfc3339, unix_time
from failhook.places import Places
from failhook.queue import Queue, name_of
from failhook.response.circumstances import paused_text
from failhook.response.ledger import Ledger
from failhook.response.threads import Threads
from failhook.setup import dropins
from failhook.setup.layout import STARTED, USER_STARTED, layout
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
    names = list(USER_STARTED if user else STARTED)
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
        "boot_check": _boot_check(where),
        **_response(where),
    }


def _boot_check(where: Places) -> JsonObject | None:
    """What the check of this boot found; None where none ran, or root keeps it to himself."""
    try:
        found = report.last(where)
    except (OSError, ValueError):
        return None
    if found is None:
        return None
    state = "green" if found.green else "red"
    return {"state": state, "summary": found.summary, "at": rfc3339(found.at)}


def _response(where: Places) -> JsonObject:
    """What is planned, pending, muted, or stopped altogether."""
    ledger, now = Ledger(where), time.time()
    outbox, due = Queue(where.outbox), Queue(where.due)
    return {
        "paused": paused_text(ledger, now),
        "mutes": [mute.to_json(one) for one in ledger.mutes(now)],
        "acknowledged": [
            {"unit": one.unit, "by": one.acked} for one in Threads(where).open_ones() if one.acked
        ],
        "steps": len(due.waiting()) + len(due.later()),
        "deliveries": {
            name: {
                "pending": len(paths),
                "given_up": sum(path.parent == outbox.buried for path in paths),
                "failures": state.failures,
                "next_try": rfc3339(state.until) if state.until else None,
                "reason": state.reason or None,
                "gone": bool(state.gone),
            }
            for name, (paths, state) in _deliveries(where, outbox).items()
        },
    }


def _deliveries(where: Places, outbox: Queue) -> dict[str, tuple[list[Path], Destination]]:
    found: dict[str, tuple[list[Path], Destination]] = {
        one.name: ([], one) for one in destination.waiting(where)
    }
    for path in (*outbox.waiting(), *outbox.later(), *outbox.dead()):
        name = name_of(path)
        if name is not None:
            known = found.setdefault(name.action, ([], Destination(name.action)))
            known[0].append(path)
    return dict(sorted(found.items()))


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
    boot = facts["boot_check"]
    if isinstance(boot, dict):
        words = str(boot["summary"]).partition(": ")[2]
        state = styled(str(boot["state"]), "good" if boot["state"] == "green" else "bad")
        at = terminal.clock(unix_time(str(boot["at"])))
        lines.append(f"Boot check {state} at {at}: {visible(words)}")
    return [*lines, *_response_lines(facts)]


def _response_lines(facts: JsonObject) -> Iterator[str]:
    if facts["paused"]:
        paused = f"all actions: {facts['paused']} (failhook resume)"
        yield f"Paused     {styled(visible(paused), 'warn')}"
    if facts["steps"]:
        yield f"Steps      {facts['steps']} to be carried out"
    deliveries = facts["deliveries"]
    assert isinstance(deliveries, dict)
    for name, one in deliveries.items():
        assert isinstance(one, dict)
        words = [f"{one['pending']} pending"]
        words += [f"{one['given_up']} of them given up"] if one["given_up"] else []
        words += ["wants nothing any more (410)"] if one["gone"] else []
        words += [str(one["reason"])] if one["reason"] else []
        words += [f"next try {one['next_try']}"] if one["next_try"] else []
        line = f"Deliveries {name}: {', '.join(words)} (failhook retry {name})"
        yield styled(visible(line), "warn" if one["reason"] or one["given_up"] else "quiet")
    for one in facts["mutes"] if isinstance(facts["mutes"], list) else ():
        assert isinstance(one, dict)
        until = f" until {one['until']}" if one["until"] else ""
        yield visible(f"Muted      {one['what']}{until}")
    for one in facts["acknowledged"] if isinstance(facts["acknowledged"], list) else ():
        assert isinstance(one, dict)
        yield visible(f"Ack        {one['unit']}: {one['by']}")
