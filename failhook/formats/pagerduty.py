# SPDX-License-Identifier: MIT
"""PagerDuty: Events API v2. A thread is an alert: triggered, and resolved at recovery.

https://developer.pagerduty.com/docs/send-alert-event: dedup_key at most 255 characters, summary
1024, 512 kB in all.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from failhook.formats import words
from failhook.formats.form import JSON, Call, Form, Settings
from failhook.incident import rfc3339
from failhook.message import Event, Message

API = "https://events.pagerduty.com/v2/enqueue"


def call(message: Message, settings: Settings) -> Call:
    """One event."""
    event: dict[str, Any] = {
        "routing_key": settings.key,
        "dedup_key": key_of(message.thread, 255),
        "event_action": "resolve" if message.event is Event.RECOVERED else "trigger",
    }
    if message.event is not Event.RECOVERED:
        details: dict[str, Any] = dict(words.facts(message))
        below = words.lines(message)
        if below:
            details["Lines"] = below
        event["payload"] = {
            "summary": words.headline(message, 1000),
            "source": words.host(message),
            "severity": _severity(message, settings),
            "timestamp": rfc3339(message.at),
            "component": words.clean(message.incident.unit, 200),
            "class": words.clean(message.incident.result or "", 100),
            "custom_details": details,
        }
        event["client"] = "failhook"
    return Call(settings.url, json.dumps(event).encode(), JSON)


def _severity(message: Message, settings: Settings) -> str:
    if message.event is Event.TEST:
        return "info"
    return "critical" if message.event is Event.GAVE_UP else settings.severity


def key_of(thread: str, limit: int) -> str:
    """A thread's name where that fits, else one that is made of it."""
    text = words.clean(thread, 4096)
    if text == thread and len(thread) <= limit:
        return thread
    return hashlib.sha256(thread.encode("utf-8", "backslashreplace")).hexdigest()


FORM = Form("pagerduty", "PagerDuty: Events API v2", call, needs=("routing_key",), url=API)
