# SPDX-License-Identifier: MIT
"""HTTP to somebody who is hostile: bounded in time, in size and in reach, and silent on the URL."""

import contextlib
import io
import resource
import socket
import ssl
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from failhook.http_client import MAX_REPLY, Client, HttpError, Reach, Reply, check_url
from tests.unit import receiver as to
from tests.unit.receiver import Receiver


@pytest.fixture
def client() -> Iterator[Client]:
    """A client that is let go of."""
    with contextlib.closing(Client()) as made:
        yield made


def _send(client: Client, url: str, *, limit_s: float = 5.0, body: bytes = b"{}") -> Reply:
    return client.send("POST", url, headers={"X-One": "1"}, body=body, limit_s=limit_s)


def test_an_answer(client: Client) -> None:
    with Receiver(to.status(202, b"taken", X_Id="7")) as there:
        reply = _send(client, there.url("/a/b?c=d"), body=b"\0\xff")
        assert (reply.status, reply.ok, reply.body) == (202, True, b"taken")
        assert reply.headers["x-id"] == "7"
    (asked,) = there.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/a/b?c=d", b"\0\xff")
    assert asked.headers["x-one"] == "1"
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["user-agent"].startswith("failhook/")


def test_one_connection_for_many_requests(client: Client) -> None:
    with Receiver() as there:
        for _ in range(5):
            assert _send(client, there.url()).status == 200
        assert there.connections == 1


def test_a_connection_that_was_closed_meanwhile_is_made_anew(client: Client) -> None:
    with Receiver() as there:
        _send(client, there.url())
        for peer in list(there._open):
            peer.shutdown(socket.SHUT_RDWR)
        assert _send(client, there.url()).status == 200


def test_a_file_is_streamed_with_its_length(client: Client, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096
    (tmp_path / "file").write_bytes(content)
    with Receiver() as there, (tmp_path / "file").open("rb") as stream:
        client.send("PUT", there.url(), headers={}, body=stream)
    assert there.asked[0].body == content
    assert there.asked[0].headers["content-length"] == str(len(content))


def test_redirects_are_not_followed(client: Client) -> None:
    with Receiver() as other, Receiver(to.status(302, Location=other.url())) as there:
        assert _send(client, there.url()).status == 302
        assert other.asked == []


def test_a_flood_after_a_redirect_is_cut(client: Client) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 10737418240\r\n\r\n"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Receiver(to.flood(head)) as there:
        assert _send(client, there.url()).is_cut
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10


def test_nothing_of_the_environment_is_used(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Receiver() as proxy, Receiver() as there:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password pass-of-netrc\n")
        monkeypatch.setenv("NETRC", str(netrc))
        _send(client, there.url())
        assert proxy.asked == []
        assert "authorization" not in there.asked[0].headers


def test_a_proxy_that_was_asked_for() -> None:
    with Receiver() as proxy:
        with contextlib.closing(Client(Reach(proxy=proxy.url("")))) as client:
            assert _send(client, "http://10.255.255.1:81/x").status == 200
        assert proxy.asked[0].path == "http://10.255.255.1:81/x"


@pytest.mark.parametrize(
    "answer",
    [
        to.dribble(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"),
        to.dribble(b"HTTP/1.1 200 OK\r\nX-Long: "),
        to.dribble(b"HTTP/1.1 2"),
        to.dribble(b""),
        lambda peer, asked: time.sleep(30),
    ],
    ids=["body", "header", "status", "first", "silent"],
)
def test_a_slow_server_has_only_so_long(client: Client, answer: to.Answer) -> None:
    with Receiver(answer) as there:
        begun = time.monotonic()
        with pytest.raises(HttpError, match="within 1 s"):
            _send(client, there.url(), limit_s=0.6)
        assert time.monotonic() - begun < 3.0


def test_a_server_that_does_not_read_has_only_so_long(client: Client) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        begun = time.monotonic()
        with pytest.raises(HttpError, match="within"):
            _send(client, url, body=bytes(64 << 20), limit_s=0.6)
        assert time.monotonic() - begun < 3.0


@pytest.mark.parametrize(
    "answer",
    [
        to.flood(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n"),
        to.flood(b"HTTP/1.1 200 OK\r\n\r\n"),
        to.bomb(),
        to.flood(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n"),
    ],
    ids=["length", "no length", "gzip", "chunked"],
)
def test_a_flood_is_cut(client: Client, answer: to.Answer) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Receiver(answer, to.status(201)) as there:
        reply = _send(client, there.url())
        assert (reply.status, len(reply.body), reply.is_cut) == (200, MAX_REPLY, True)
        # The rest of it is not taken for the next answer.
        assert _send(client, there.url()).status == 201
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (to.hang_up, "hung up|reset"),
        (to.reset, "reset"),
        (to.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort\r\n"), "within|end"),
        (to.raw(b"hello\r\n\r\n"), "no HTTP|end"),
        (to.flood(b"HTTP/1.1 200 OK\r\nX: "), "no HTTP|reset"),
    ],
    ids=["hang-up", "reset", "too short", "rubbish", "endless header"],
)
def test_what_is_no_answer(client: Client, answer: to.Answer, said: str) -> None:
    with Receiver(answer) as there, pytest.raises(HttpError, match=said):
        _send(client, there.url(), limit_s=1.0)


def test_a_length_that_lies_ends_with_the_connection(client: Client) -> None:
    def lie(peer: socket.socket, _: to.Asked) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort")
        raise ConnectionError

    with Receiver(lie) as there, pytest.raises(HttpError, match="announced end"):
        _send(client, there.url())


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "0.0.0.0",
        "224.0.0.1",
    ],
)
def test_link_local_addresses_are_refused(client: Client, host: str) -> None:
    with pytest.raises(HttpError, match="link-local"):
        _send(client, f"http://{host}/latest/meta-data")


def test_a_name_that_leads_to_a_refused_address_is_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    with pytest.raises(HttpError, match="link-local"):
        _send(client, "http://innocent.example/")


def test_a_refused_address_that_was_allowed_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as there:
        monkeypatch.setattr("failhook.http_client._METADATA", ("127.0.0.1",))
        with contextlib.closing(Client()) as client, pytest.raises(HttpError):
            _send(client, there.url())
        with contextlib.closing(Client(Reach(allow_link_local=True))) as client:
            assert _send(client, there.url()).status == 200


SECRET_PATH = "/services/T000/B000/very-secret-path?token=very-secret-token"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1" + SECRET_PATH,
        "http://very-secret-user:pw@127.0.0.1:1/",
        "gopher://very-secret.example/",
        "http://",
        "http://very-secret.example:99999/",
        "http://[very-secret/",
        "http://127.0.0.1:1/very-secret\r\nX-Evil: 1",
        "https://127.0.0.1:1" + SECRET_PATH,
    ],
)
def test_no_error_names_the_url(client: Client, url: str) -> None:
    with pytest.raises(HttpError) as caught:
        _send(client, url)
    assert "secret" not in "".join(traceback.format_exception(caught.value)).replace(
        url, "the test's own"
    )


