# SPDX-License-Identifier: MIT
"""Slack, Discord, Teams, Mattermost, ntfy, healthchecks: their shape, their limits, no mention."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from failhook import testing
from failhook.formats import discord, healthchecks, mattermost, ntfy, slack, teams
from failhook.formats.form import Form, Unusable
from failhook.message import Event, Message
from tests.unit.formats import samples

EVERYTHING = samples.EVERY + samples.HOSTILE


def _document(form: Form, message: Message, **changes: Any) -> Any:
    assert form.call is not None
    return json.loads(form.call(message, samples.settings(form, **changes)).body)


class TestSlack:
    """https://docs.slack.dev/reference/block-kit/blocks"""

    @pytest.mark.parametrize("message", EVERYTHING, ids=lambda one: one.event)
    def test_limits_and_markup(self, message: Message) -> None:
        document = _document(slack.FORM, message, key="")
        assert document["mrkdwn"] is False
        (attachment,) = document["attachments"]
        assert len(attachment["blocks"]) <= 50
        for block in attachment["blocks"]:
            plain = [block.get("text"), *block.get("fields", ()), *_context(block)]
            for text in filter(None, plain):
                assert text["type"] == "plain_text"
                assert 0 < len(text["text"]) <= 3000
            assert len(block.get("fields", ())) <= 10
            assert all(len(one["text"]) <= 2000 for one in block.get("fields", ()))
        fallback = document["text"]
        assert "<" not in fallback
        assert "&" not in fallback.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")

    def test_a_token_has_a_thread(self) -> None:
        message = testing.message(Event.RECOVERED)
        settings = samples.settings(slack.FORM, url="", channel="C1", memory={"ts": "17.5"})
        call = slack.call(message, settings)
        document = json.loads(call.body)
        assert call.url == "https://slack.com/api/chat.postMessage"
        assert call.headers["Authorization"] == "Bearer the-key"
        assert (document["channel"], document["thread_ts"]) == ("C1", "17.5")
        assert document["reply_broadcast"] is True

    @pytest.mark.parametrize(
        ("body", "ok", "about", "memory"),
        [
            (b'{"ok": true, "ts": "18.5"}', True, False, {"ts": "18.5"}),
            (b'{"ok": false, "error": "msg_too_long"}', False, True, None),
            (b'{"ok": false, "error": "invalid_auth"}', False, False, None),
            (b'{"ok": 1}', False, False, None),
            (b"<html>", False, False, None),
            (b"[" * 99999, False, False, None),
        ],
    )
    def test_its_200_may_be_a_no(
        self, body: bytes, ok: bool, about: bool, memory: dict[str, str] | None
    ) -> None:
        answer: Any = SimpleNamespace(status=200, body=body)
        found = slack.judge(testing.message(), samples.settings(slack.FORM), answer)
        assert (found.ok, found.about_message, found.memory) == (ok, about, memory)

    def test_the_first_message_of_a_thread_stays_the_first(self) -> None:
        answer: Any = SimpleNamespace(status=200, body=b'{"ok": true, "ts": "99"}')
        settings = samples.settings(slack.FORM, memory={"ts": "17.5"})
        assert slack.judge(testing.message(), settings, answer).memory == {"ts": "17.5"}

    def test_a_webhook_has_no_such_answer(self) -> None:
        answer: Any = SimpleNamespace(status=200, body=b"ok")
        assert slack.judge(testing.message(), samples.settings(slack.FORM, key=""), answer).ok


