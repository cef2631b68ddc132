# SPDX-License-Identifier: MIT
"""HTTP to somebody who may be hostile: one request, bounded in time, size and reach.

The door to HTTP for all that leaves the machine: no redirects, no proxy or password of the
environment's (``trust_env``), TLS verified, an end to the whole exchange however slowly it is
answered, at most `MAX_REPLY` bytes of an answer and those as they came (nothing is unpacked), and
no link-local address, where clouds keep their metadata (anchors T27). What goes wrong is said
without the URL, which is a secret often enough. Connections are kept for the next request.

One request at a time in a process: the limit on its time is the process's.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from failhook.version import VERSION

MAX_REPLY = 64 << 10
CONNECT_S = 10.0
# Metadata services of clouds that are not link-local (AWS over IPv6, Alibaba, Azure's wire server).
_METADATA = ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")


class HttpError(Exception):
    """There is no answer: says why, without the URL. ``final`` where trying again cannot help."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class _Forbidden(OSError):
    """An address that is not talked to."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How a server is reached, and what proves that it is the right one."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    proxy: str | None = field(default=None, repr=False)
    allow_link_local: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)
    is_cut: bool = False

    @property
    def ok(self) -> bool:
        """2xx."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """The body, whatever it holds, as text."""
        return self.body.decode("utf-8", "replace")

    def retry_after_s(self, now: float) -> float | None:
        """What ``Retry-After`` asks for: seconds or a date (RFC 9110, 10.2.3); None for rubbish."""
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return float(value[:9])
        with contextlib.suppress(ValueError, TypeError, IndexError, OverflowError):
            return max(0.0, parsedate_to_datetime(value).timestamp() - now)
        return None


def check_url(url: str) -> None:
    """Raises HttpError where ``url`` is none that could be asked."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise HttpError("its URL is none", final=False) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise HttpError("its URL does not begin with https:// or http:// and a host")
    if any(ord(char) <= 32 or ord(char) == 127 for char in url):
        raise HttpError("its URL holds a space or a control character")


class Client:
    """Keeps connections to one server. ``reach`` is the same for all of its requests."""

    def __init__(self, reach: Reach = Reach()) -> None:
        self._reach = reach
        self._session: requests.Session | None = None

    def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | BinaryIO = b"",
        limit_s: float = 30.0,
    ) -> Reply:
        """Ask once; what is answered, whatever its status. Raises HttpError."""
        check_url(url)
        limits = _Limits(time.monotonic() + limit_s, self._reach.allow_link_local)
        try:
            if self._session is None:
                self._session = _session(self._reach)
            _now.append(limits)
            return self._ask(method, url, headers, body, limits)
        except (requests.RequestException, HTTPError, OSError, EOFError, ValueError) as error:
            self.close()
            raise _explained(error, limits, limit_s) from None
        finally:
            _now.clear()

    def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | BinaryIO,
        limits: _Limits,
    ) -> Reply:
        assert self._session is not None
        fixed = {"User-Agent": f"failhook/{VERSION}", "Accept-Encoding": "identity"}
        with self._session.request(
            method,
            url,
            headers=fixed | dict(headers),
            data=body,
            timeout=(min(CONNECT_S, limits.left()), limits.left()),
            allow_redirects=False,
            stream=True,
        ) as response:
            read = _read(response)
            names = {name.lower(): value for name, value in response.headers.items()}
            has_body = response.status_code not in (204, 304)
            if has_body and len(read) < min(
                _length(names), MAX_REPLY
            ):  # urllib3 before 2 does not mind
                raise EOFError
            return Reply(response.status_code, names, read[:MAX_REPLY], len(read) > MAX_REPLY)


def _length(headers: Mapping[str, str]) -> int:
    value = headers.get("content-length", "")
    return int(value[:15]) if value.isascii() and value.isdigit() else 0


def _read(response: requests.Response) -> bytes:
    """Up to one byte more than may be; the rest stays where it is, and the connection goes."""
    read = bytearray()
    while len(read) <= MAX_REPLY:
        chunk = response.raw.read(min(8192, MAX_REPLY + 1 - len(read)), decode_content=False)
        if not chunk:
            return bytes(read)
        read += chunk
    response.raw.close()
    return bytes(read)


# -- the limits of the request that is being made ------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Limits:
    """Until when one request may take, and where it may go."""

    until: float  # monotonic
    allow_link_local: bool

    def left(self) -> float:
        """Seconds; never none, for a timeout of 0 means something else."""
        return max(0.001, self.until - time.monotonic())

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.until


_now: list[_Limits] = []


class _Plain(socket.socket):
    """Every read and write ends when the request's time is over. ``peer``: as it was asked for."""

    peer: str | None = None

    def recv_into(self, *args: Any) -> int:
        _arm(self)
        return super().recv_into(*args)

    def sendall(self, *args: Any) -> None:
        _arm(self)
        super().sendall(*args)


class _Tls(ssl.SSLSocket):
    """As `_Plain`."""

    def recv_into(self, *args: Any) -> int:
        _arm(self)
        return super().recv_into(*args)

    def send(self, *args: Any) -> int:
        _arm(self)
        return super().send(*args)


class _Context(ssl.SSLContext):
    """Checks an address as it does a name: urllib3 before 2 does not pass on the former."""

    def wrap_socket(self, sock: socket.socket, *args: Any, **more: Any) -> ssl.SSLSocket:
        if more.get("server_hostname") is None and isinstance(sock, _Plain):
            more["server_hostname"] = sock.peer
        return super().wrap_socket(sock, *args, **more)


