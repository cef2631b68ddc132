# SPDX-License-Identifier: MIT
"""Checks: what counts as well, and that no server can hold or fool one."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from failhook.actions import health
from failhook.plugin import Wrong

Serve = Callable[[bytes], str]


@pytest.fixture
def serve() -> Iterator[Callable[..., tuple[str, int]]]:
    """A server on loopback that answers everybody with the same bytes, byte by byte if told."""
    with contextlib.ExitStack() as stack:

        def start(answer: bytes, *, drip_s: float = 0.0) -> tuple[str, int]:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            over = threading.Event()

            def work() -> None:
                while True:
                    try:
                        peer, _ = listener.accept()
                    except OSError:
                        return
                    with peer, contextlib.suppress(OSError):
                        peer.settimeout(5)
                        peer.recv(65536)
                        for place in range(0, len(answer), 1 if drip_s else len(answer)):
                            step = 1 if drip_s else len(answer)
                            peer.sendall(answer[place : place + step])
                            if over.wait(drip_s):
                                return

            server = threading.Thread(target=work, daemon=True)
            server.start()
            stack.callback(over.set)
            stack.callback(lambda: listener.shutdown(socket.SHUT_RDWR))
            return ("127.0.0.1", listener.getsockname()[1])

        yield start


def _answer(status: int, body: bytes = b"ok", extra: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n".encode()
    return head + extra + b"\r\n" + body


@pytest.mark.parametrize(
    ("status", "expect", "well"),
    [
        (200, None, True),
        (204, None, True),
        (302, None, True),
        (404, None, False),
        (503, None, False),
        (503, 503, True),
        (200, 204, False),
    ],
)
def test_a_status(
    serve: Callable[..., tuple[str, int]], status: int, expect: int | None, well: bool
) -> None:
    _, port = serve(_answer(status))
    more = {} if expect is None else {"expect": expect}
    answer = health.ask(health.read({"http": f"http://127.0.0.1:{port}/health?x=1", **more}))
    assert answer.well is well
    assert f"answers {status}" in answer.said


def test_what_it_says(serve: Callable[..., tuple[str, int]]) -> None:
    _, port = serve(_answer(200, b'{"status": "green"}'))
    url = f"http://127.0.0.1:{port}"
    assert health.ask(health.read({"http": url, "expect": '"status": "(green|yellow)"'})).well
    answer = health.ask(health.read({"http": url, "expect": "red"}))
    assert (answer.well, "without what is expected" in answer.said) == (False, True)


def test_no_redirect_is_followed(serve: Callable[..., tuple[str, int]]) -> None:
    _, target = serve(_answer(200, b"secret"))
    where = f"Location: http://127.0.0.1:{target}/\r\n".encode()
    _, port = serve(_answer(302, b"", where))
    url = f"http://127.0.0.1:{port}/"
    assert not health.ask(health.read({"http": url, "expect": "secret"})).well
    assert not health.ask(health.read({"http": url, "expect": 200})).well


def test_a_server_that_drips_is_cut_off(serve: Callable[..., tuple[str, int]]) -> None:
    _, port = serve(_answer(200, b"x" * 1000), drip_s=0.05)
    began = time.monotonic()
    check = health.read({"http": f"http://127.0.0.1:{port}/", "timeout": 0.5, "expect": "y"})
    answer = health.ask(check)
    assert not answer.well
    assert "no answer in time" in answer.said
    assert time.monotonic() - began < 3


def test_a_server_without_end_is_read_to_the_limit(serve: Callable[..., tuple[str, int]]) -> None:
    _, port = serve(b"HTTP/1.1 200 X\r\n\r\n" + b"a" * (1 << 20) + b"needle")
    check = health.read({"http": f"http://127.0.0.1:{port}/", "expect": "needle"})
    assert not health.ask(check).well


@pytest.mark.parametrize("rubbish", [b"", b"\0" * 100, b"SSH-2.0-x\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_http(serve: Callable[..., tuple[str, int]], rubbish: bytes) -> None:
    _, port = serve(rubbish or b"\r\n")
    answer = health.ask(health.read({"http": f"http://127.0.0.1:{port}/", "timeout": 1}))
    assert not answer.well


def test_a_certificate_of_nobody_is_refused(serve: Callable[..., tuple[str, int]]) -> None:
    _, port = serve(b"this is no TLS")
    answer = health.ask(health.read({"http": f"https://127.0.0.1:{port}/", "timeout": 2}))
    assert not answer.well
    context = health._connection(health.urlsplit("https://127.0.0.1/"), 1.0)._context  # type: ignore[attr-defined]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        check = health.read({"tcp": f"127.0.0.1:{port}"})
        assert health.ask(check).well
    answer = health.ask(check)
    assert (answer.well, answer.said) == (False, f"127.0.0.1:{port}: Connection refused")


def test_a_command() -> None:
    assert health.ask(health.read({"command": ["true"]})).well
    answer = health.ask(health.read({"command": ["sh", "-c", "echo no >&2; exit 3"]}))
    assert (answer.well, answer.said) == (False, "sh ended with status 3: no")
    began = time.monotonic()
    answer = health.ask(health.read({"command": ["sleep", "30"], "timeout": 0.2}))
    assert not answer.well
    assert time.monotonic() - began < 5


def test_less_time_than_the_check_would_take() -> None:
    began = time.monotonic()
    assert not health.ask(health.read({"command": ["sleep", "30"]}), within_s=0.1).well
    assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("http://x", "no check"),
        ({}, "no check"),
        ({"http": "http://a/", "tcp": "a:1"}, "no check"),
        ({"http": "ftp://a/"}, "no address"),
        ({"http": "http:///x"}, "no address"),
        ({"http": "http://a:99999/"}, "no address"),
        ({"http": "http://a/b c"}, "no address"),
        ({"http": "http://a/\r\nX: y"}, "no address"),
        ({"http": "http://u:p@a/"}, "password"),
        ({"http": "http://a/", "expect": "(a+)+"}, "repeats a group"),
        ({"http": "http://a/", "expect": 7}, "neither a status"),
        ({"tcp": "a"}, "no address"),
        ({"tcp": "a:0"}, "no address"),
        ({"tcp": "a:1", "expect": 200}, "about an answer over HTTP"),
        ({"command": []}, "empty command"),
        ({"command": "true"}, "list of texts"),
        ({"command": ["true"], "timeout": 0}, "timeout of 0"),
        ({"command": ["true"], "every": 1}, "'every'"),
    ],
)
def test_wrong_checks(value: object, said: str) -> None:
    with pytest.raises(Wrong, match=said):
        health.read(value)


def test_addresses_with_colons() -> None:
    check = health.read({"tcp": "[::1]:5432", "interval": "2s", "timeout": "250ms"})
    assert (check.host, check.port, check.interval_s, check.timeout_s) == ("::1", 5432, 2.0, 0.25)
