# SPDX-License-Identifier: MIT
"""Microsoft Teams: an Adaptive Card for a workflow's webhook.

https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
(28 kB a message) and https://adaptivecards.io/explorer/TextRun.html: a TextRun interprets nothing,
so what comes from units and logs stands in such.
"""

from __future__ import annotations

import json
from typing import Any

from failhook.formats import words
from failhook.formats.form import JSON, Call, Form, Settings
from failhook.message import Event, Message

_STYLES = {
    Event.OPENED: "attention",
    Event.ESCALATED: "warning",
    Event.GAVE_UP: "attention",
    Event.REBOOTED: "warning",
    Event.RECOVERED: "good",
    Event.DIGEST: "warning",
    Event.TEST: "accent",
}


def call(message: Message, settings: Settings) -> Call:
    """One card."""
    title = words.headline(message, 1000)
    body = [
        _text(title, size="Medium", weight="Bolder", color=_STYLES[message.event]),
        *(_fact(name, value) for name, value in words.facts(message)),
    ]
    below = words.lines(message)
    if below:
        inlines = [_run(line, fontType="Monospace") for line in below]
        body += [{"type": "RichTextBlock", "inlines": [one], "spacing": "None"} for one in inlines]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "fallbackText": words.cut(title, 300),
        "body": body,
    }
    document = {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "contentUrl": None,
                "content": card,
            }
        ],
    }
    return Call(settings.url, json.dumps(document).encode(), JSON)


def _text(text: str, **look: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [_run(text, **look)]}


def _fact(name: str, value: str) -> dict[str, Any]:
    runs = [_run(f"{name}: ", weight="Bolder"), _run(value)]
    return {"type": "RichTextBlock", "inlines": runs, "spacing": "Small"}


def _run(text: str, **look: str) -> dict[str, Any]:
    return {"type": "TextRun", "text": words.cut(text, 1000), **look}


FORM = Form("teams", "Microsoft Teams: the webhook of a workflow", call, needs=("url",))
