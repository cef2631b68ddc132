# SPDX-License-Identifier: MIT
"""Several messages told as one: a cascade, what came in quiet hours, an hour's digest. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from failhook.message import Entry, Event, Message

MOST = 200  # messages in one digest; the next ones are another


def compose(messages: Sequence[Message], group: str, ids: Sequence[str]) -> Message:
    """One message for all of ``messages``, which belong to one destination.

    ``ids`` are those of all items that its first try had, so that a repeat of it has the same id
    even where some of them are gone meanwhile. One alone is told as itself.
    """
    ordered = sorted(messages, key=lambda one: one.at)
    newest = ordered[-1]
    if len(ids) == 1:
        return newest
    name = hashlib.sha256("\0".join(sorted(ids)).encode()).hexdigest()[:32]
    return replace(
        newest,
        id=f"msg_digest_{name}",
        event=Event.DIGEST,
        thread=f"digest-{name}",
        opened=min(one.opened for one in ordered),
        count=sum(one.count for one in ordered),
        step=None,
        reason=newest.reason or f"told together ({group})",
        downtime_s=None,
        helped=None,
        excerpt=(),
        entries=tuple(sorted((e for one in ordered for e in _entries(one)), key=lambda e: e.at)),
    )


def _entries(message: Message) -> tuple[Entry, ...]:
    if message.entries:
        return message.entries
    incident = message.incident
    return (
        Entry(
            incident.unit, message.summary, incident.id, message.at, message.event, message.count
        ),
    )
