# SPDX-License-Identifier: MIT
"""The manager's jobs: the queue, and the signals on its own socket."""

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failhook import proc
from failhook.systemd import jobs
from failhook.systemd.jobs import Removed, removed_of
from tests.unit.collect.bench import Programs


def _string(text: str, order: str, place: int) -> bytes:
    raw = text.encode()
    padding = b"\0" * (-place % 4)
    return padding + struct.pack(order + "I", len(raw)) + raw + b"\0"


def signal_of(member: str, job: int, unit: str, result: str, order: str = "<") -> bytes:
    """A D-Bus signal as the manager sends it."""
    body = struct.pack(order + "I", job)
    for text in (f"/org/freedesktop/systemd1/job/{job}", unit, result):
        body += _string(text, order, len(body))
    fields = b""
    for code, kind, text in ((1, "o", "/org/freedesktop/systemd1"), (3, "s", member)):
        fields += b"\0" * (-len(fields) % 8)
        fields += bytes([code, 1]) + kind.encode() + b"\0" + _string(text, order, 0)
    head = (b"l" if order == "<" else b"B") + bytes([4, 1, 1])
    head += struct.pack(order + "III", len(body), 7, len(fields)) + fields
    return head + b"\0" * (-len(head) % 8) + body


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_signal(order: str) -> None:
    message = signal_of("JobRemoved", 42, "foo-bar@x\\x2d.service", "dependency", order)
    assert removed_of(message) == Removed(42, "foo-bar@x\\x2d.service", "dependency")
    assert removed_of(signal_of("JobNew", 42, "foo.service", "done", order)) is None
    assert removed_of(message[:1] + b"\x02" + message[2:]) is None  # no signal


@given(st.binary(min_size=16, max_size=200))
def test_anything_else_is_nothing(data: bytes) -> None:
    assert removed_of(data) is None or isinstance(removed_of(data), Removed)


@given(st.integers(16, 150), st.integers(0, 255))
def test_a_damaged_signal_never_raises(place: int, byte: int) -> None:
    message = bytearray(signal_of("JobRemoved", 42, "foo.service", "done"))
    message[min(place, len(message) - 1)] = byte
    removed_of(bytes(message))
    removed_of(bytes(message[:place]))


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[str, "list[bytes]"]]:
    """A socket that welcomes one client as the manager does, and then sends what is in the list."""
    path = str(tmp_path / "private")
    to_send: list[bytes] = []
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen()

        def work() -> None:
            peer, _ = listener.accept()
            with peer:
                said = b""
                while not said.endswith(b"\r\n"):
                    said += peer.recv(100)
                uid = str(os.geteuid()).encode().hex().encode()
                assert said == b"\0AUTH EXTERNAL " + uid + b"\r\n"
                # what follows the welcome may come with it
                peer.sendall(b"OK 0123456789abcdef\r\n" + b"".join(to_send))
                assert peer.recv(100) == b"BEGIN\r\n"

        server = threading.Thread(target=work)
        server.start()
        yield path, to_send
        server.join()


def test_listening(manager: tuple[str, list[bytes]]) -> None:
    path, to_send = manager
    to_send += [
        signal_of("JobNew", 1, "a.service", "x"),
        signal_of("JobRemoved", 1, "a.service", "done"),
        signal_of("JobRemoved", 2, "b.service", "failed"),
    ]
    heard = jobs.watch(path=path)
    for _ in range(1000):
        if len(heard.take()) == 2:
            break
    assert heard.take() == [Removed(1, "a.service", "done"), Removed(2, "b.service", "failed")]
    heard.close()
    heard.close()


def test_rubbish_on_the_socket_ends_it(manager: tuple[str, list[bytes]]) -> None:
    path, to_send = manager
    to_send.append(b"l\x04\x01\x01" + b"\xff" * 60)
    heard = jobs.watch(path=path)
    for _ in range(1000):
        heard.take()
    assert heard.take() == []


def test_no_socket_no_word(tmp_path: Path) -> None:
    assert jobs.watch(path=str(tmp_path / "none")).take() == []


def test_pieces_of_any_size() -> None:
    whole = b"".join(signal_of("JobRemoved", n, f"u{n}.service", "done") for n in range(20))
    ours, theirs = socket.socketpair()
    with theirs:
        ours.setblocking(False)
        heard = jobs.Watch(_socket=ours)
        for place in range(0, len(whole), 13):
            theirs.sendall(whole[place : place + 13])
            heard.take()
        assert [one.unit for one in heard.take()] == [f"u{n}.service" for n in range(20)]
    heard.close()


def test_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = Programs(tmp_path)
    programs.add("systemctl", "echo '12 a.service stop running'; echo 'No jobs running.'; echo")
    monkeypatch.setattr(proc, "SEARCH_PATH", programs.path(proc.SEARCH_PATH))
    assert jobs.queued() == [jobs.Queued(12, "a.service", "stop", "running")]
    jobs.queued(user=True)
    assert programs.calls[-1].startswith("systemctl --user list-jobs")