def _context(block: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = block["elements"] if block["type"] == "context" else []
    return found


class TestDiscord:
    """https://discord.com/developers/docs/resources/message#embed-object-embed-limits"""

    @pytest.mark.parametrize("message", EVERYTHING, ids=lambda one: one.event)
    def test_limits_and_mentions(self, message: Message) -> None:
        document = _document(discord.FORM, message)
        assert document["allowed_mentions"] == {"parse": []}
        assert "content" not in document
        (embed,) = document["embeds"]
        assert len(embed["title"]) <= 256
        assert len(embed.get("description", "")) <= 4096
        assert len(embed["fields"]) <= 25
        assert all(0 < len(one["value"]) <= 1024 for one in embed["fields"])
        counted = [embed["title"], embed.get("description", ""), embed["footer"]["text"]]
        counted += [text for one in embed["fields"] for text in (one["name"], one["value"])]
        assert sum(map(len, counted)) <= 6000
        assert embed["timestamp"].endswith("Z")

    def test_no_link_and_no_end_of_the_code(self) -> None:
        text = _document(discord.FORM, samples.nasty())["embeds"][0]["description"]
        assert text.count("```") == 2
        assert text.endswith("```")
        assert discord.escaped("[a](b) <@1> *b*") == r"\[a\]\(b\) \<\@1\> \*b\*"


class TestTeams:
    """https://adaptivecards.io/explorer/"""

    @pytest.mark.parametrize("message", EVERYTHING, ids=lambda one: one.event)
    def test_untrusted_text_is_in_runs_that_interpret_nothing(self, message: Message) -> None:
        document = _document(teams.FORM, message)
        card = document["attachments"][0]["content"]
        assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
        for block in card["body"]:
            assert block["type"] == "RichTextBlock"
            assert {run["type"] for run in block["inlines"]} == {"TextRun"}


class TestMattermost:
    """https://developers.mattermost.com/integrate/reference/message-attachments/"""

    @pytest.mark.parametrize("message", EVERYTHING, ids=lambda one: one.event)
    def test_limits_and_mentions(self, message: Message) -> None:
        document = _document(mattermost.FORM, message, channel="ops")
        assert document["channel"] == "ops"
        (attachment,) = document["attachments"]
        assert len(json.dumps(attachment)) < 60_000
        assert len(attachment["text"]) <= 16_383
        for text in samples.texts([attachment["text"], attachment["fields"]]):
            for called in ("@channel", "@all", "@here", "@everyone"):
                assert called not in text
        assert attachment["text"].count("```") in (0, 2)


class TestNtfy:
    """https://docs.ntfy.sh/publish/#publish-as-json"""

    @pytest.mark.parametrize("message", EVERYTHING, ids=lambda one: one.event)
    def test_limits(self, message: Message) -> None:
        document = _document(ntfy.FORM, message, url="https://ntfy.sh/ops")
        assert document["topic"] == "ops"
        assert len(document["title"].encode()) <= 250
        assert 0 < len(document["message"].encode()) < 4096
        assert 1 <= document["priority"] <= 5

    def test_the_topic_is_the_end_of_the_url(self) -> None:
        settings = samples.settings(ntfy.FORM, url="https://n.example/base/my%20ops/")
        call = ntfy.call(testing.message(), settings)
        assert call.url == "https://n.example/base/"
        assert json.loads(call.body)["topic"] == "my ops"
        assert call.headers["Authorization"] == "Bearer the-key"

    def test_without_a_topic(self) -> None:
        with pytest.raises(Unusable, match="topic"):
            ntfy.call(testing.message(), samples.settings(ntfy.FORM, url="https://ntfy.sh/"))

    @pytest.mark.parametrize(
        ("event", "severity", "priority"),
        [
            (Event.OPENED, "critical", 5),
            (Event.OPENED, "info", 2),
            (Event.RECOVERED, "critical", 3),
        ],
    )
    def test_priority(self, event: Event, severity: str, priority: int) -> None:
        document = _document(
            ntfy.FORM, testing.message(event), severity=severity, url="https://n.example/x"
        )
        assert document["priority"] == priority


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (Event.OPENED, "/uuid/fail"),
        (Event.ESCALATED, "/uuid/fail"),
        (Event.GAVE_UP, "/uuid/fail"),
        (Event.DIGEST, "/uuid/fail"),
        (Event.RECOVERED, "/uuid"),
        (Event.TEST, "/uuid/log"),
    ],
)
def test_healthchecks_pings(event: Event, path: str) -> None:
    message = samples.digest() if event is Event.DIGEST else testing.message(event)
    settings = samples.settings(healthchecks.FORM, url="https://hc-ping.example/uuid/?create=1")
    call = healthchecks.call(message, settings)
    assert call.url == f"https://hc-ping.example{path}?create=1"
    assert call.body.startswith(b"gitea") or event in (Event.DIGEST, Event.TEST)
