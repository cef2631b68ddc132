# SPDX-License-Identifier: MIT
"""Discord: a webhook with one embed, which mentions nobody.

https://discord.com/developers/docs/resources/message#embed-object-embed-limits: title 256, text
4096, 25 fields of 256 and 1024, 6000 in all.
"""

from __future__ import annotations

import json
import re
from typing import Any

from failhook.formats import words
from failhook.formats.form import COLOURS, JSON, Call, Form, Settings
from failhook.incident import rfc3339
from failhook.message import Message

_MARKUP = re.compile(r"([\\*_~`|>#\-\[\]()@:<!+.])")
_FENCE = "```"


def call(message: Message, settings: Settings) -> Call:
    """One embed."""
    title = words.headline(message, 700)
    # A title may be longer as a text: 256 characters is what the bold line takes.
    embed: dict[str, Any] = {
        "title": words.cut(escaped(words.cut(title, 120)), 256),
        "color": COLOURS[message.event],
        "timestamp": rfc3339(message.at),
        "footer": {"text": words.cut(f"failhook {message.thread}", 200)},
        "fields": [
            {"name": name, "value": _field(value), "inline": len(value) < 40}
            for name, value in words.facts(message)
        ],
    }
    parts = [words.cut(escaped(title), 1400)] if len(title) > 120 else []
    below = words.lines(message)
    if below:
        code = words.cut("\n".join(below), 1500).replace(_FENCE, "'''")
        parts.append(f"{_FENCE}\n{code}\n{_FENCE}")
    if parts:
        embed["description"] = "\n".join(parts)
    document = {
        "username": "failhook",
        "embeds": [embed],
        "allowed_mentions": {"parse": []},
    }
    return Call(settings.url, json.dumps(document).encode(), JSON)


def _field(value: str) -> str:
    return words.cut(escaped(words.cut(value, 180)), 400)


def escaped(text: str) -> str:
    """Markdown's signs as text; no link, no mention."""
    return _MARKUP.sub(r"\\\1", text)


FORM = Form("discord", "Discord: a webhook", call, needs=("url",))
