# SPDX-License-Identifier: MIT
"""``format = "template"``: the administrator's own text, Jinja2, in which no value breaks out.

The template is sandboxed and sees plain values only. ``kind`` says what it makes:

- json: each ``{{ … }}`` becomes a whole JSON value where it stands bare, and the inside of a string
  where it stands between quotes; so ``"text": {{ summary }}`` and ``"text": "{{ unit }} failed"``
  are both right, whatever the unit wrote. To that end values are kept out of the text until it is
  known where each of them stands. What comes out has to be JSON.
- html: escaped by Jinja2.
- text: as it is, without control characters.

https://jinja.palletsprojects.com/en/stable/sandbox/
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, Undefined
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from failhook.formats import words
from failhook.formats.form import Call, Form, Settings, Unusable
from failhook.message import Message

MAX_BODY = 256 << 10
MAX_S = 5.0
_MOST_ENTRIES = 500
_MOST_LINES = 200
KINDS: Mapping[str, str] = {
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "text": "text/plain; charset=utf-8",
}


def call(message: Message, settings: Settings) -> Call:
    """The rendered template. Raises Unusable."""
    kind = settings.template_kind
    body = render(settings.template, kind, values(message))
    return Call(settings.url, body.encode(), {"Content-Type": KINDS[kind]})


def values(message: Message) -> dict[str, Any]:
    """What a template can name, also as ``message.NAME``."""
    found = _values(message)
    return {**found, "message": found}


def _values(message: Message) -> dict[str, Any]:
    incident = message.incident
    verdict = incident.verdict
    return {
        "headline": words.headline(message),
        "summary": words.clean(message.summary),
        "event": str(message.event),
        "what": words.event_words(message),
        "unit": words.clean(incident.unit, 256),
        "host": words.host(message),
        "result": words.clean(incident.result or "", 50),
        "exit_status": words.clean(incident.exit_status or "", 50),
        "phase": str(incident.phase),
        "cause": words.clean((verdict.cause if verdict else None) or "", 100),
        "advice": words.clean((verdict.advice if verdict else None) or "", 500),
        "reason": words.clean(message.reason, 300),
        "id": message.id,
        "thread": message.thread,
        "incident": incident.id,
        "destination": message.destination,
        "count": message.count,
        "step": message.step,
        "at": message.at,
        "opened": message.opened,
        "time": words.moment(message.at),
        "since": words.moment(message.opened),
        "downtime_s": message.downtime_s,
        "downtime": words.duration(message.downtime_s) if message.downtime_s is not None else "",
        "helped": words.clean(message.helped or "", 64),
        "facts": [{"name": name, "value": value} for name, value in words.facts(message)],
        "excerpt": words.clean_lines(message.excerpt[-_MOST_LINES:]),
        "entries": [
            {
                "unit": words.clean(one.unit, 256),
                "summary": words.clean(one.summary),
                "id": one.id,
                "at": one.at,
                "event": str(one.event),
                "count": one.count,
            }
            for one in message.entries[:_MOST_ENTRIES]
        ],
        "text": words.plain(message),
    }


def check(template: str, kind: str) -> None:
    """Raises Unusable where it is no template."""
    try:
        _environment(kind, _Values()).parse(template)
    except TemplateError as error:
        raise Unusable(_said(error)) from None


def render(template: str, kind: str, about: Mapping[str, Any]) -> str:
    """The text that ``template`` makes of ``about``. Raises Unusable."""
    kept = _Values()
    try:
        text = _bounded(_environment(kind, kept).from_string(template).generate(about))
    except Unusable:
        raise
    except SecurityError:
        raise Unusable("the template does what is not allowed") from None
    except TemplateError as error:
        raise Unusable(_said(error)) from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise Unusable(f"the template fails: {type(error).__name__}") from None
    return _filled(text, kept) if kind == "json" else text


def _bounded(parts: Any) -> str:
    until = time.monotonic() + MAX_S
    found, size = [], 0
    for part in parts:
        found.append(part)
        size += len(part)
        if size > MAX_BODY:
            raise Unusable(f"the template makes more than {MAX_BODY >> 10} KiB")
        if time.monotonic() > until:
            raise Unusable(f"the template takes longer than {MAX_S:.0f} s")
    return "".join(found)


def _said(error: TemplateError) -> str:
    line = getattr(error, "lineno", None)
    place = f" (line {line})" if line else ""
    return (
        f"the template is wrong: {words.clean(error.message or type(error).__name__, 200)}{place}"
    )


class _Values:
    """What was printed, in order; in the text stands a word that nobody could have foreseen."""

    def __init__(self) -> None:
        self._word = f"\ue000{secrets.token_hex(16)}:"
        self._kept: list[Any] = []
        self.pattern = re.compile(re.escape(self._word) + r"(\d{1,7});")

    def keep(self, value: Any) -> str:
        """The word that stands for ``value``. Raises UndefinedError for a name that is none."""
        if isinstance(value, Undefined):
            str(value)
        self._kept.append(value)
        return f"{self._word}{len(self._kept) - 1};"

    def get(self, number: int) -> Any:
        """What was kept; words in it (of a ``{% set %}`` block) become its text again."""
        value = self._kept[number]
        if isinstance(value, str):
            return self.pattern.sub(lambda match: str(self.get(int(match[1]))), str(value))
        return value


def _environment(kind: str, kept: _Values) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        autoescape=kind == "html",
        undefined=StrictUndefined,
        finalize=kept.keep if kind == "json" else _printed,
        keep_trailing_newline=True,
    )
    if kind == "json":
        environment.filters["tojson"] = lambda value: value  # it becomes JSON anyway
    return environment


def _printed(value: Any) -> Any:
    return "" if value is None else value


def _filled(text: str, kept: _Values) -> str:
    """Every value as JSON, as it has to be where it stands."""
    found: list[str] = []
    inside, position = False, 0
    for match in kept.pattern.finditer(text):
        before = text[position : match.start()]
        inside = _ends_inside(before, inside)
        found += [before, _as_json(kept.get(int(match[1])), inside=inside)]
        position = match.end()
    whole = "".join([*found, text[position:]])
    try:
        json.loads(whole)
    except (ValueError, RecursionError) as error:
        raise Unusable(f"the template makes no JSON: {error}") from None
    return whole


def _ends_inside(text: str, inside: bool) -> bool:
    """Whether a JSON string is open after ``text``."""
    escaped = False
    for char in text:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = inside
        elif char == '"':
            inside = not inside
    return inside


def _as_json(value: Any, *, inside: bool) -> str:
    try:
        if not inside:
            return json.dumps(value)
        text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
        return json.dumps(text)[1:-1]
    except (TypeError, ValueError, RecursionError):
        raise Unusable("the template prints something that is no JSON value") from None


FORM = Form(
    "template",
    "a text of your own (Jinja2)",
    call,
    needs=("url", "template|template_file"),
    signs=True,
)
