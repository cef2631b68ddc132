# SPDX-License-Identifier: MIT
"""PagerDuty, Opsgenie, Alertmanager: one alert for a thread, over when the unit is well again."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from failhook import testing
from failhook.formats import alertmanager, opsgenie, pagerduty
from failhook.formats.form import Settings
from failhook.incident import unix_time
from failhook.message import Entry, Event, Message
from tests.unit.formats import samples

EVERYTHING = samples.EVERY + samples.HOSTILE
TAKEN: Any = SimpleNamespace(status=200, body=b"")


class TestPagerDuty:
    """https://developer.pagerduty.com/docs/send-alert-event"""

    @pytest.mark.parametrize("message", EVERYTHING, ids=lambda one: one.event)
    def test_limits(self, message: Message) -> None:
        call = pagerduty.call(message, samples.settings(pagerduty.FORM))
        document = json.loads(call.body)
        assert call.url == "https://events.pagerduty.com/v2/enqueue"
        assert document["routing_key"] == "the-key"
        assert 0 < len(document["dedup_key"]) <= 255
        if message.event is Event.RECOVERED:
            assert document["event_action"] == "resolve"
            assert "payload" not in document
            return
        assert document["event_action"] == "trigger"
        assert 0 < len(document["payload"]["summary"]) <= 1024
        assert document["payload"]["source"]
        assert document["payload"]["severity"] in ("critical", "error", "warning", "info")

    def test_the_thread_is_the_alert(self) -> None:
        keys = {
            json.loads(pagerduty.call(one, samples.settings(pagerduty.FORM)).body)["dedup_key"]
            for one in (testing.message(), testing.message(Event.RECOVERED))
        }
        assert keys == {"7f3a5c1e9b20"}

    @pytest.mark.parametrize("thread", ["x" * 300, "a\nb", "\u202ex", "\udce9"])
    def test_a_thread_that_cannot_be_a_key_gets_one(self, thread: str) -> None:
        key = pagerduty.key_of(thread, 255)
        assert len(key) == 64
        assert key != pagerduty.key_of(thread + "x", 255)

    @pytest.mark.parametrize(
        ("event", "severity"),
        [(Event.OPENED, "warning"), (Event.GAVE_UP, "critical"), (Event.TEST, "info")],
    )
    def test_severity(self, event: Event, severity: str) -> None:
        settings = samples.settings(pagerduty.FORM, severity="warning")
        document = json.loads(pagerduty.call(testing.message(event), settings).body)
        assert document["payload"]["severity"] == severity


class TestOpsgenie:
    """https://docs.opsgenie.com/docs/alert-api"""

    @pytest.mark.parametrize("message", EVERYTHING, ids=lambda one: one.event)
    def test_limits(self, message: Message) -> None:
        call = opsgenie.call(message, samples.settings(opsgenie.FORM))
        document = json.loads(call.body)
        assert call.headers["Authorization"] == "GenieKey the-key"
        if message.event is Event.RECOVERED:
            assert call.url.endswith("/close?identifierType=alias")
            assert len(document["note"]) <= 25_000
            return
        assert 0 < len(document["message"]) <= 130
        assert 0 < len(document["alias"]) <= 512
        assert len(document["description"]) <= 15_000
        assert len(document["entity"]) <= 512
        assert len(document["source"]) <= 100
        assert all(len(tag) <= 50 for tag in document["tags"])

    def test_the_alias_is_the_thread(self) -> None:
        settings = samples.settings(opsgenie.FORM)
        opened = json.loads(opsgenie.call(testing.message(), settings).body)
        closed = opsgenie.call(testing.message(Event.RECOVERED), settings)
        assert opened["alias"] == "7f3a5c1e9b20"
        assert closed.url.startswith("https://api.opsgenie.com/v2/alerts/7f3a5c1e9b20/close")

    def test_a_thread_is_no_path(self) -> None:
        message = testing.message(Event.RECOVERED, thread="../../v1/heartbeat")
        url = opsgenie.call(message, samples.settings(opsgenie.FORM)).url
        assert url == (
            "https://api.opsgenie.com/v2/alerts/..%2F..%2Fv1%2Fheartbeat/close?identifierType=alias"
        )


