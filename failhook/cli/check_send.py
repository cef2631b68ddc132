# SPDX-License-Identifier: MIT
"""``failhook check --send ACTION``: a test message, on the way that every other message takes."""

from __future__ import annotations

import socket
import time

from failhook import outbox
from failhook.actions.table import BUILT_IN, Traits
from failhook.cli import terminal
from failhook.cli.errors import UsageError
from failhook.cli.terminal import visible
from failhook.config.model import Configuration
from failhook.deliver import destination
from failhook.incident import Incident, Phase, Stage, State, Verdict
from failhook.message import Event, Message
from failhook.places import Places
from failhook.queue import Queue
from failhook.response.circumstances import traits_of
from failhook.systemd.boot import boot_id

_WAIT_S = 60.0


def run(name: str, where: Places, configuration: Configuration, *, as_json: bool) -> int:
    """Put it into the outbox and wait for what becomes of it."""
    table = configuration.actions.get(name)
    if table is None:
        there = ", ".join(configuration.actions) or "none"
        raise UsageError(f"there is no [action.{name}]; there are: {there}")
    traits = traits_of(where, configuration).get(table.type, BUILT_IN.get(table.type, Traits()))
    if not traits.delivers:
        raise UsageError(f"{name} ({table.type}) tells nobody; this is for those that do")
    message = _message(name)
    outbox.enqueue(where, message, action=name)
    ok, detail = _outcome(where, name, outbox.item_id(message.id))
    if as_json:
        terminal.print_json("sent", {"action": name, "ok": ok, "detail": detail})
    else:
        print(visible(f"{name}: {detail}"))
    return 0 if ok else 1


def _message(name: str) -> Message:
    now = time.time()
    key = f"{time.time_ns():x}"[-12:]
    host = socket.gethostname()
    incident = Incident(
        id=key,
        host=host,
        boot_id=boot_id(),
        unit="failhook-test.service",
        first_seen=now,
        last_seen=now,
        phase=Phase.FAILED,
        state=State.CLOSED,
        stage=Stage.DONE,
        verdict=Verdict(f"this is a test: failhook on {host} can tell you when a unit fails"),
    )
    return Message(
        id=f"{key}-test-{name}"[:80],
        event=Event.TEST,
        thread=key,
        at=now,
        incident=incident,
        destination=name,
        opened=now,
        reason="failhook check --send",
    )


def _outcome(where: Places, name: str, item: str) -> tuple[bool, str]:
    """Wait until it has left the outbox, or was tried and has to wait."""
    progress = terminal.Progress(f"sending to {name}")
    queue = Queue(where.outbox)
    until = time.monotonic() + _WAIT_S
    try:
        while time.monotonic() < until:
            found = queue.find(item)
            if found is None:
                return True, "delivered"
            state = destination.load(where, name)
            if found.parent == queue.buried or (found.parent == queue.postponed and state.reason):
                return False, state.reason or "it was given up; see: failhook status"
            progress.step("waiting for the receiver")
            time.sleep(0.1)
    finally:
        progress.end()
    waiting = "is failhook-deliver.path active? see: failhook status"
    return False, f"it lies in the outbox and nobody took it within {_WAIT_S:.0f} s; {waiting}"
