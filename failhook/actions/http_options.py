# SPDX-License-Identifier: MIT
"""Options that the actions share which speak HTTP, and the connections that they keep."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from failhook.secret import Secret
from failhook.values import SECRET, Kind, Wrong

if TYPE_CHECKING:
    from failhook.http_client import Client, Reach

_NOT_OURS = ("content-length", "transfer-encoding", "host", "connection")
_SIGNS = "!#$%&'*+-.^_`|~"  # RFC 9110, 5.6.2
_LEAST = 4  # characters of a secret that could be told from any other text


def _secrets(value: object) -> tuple[Secret, ...]:
    """One secret or a list of them. Raises Wrong."""
    listed = value if isinstance(value, list) else [value]
    return tuple(SECRET.read(one) for one in listed)


def _headers(value: object) -> tuple[tuple[str, Secret], ...]:
    """{ NAME = secret }. Raises Wrong."""
    if not isinstance(value, dict):
        raise Wrong('is no table of headers; write { Authorization = { credential = "NAME" } }')
    for name in value:
        if not name or not all(c.isascii() and (c.isalnum() or c in _SIGNS) for c in name):
            raise Wrong(f"{name!r} is not the name of a header")
        if name.lower() in _NOT_OURS:
            raise Wrong(f"the header {name} is made by failhook itself")
    return tuple((name, SECRET.read(one)) for name, one in value.items())


_ONE = dict(SECRET.schema)
SECRETS = Kind(
    "secret or list of them",
    _secrets,
    {"anyOf": [_ONE, {"type": "array", "items": _ONE, "minItems": 1}]},
)
HEADERS = Kind("table of secrets", _headers, {"type": "object", "additionalProperties": _ONE})


def masked(text: str, secrets: Iterable[str]) -> str:
    """``text`` without any of them, nor the longer parts of a URL's path among them: a receiver may
    repeat what it got."""
    known = {part for one in secrets for part in (one, one.partition(" ")[2])}
    known |= {part for one in secrets if "://" in one for part in one.split("/")[3:]}
    for one in sorted((one for one in known if len(one) >= _LEAST), key=len, reverse=True):
        text = text.replace(one, "***")
    return text


_clients: dict[Reach, Client] = {}


def client(reach: Reach) -> Client:
    """One for each way to reach a server, so that its connection serves the next message too."""
    from failhook.http_client import Client

    if reach not in _clients:
        _clients[reach] = Client(reach)
    return _clients[reach]