def _alerts(message: Message, settings: Settings | None = None) -> list[dict[str, Any]]:
    call = alertmanager.call(message, settings or samples.settings(alertmanager.FORM))
    found: list[dict[str, Any]] = json.loads(call.body)
    return found


class TestAlertmanager:
    """Labels are identity; the end is far until it is there."""

    def test_it_fires_for_long(self) -> None:
        message = testing.message()
        (alert,) = _alerts(message)
        assert alert["labels"] == {
            "alertname": "UnitFailed",
            "host": "web1.example",
            "unit": "gitea.service",
            "result": "exit-code",
        }
        assert unix_time(alert["startsAt"]) == message.opened
        assert unix_time(alert["endsAt"]) == message.at + alertmanager.OPEN_S
        assert alert["annotations"]["summary"] == message.summary

    @pytest.mark.parametrize("message", EVERYTHING, ids=lambda one: one.event)
    def test_no_label_holds_an_id(self, message: Message) -> None:
        for alert in _alerts(message):
            assert set(alert["labels"]) <= {"alertname", "host", "unit", "result", "manager"}
            assert message.incident.id not in json.dumps(alert["labels"])
            assert unix_time(alert["startsAt"]) < unix_time(alert["endsAt"])

    def test_a_recovery_ends_all_that_was_sent_for_the_thread(self) -> None:
        settings = samples.settings(alertmanager.FORM)
        first = testing.message()
        memory = alertmanager.judge(first, settings, TAKEN).memory
        assert memory
        other = testing.message(
            Event.ESCALATED, incident=testing.incident(result="signal", exit_status="KILL")
        )
        settings = samples.settings(alertmanager.FORM, memory=memory)
        memory = alertmanager.judge(other, settings, TAKEN).memory
        assert memory
        settings = samples.settings(alertmanager.FORM, memory=memory)
        assert alertmanager.judge(other, settings, TAKEN).memory == memory
        over = testing.message(Event.RECOVERED, at=first.at + 60)
        alerts = _alerts(over, settings)
        assert [one["labels"].get("result") for one in alerts] == ["exit-code", "signal", None]
        assert {unix_time(one["endsAt"]) for one in alerts} == {over.at}
        assert alertmanager.judge(over, settings, TAKEN).memory == {}

    @pytest.mark.parametrize("after_s", [0.4, 0.0, -60.0])
    def test_one_that_is_over_within_a_second_ends_now(self, after_s: float) -> None:
        """An end ahead of Alertmanager's clock ends nothing, and the far one would stay."""
        first = testing.message()
        over = testing.message(Event.RECOVERED, at=first.opened + after_s)
        for alert in _alerts(over):
            start, end = unix_time(alert["startsAt"]), unix_time(alert["endsAt"])
            assert start < end <= max(over.at, start + 0.002)

    def test_a_digest_is_one_alert_for_each_unit(self) -> None:
        over = Entry("x.service", "well", "1", 5.0, Event.RECOVERED)
        message = samples.digest()
        alerts = _alerts(samples.digest(entries=(*message.entries, over)))
        assert [one["labels"]["unit"] for one in alerts] == [
            "u0.service",
            "u1.service",
            "u2.service",
            "x.service",
        ]
        ends = [unix_time(one["endsAt"]) - message.at for one in alerts]
        assert ends == [alertmanager.OPEN_S] * 3 + [0.0]

    def test_a_test_ends_soon(self) -> None:
        (alert,) = _alerts(testing.message(Event.TEST))
        assert alert["labels"]["alertname"] == "FailhookTest"
        assert unix_time(alert["endsAt"]) - testing.message().at == 300

    @pytest.mark.parametrize(
        "url", ["https://am.example", "https://am.example/", "https://am.example/api/v2/alerts"]
    )
    def test_its_address(self, url: str) -> None:
        settings = samples.settings(alertmanager.FORM, url=url)
        assert alertmanager.call(testing.message(), settings).url == (
            "https://am.example/api/v2/alerts"
        )

    @pytest.mark.parametrize("memory", [{"sent": "x"}, {"sent": [5]}, {"sent": [{"a": 5}]}])
    def test_a_memory_that_makes_no_sense(self, memory: Any) -> None:
        settings = samples.settings(alertmanager.FORM, memory=memory)
        assert _alerts(testing.message(Event.RECOVERED), settings)
