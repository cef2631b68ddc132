# SPDX-License-Identifier: MIT
"""ntfy: a notification on a phone, published as JSON to the topic at the end of the URL.

https://docs.ntfy.sh/publish/#publish-as-json: the message is at most 4096 bytes (a longer one
becomes an attachment), the title is shown as it is; Markdown is off unless asked for.
"""

from __future__ import annotations

import json
from urllib.parse import unquote, urlsplit, urlunsplit

from failhook.formats import words
from failhook.formats.form import JSON, Call, Form, Settings, Unusable
from failhook.message import Event, Message

_PRIORITY = {"critical": 5, "error": 4, "warning": 3, "info": 2}
_TAGS = {
    Event.OPENED: "rotating_light",
    Event.ESCALATED: "warning",
    Event.GAVE_UP: "skull",
    Event.REBOOTED: "arrows_counterclockwise",
    Event.RECOVERED: "white_check_mark",
    Event.DIGEST: "warning",
    Event.TEST: "wave",
}


def call(message: Message, settings: Settings) -> Call:
    """One notification; recovery is told quietly."""
    server, topic = _topic(settings.url)
    quiet = message.event in (Event.RECOVERED, Event.TEST)
    document = {
        "topic": topic,
        "title": words.cut_bytes(words.headline(message, 200), 250),
        "message": words.cut_bytes(words.plain(message, title=len(message.summary) > 190), 3900),
        "priority": 3 if quiet else _PRIORITY[settings.severity],
        "tags": [_TAGS[message.event]],
    }
    headers = JSON | ({"Authorization": f"Bearer {settings.key}"} if settings.key else {})
    return Call(server, json.dumps(document).encode(), headers)


def _topic(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    base, _, topic = parts.path.rstrip("/").rpartition("/")
    if not topic:
        raise Unusable("its URL has no topic at the end: https://ntfy.sh/TOPIC")
    return urlunsplit((parts.scheme, parts.netloc, f"{base}/", "", "")), unquote(topic)


FORM = Form("ntfy", "ntfy: a notification on a phone", call, needs=("url",))
