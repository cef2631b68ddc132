# SPDX-License-Identifier: MIT
"""Slack: an incoming webhook, or chat.postMessage with a token, which can answer in a thread.

https://docs.slack.dev/reference/block-kit/blocks: header 150 characters, text 3000, 50 blocks. What
comes from units and logs stands in plain_text and rich_text elements, where Slack interprets
nothing; in the fallback ``text`` the three characters of its markup are escaped, so that no
``<!channel>`` gets through.
"""

from __future__ import annotations

import json
from typing import Any

from failhook.formats import words
from failhook.formats.form import JSON, Answer, Call, Form, Settings, Verdict, colour
from failhook.message import Event, Message

API = "https://slack.com/api/chat.postMessage"
# In the API's "error": nothing that another try could mend, and nothing about the destination.
_ABOUT_MESSAGE = ("msg_too_long", "invalid_blocks", "invalid_blocks_format", "no_text")


def call(message: Message, settings: Settings) -> Call:
    """A message with blocks; in the thread of the first one where that is known."""
    title = words.headline(message, 2900)
    document: dict[str, Any] = {
        "text": escaped(words.cut(title, 600)),
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
        "attachments": [{"color": colour(message), "blocks": _blocks(message, title)}],
    }
    if not settings.key:
        return Call(settings.url, json.dumps(document).encode(), JSON)
    document["channel"] = settings.channel
    thread = settings.memory.get("ts")
    if isinstance(thread, str):
        document["thread_ts"] = thread
        document["reply_broadcast"] = message.event in (Event.GAVE_UP, Event.RECOVERED)
    headers = JSON | {
        "Content-Type": "application/json; charset=utf-8",
        "Authorization": f"Bearer {settings.key}",
    }
    return Call(settings.url or API, json.dumps(document).encode(), headers)


def judge(message: Message, settings: Settings, answer: Answer) -> Verdict:
    """The API says 200 and "ok": false; the webhook says "ok"."""
    if not settings.key:
        return Verdict(True)
    try:
        said = json.loads(answer.body)
        if said["ok"] is True:
            first = settings.memory.get("ts") or str(said.get("ts", ""))
            return Verdict(True, memory={"ts": first} if first else None)
        error = words.clean(str(said.get("error")), 60)
    except (ValueError, KeyError, TypeError, RecursionError):
        return Verdict(False, "Slack's answer is not understood")
    return Verdict(False, f"Slack says {error}", about_message=error in _ABOUT_MESSAGE)


def escaped(text: str) -> str:
    """The control characters of Slack's markup as text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _blocks(message: Message, title: str) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"type": "section", "text": _text(title)}]
    fields = [_text(f"{name}: {value}", 1900) for name, value in words.facts(message)]
    if fields:
        blocks.append({"type": "section", "fields": fields[:10]})
    below = words.lines(message)
    if below:
        content = {"type": "text", "text": words.cut("\n".join(below), 2900)}
        block = {"type": "rich_text_preformatted", "elements": [content]}
        blocks.append({"type": "rich_text", "elements": [block]})
    footer = f"failhook, {words.event_words(message)}, {message.thread}"
    blocks.append({"type": "context", "elements": [_text(footer, 150)]})
    return blocks


def _text(text: str, limit: int = 2900) -> dict[str, Any]:
    return {"type": "plain_text", "text": words.cut(text, limit), "emoji": False}


FORM = Form(
    "slack",
    "Slack: an incoming webhook, or a token and a channel",
    call,
    judge=judge,
    needs=("url|token", "url|channel"),
)
