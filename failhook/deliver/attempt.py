# SPDX-License-Identifier: MIT
"""One try of one delivery: read the options of today, run the action, and say how it went.

Secrets and options are read here and nowhere kept. What an action raises is a defect of that action
and no more than a failed try; its text may hold a secret and is not repeated. What does not come
with failhook runs in a process of its own (`failhook.isolate`), like every other plugin.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from failhook import files, isolate
from failhook.action import Action, Outcome, Request, failed
from failhook.actions import table as actions
from failhook.actions.schema import secrets_in
from failhook.config.model import ActionTable
from failhook.deliver import room
from failhook.message import Message
from failhook.places import Places
from failhook.store.incidents import BUNDLE

Find = Callable[[str], "Action[Any] | None"]  # the action of that type, None: there is none
MOST_DETAIL = 500
# Types that run in the process that calls `attempt`; all others are somebody else's code.
OURS = frozenset(actions.BUILT_IN)
_AROUND_S = 20.0  # beyond a plugin's limit: to read its options, to end it and what it started


@dataclass(frozen=True, slots=True)
class Try:
    """What is tried. ``incident`` is the name of the incident's directory."""

    message: Message
    incident: str
    number: int = 1


def find_built_in(name: str) -> Action[Any] | None:
    """The built-in action of that type."""
    return actions.load(name) if name in actions.BUILT_IN else None


def limit_s(table: ActionTable, find: Find) -> float:
    """How long one try may take."""
    if table.timeout_s is not None:
        return table.timeout_s
    try:
        found = find(table.type)
    except Exception:  # noqa: BLE001 - somebody else's code; `attempt` says what is wrong with it
        return 30.0
    return found.timeout_s if found is not None else 30.0


def longest_s(table: ActionTable, find: Find) -> float:
    """After how long `attempt` has ended what it tries, or hangs itself."""
    return limit_s(table, find) + (0.0 if table.type in OURS else _AROUND_S)


def attempt(places: Places, table: ActionTable, find: Find, what: Try) -> Outcome:
    """Do it once. Never raises but for what ends the process."""
    try:
        return _attempt(places, table, find, what)
    except Exception as error:  # noqa: BLE001 - one action must not end the others' deliveries
        return failed(f"{table.type} raised {type(error).__name__} at {_place(error)}")


def _attempt(places: Places, table: ActionTable, find: Find, what: Try) -> Outcome:
    action = find(table.type)
    if action is None or not action.delivers:
        return failed(f"there is no type {table.type!r} that delivers")
    options, mistakes = actions.bind(action, table.raw)
    if options is None:
        first = mistakes[0]
        return failed(f"its configuration is wrong, failhook check tells more: {first.key}")
    # The plan left the excerpt out where it is not allowed; what was allowed then may not be now.
    message = what.message if table.excerpt else replace(what.message, excerpt=())
    bundle = places.incidents / what.incident / BUNDLE
    request = Request(
        name=table.name,
        options=options,
        incident=message.incident,
        id=message.id,
        attempt=what.number,
        dry_run=table.dry_run,
        user=places.user,
        deadline_s=limit_s(table, find),
        bundle=bundle if bundle.is_file() else None,
        message=message,
        state=_state(places, table),
    )
    run = partial(action.run, request)
    if table.type in OURS:
        outcome = run()
    else:
        outcome = isolate.run_isolated(
            run, timeout_s=request.deadline_s, secrets=secrets_in(options)
        )
    return replace(outcome, detail=outcome.detail[:MOST_DETAIL])


def _state(places: Places, table: ActionTable) -> Path | None:
    """The action's own directory; None where the disk has no room for it. Raises OSError."""
    try:
        return files.make_private(files.make_private(places.action_state) / table.name)
    except OSError as error:
        if room.is_lack(error):
            return None
        raise


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "its start"
