# SPDX-License-Identifier: MIT
"""Messages for every format, harmless ones and those of somebody who means harm."""

import re
from dataclasses import replace
from typing import Any

from failhook import testing
from failhook.formats.form import Form, Settings
from failhook.incident import Change, Verdict
from failhook.message import Entry, Event, Message

NASTY = (
    "<!channel> <script>alert(1)</script> @everyone @channel @here \x1b[31mred\x1b[0m "
    "\u202eevil\u202c "
    '"; DROP {{ 7*7 }} {% raw %} ${HOME} `id` ```\n\r\nBcc: x@y.example\r\n/close\n'
    "*bold* _it_ [click](http://evil.example/) <http://evil.example|x> &amp; \\ \udce9 \x00 \u2028"
)

EVERY = [testing.message(event) for event in Event if event is not Event.DIGEST]


def digest(number: int = 3, **changes: Any) -> Message:
    """A digest of ``number`` incidents."""
    entries = tuple(
        Entry(
            f"u{n}.service", f"u{n}.service failed: no space left", f"id{n}", 1e9 + n, count=n + 1
        )
        for n in range(number)
    )
    made = testing.message(Event.DIGEST, entries=entries, count=number, thread="digest-1")
    return replace(made, **changes)


EVERY.append(digest())


def nasty(event: Event = Event.OPENED, size: int = 1) -> Message:
    """Everything that a unit or a log can choose says something hostile, ``size`` times."""
    text = NASTY * size
    incident = testing.incident(
        unit=text[:255].replace("/", "_") + ".service",
        host="h" + text,
        verdict=Verdict(summary=text, cause="x", advice=text),
        changes=tuple(Change(text, text, text) for _ in range(9)),
        result="exit-code" + text,
        exit_status_name=text,
    )
    return testing.message(
        event,
        incident=incident,
        reason=text,
        helped=text if event is Event.RECOVERED else None,
        excerpt=tuple(text for _ in range(60 * size)),
        thread="thread",
        entries=tuple(Entry(text, text, "id", 1e9) for _ in range(min(99 * size, 600)))
        if event is Event.DIGEST
        else (),
    )


HOSTILE = [nasty(event, size) for event in Event for size in (1, 40)]

_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2028\u2029\ud800-\udfff]")


def texts(value: Any) -> list[str]:
    """All texts in a JSON document."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return []


def hidden(value: Any) -> list[str]:
    """Texts that hold what a reader would not see, or what moves the cursor."""
    return [text for text in texts(value) if _HIDDEN.search(text)]


def settings(form: Form, **changes: Any) -> Settings:
    """What a configuration would give."""
    base = Settings(
        url=form.url or "https://there.example/hook", key="the-key", project="ops/web", now=2e9
    )
    return replace(base, **changes)
