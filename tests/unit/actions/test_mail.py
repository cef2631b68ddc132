# SPDX-License-Identifier: MIT
"""Mail over a real SMTP server and over sendmail: what is taken, refused, and secret."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from failhook import testing
from failhook.action import Outcome
from failhook.actions import mail
from failhook.actions.mail import ACTION
from tests.unit.collect.bench import Programs
from tests.unit.formats import samples
from tests.unit.receiver import certificate, server_context

PASSWORD = "very-secret-password"


class Inbox:
    """Takes mail, unless told otherwise."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.logins: list[str] = []
        self.answer: str | None = None
        self.refused: tuple[str, ...] = ()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return f"550 no such user {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.answer is None:
            self.taken.append(envelope)
        return self.answer or "250 taken"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        return AuthResult(success=data.password.decode() == PASSWORD, handled=False)


class _Server(Controller):
    """On a port that the kernel chose."""

    def __init__(self, inbox: Inbox, **settings: Any) -> None:
        super().__init__(inbox, hostname="127.0.0.1", port=0, **settings)

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        super()._trigger_server()  # type: ignore[no-untyped-call]


Serve = Callable[..., int]


@pytest.fixture
def inbox() -> Inbox:
    """An empty one."""
    return Inbox()


@pytest.fixture
def serve(inbox: Inbox) -> Iterator[Serve]:
    """Starts servers for the inbox; returns their ports."""
    started: list[_Server] = []

    def start(**settings: Any) -> int:
        server = _Server(inbox, **settings)
        server.start()
        started.append(server)
        return int(server.port)

    yield start
    for server in started:
        server.stop()


def _run(port: int, message: Any = None, **options: Any) -> Outcome:
    smtp = {"host": "127.0.0.1", "port": port, "tls": "none"} | options.pop("smtp", {})
    raw = {"to": ["a@b.example", "Ops <ops@b.example>"], "smtp": smtp, **options}
    return testing.run(ACTION, raw, message=message)


class TestOptions:
    """Checked before anything fails."""

    @pytest.mark.parametrize(
        ("raw", "said"),
        [
            ({}, "to"),
            ({"to": []}, "nobody"),
            ({"to": ["a\nb@c"]}, "no address"),
            ({"to": "a b"}, "no address"),
            ({"to": ["x@y.example, z@y.example"]}, "no address"),
            ({"to": "a@b.example", "sender": "<>"}, "no address"),
            ({"to": "a@b.example", "smtp": "host"}, "no server"),
            ({"to": "a@b.example", "smtp": {"host": "h", "tls": "maybe"}}, "none of"),
            ({"to": "a@b.example", "smtp": {"host": "h", "port": 70000}}, "no port"),
            ({"to": "a@b.example", "smtp": {"host": "h", "user": "u"}}, "or neither"),
            ({"to": "a@b.example", "smtp": {"host": "h", "prot": 1}}, "prot"),
            (
                {
                    "to": "a@b.example",
                    "smtp": {"host": "h", "tls": "none", "user": "u", "password": "p"},
                },
                "in the clear",
            ),
        ],
    )
    def test_mistakes(self, raw: dict[str, object], said: str) -> None:
        with pytest.raises(testing.OptionsWrong, match=said):
            testing.request(ACTION, raw)

    @pytest.mark.parametrize(("tls", "port"), [("starttls", 587), ("implicit", 465), ("none", 25)])
    def test_ports(self, tls: str, port: int) -> None:
        raw = {"to": "a@b.example", "smtp": {"host": "h", "tls": tls}}
        assert testing.request(ACTION, raw).options.smtp.port == port

    def test_the_password_is_not_in_what_python_prints(self) -> None:
        smtp = {"host": "h", "user": "u", "password": PASSWORD}
        options = testing.request(ACTION, {"to": "a@b.example", "smtp": smtp}).options
        assert PASSWORD not in repr(options)