def test_a_refused_connection_is_named(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(HttpError, match="connection refused"):
        _send(client, f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("999999999999999", 999999999.0),
        ("Thu, 01 Jan 1970 00:16:50 GMT", 10.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("１２", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert Reply(429, {"retry-after": value}).retry_after_s(1000.0) == seconds


@pytest.mark.parametrize("url", ["https://a.example/x", "http://127.0.0.1:9/"])
def test_urls_that_can_be_asked(url: str) -> None:
    check_url(url)


class TestTls:
    """Certificates are verified, always."""

    def test_a_certificate_that_nobody_knows(self, client: Client, tmp_path: Path) -> None:
        context = to.server_context(*to.certificate(tmp_path))
        with Receiver(tls=context) as there:
            with pytest.raises(HttpError, match="certificate is not accepted"):
                _send(client, there.url())
            assert there.asked == []

    def test_a_certificate_that_is_trusted(self, tmp_path: Path) -> None:
        cert, key = to.certificate(tmp_path)
        with (
            Receiver(tls=to.server_context(cert, key)) as there,
            contextlib.closing(Client(Reach(ca_file=str(cert)))) as client,
        ):
            for _ in range(2):
                assert _send(client, there.url()).status == 200
            assert there.connections == 1

    def test_a_certificate_for_somebody_else(self, tmp_path: Path) -> None:
        cert, key = to.certificate(tmp_path, "other.example")
        with (
            Receiver(tls=to.server_context(cert, key)) as there,
            contextlib.closing(Client(Reach(ca_file=str(cert)))) as client,
            pytest.raises(HttpError, match="certificate is not accepted"),
        ):
            _send(client, there.url())

    def test_a_slow_answer_within_tls(self, tmp_path: Path) -> None:
        cert, key = to.certificate(tmp_path)
        answer = to.dribble(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        with (
            Receiver(answer, tls=to.server_context(cert, key)) as there,
            contextlib.closing(Client(Reach(ca_file=str(cert)))) as client,
            pytest.raises(HttpError, match="within 1 s"),
        ):
            _send(client, there.url(), limit_s=0.6)

    def test_a_client_certificate(self, tmp_path: Path) -> None:
        cert, key = to.certificate(tmp_path)
        context = to.server_context(cert, key)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cert)
        with Receiver(tls=context) as there:
            without = Client(Reach(ca_file=str(cert)))
            with contextlib.closing(without), pytest.raises(HttpError):
                _send(without, there.url())
            ours = Reach(ca_file=str(cert), cert_file=str(cert), key_file=str(key))
            with contextlib.closing(Client(ours)) as client:
                assert _send(client, there.url()).status == 200

    def test_a_file_of_certificates_that_is_missing(self, tmp_path: Path) -> None:
        client = Client(Reach(ca_file=str(tmp_path / "none")))
        with pytest.raises(HttpError, match="no such file"):
            _send(client, "https://127.0.0.1:1/")


def test_a_stream_that_fails_is_an_error(client: Client) -> None:
    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with Receiver() as there, pytest.raises(HttpError, match="input/output error"):
        client.send("PUT", there.url(), headers={}, body=Broken())  # type: ignore[arg-type]
