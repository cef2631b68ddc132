# SPDX-License-Identifier: MIT
"""What holds for every format: the sentence first, within limits, nothing hidden, no evidence."""

import json
from dataclasses import replace
from typing import Any

import pytest

from failhook import testing
from failhook.formats import table
from failhook.formats.form import Call, Form
from failhook.incident import Verdict
from failhook.message import Event, Message
from tests.unit.formats import samples

CALLING = [name for name in table.NAMES if table.load(name).call is not None]
# bytes of a body that the channel takes
LIMITS = {
    "json": 20_000,
    "slack": 100_000,
    "discord": 30_000,
    "teams": 28_000,
    "mattermost": 100_000,
    "ntfy": 12_000,
    "pagerduty": 512_000,
    "opsgenie": 40_000,
    "alertmanager": 10_000_000,
    "healthchecks": 10_000,
    "template": 262_144,
}
TEMPLATE = '{"text": {{ headline }}, "all": "{{ text }}"}'


def _call(form: Form, message: Message, **changes: Any) -> Call:
    assert form.call is not None
    return form.call(message, samples.settings(form, template=TEMPLATE, **changes))


@pytest.mark.parametrize("name", table.NAMES)
def test_the_table_has_what_it_names(name: str) -> None:
    form = table.load(name)
    assert form.name == name
    assert (form.call is None) != (form.converse is None)
    assert form.summary


def test_another_name_is_none() -> None:
    with pytest.raises(KeyError):
        table.load("os")


@pytest.mark.parametrize("name", CALLING)
@pytest.mark.parametrize("message", samples.EVERY + samples.HOSTILE, ids=lambda one: f"{one.event}")
def test_every_message_has_a_form_within_the_channels_limits(name: str, message: Message) -> None:
    call = _call(table.load(name), message)
    assert len(call.body) <= LIMITS[name]
    for header, value in call.headers.items():
        assert (header + value).isascii()
        assert (header + value).isprintable()
    assert call.url.startswith("https://")
    if call.headers["Content-Type"].startswith("application/json"):
        document = json.loads(call.body)
        if name != "json":  # a program reads that one
            assert samples.hidden(document) == []
    call.body.decode()


@pytest.mark.parametrize("name", [name for name in CALLING if name not in ("json", "alertmanager")])
def test_the_sentence_comes_first(name: str) -> None:
    verdict = Verdict(summary="the SENTENCE itself", advice="do THIS")
    incident = testing.incident(unit="oddname.service", host="oddhost", verdict=verdict)
    body = _call(table.load(name), testing.message(incident=incident)).body.decode()
    for later in ("oddname", "oddhost", "THIS", "rule acme"):
        if later in body:
            assert body.index("SENTENCE") < body.index(later)
    assert "oddhost" in body


@pytest.mark.parametrize("name", CALLING)
def test_no_evidence_without_an_excerpt(name: str) -> None:
    message = replace(samples.EVERY[0], excerpt=())
    body = _call(table.load(name), message).body
    assert b"listen tcp :3000: bind" not in body or name == "json"
    shown = replace(message, excerpt=("a line of evidence",))
    if name not in ("template",):
        assert b"a line of evidence" in _call(table.load(name), shown).body


@pytest.mark.parametrize("name", CALLING)
@pytest.mark.parametrize("event", list(Event))
def test_the_key_is_never_in_a_body_but_where_it_belongs(name: str, event: Event) -> None:
    form = table.load(name)
    body = _call(form, samples.digest() if event is Event.DIGEST else samples.nasty(event)).body
    assert (b"the-key" in body) is (name == "pagerduty")
