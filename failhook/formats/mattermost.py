# SPDX-License-Identifier: MIT
"""Mattermost: an incoming webhook with an attachment, in its Markdown, which mentions nobody.

https://developers.mattermost.com/integrate/reference/message-attachments/: a text of at most 16383
characters; what is longer than five lines is folded.
"""

from __future__ import annotations

import json
import re
from typing import Any

from failhook.formats import words
from failhook.formats.form import JSON, Call, Form, Settings, colour
from failhook.message import Message

_MARKUP = re.compile(r"([\\*_~`|>#\-\[\]()!<+:])")
_MENTION = "@\u200b"  # a space without width: the sign is seen and nobody is called


def call(message: Message, settings: Settings) -> Call:
    """One attachment."""
    title = escaped(words.headline(message, 1000))
    below = words.lines(message)
    code = words.cut("\n".join(below), 3000).replace("```", "'''").replace("@", _MENTION)
    attachment: dict[str, Any] = {
        "fallback": title,
        "color": colour(message),
        "text": title + (f"\n```text\n{code}\n```" if below else ""),
        "fields": [
            {"short": len(value) < 40, "title": name, "value": escaped(value)}
            for name, value in words.facts(message)
        ],
        "footer": words.cut(f"failhook {message.thread}", 200),
    }
    document: dict[str, Any] = {"username": "failhook", "attachments": [attachment]}
    if settings.channel:
        document["channel"] = settings.channel
    return Call(settings.url, json.dumps(document).encode(), JSON)


def escaped(text: str) -> str:
    """Markdown's signs as text; no link, no mention."""
    return _MARKUP.sub(r"\\\1", text).replace("@", _MENTION)


FORM = Form("mattermost", "Mattermost: an incoming webhook", call, needs=("url",))
