# SPDX-License-Identifier: MIT
"""Is it well? An answer over HTTP, an open TCP port, or a command that ends with 0.

One check is one short question with a time limit over all of it, names and slow answers included.
No redirects are followed, certificates are verified, proxies of the environment are not used, and
of an answer no more than its beginning is read.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from failhook import pattern, proc
from failhook.plugin import Kind, Wrong
from failhook.values import duration, texts

_MAX_BODY = 64 << 10
_KEYS = ("http", "tcp", "command", "expect", "timeout", "interval")
_PORTS = {"http": 80, "https": 443}
_HEADERS = {"User-Agent": "failhook", "Accept": "*/*", "Connection": "close"}


@dataclass(frozen=True, slots=True)
class Check:
    """What is asked. ``kind`` is http, tcp or command."""

    kind: str
    url: str = ""
    host: str = ""
    port: int = 0
    argv: tuple[str, ...] = ()
    status: int | None = None  # None: anything from 200 to 399
    expect: re.Pattern[bytes] | None = None  # somewhere in the first 64 KiB of the answer
    timeout_s: float = 5.0
    interval_s: float = 1.0

    def __str__(self) -> str:
        if self.kind == "http":
            return self.url
        return f"{self.host}:{self.port}" if self.kind == "tcp" else self.argv[0]


@dataclass(frozen=True, slots=True)
class Answer:
    """How one check went; ``said`` is a few words for a person."""

    well: bool
    said: str


def read(value: object) -> Check:
    """{ http = "…" }, { tcp = "host:port" } or { command = […] }. Raises Wrong."""
    if not isinstance(value, dict) or sum(key in value for key in _KEYS[:3]) != 1:
        raise Wrong(
            'is no check; write { http = "http://127.0.0.1:8080/health" }, '
            '{ tcp = "127.0.0.1:5432" } or { command = ["pg_isready"] }'
        )
    if unknown := set(value) - set(_KEYS):
        raise Wrong(f"has {sorted(unknown)[0]!r}, but a check takes: {', '.join(_KEYS)}")
    times: dict[str, Any] = {
        "timeout_s": duration(value.get("timeout", 5)),
        "interval_s": max(0.05, duration(value.get("interval", 1))),
    }
    if times["timeout_s"] <= 0:
        raise Wrong("has a timeout of 0")
    if "expect" in value and "http" not in value:
        raise Wrong("has expect, which is about an answer over HTTP")
    if "http" in value:
        status, expect = _expected(value.get("expect"))
        return Check("http", url=_url(value["http"]), status=status, expect=expect, **times)
    if "tcp" in value:
        host, port = _address(value["tcp"])
        return Check("tcp", host=host, port=port, **times)
    argv = texts(value["command"])
    if not argv or not argv[0]:
        raise Wrong("has an empty command")
    return Check("command", argv=argv, **times)


def _url(value: object) -> str:
    text = value if isinstance(value, str) else ""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or re.search(r"[\x00-\x20\x7f]", text):
        raise Wrong('has no address over HTTP; write "http://127.0.0.1:8080/health"')
    if "@" in urlsplit(text).netloc:
        raise Wrong("has a password in its address; a check sends none")
    return text


def _address(value: object) -> tuple[str, int]:
    text = value if isinstance(value, str) else ""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise Wrong('has no address; write tcp = "127.0.0.1:5432" or "[::1]:5432"')
    return host.removeprefix("[").removesuffix("]"), int(port)


def _expected(value: object) -> tuple[int | None, re.Pattern[bytes] | None]:
    """A status, or a pattern for the answer."""
    if value is None:
        return None, None
    if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
        return value, None
    if isinstance(value, str) and value:
        try:
            return None, pattern.checked("expect", value)
        except ValueError as error:
            raise Wrong(str(error)) from None
    raise Wrong("has an expect that is neither a status (200) nor a pattern for the answer")


_SCHEMA = {
    "type": "object",
    "properties": {
        "http": {"type": "string", "pattern": "^https?://"},
        "tcp": {"type": "string"},
        "command": {"type": "array", "items": {"type": "string"}},
        "expect": {"type": ["integer", "string"]},
        "timeout": {"type": ["string", "number"]},
        "interval": {"type": ["string", "number"]},
    },
    "additionalProperties": False,
}
CHECK = Kind("check", read, _SCHEMA)


def ask(check: Check, within_s: float | None = None) -> Answer:
    """Ask once, in ``within_s`` at most. Never raises for what the other side does."""
    limit = min(check.timeout_s, within_s) if within_s is not None else check.timeout_s
    limit = max(0.05, limit)
    if check.kind == "command":
        return _command(check, limit)
    try:
        return _tcp(check, limit) if check.kind == "tcp" else _http(check, limit)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        return Answer(False, f"{check}: {_words(error)}")


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) or type(error).__name__


def _command(check: Check, limit: float) -> Answer:
    ended = proc.run(check.argv, timeout_s=limit, max_bytes=16 << 10, keep="tail")
    return Answer(ended.ok, f"{check} says well" if ended.ok else ended.why())


def _tcp(check: Check, limit: float) -> Answer:
    with socket.create_connection((check.host, check.port), timeout=limit):
        return Answer(True, f"{check} accepts connections")


def _http(check: Check, limit: float) -> Answer:
    parts = urlsplit(check.url)
    connection = _connection(parts, limit)
    connection.connect()
    with contextlib.closing(connection), _cut_off(connection.sock, limit):
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers=_HEADERS)
        answer = connection.getresponse()
        status = answer.status
        fits = status == check.status if check.status is not None else 200 <= status < 400
        if not fits:
            return Answer(False, f"{check} answers {status}")
        if check.expect is None:
            return Answer(True, f"{check} answers {status}")
        found = _finds(check.expect, answer.read(_MAX_BODY))
        said = "as expected" if found else "without what is expected"
        return Answer(found, f"{check} answers {status} {said}")


def _connection(parts: SplitResult, limit: float) -> http.client.HTTPConnection:
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    if parts.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=limit, context=context)
    return http.client.HTTPConnection(host, port, timeout=limit)


@contextlib.contextmanager
def _cut_off(peer: socket.socket, limit: float) -> Iterator[None]:
    """Hang up when the time is over: the limit of a socket is for each byte, not for all."""
    over = threading.Event()

    def hang_up() -> None:
        over.set()
        with contextlib.suppress(OSError):
            peer.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(limit, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        if over.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


def _finds(expect: re.Pattern[bytes], body: bytes) -> bool:
    """Line by line: that is the length such a pattern was tried with (`failhook.pattern`)."""
    return any(
        expect.search(line[start : start + pattern.MAX_LINE])
        for line in body.splitlines()
        for start in range(0, max(1, len(line)), pattern.MAX_LINE)
    )
