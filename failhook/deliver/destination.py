# SPDX-License-Identifier: MIT
"""What is known of a destination between two processes.

How often it failed, when it is tried again, that it wants nothing any more, and which items went
into a digest that was tried already. One small file per action in ``outbox/destinations/``. A
damaged one is a destination that nothing is known of, which costs a try and loses nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from failhook import files
from failhook.config.model import ActionTable
from failhook.places import Places
from failhook.queue import Queue, name_of

_MAX = 1 << 20
_DAMAGED = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
_DIRECTORY = "destinations"


@dataclass(frozen=True, slots=True)
class Destination:
    """Times are Unix seconds. ``gone`` is the `fingerprint` of the configuration that was told so,
    "" while it is not; ``composed`` are the ids in the digest of a group, from its first try."""

    name: str
    failures: int = 0  # in a row, of tries that were due
    tried: float = 0.0
    until: float = 0.0  # not tried before, unless something new comes
    reason: str = ""
    gone: str = ""
    composed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def answered(self) -> Destination:
        """It takes what it gets."""
        return replace(self, failures=0, until=0.0, reason="", gone="")


def load(places: Places, name: str) -> Destination:
    """What is known of the destination of that name."""
    with contextlib.suppress(OSError, *_DAMAGED):
        raw = json.loads(files.read_bounded(_path(places, name), _MAX))
        return Destination(
            name=name,
            failures=int(raw["failures"]),
            tried=float(raw["tried"]),
            until=float(raw["until"]),
            reason=str(raw["reason"]),
            gone=str(raw["gone"]),
            composed={
                str(group): tuple(str(one) for one in ids) for group, ids in raw["composed"].items()
            },
        )
    return Destination(name)


def save(places: Places, one: Destination) -> None:
    """Keep it. Raises OSError."""
    path = _path(places, one.name)
    if one == Destination(one.name):
        path.unlink(missing_ok=True)
        return
    files.make_private(path.parent)
    files.write(path, json.dumps(asdict(one)))


def waiting(places: Places) -> list[Destination]:
    """Those that did not take what they got, for ``failhook status``."""
    with contextlib.suppress(OSError):
        names = sorted(path.stem for path in (places.outbox / _DIRECTORY).glob("[!.]*.json"))
        return [load(places, name) for name in names]
    return []


def release(places: Places, name: str) -> int:
    """Forget what is known of it and make all that waits for it due; returns how many items.

    ``failhook retry NAME`` is this. Raises OSError.
    """
    _path(places, name).unlink(missing_ok=True)
    queue = Queue(places.outbox)
    paths = [path for path in queue.later() if _is_for(path, name)]
    queue.postpone_all(paths, 0.0)
    return len(paths)


def fingerprint(table: ActionTable) -> str:
    """Changes with the configuration of an action and says nothing about it."""
    text = repr((table.type, sorted((key, repr(value)) for key, value in table.raw.items())))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _is_for(path: Path, name: str) -> bool:
    found = name_of(path)
    return found is not None and found.action == name


def _path(places: Places, name: str) -> Path:
    return places.outbox / _DIRECTORY / f"{name}.json"
