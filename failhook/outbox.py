# SPDX-License-Identifier: MIT
"""A message on its way: kept as JSON, put into the outbox, read back by who delivers it.

The outbox holds no secret and no option of a destination: those are read when it is delivered.
Cheap to import: nothing here knows how a message is sent.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import time
from pathlib import Path

from failhook import incident as model
from failhook.incident import Incident, Json, JsonObject
from failhook.message import Entry, Event, Message
from failhook.places import Places
from failhook.queue import MAX_BYTES, Item, Queue
from failhook.store import codec
from failhook.store.incidents import directory_name

_ID = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_ROOM = MAX_BYTES // 4


class MessageError(ValueError):
    """What was kept is no message; says what is wrong with it."""


def enqueue(
    places: Places,
    message: Message,
    *,
    action: str,
    not_before: float = 0.0,
    group: str | None = None,
) -> Path:
    """Put ``message`` into the outbox for the action of that name; once, however often it is
    called with the same ``message.id``. Returns the item's file.

    ``not_before`` is Unix seconds. Items of the same action and ``group`` that are due together go
    out as one digest. Raises OSError (a full disk) and `failhook.queue.QueueFull`.
    """
    queue = Queue(places.outbox)
    queue.make()
    item = Item(
        id=item_id(message.id),
        action=action,
        kind="message",
        incident=directory_name(message.incident),
        created=time.time(),
        not_before=not_before,
        step=message.step,
        group=group,
        payload=message_to_json(message),
    )
    return queue.put(item)


def item_id(message_id: str) -> str:
    """The message's own id where that can be a file's name, else one that is made of it."""
    if _ID.fullmatch(message_id):
        return message_id
    return "msg_" + hashlib.sha256(message_id.encode("utf-8", "backslashreplace")).hexdigest()[:40]


def message_to_json(message: Message) -> JsonObject:
    """The whole message, so that it can be sent when the incident is long forgotten."""
    raw: JsonObject = {
        "id": message.id,
        "event": str(message.event),
        "thread": message.thread,
        "at": message.at,
        "destination": message.destination,
        "opened": message.opened,
        "count": message.count,
        "step": message.step,
        "reason": message.reason,
        "downtime_s": message.downtime_s,
        "helped": message.helped,
        "excerpt": list(message.excerpt),
        "entries": [_plain(dataclasses.asdict(one)) for one in message.entries],
        "incident": message.incident.to_json(),
    }
    if len(json.dumps(raw)) > _ROOM:
        raw["incident"] = _essence(message.incident).to_json()
    return raw


def message_from_json(raw: object) -> Message:
    """The reverse of `message_to_json`. Raises MessageError."""
    if not isinstance(raw, dict):
        raise MessageError("no object")
    try:
        return Message(
            id=_text(raw, "id"),
            event=Event(_text(raw, "event")),
            thread=_text(raw, "thread"),
            at=_time(raw, "at"),
            incident=_incident(raw.get("incident")),
            destination=_text(raw, "destination"),
            opened=_time(raw, "opened"),
            count=_number(raw, "count") or 0,
            step=_number(raw, "step"),
            reason=_text(raw, "reason"),
            downtime_s=None if raw.get("downtime_s") is None else _time(raw, "downtime_s"),
            helped=None if raw.get("helped") is None else _text(raw, "helped"),
            excerpt=tuple(_texts(raw, "excerpt")),
            entries=tuple(_entry(one) for one in _list(raw, "entries")),
        )
    except MessageError:
        raise
    except (ValueError, OverflowError, RecursionError) as error:
        raise MessageError(str(error)) from None


def _essence(incident: Incident) -> Incident:
    """What every message needs of an incident that is unusually large."""
    return dataclasses.replace(
        incident,
        triggers=(),
        evidence=(),
        actions=(),
        changes=incident.changes[:20],
        dying_words=(),
        notes=(),
        problems=(),
    )


def _incident(raw: object) -> Incident:
    document = {"schema": model.SCHEMA, "incident": raw}
    try:
        return codec.load(json.dumps(document).encode())
    except codec.CodecError as error:
        raise MessageError(f"incident: {error}") from None


def _entry(raw: Json) -> Entry:
    if not isinstance(raw, dict):
        raise MessageError("entries holds something that is no object")
    return Entry(
        unit=_text(raw, "unit"),
        summary=_text(raw, "summary"),
        id=_text(raw, "id"),
        at=_time(raw, "at"),
        event=_text(raw, "event"),
        count=_number(raw, "count") or 0,
    )


def _plain(raw: JsonObject) -> JsonObject:
    return {key: str(value) if isinstance(value, Event) else value for key, value in raw.items()}


def _text(raw: JsonObject, key: str) -> str:
    value = raw.get(key)
    if not isinstance(value, str):
        raise MessageError(f"{key} is no text")
    return value


def _texts(raw: JsonObject, key: str) -> list[str]:
    found = [one for one in _list(raw, key) if isinstance(one, str)]
    if len(found) < len(_list(raw, key)):
        raise MessageError(f"{key} holds something that is no text")
    return found


def _list(raw: JsonObject, key: str) -> list[Json]:
    value = raw.get(key, [])
    if not isinstance(value, list):
        raise MessageError(f"{key} is no list")
    return value


def _time(raw: JsonObject, key: str) -> float:
    value = raw.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise MessageError(f"{key} is no time")
    return float(value)


def _number(raw: JsonObject, key: str) -> int | None:
    value = raw.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise MessageError(f"{key} is no number")
    return value
