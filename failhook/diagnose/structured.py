# SPDX-License-Identifier: MIT
"""Lines that are made of fields: logfmt, JSON, and the fields at the end of klog's lines.

What matters of them is what they say, what their error is, and how grave they call themselves; their
time, their place in the program and the name of their logger are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from failhook.diagnose.level import BY_WORD, Level, of_word

MAX_SAID = 4000
_LOGFMT = re.compile(
    r"(?:^|\s)(?:level|lvl|severity|prio|priority)=\"?(?P<word>[A-Za-z]{1,10})\"?(?=\s|\Z)"
)
_LOGFMT_FIELD = re.compile(
    r"(?:^|\s)(?P<key>[A-Za-z_@][\w.@-]{0,40})="
    r"(?:\"(?P<quoted>(?:[^\"\\]|\\.){0,2000})\"|(?P<plain>[^\s\"]{1,500}))"
)
_SAYS = ("msg", "message", "event", "err", "error", "reason", "cause", "exception")
_WHERE = (
    "file", "path", "line", "filename", "addr", "address", "host", "url", "endpoint", "dir", "directory",
    "device", "interface", "plugin", "topic", "queue", "database", "table", "bucket", "key", "config",
)  # fmt: skip
# Tells when, where in the program and by which part of it, not what.
_ASIDE = frozenset((
    "time", "ts", "t", "tid", "prio", "priority", "subsystem", "timestamp", "@timestamp", "datetime", "date", "level", "lvl", "severity",
    "caller", "source", "logger", "name", "pid", "thread", "component", "module", "stack",
    "stacktrace", "goroutine", "hostname", "version", "v",
))  # fmt: skip
# klog since Kubernetes 1.20: "Failed to start" err="open /etc/x: no such file"
_KLOG = re.compile(r"^\"(?P<said>(?:[^\"\\]|\\.){1,2000})\"(?= \w{1,40}=|\Z)")
_JSON_SAYS = ("msg", "message", "@m", "@mt", "event", "text", "error", "err", "exception", "reason",
              "cause", "@x", "log")  # fmt: skip
_JSON_LEVEL = (
    "level",
    "lvl",
    "severity",
    "log.level",
    "loglevel",
    "levelname",
    "s",
    "@l",
    "status",
)
_JSON_INSIDE = ("attr", "error", "err", "exception", "log", "fields", "context", "data")
_JSON_LISTS = ("internal", "errors", "details", "causes", "reasons", "problems")
_NOT_SAID = frozenset(("stack", "level", "name", "type", "code", "codeName"))
_MOST = 6


def structured(line: str) -> tuple[str, Level] | None:
    """What such a line says, and how grave it calls itself; None where it is not made of fields."""
    if line.startswith("{") and line.endswith("}"):
        return _of_json(line)
    level = _LOGFMT.search(line)
    if level is None or level["word"].lower() not in BY_WORD:
        return None
    return _of_logfmt(line), of_word(level["word"])


def _of_logfmt(line: str) -> str:
    given = _fields(line)
    said = [given[name] for name in _SAYS if name in given]
    if said:
        said += _where(given, said)
        return ": ".join(dict.fromkeys(said))
    free = " ".join(_LOGFMT_FIELD.sub(" ", line).split())
    rest = " ".join(f"{key}={value}" for key, value in given.items() if key not in _ASIDE)
    return " ".join(part for part in (free, rest) if part) or line


def _where(given: Mapping[str, object], said: list[str]) -> list[str]:
    """The fields that tell which thing it is about, if the words do not."""
    found = [(name, str(given[name])) for name in _WHERE if isinstance(given.get(name), str | int)]
    return [f"{name} {value}" for name, value in found if not any(value in one for one in said)]


def _fields(line: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for match in _LOGFMT_FIELD.finditer(line):
        value = match["quoted"] if match["quoted"] is not None else match["plain"]
        given.setdefault(match["key"].lower(), value.replace('\\"', '"').replace("\\n", " "))
    return given


def with_fields(text: str) -> str:
    """klog's message and its error, without its quotes and its other fields; or those of zap, whose
    fields are an object at the end."""
    match = _KLOG.match(text)
    if match is None:
        return _with_object(text)
    given = _fields(text[match.end() :])
    said = [match["said"].replace('\\"', '"')]
    said += [given[name] for name in _SAYS if name in given]
    said += _where(given, said)
    return ": ".join(dict.fromkeys(said))


def _with_object(text: str) -> str:
    """``could not start<tab>{"error": "no space", "errorVerbose": "no space\\n\\tmain.run:5"}``"""
    said, found, fields = text.partition(' {"') if "\t" not in text else text.partition('\t{"')
    if not found:
        return text
    try:
        entry = {str(key).lower(): value for key, value in json.loads(f'{{"{fields}').items()}
    except (ValueError, RecursionError):
        return text
    words = [
        said.strip(),
        *(one for name in _SAYS if isinstance(one := entry.get(name), str) and one),
    ]
    if len(words) == 1:
        return text
    return ": ".join(dict.fromkeys([*words, *_where(entry, words)]))[:MAX_SAID]


def _of_json(line: str) -> tuple[str, Level] | None:
    try:
        entry = {str(key).lower(): value for key, value in json.loads(line).items()}
    except (ValueError, RecursionError):
        return None
    said = [text for name in _JSON_SAYS if isinstance(text := entry.get(name), str) and text]
    for name in _JSON_INSIDE:  # {"msg": …, "attr": {"path": …, "error": …}}
        if isinstance(inside := entry.get(name), dict):
            said += _inside(inside)
    for name in _JSON_LISTS:  # {"error": …, "details": [{"reason": …}]}
        if isinstance(several := entry.get(name), list):
            said += [
                text for one in several[:_MOST] if isinstance(one, dict) for text in _inside(one)
            ]
    said += _where(entry, said) if said else []
    level = _json_level(entry)
    if not said:
        return None if level is Level.UNKNOWN else (line[:MAX_SAID], level)
    return ": ".join(dict.fromkeys(said[:_MOST]))[:MAX_SAID], level


def _inside(inside: Mapping[object, object]) -> list[str]:
    """The members of an object, and of an error in it: {"attr": {"error": {"errmsg": …}}}."""
    said = [_brief(str(key), value) for key, value in inside.items() if _tells(key, value)]
    for name in ("error", "err", "cause"):
        if isinstance(deeper := inside.get(name), dict):
            said += [_brief(str(key), value) for key, value in deeper.items() if _tells(key, value)]
    return said


def _json_level(entry: Mapping[str, object]) -> Level:
    given = [entry[name] for name in _JSON_LEVEL if name in entry]
    inner = entry.get("log")
    if isinstance(inner, dict) and "level" in inner:
        given.append(inner["level"])
    return next((level for word in given if (level := of_word(word))), Level.UNKNOWN)


def _tells(key: object, value: object) -> bool:
    return isinstance(value, str | int) and bool(value) and key not in _NOT_SAID


def _brief(key: str, value: object) -> str:
    text = str(value).strip()
    return text if key.lower() in (*_JSON_SAYS, "errmsg", "what") else f"{key} {text}"
