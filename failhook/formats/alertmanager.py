# SPDX-License-Identifier: MIT
"""Alertmanager, API v2: an alert that fires until the unit has recovered.

https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. Labels are the alert's
identity and never hold an id: alertname, host, unit, result. An alert without an end resolves by
itself after resolve_timeout (5 min) unless it is sent again and again; nobody runs here to do that,
so its end is set `OPEN_S` ahead and to the moment of recovery when that comes. ``memory`` has the
labels that were sent for a thread, so that all of them are resolved.
"""

from __future__ import annotations

import json
from typing import Any

from failhook.formats import words
from failhook.formats.form import JSON, Answer, Call, Form, Settings, Verdict
from failhook.incident import Json, JsonObject, rfc3339
from failhook.message import Event, Message

OPEN_S = 30 * 86400.0
_TEST_S = 300.0
_A_MOMENT_S = 0.001
_MOST_ALERTS = 500  # of one digest
_MOST = 20  # label sets of one thread


def call(message: Message, settings: Settings) -> Call:
    """One alert; of a digest one for each unit, for grouping is Alertmanager's own trade."""
    text = words.cut(words.plain(message, title=False), 4000)
    document = [
        _alert(message, labels, {"summary": note, "description": text}, (begun, is_over))
        for labels, note, begun, is_over in _alerts(message, settings)
    ]
    url = settings.url.rstrip("/")
    url = url if url.endswith("/api/v2/alerts") else f"{url}/api/v2/alerts"
    headers = JSON | ({"Authorization": f"Bearer {settings.key}"} if settings.key else {})
    return Call(url, json.dumps(document).encode(), headers)


def judge(message: Message, settings: Settings, _answer: Answer) -> Verdict:
    """Nothing in the answer counts; what was sent is remembered."""
    if message.event is Event.RECOVERED:
        return Verdict(True, memory={})
    if message.event is Event.DIGEST:
        return Verdict(True)
    sent: list[Json] = [*_known(settings)]
    labels: JsonObject = dict(_labels(message))
    if labels not in sent:
        sent.append(labels)
    return Verdict(True, memory={"sent": sent[-_MOST:]})


_Alert = tuple[dict[str, str], str, float, bool]


def _alerts(message: Message, settings: Settings) -> list[_Alert]:
    if message.event is Event.DIGEST:
        return [
            (
                _identity(message, one.unit, None),
                words.clean(one.summary, 500),
                one.at,
                one.event == Event.RECOVERED,
            )
            for one in message.entries[:_MOST_ALERTS]
        ]
    note = words.headline(message, 500)
    is_over = message.event is Event.RECOVERED
    labels = [_labels(message)]
    if is_over:
        before = [
            {str(name): str(value) for name, value in one.items()} for one in _known(settings)
        ]
        # Without a result as well: that is how a digest told it.
        labels += [*before, _identity(message, message.incident.unit, None)]
    distinct = [one for number, one in enumerate(labels) if one not in labels[:number]]
    return [(one, note, message.opened, is_over) for one in distinct]


def _alert(
    message: Message,
    labels: dict[str, str],
    annotations: dict[str, str],
    when: tuple[float, bool],
) -> dict[str, Any]:
    begun, is_over = when
    start = min(begun, message.at)
    open_s = _TEST_S if message.event is Event.TEST else OPEN_S
    # Not before its start, which is refused, and not ahead: an end to come ends nothing, and that
    # of the alert would stay.
    end = max(message.at, start + _A_MOMENT_S) if is_over else message.at + open_s
    return {
        "labels": labels,
        "annotations": annotations,
        "startsAt": rfc3339(start),
        "endsAt": rfc3339(end),
    }


def _labels(message: Message) -> dict[str, str]:
    if message.event is Event.TEST:
        return {"alertname": "FailhookTest", "host": words.host(message)}
    return _identity(message, message.incident.unit, message.incident.result)


def _identity(message: Message, unit: str, result: str | None) -> dict[str, str]:
    found = {"alertname": "UnitFailed", "host": words.host(message), "unit": words.clean(unit, 256)}
    if message.incident.manager == "user":
        found["manager"] = "user"
    return found | ({"result": words.clean(result, 50)} if result else {})


def _known(settings: Settings) -> list[JsonObject]:
    sent: Json = settings.memory.get("sent", [])
    return [one for one in sent if isinstance(one, dict)] if isinstance(sent, list) else []


FORM = Form(
    "alertmanager", "Prometheus Alertmanager: its address", call, judge=judge, needs=("url",)
)
