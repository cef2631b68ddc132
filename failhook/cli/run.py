# SPDX-License-Identifier: MIT
"""``failhook run UNIT``: the same pipeline, here and now; and a hook's way where no runner is."""

from __future__ import annotations

import argparse
import time
from functools import partial

from failhook import attribute, pipeline, places
from failhook.cli import show, terminal
from failhook.config import load
from failhook.incident import Incident
from failhook.record import is_plain, record, recovered
from failhook.store.incidents import NotFound, Store
from failhook.systemd import unit
from failhook.systemd.boot import boot_id
from failhook.trigger import Kind, Trigger, is_unit_name, parse

EPILOG = """\
Collects and describes what is to be had of a unit as it is now, whether it
failed or not, and keeps it in the history like any other incident. Needs
nothing installed.

  failhook run nginx
  failhook run nginx --json"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("unit", metavar="UNIT")
    parser.add_argument("--json", action="store_true", help="the incident as JSON")


def run(options: argparse.Namespace) -> int:
    """Collect, and show the result."""
    name = options.unit if "." in options.unit else f"{options.unit}.service"
    state = unit.show(name, user=options.user)
    if not is_unit_name(name) or not state.found:
        raise NotFound(f"systemd knows no unit {name!r}; see: systemctl list-units --all")
    trigger = Trigger(
        id=f"{time.time_ns():020d}-manual",
        kind=Kind.MANUAL,
        unit=state.name,
        boot_id=boot_id(),
        realtime=time.time(),
        manager="user" if options.user else "system",
        invocation_id=state.get("InvocationID"),
        result=state.get("Result"),
    )
    progress = terminal.Progress(f"collecting {name}")
    progress.step("…")
    store = Store(places.find(user=options.user))
    incident = work_here(store, trigger, None)
    progress.end()
    if options.json:
        terminal.print_json("incident", incident.to_json())
    else:
        print("\n".join(show.page(store, incident)))
    return 0


def work_here(store: Store, trigger: Trigger, raw: bytes | None) -> Incident:
    """Record and work one trigger in this process."""
    incident = record(store, trigger, raw)
    configuration = load.load(store.places)
    with store.lock(incident) as ours:
        return pipeline.work(store, configuration, incident) if ours else incident


def from_hook(record_text: str) -> None:
    """A hook found no runner on this machine: do its work in its own process. Raises anything."""
    raw = record_text.encode("ascii")
    trigger = parse(f"{time.time_ns():020d}-here", raw)
    store = Store(places.find(user=trigger.user))
    if trigger.kind is Kind.CLEAN_STOP:
        recovered(store, trigger.unit, trigger.realtime)
        return
    named = [trigger] if is_plain(trigger) else attribute.resolve(store, trigger)
    done = [work_here(store, one, raw if one is trigger else None) for one in named]
    store.close()
    if any(incident.decision is not None for incident in done):
        _act_here(store.places)


def _act_here(where: places.Places) -> None:
    """Nobody else carries out what was planned: no unit of ours runs on this machine."""
    from failhook.act.engine import Actor
    from failhook.deliver.engine import Deliverer
    from failhook.plugins.find import find_action

    configuration = load.load(where)
    find = partial(find_action, where, configuration)
    Actor(where, configuration, find, idle_s=0.0).run()
    Deliverer(where, configuration, find=find, idle_s=0.0).run()
