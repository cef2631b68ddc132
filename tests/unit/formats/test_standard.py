# SPDX-License-Identifier: MIT
"""The payload and the signature of Standard Webhooks, against the reference library."""

import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from failhook import testing
from failhook.formats.standard import MAX_BODY, WrongSecret, body, key_of, signed
from failhook.message import Event
from tests.unit.formats import samples

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


def _verified(secret: str, sent: bytes, headers: dict[str, str]) -> object:
    return Webhook(secret).verify(sent, headers)


def test_the_reference_library_takes_it() -> None:
    sent = body(testing.message())
    headers = dict(signed("msg_1", int(time.time()), sent, [SECRET]))
    assert _verified(SECRET, sent, headers) == json.loads(sent)
    assert headers["webhook-id"] == "msg_1"


def test_and_nothing_that_was_changed() -> None:
    sent = body(testing.message())
    now = int(time.time())
    headers = dict(signed("msg_1", now, sent, [SECRET]))
    for changed in (
        headers | {"webhook-id": "msg_2"},
        headers | {"webhook-timestamp": str(now + 1)},
        dict(signed("msg_1", now - 3600, sent, [SECRET])),  # an old one, played again
        dict(signed("msg_1", now, sent, ["whsec_AAAA"])),
    ):
        with pytest.raises(WebhookVerificationError):
            _verified(SECRET, sent, changed)
    with pytest.raises(WebhookVerificationError):
        _verified(SECRET, sent + b" ", headers)


def test_while_keys_are_changed_both_take_it() -> None:
    other = "whsec_" + base64.b64encode(b"another key of 24 bytes!").decode()
    sent = body(testing.message())
    headers = dict(signed("msg_1", int(time.time()), sent, [other, SECRET]))
    assert headers["webhook-signature"].count("v1,") == 2
    for secret in (other, SECRET):
        assert _verified(secret, sent, headers)


def test_without_a_secret_there_is_an_id_and_a_time() -> None:
    assert dict(signed("m", 5, b"", [])) == {"webhook-id": "m", "webhook-timestamp": "5"}


@given(st.text(min_size=1, max_size=60))
def test_an_id_never_ends_its_header(text: str) -> None:
    found = signed(text, 5, b"", [SECRET])["webhook-id"]
    assert found.isascii()
    assert found.isprintable()
    assert " " not in found


@pytest.mark.parametrize(
    ("secret", "key"),
    [("whsec_YWJj", b"abc"), ("whsec_YWI", b"ab"), ("raw ü text", "raw ü text".encode())],
)
def test_keys(secret: str, key: bytes) -> None:
    assert key_of(secret) == key


@pytest.mark.parametrize("secret", ["", "whsec_***", "whsec_a"])
def test_what_is_no_key_is_not_repeated(secret: str) -> None:
    with pytest.raises(WrongSecret) as caught:
        key_of(secret)
    assert "***" not in str(caught.value)


def test_the_payload() -> None:
    document = json.loads(body(testing.message(Event.RECOVERED)))
    assert list(document) == ["type", "timestamp", "data"]
    assert document["type"] == "incident.recovered"
    assert document["timestamp"].endswith("Z")
    data = document["data"]
    assert next(iter(data)) == "summary"
    assert data["incident"]["unit"] == "gitea.service"
    assert (data["downtime_s"], data["helped"]) == (42.0, "gently")
    assert not {"evidence", "dying_words", "triggers", "actions"} & set(data["incident"])


@pytest.mark.parametrize("message", samples.HOSTILE, ids=lambda one: one.event)
def test_it_stays_below_20_kb_and_is_unicode(message: object) -> None:
    sent = body(message)  # type: ignore[arg-type]
    assert len(sent) <= MAX_BODY
    document = json.loads(sent)
    for text in samples.texts(document):
        text.encode()
    assert document["data"]["summary"]