def _arm(sock: socket.socket) -> None:
    if _now:
        if _now[-1].is_over:
            raise TimeoutError
        sock.settimeout(_now[-1].left())


def _connected(host: str, port: int) -> socket.socket:
    """A connection to one of the host's addresses that may be talked to."""
    limits = _now[-1]
    last: OSError = OSError(errno.EHOSTUNREACH, "no address")
    for family, address in _addresses(host.strip("[]"), port):
        if not limits.allow_link_local and _is_forbidden(str(address[0])):
            last = _Forbidden(errno.EACCES, "link-local")
            continue
        sock = _Plain(family, socket.SOCK_STREAM)
        sock.peer = host.strip("[]")
        try:
            sock.settimeout(min(CONNECT_S, limits.left()))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            last = error
            continue
        return sock
    raise last


def _addresses(host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
    with contextlib.suppress(ValueError):  # no name: nobody has to be asked
        ip = ipaddress.ip_address(host)
        family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
        return [(family, (host, port))]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def _is_forbidden(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified:
        return True
    return any(ip == ipaddress.ip_address(one) for one in _METADATA)


class _Dial:
    """For both kinds of connection: how a socket is made."""

    host: str
    port: int
    _dns_host: str

    def _new_conn(self) -> socket.socket:
        return _connected(getattr(self, "_dns_host", self.host), self.port)


class _PlainConnection(_Dial, HTTPConnection):
    pass


class _TlsConnection(_Dial, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _PlainPool, "https": _TlsPool}


class _Adapter(HTTPAdapter):
    """Uses the system's certificates (or those that were given), and our sockets."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(pool_connections=2, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **more)
        cast("Any", self).poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: Any, **more: Any) -> Any:
        found = super().proxy_manager_for(proxy, ssl_context=self._context, **more)
        found.pool_classes_by_scheme = _POOLS
        return found

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """The context has all of it; requests would add certificates of its own."""
        conn.cert_reqs = "CERT_REQUIRED"
        conn.ca_certs = None


class _Session(requests.Session):
    """Does not even look where a redirect leads to: requests would read all of its body for that,
    however long it is, also where redirects are not followed."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


def _session(reach: Reach) -> requests.Session:
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)  # verifies, and checks the name
    if reach.ca_file is not None:
        context.load_verify_locations(reach.ca_file)
    else:
        context.load_default_certs()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if reach.cert_file is not None:
        context.load_cert_chain(reach.cert_file, reach.key_file)
    context.sslsocket_class = _Tls
    session = _Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(context))
    if reach.proxy is not None:
        session.proxies = {"http": reach.proxy, "https": reach.proxy}
    return session


# -- what went wrong -----------------------------------------------------------------------------


_SAID: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"gaierror", "NameResolutionError"}), "its name cannot be resolved"),
    (frozenset({"ConnectionRefusedError"}), "connection refused"),
    (frozenset({"ConnectionResetError", "BrokenPipeError"}), "it reset the connection"),
    (
        frozenset({"IncompleteRead", "ChunkedEncodingError", "InvalidChunkLength", "EOFError"}),
        "the answer ended before its announced end",
    ),
    (frozenset({"RemoteDisconnected"}), "it hung up without an answer"),
    (frozenset({"BadStatusLine", "HeaderParsingError", "LineTooLong"}), "its answer is no HTTP"),
    (frozenset({"InvalidURL", "InvalidSchema", "LocationParseError"}), "its URL is none"),
)


def _explained(error: BaseException, limits: _Limits, limit_s: float) -> HttpError:
    chain = _causes(error)
    if special := next((said for one in chain if (said := _special(one))), None):
        return HttpError(special)
    kinds = {kind.__name__ for one in chain for kind in type(one).__mro__}
    if limits.is_over or "TimeoutError" in kinds:
        took = "it did not connect" if "ConnectTimeout" in kinds else "no complete answer"
        return HttpError(f"{took} within {limit_s:.0f} s")
    if said := next((text for names, text in _SAID if names & kinds), None):
        return HttpError(said)
    system = next((one for one in chain if isinstance(one, OSError) and one.errno), None)
    if system is not None:
        return HttpError(os.strerror(system.errno or 0).lower())
    if "ProxyError" in kinds:
        return HttpError("the proxy refused")
    return HttpError(f"the exchange failed ({type(chain[-1]).__name__})")


def _special(error: BaseException) -> str | None:
    if isinstance(error, _Forbidden):
        return (
            "refused: its address is link-local or a cloud's metadata service "
            "(allow_link_local = true if it is meant)"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and not isinstance(error, TimeoutError):
        return f"TLS failed: {(error.reason or 'no further reason').lower().replace('_', ' ')}"
    return None


def _causes(error: BaseException | None) -> list[BaseException]:
    """An exception and all that it was made of, however libraries wrapped it."""
    found: list[BaseException] = []
    todo = [error]
    while todo and len(found) < 50:
        one = todo.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            inner = [arg for arg in one.args if isinstance(arg, BaseException)]
            reason = getattr(one, "reason", None)
            todo += [*inner, reason if isinstance(reason, BaseException) else None]
            todo += [one.__cause__, one.__context__]
    return found
