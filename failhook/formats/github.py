# SPDX-License-Identifier: MIT
"""GitHub: an issue for a thread, in the repository ``project`` = "owner/name".

https://docs.github.com/en/rest/issues: title 256 characters, body 65536. The token needs to read
and write issues of that repository and nothing else.
"""

from __future__ import annotations

import json
from functools import partial
from urllib.parse import quote

from failhook.formats import markdown, tracker
from failhook.formats.form import JSON, Call, Form, Settings
from failhook.incident import JsonObject
from failhook.message import Message

API = "https://api.github.com"


def _call(
    settings: Settings, path: str, document: JsonObject | None = None, method: str = "POST"
) -> Call:
    project = quote(settings.project.strip("/"), safe="/")
    headers = JSON | {
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
        "Authorization": f"Bearer {settings.key}",
    }
    body = json.dumps(document).encode() if document is not None else b""
    return Call(f"{settings.url.rstrip('/')}/repos/{project}/{path}", body, headers, method)


def _recent(settings: Settings) -> Call:
    # ten, for only the first part of an answer is read
    return _call(settings, "issues?state=all&sort=created&direction=desc&per_page=10", None, "GET")


def _create(settings: Settings, message: Message) -> Call:
    document: JsonObject = {
        "title": markdown.title(message, 200),
        "body": markdown.body(message),
    }
    return _call(settings, "issues", document)


def _comment(settings: Settings, message: Message, number: int) -> Call:
    return _call(settings, f"issues/{number}/comments", {"body": markdown.body(message)})


def _set_open(settings: Settings, number: int, is_open: bool) -> Call:
    state = "open" if is_open else "closed"
    return _call(settings, f"issues/{number}", {"state": state}, "PATCH")


_TRACKER = tracker.Tracker("number", "body", _recent, _create, _comment, _set_open)
FORM = Form(
    "github",
    "GitHub: an issue, closed at recovery",
    converse=partial(tracker.converse, _TRACKER),
    needs=("token", "project"),
    url=API,
)
