# SPDX-License-Identifier: MIT
"""GitLab: an issue for a thread, in the project ``project`` = "group/name".

https://docs.gitlab.com/api/issues/: title 255 characters. The token needs the scope ``api`` of that
one project (a project access token).
"""

from __future__ import annotations

import json
from functools import partial
from urllib.parse import quote

from failhook.formats import markdown, tracker
from failhook.formats.form import JSON, Call, Form, Settings
from failhook.incident import JsonObject
from failhook.message import Message

API = "https://gitlab.com"


def _call(
    settings: Settings, path: str, document: JsonObject | None = None, method: str = "POST"
) -> Call:
    project = quote(settings.project.strip("/"), safe="")
    headers = JSON | {"PRIVATE-TOKEN": settings.key}
    body = json.dumps(document).encode() if document is not None else b""
    url = f"{settings.url.rstrip('/')}/api/v4/projects/{project}/{path}"
    return Call(url, body, headers, method)


def _recent(settings: Settings) -> Call:
    # ten, for only the first part of an answer is read
    return _call(settings, "issues?order_by=created_at&sort=desc&per_page=10", None, "GET")


def _create(settings: Settings, message: Message) -> Call:
    document: JsonObject = {
        "title": markdown.title(message, 200),
        "description": markdown.body(message),
    }
    return _call(settings, "issues", document)


def _comment(settings: Settings, message: Message, number: int) -> Call:
    return _call(settings, f"issues/{number}/notes", {"body": markdown.body(message)})


def _set_open(settings: Settings, number: int, is_open: bool) -> Call:
    event = "reopen" if is_open else "close"
    return _call(settings, f"issues/{number}", {"state_event": event}, "PUT")


_TRACKER = tracker.Tracker("iid", "description", _recent, _create, _comment, _set_open)
FORM = Form(
    "gitlab",
    "GitLab: an issue, closed at recovery",
    converse=partial(tracker.converse, _TRACKER),
    needs=("token", "project"),
    url=API,
)
