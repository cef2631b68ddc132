# SPDX-License-Identifier: MIT
"""A message as mail: text and HTML, threads by their headers, nothing in them that is not ours.

RFC 5322 (threads: Message-ID, In-Reply-To, References), RFC 3834 (Auto-Submitted). The HTML part is
escaped by Jinja2, and loads nothing from anywhere: no image, no script, no style sheet.
`email.policy.SMTP` folds and encodes headers and refuses a line end in one (anchors T15).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from jinja2 import Environment

from failhook.formats import words
from failhook.formats.form import colour
from failhook.message import Event, Message

MAX_SUBJECT = 160  # characters; a line of many readers shows fewer
_NOT_IN_HOSTS = re.compile(r"[^A-Za-z0-9.-]")
_NOT_IN_VALUES = re.compile(r"[^\x21-\x7e]")
_HTML = """\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{ headline }}</title></head>
<body style="margin:0;padding:16px;font-family:sans-serif;font-size:15px;color:#222">
<div style="max-width:44em;border-left:6px solid {{ colour }};padding-left:14px">
<p style="font-size:18px;margin:0 0 12px"><strong>{{ headline }}</strong></p>
<table style="border-collapse:collapse">
{%- for name, value in facts %}
<tr><td style="padding:2px 14px 2px 0;color:#666;vertical-align:top">{{ name }}</td>\
<td style="padding:2px 0">{{ value }}</td></tr>
{%- endfor %}
</table>
{%- if lines %}
<pre style="background:#f4f4f4;padding:10px;white-space:pre-wrap;font-size:13px">\
{% for line in lines %}{{ line }}
{% endfor %}</pre>
{%- endif %}
</div></body></html>
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """Whom it goes to and from whom, and the evidence where that is to be attached."""

    sender: str
    to: tuple[str, ...]
    bundle: bytes | None = field(default=None, repr=False)
    bundle_name: str = "bundle.tar.gz"
    note: str = ""  # a sentence on the bundle, where it is not attached


def compose(message: Message, letter: Letter, *, at: float) -> EmailMessage:
    """The mail, as it is sent at ``at`` (Unix seconds). Raises ValueError (a wrong address)."""
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = subject(message)
    mail["From"] = letter.sender
    mail["To"] = ", ".join(letter.to)
    mail["Date"] = format_datetime(datetime.fromtimestamp(at, UTC))
    mail["Message-ID"] = message_id(message, message.id)
    if message.event not in (Event.TEST, Event.DIGEST):
        # The thread's name stands for a mail that nobody got: readers put all that refer to it
        # together, whichever of them came first.
        root = message_id(message, f"thread-{message.thread}")
        mail["In-Reply-To"] = root
        mail["References"] = root
    mail["Auto-Submitted"] = "auto-generated"
    mail["Precedence"] = "bulk"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["X-Failhook-Event"] = str(message.event)
    mail["X-Failhook-Unit"] = _value(message.incident.unit)
    mail["X-Failhook-Host"] = _value(message.incident.host)
    mail["X-Failhook-Incident"] = _value(message.incident.id)
    note = f"\n\n{letter.note}" if letter.note else ""
    mail.set_content(words.plain(message) + note + "\n", cte="quoted-printable")
    mail.add_alternative(html(message), subtype="html", cte="quoted-printable")
    if letter.bundle is not None:
        mail.add_attachment(
            letter.bundle, maintype="application", subtype="gzip", filename=letter.bundle_name
        )
    return mail


def subject(message: Message) -> str:
    """The sentence first; what tells machines apart is at its end."""
    end = f" [{words.cut(words.host(message), 40)}]"
    if message.event in (Event.TEST, Event.DIGEST):  # they say it themselves
        return words.headline(message, MAX_SUBJECT)
    return words.headline(message, MAX_SUBJECT - len(end)) + end


def html(message: Message) -> str:
    """The HTML part."""
    environment = Environment(autoescape=True)
    return environment.from_string(_HTML).render(
        headline=words.headline(message, 500),
        colour=colour(message),
        facts=words.facts(message),
        lines=words.lines(message),
    )


def message_id(message: Message, name: str) -> str:
    """The same for the same ``name`` on the same machine, whenever it is sent."""
    digest = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:40]
    host = _NOT_IN_HOSTS.sub("-", message.incident.host)[:100].strip(".-") or "localhost"
    return f"<{digest}@{host}>"


def _value(text: str) -> str:
    """Of a header that programs read: ASCII without a space, and bounded."""
    return _NOT_IN_VALUES.sub("?", text)[:200]
