# SPDX-License-Identifier: MIT
"""An entry in the journal: structured, with a MESSAGE_ID of its own for each event.

By the native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL), so that no program has to be started
and no text can become a field. ``units/failhook.catalog`` explains each id to ``journalctl -x``.
The entry is found by ``journalctl -u UNIT`` as well: OBJECT_SYSTEMD_UNIT= of root counts there
(journalctl(1), --unit).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from failhook.actions import variables
from failhook.incident import Incident, Phase, State
from failhook.plugin import Action, Event, Outcome, Request, choice, done, failed, option

SOCKET = "/run/systemd/journal/socket"
FAILED = "e4934e434d8943a0aa2f28600fc5740c"
GAVE_UP = "1ccfc5f1c4344ca4ae013568db1e87d1"
VICTIM = "37467fc8ede8419a9036fcc7d57d6ca1"  # of a dependency that failed
RECOVERED = "d73eb582bbf940aaa5605dc26c8fb438"
_PRIORITIES = {"crit": 2, "err": 3, "warning": 4, "notice": 5, "info": 6}  # syslog(3)
_USUAL = {FAILED: "warning", GAVE_UP: "err", VICTIM: "warning", RECOVERED: "notice"}
_SEND_S = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """How loud."""

    priority: str = option(
        choice("auto", *_PRIORITIES),
        "auto: err where nobody tries again, else less",
        default="auto",
    )


def event_of(incident: Incident, event: Event | None = None) -> str:
    """Which MESSAGE_ID says what is to be told of ``incident``."""
    if event is Event.RECOVERED or incident.state is State.RECOVERED:
        return RECOVERED
    if event is Event.GAVE_UP or incident.phase is Phase.GAVE_UP:
        return GAVE_UP
    return VICTIM if incident.phase is Phase.DEPENDENCY else FAILED


def fields_of(incident: Incident, message_id: str, priority: int) -> dict[str, str]:
    """All fields of the entry."""
    user = incident.manager == "user"
    about = variables.of(incident)
    again = "recovered: " if message_id == RECOVERED else ""
    unit = "USER_UNIT" if user else "UNIT"
    return {
        "MESSAGE": f"{again}{about['FAILHOOK_SUMMARY']} (failhook show {incident.id})",
        "MESSAGE_ID": message_id,
        "PRIORITY": str(priority),
        "SYSLOG_IDENTIFIER": "failhook",
        unit: variables.plain(incident.unit),
        f"OBJECT_SYSTEMD_{unit}": variables.plain(incident.unit),
        **{name: value for name, value in about.items() if value},
    }


def encoded(fields: Mapping[str, str]) -> bytes:
    """As the native protocol has it: a value with its length, so that it may hold anything."""
    parts = []
    for name, value in fields.items():
        data = value.encode("utf-8", "replace")
        parts.append(name.encode("ascii") + b"\n" + struct.pack("<Q", len(data)) + data + b"\n")
    return b"".join(parts)


def send(entry: bytes, path: str = SOCKET) -> None:
    """Hand one entry to journald. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as peer:
        peer.settimeout(_SEND_S)
        peer.connect(path)
        peer.send(entry)


def run(request: Request[Options]) -> Outcome:
    """One entry; a second try of the same step says the same."""
    event = request.message.event if request.message else None
    message_id = event_of(request.incident, event)
    wanted = request.options.priority
    priority = _PRIORITIES[_USUAL[message_id] if wanted == "auto" else wanted]
    fields = fields_of(request.incident, message_id, priority)
    if request.dry_run:
        return done(f"would write to the journal: {fields['MESSAGE']}")
    try:
        send(encoded(fields))
    except OSError as error:
        return failed(f"{SOCKET}: {error.strerror or error}")
    return done("written to the journal", message_id=message_id)


ACTION = Action(
    "journal",
    "writes an entry with its own MESSAGE_ID to the journal",
    Options,
    run,
    repeatable=True,
)
