# SPDX-License-Identifier: MIT
"""Mail: headers that hold, threads, two parts, nothing loaded from anywhere."""

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.message import Message as Parsed
from email.policy import default
from typing import Any

import pytest

from failhook import testing
from failhook.formats.mail import Letter, compose, html, message_id, subject
from failhook.message import Event, Message
from tests.unit.formats import samples

LETTER = Letter("failhook <failhook@web1.example>", ("a@b.example", "Ops <ops@b.example>"))
OURS = {
    *("Subject", "From", "To", "Date", "Message-ID", "In-Reply-To", "References"),
    *("Auto-Submitted", "Precedence", "X-Auto-Response-Suppress", "MIME-Version", "Content-Type"),
    *("X-Failhook-Event", "X-Failhook-Unit", "X-Failhook-Host", "X-Failhook-Incident"),
}


def _sent(message: Message, letter: Letter = LETTER) -> EmailMessage:
    """As it is read after it went over the wire."""
    data = compose(message, letter, at=1.75e9).as_bytes()
    assert b"\n" not in data.replace(b"\r\n", b"")
    assert max(map(len, data.split(b"\r\n"))) <= 998
    return message_from_bytes(data, policy=default)


def _text(mail: Any, subtype: str) -> str:
    part = mail.get_body((subtype,))
    return str(part.get_content()).replace("\r\n", "\n")


@pytest.mark.parametrize("message", samples.EVERY + samples.HOSTILE, ids=lambda one: one.event)
def test_nothing_adds_a_header(message: Message) -> None:
    mail = _sent(message)
    assert set(mail.keys()) <= OURS
    assert len(mail.keys()) == len(set(mail.keys()))
    assert mail["To"] == "a@b.example, Ops <ops@b.example>"
    said = str(mail["Subject"])
    assert len(said) <= 160
    assert samples.hidden(said) == []
    assert mail["Auto-Submitted"] == "auto-generated"
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert samples.hidden([_text(mail, "plain"), _text(mail, "html")]) == []


def test_the_sentence_is_the_subject() -> None:
    message = testing.message()
    assert subject(message) == f"{message.summary} [web1.example]"
    assert _text(_sent(message), "plain").startswith(message.summary)
    long = testing.message(incident=testing.incident(host="h" * 200))
    assert subject(long).endswith("h…]")


def test_a_thread_is_one_conversation() -> None:
    opened = _sent(testing.message(id="m1"))
    over = _sent(testing.message(Event.RECOVERED, id="m2"))
    assert opened["Message-ID"] != over["Message-ID"]
    assert opened["References"] == over["References"] == over["In-Reply-To"]
    other = _sent(testing.message(thread="other"))
    assert other["References"] != opened["References"]
    assert "References" not in _sent(testing.message(Event.TEST))


def test_sent_twice_it_is_the_same_mail() -> None:
    first, again = (
        compose(testing.message(), LETTER, at=at)["Message-ID"] for at in (1.75e9, 1.76e9)
    )
    assert first == again
    assert re.fullmatch(r"<[0-9a-f]{40}@web1\.example>", first)


@pytest.mark.parametrize("host", ["", "\r\nBcc: x", "ü.example", ".", "a>b", "x" * 300])
def test_a_host_that_is_no_name(host: str) -> None:
    message = testing.message(incident=testing.incident(host=host))
    found = message_id(message, "x")
    assert re.fullmatch(r"<[0-9a-f]{40}@[A-Za-z0-9.-]{1,100}>", found)
    _sent(message)


@pytest.mark.parametrize("message", samples.HOSTILE, ids=lambda one: one.event)
def test_html_is_ours_alone_and_loads_nothing(message: Message) -> None:
    made = html(message)
    tags = set(re.findall(r"</?([a-zA-Z!]+)", made))
    assert tags <= {
        *("!DOCTYPE", "html", "head", "meta", "title", "body", "div", "p", "strong"),
        *("table", "tr", "td", "pre"),
    }
    attributes = set(re.findall(r"<[a-z]+ ([a-z-]+)=", made))
    assert attributes <= {"lang", "charset", "style"}
    assert "url(" not in made.replace("click](http", "")
    assert not re.search(r"<[^>]*(src|href)=", made)


def test_evidence_is_attached_where_it_is_given() -> None:
    letter = Letter("a@b.example", ("c@d.example",), b"\x1f\x8b data", "failhook-1.tar.gz")
    mail: Parsed = _sent(testing.message(), letter)
    parts = {part.get_content_type(): part for part in mail.walk()}
    attached = parts["application/gzip"]
    assert attached.get_filename() == "failhook-1.tar.gz"
    assert attached.get_payload(decode=True) == b"\x1f\x8b data"
    assert "multipart/alternative" in parts


def test_a_note_is_in_the_text() -> None:
    letter = Letter("a@b.example", ("c@d.example",), note="It is too large.")
    assert "It is too large." in _text(_sent(testing.message(), letter), "plain")
