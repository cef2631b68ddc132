# SPDX-License-Identifier: MIT
"""What is sent at once: one item of the outbox, or all of a group that are due together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from failhook.deliver import digest
from failhook.message import Message
from failhook.outbox import MessageError, message_from_json
from failhook.queue import Item, Queue, name_of


@dataclass(frozen=True, slots=True)
class Parcel:
    """The items, oldest first, and the message that they make. ``ids``: see `digest.compose`."""

    items: tuple[tuple[Path, Item], ...]
    message: Message
    group: str | None = None
    ids: tuple[str, ...] = ()

    @property
    def attempts(self) -> int:
        """Tries so far."""
        return max(item.attempts for _, item in self.items)


def pack(queue: Queue, path: Path, composed: Mapping[str, tuple[str, ...]]) -> Parcel | None:
    """The parcel that begins with the item in ``path``; None where there is nothing to send.

    ``composed`` has the ids of each group's digest that was tried before: it stays what it was.
    Raises OSError.
    """
    first = _read(queue, path)
    if first is None:
        return None
    item, message = first
    if item.group is None:
        return Parcel(((path, item),), message)
    found = {path: first}
    for other in _same_action(queue, path):
        if len(found) < digest.MOST and (read := _read(queue, other)) is not None:
            found |= {other: read} if read[0].group == item.group else {}
    ids = composed.get(item.group, ())
    if item.id in ids:
        found = {where: read for where, read in found.items() if read[0].id in ids}
    else:
        ids = tuple(read[0].id for read in found.values())
    told = digest.compose([read[1] for read in found.values()], item.group, ids)
    return Parcel(tuple((where, read[0]) for where, read in found.items()), told, item.group, ids)


def _same_action(queue: Queue, path: Path) -> list[Path]:
    name = name_of(path)
    found = [(name_of(other), other) for other in queue.waiting() if other != path]
    return [other for one, other in found if one and name and one.action == name.action]


def _read(queue: Queue, path: Path) -> tuple[Item, Message] | None:
    """What is no message is set aside, where a person finds it."""
    item = queue.read(path)
    if item is None:
        return None
    try:
        if item.kind != "message":
            raise MessageError(f"a {item.kind} is not for the outbox")
        return item, message_from_json(item.payload)
    except MessageError as error:
        queue.set_aside(path, str(error))
        return None
