# SPDX-License-Identifier: MIT
"""Jobs of the manager: which are queued, and which ended while we looked.

``systemctl stop`` of a unit that has failed changes nothing that could be asked for afterwards: no
state, no time stamp, no line in the journal (tried on 252 and 257). The one trace of what a person
asked for is the signal JobRemoved (org.freedesktop.systemd1(5)). The manager sends it to everybody
who is connected to its own socket, the one that systemctl uses as root; no bus daemon is needed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from dataclasses import dataclass, field

from failhook import proc

_MAX_MESSAGE = 1 << 20
_SIGNAL = 4  # message type, and below the codes of header fields (D-Bus specification)
_MEMBER = 3
_MEMBER_REMOVED = b"JobRemoved"


@dataclass(frozen=True, slots=True)
class Queued:
    """A job that waits or runs: ``type`` is start, stop, restart, …"""

    id: int
    unit: str
    type: str
    state: str


@dataclass(frozen=True, slots=True)
class Removed:
    """A job that ended; ``result`` is done, canceled, timeout, failed, dependency, skipped, …"""

    id: int
    unit: str
    result: str


def queued(*, user: bool = False, timeout_s: float = 5.0) -> list[Queued]:
    """All jobs of the manager; none where it does not answer."""
    scope = ["--user"] if user else []
    argv = ["systemctl", *scope, "list-jobs", "--no-legend", "--no-pager", "--full"]
    found = []
    for line in proc.run(argv, timeout_s=timeout_s).text.splitlines():
        words = line.split()
        if len(words) == 4 and words[0].isdecimal():
            found.append(Queued(int(words[0]), words[1], words[2], words[3]))
    return found


@dataclass(slots=True)
class Watch:
    """Hears of every job that ends from now on. Without the socket it hears nothing."""

    removed: list[Removed] = field(default_factory=list)
    _socket: socket.socket | None = None
    _buffer: bytearray = field(default_factory=bytearray)

    def take(self) -> list[Removed]:
        """All that ended so far, oldest first. Never blocks."""
        while self._socket is not None:
            try:
                data = self._socket.recv(1 << 16)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.close()
            self._buffer += data
        self._parse()
        return self.removed

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _parse(self) -> None:
        while len(self._buffer) >= 16:
            size = _size(self._buffer)
            if not 16 <= size <= _MAX_MESSAGE:  # not what we speak: hear nothing rather than guess
                self.close()
                self._buffer.clear()
                return
            if len(self._buffer) < size:
                return
            ended = removed_of(bytes(self._buffer[:size]))
            del self._buffer[:size]
            if ended is not None:
                self.removed.append(ended)


def watch(*, user: bool = False, path: str | None = None) -> Watch:
    """Begin to listen; on any problem what is returned stays silent."""
    if path is None:
        runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
        path = f"{runtime}/systemd/private" if user else "/run/systemd/private"
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        peer.settimeout(2.0)
        peer.connect(path)
        identity = str(os.geteuid()).encode().hex().encode()
        peer.sendall(b"\0AUTH EXTERNAL " + identity + b"\r\n")
        if not _line(peer).startswith(b"OK "):
            raise OSError("refused")
        peer.sendall(b"BEGIN\r\n")
        peer.setblocking(False)
    except OSError:
        peer.close()
        return Watch()
    return Watch(_socket=peer)


def _line(peer: socket.socket) -> bytes:
    """What is said during authentication, byte by byte: nothing of the messages may be taken."""
    said = bytearray()
    while not said.endswith(b"\r\n") and len(said) < 512:
        byte = peer.recv(1)
        if not byte:
            break
        said += byte
    return bytes(said)


def _order(message: bytes | bytearray) -> str:
    return "<" if message[0:1] == b"l" else ">"


def _size(message: bytes | bytearray) -> int:
    """The length of the message that begins here: fixed head, header fields, padding, body."""
    body, _, fields = struct.unpack_from(_order(message) + "III", message, 4)
    return int(16 + (fields + 7) // 8 * 8 + body)


def removed_of(message: bytes) -> Removed | None:
    """What a D-Bus message says, if it is JobRemoved(u id, o job, s unit, s result)."""
    if message[1] != _SIGNAL:
        return None
    order = _order(message)
    with contextlib.suppress(struct.error, UnicodeDecodeError, IndexError):
        fields = struct.unpack_from(order + "I", message, 12)[0]
        head = message[16 : 16 + fields]
        # y code, g signature "s", s value: the name of the signal as the header has it
        name = bytes([_MEMBER, 1]) + b"s\0" + struct.pack(order + "I", len(_MEMBER_REMOVED))
        if name + _MEMBER_REMOVED + b"\0" not in head:
            return None
        place = 16 + (fields + 7) // 8 * 8
        number = struct.unpack_from(order + "I", message, place)[0]
        _, place = _text(message, place + 4, order)
        unit, place = _text(message, place, order)
        result, _ = _text(message, place, order)
        return Removed(number, unit, result)
    return None


def _text(message: bytes, place: int, order: str) -> tuple[str, int]:
    """The text at ``place`` and where the next one begins."""
    place = (place + 3) // 4 * 4
    length = struct.unpack_from(order + "I", message, place)[0]
    end = place + 4 + length
    if end >= len(message):
        raise IndexError("cut short")
    return message[place + 4 : end].decode(), end + 1