def test_a_server_takes_it(inbox: Inbox, serve: Serve) -> None:
    outcome = _run(serve())
    assert outcome.ok, outcome.detail
    (envelope,) = inbox.taken
    assert envelope.rcpt_tos == ["a@b.example", "ops@b.example"]
    assert envelope.mail_from == "failhook@web1.example"
    assert isinstance(envelope.content, bytes)
    read = message_from_bytes(envelope.content, policy=default)
    assert str(read["Subject"]).startswith("gitea.service failed to start: port 3000")
    assert read["From"] == '"failhook on web1.example" <failhook@web1.example>'


@pytest.mark.parametrize("message", samples.HOSTILE, ids=lambda one: one.event)
def test_hostile_text_goes_through(inbox: Inbox, serve: Serve, message: Any) -> None:
    assert _run(serve(), message).ok
    (envelope,) = inbox.taken
    assert envelope.rcpt_tos == ["a@b.example", "ops@b.example"]
    assert isinstance(envelope.content, bytes)
    assert b"\r\nBcc:" not in envelope.content.partition(b"\r\n\r\n")[0]


def test_tls_from_the_beginning_or_from_then_on(inbox: Inbox, serve: Serve, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    context = server_context(cert, key)
    login = {"user": "u", "password": PASSWORD, "ca_file": str(cert)}
    later = serve(tls_context=context, authenticator=inbox.authenticate, auth_required=True)
    assert _run(later, smtp={"tls": "starttls", **login}).ok
    first = serve(ssl_context=context, authenticator=inbox.authenticate, auth_require_tls=False)
    assert _run(first, smtp={"tls": "implicit", **login}).ok
    assert inbox.logins == ["u", "u"]
    assert len(inbox.taken) == 2


def test_a_certificate_that_nobody_knows(inbox: Inbox, serve: Serve, tmp_path: Path) -> None:
    context = server_context(*certificate(tmp_path))
    port = serve(tls_context=context, authenticator=inbox.authenticate)
    outcome = _run(port, smtp={"tls": "starttls", "user": "u", "password": PASSWORD})
    assert "certificate is not accepted" in outcome.detail
    assert inbox.logins == []


def test_a_server_that_offers_no_tls_gets_no_password(inbox: Inbox, serve: Serve) -> None:
    port = serve(authenticator=inbox.authenticate, auth_require_tls=False)
    outcome = _run(port, smtp={"tls": "starttls", "user": "u", "password": PASSWORD})
    assert not outcome.ok
    assert "STARTTLS" in outcome.detail
    assert (inbox.logins, inbox.taken) == ([], [])


def test_a_password_that_is_not_accepted_is_not_said(
    inbox: Inbox, serve: Serve, tmp_path: Path
) -> None:
    cert, key = certificate(tmp_path)
    port = serve(tls_context=server_context(cert, key), authenticator=inbox.authenticate)
    smtp = {"tls": "starttls", "user": "u", "password": "wrong-secret", "ca_file": str(cert)}
    outcome = _run(port, smtp=smtp)
    assert "not accepted" in outcome.detail
    assert "wrong-secret" not in outcome.detail


def test_one_of_several_is_refused(inbox: Inbox, serve: Serve) -> None:
    inbox.refused = ("ops@b.example",)
    outcome = _run(serve())
    assert outcome.ok
    assert "not for ops@b.example" in outcome.detail


@pytest.mark.parametrize(
    ("answer", "about"),
    [
        ("550 I do not like it\x1b[31m", "message"),
        ("451 later", None),
        ("452 disk is full", None),
    ],
)
def test_what_the_server_says(inbox: Inbox, serve: Serve, answer: str, about: str | None) -> None:
    inbox.answer = answer
    outcome = _run(serve())
    assert not outcome.ok
    assert outcome.data.get("about") == about
    assert answer[:7] in outcome.detail
    assert outcome.detail.isprintable()


def test_all_receivers_are_refused(inbox: Inbox, serve: Serve) -> None:
    inbox.refused = ("ops@b.example", "a@b.example")
    outcome = _run(serve())
    assert outcome.data["about"] == "message"
    assert "550" in outcome.detail


def test_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert "refused" in _run(port).detail


def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        raw = {
            "to": "a@b.example",
            "smtp": {"host": "127.0.0.1", "port": silent.getsockname()[1], "tls": "none"},
        }
        begun = time.monotonic()
        outcome = testing.run(ACTION, raw, deadline_s=0.5)
    assert "in time" in outcome.detail
    assert time.monotonic() - begun < 5


def test_a_server_that_talks_nonsense() -> None:
    def talk(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"\xff\xfe" * 5000 + b"\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=talk, args=(listener,), daemon=True)
        thread.start()
        outcome = _run(listener.getsockname()[1])
        thread.join()
    assert not outcome.ok
    assert outcome.detail.isprintable()


class TestSendmail:
    """The machine's own queue."""

    @pytest.fixture
    def sent(self, programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """What sendmail got; its arguments are in the first line."""
        out = tmp_path / "sent"
        programs.add("sendmail", f'{{ echo "$@"; cat; }} >{out}; [ ! -e {out}.fail ] || exit 75')
        monkeypatch.setattr(mail, "_SENDMAIL", (str(tmp_path / "programs" / "sendmail"),))
        return out

    def test_it_gets_the_mail(self, sent: Path) -> None:
        outcome = testing.run(ACTION, {"to": "a@b.example"})
        assert outcome.ok, outcome.detail
        arguments, _, data = sent.read_bytes().partition(b"\n")
        assert arguments == b"-t -oi"
        assert b"\r" not in data
        read = message_from_bytes(data, policy=default)
        assert read["To"] == "a@b.example"
        assert str(read["Subject"]).startswith("gitea.service failed")

    def test_it_asks_to_come_again(self, sent: Path) -> None:
        Path(f"{sent}.fail").touch()
        outcome = testing.run(ACTION, {"to": "a@b.example"})
        assert (outcome.ok, outcome.final) == (False, False)
        assert "later" in outcome.detail

    def test_it_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(mail, "_SENDMAIL", ("/nonexistent/sendmail",))
        assert "smtp = " in testing.run(ACTION, {"to": "a@b.example"}).detail


class TestBundle:
    """Evidence leaves by mail where that was asked for, and not without measure."""

    @pytest.fixture
    def bundle(self, tmp_path: Path) -> Path:
        """Some evidence."""
        (tmp_path / "bundle.tar.gz").write_bytes(b"\x1f\x8b" + bytes(1 << 20))
        return tmp_path / "bundle.tar.gz"

    @pytest.mark.parametrize(
        ("options", "attached", "said"),
        [
            ({}, False, ""),
            ({"attach_bundle": True}, True, ""),
            ({"attach_bundle": True, "max_bundle": "100K"}, False, "too large"),
        ],
    )
    def test_it(
        self,
        inbox: Inbox,
        serve: Serve,
        bundle: Path,
        options: dict[str, Any],
        attached: bool,
        said: str,
    ) -> None:
        smtp = {"host": "127.0.0.1", "port": serve(), "tls": "none"}
        raw = {"to": "a@b.example", "smtp": smtp, **options}
        assert testing.run(ACTION, raw, bundle=bundle).ok
        content = inbox.taken[0].content
        assert isinstance(content, bytes)
        read: Any = message_from_bytes(content, policy=default)
        files = [part for part in read.walk() if part.get_filename()]
        assert bool(files) is attached
        if attached:
            assert files[0].get_payload(decode=True) == bundle.read_bytes()
            assert files[0].get_filename() == "failhook-7f3a5c1e9b20.tar.gz"
        assert said in read.get_body(("plain",)).get_content()


def test_a_dry_run_says_who_would_get_what() -> None:
    raw = {"to": ["a@b.example"], "smtp": {"host": "127.0.0.1", "port": 1, "tls": "none"}}
    outcome = testing.run(ACTION, raw, dry_run=True)
    assert outcome.detail.startswith("would send to a@b.example: gitea.service failed")


def test_a_password_that_is_missing_is_named(serve: Serve) -> None:
    smtp = {"tls": "starttls", "user": "u", "password": {"credential": "no-such"}}
    assert "no-such" in _run(serve(), smtp=smtp).detail
