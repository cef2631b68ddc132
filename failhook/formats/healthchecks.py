# SPDX-License-Identifier: MIT
"""healthchecks.io and its like: a failure ping, and a success ping at recovery.

https://healthchecks.io/docs/http_api/: URL/fail for a failure, URL for success, URL/log for what is
neither; of the body as many bytes are kept as the ``Ping-Body-Limit`` header says, 10 kB at least.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from failhook.formats import words
from failhook.formats.form import Call, Form, Settings
from failhook.message import Event, Message

MAX_BODY = 10_000
_WHERE = {Event.RECOVERED: "", Event.TEST: "/log"}


def call(message: Message, settings: Settings) -> Call:
    """One ping, with the message as its body."""
    parts = urlsplit(settings.url)
    path = parts.path.rstrip("/") + _WHERE.get(message.event, "/fail")
    url = urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
    text = words.cut_bytes(words.plain(message), MAX_BODY)
    return Call(url, text.encode(), {"Content-Type": "text/plain; charset=utf-8"})


FORM = Form("healthchecks", "healthchecks.io: the ping URL of a check", call, needs=("url",))
