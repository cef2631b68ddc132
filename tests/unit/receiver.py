# SPDX-License-Identifier: MIT
"""An HTTP server on loopback that does what a test tells it to, however rude that is."""

import contextlib
import gzip
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Answer = Callable[[socket.socket, "Asked"], None]


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.time)
    connection: int = 0


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    """A proper answer; ``_`` in a header's name stands for ``-``."""
    lines = [f"HTTP/1.1 {code} Some Reason", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return raw("\r\n".join([*lines, "", ""]).encode() + body)


def raw(data: bytes) -> Answer:
    """These bytes."""

    def answer(peer: socket.socket, _: Asked) -> None:
        peer.sendall(data)

    return answer


def hang_up(peer: socket.socket, _: Asked) -> None:
    """No answer."""
    raise ConnectionError


def reset(peer: socket.socket, _: Asked) -> None:
    """RST instead of an answer."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    raise ConnectionError


def dribble(head: bytes, pause_s: float = 0.05) -> Answer:
    """A byte now and then, and no end of it."""

    def answer(peer: socket.socket, _: Asked) -> None:
        peer.sendall(head)
        while True:
            peer.sendall(b"x")
            time.sleep(pause_s)

    return answer


def flood(head: bytes) -> Answer:
    """Ten gigabytes, as fast as they are taken."""

    def answer(peer: socket.socket, _: Asked) -> None:
        peer.sendall(head)
        chunk = b"x" * (1 << 20)
        for _number in range(10 << 10):
            peer.sendall(chunk)

    return answer


def bomb() -> Answer:
    """A gigabyte in a megabyte."""
    packed = gzip.compress(bytes(64 << 20)) * 16
    return status(200, packed, Content_Encoding="gzip")


class Receiver:
    """Answers with what is in ``answers``, one after the other, then with 200; keeps ``asked``."""

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []
        self.always: Answer | None = None
        self._tls = tls
        self._connections = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for peer in self._open:
                with contextlib.suppress(OSError):
                    peer.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    @property
    def connections(self) -> int:
        """How many were made to it."""
        return self._connections

    def url(self, path: str = "/hook") -> str:
        """Its address."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}{path}"

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._connections += 1
            number = self._connections
            threading.Thread(target=self._serve, args=(peer, number), daemon=True).start()

    def _serve(self, peer: socket.socket, number: int) -> None:
        try:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                peer = self._tls.wrap_socket(peer, server_side=True)
            with self._lock:
                self._open.add(peer)
            stream = peer.makefile("rb")
            while (asked := _request(stream)) is not None:
                asked.connection = number
                with self._lock:
                    self.asked.append(asked)
                    answer = self.answers.pop(0) if self.answers else self.always
                (answer or status(200, b"ok"))(peer, asked)
        except (OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._open.discard(peer)
            peer.close()


def _request(stream: Any) -> Asked | None:
    first = stream.readline().decode("latin-1").split()
    if len(first) != 3:
        return None
    headers: dict[str, str] = {}
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(stream.readline(), 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
    else:
        body = stream.read(int(headers.get("content-length", "0")))
    return Asked(first[0], first[1], headers, body)


def certificate(directory: Path, name: str = "127.0.0.1") -> tuple[Path, Path]:
    """A certificate of its own authority for loopback, and its key."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    alternative = f"IP:{name}" if name[0].isdigit() else f"DNS:{name}"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext"),
            *(f"subjectAltName={alternative}", "-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """For a receiver that speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context
