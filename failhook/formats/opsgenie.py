# SPDX-License-Identifier: MIT
"""Opsgenie (and Jira Service Management): a thread is an alert, closed at recovery.

https://docs.opsgenie.com/docs/alert-api: message at most 130 characters, alias 512, description
15000, note 25000. The alias is the thread, so that the same alert is not made twice.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from failhook.formats import words
from failhook.formats.form import JSON, Call, Form, Settings
from failhook.formats.pagerduty import key_of
from failhook.message import Event, Message

API = "https://api.opsgenie.com"
_PRIORITY = {"critical": "P1", "error": "P2", "warning": "P3", "info": "P5"}


def call(message: Message, settings: Settings) -> Call:
    """One request."""
    alias = key_of(message.thread, 512)
    base = f"{settings.url.rstrip('/')}/v2/alerts"
    headers = JSON | {"Authorization": f"GenieKey {settings.key}"}
    if message.event is Event.RECOVERED:
        note = {"source": words.host(message), "note": words.cut(words.plain(message), 20_000)}
        url = f"{base}/{quote(alias, safe='')}/close?identifierType=alias"
        return Call(url, json.dumps(note).encode(), headers)
    priority = "P5" if message.event is Event.TEST else _PRIORITY[settings.severity]
    alert: dict[str, Any] = {
        "message": words.headline(message, 130),
        "alias": alias,
        "description": words.cut(words.plain(message), 14_000),
        "entity": words.clean(message.incident.unit, 500),
        "source": words.host(message),
        "priority": "P1" if message.event is Event.GAVE_UP else priority,
        "tags": ["failhook", words.clean(message.incident.result or "unit", 50)],
    }
    return Call(base, json.dumps(alert).encode(), headers)


FORM = Form("opsgenie", "Opsgenie: an alert", call, needs=("api_key",), url=API)
