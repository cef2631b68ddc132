# SPDX-License-Identifier: MIT
"""A line of a log, peeled of what programs put before their words.

Time, level, pid and own name say how grave it is, and are in the way of everything else.

Every pattern here is tried at one place of a line that was cut to `MAX_LINE`, and repeats nothing
that can match in two ways: a hostile line costs no more than a long one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

MAX_LINE = 4000
# Of all lines together: each character is looked at by a hundred patterns.
_BUDGET, _WHOLE, _CUT = 160_000, 12, 160
_ROUNDS = 10
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?: ?[AP]M)?"
_ZONE = r"(?: ?(?:Z|UTC|GMT|CES?T|[+-]\d\d:?\d\d)(?![\w]))?"
_TIME = re.compile(
    r"[\[(<]?(?:"
    rf"\d{{4}}[-/.]\d\d[-/.]\d\d(?:[T _-]{_CLOCK})?{_ZONE}"
    rf"|(?:{_DAY}[a-z]{{0,6}},? )?(?:\d{{1,2}}[- /])?{_MONTH}[a-z]{{0,6}}[- /]+\d{{1,4}},?"
    rf"(?:[ :]+{_CLOCK})?{_ZONE}(?: \d{{4}})?(?: {_CLOCK})?"
    rf"|\d{{1,2}}/\d{{1,2}}/\d{{2,4}}[ -]{_CLOCK}{_ZONE}"
    rf"|\d{{8}}[T ]\d\d:?\d\d:?\d\d(?:[.,]\d+)?"
    rf"|{_CLOCK}{_ZONE}"
    r"|\d{10}(?:\.\d{1,9})?"
    r")[\])>]?(?=[\s:,|\]-]|\Z)"
)
_PID = re.compile(
    r"\d{1,3}\(\d{1,8}\)(?= )|\[\d{1,8}\]:?|\(\d{1,8}\):?|\d{1,8}#\d{1,8}:|\d{1,8}:[A-Z](?= )|pid[= ]\d{1,8}[:,]?"
    r"|\[pid[: ]\d{1,8}(?::tid \d{1,16})?\]|\[[\w.-]{1,40}(?:\(\d+\))?:\d{1,8}(?::\d+)?\]"
    r"|<\d{1,3}(?:\.\d{1,6}){0,3}>|\d{1,8}(?= \[)|tid[= ]\d{1,16}"
)
_WORD_LEVEL = re.compile(
    r"[\[(<*]{0,3} ?(?P<word>[A-Za-z]{1,9})(?:-?\d{1,3})?(?: ?\(\d{1,3}\))? ?[\])>*]{0,3}"
    r"(?P<end>\s?[:|]|\s?-(?= )|(?<=[\])>])|(?=\s{1,4}\S))\s{0,8}"
)
_KLOG = re.compile(
    r"(?P<word>[IWEF])\d{4} [\d:.]{8,20} {1,8}\d{1,8} [\w.-]{1,60}:\d{1,6}\]|(?P<mark>[IWEFD])!(?= )|(?P<sign>[.\-*#])(?= )"
)
_SOURCE = re.compile(r"\([\w./-]{1,60}\.(?:c|cc|cpp|h|go|py|rs)[.:]\d{1,6}\)")
_MARK = re.compile(
    r"\[(?P<mark>[!xX ✗.*+:-])\](?=\s)\s{0,4}|(?P<arrow>!{2,3}|>{2,3}|\*{3,60})(?=\s)\s{0,4}"
)
_SEPARATOR = re.compile(r"[\s|:,\-\x07]{1,8}")
_LOGFMT = re.compile(r"(?:^|\s)(?P<key>level|lvl|severity)=\"?(?P<word>[A-Za-z]{3,10})\"?(?=\s|\Z)")
_LOGFMT_FIELD = re.compile(
    r"(?:^|\s)(?P<key>msg|message|err|error|reason|file|path|line)="
    r"(?:\"(?P<quoted>(?:[^\"\\]|\\.){0,2000})\"|(?P<plain>[^\s\"]{1,500}))"
)
# /etc/x.conf:3: error: …
_INNER = re.compile(
    r"(?:[^\s:]{1,200}:){0,3}\d{0,6}:?\s{0,3}(?P<word>fatal|panic|error|critical|err|emerg|warning|warn)(?: error)?:",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"(?P<name>/?[A-Za-z][\w.+@/-]{1,60})(?:\[\d{1,8}(?::\d{1,8})?\]:?|:)(?=\s)\s{0,4}"
)
_BRACKETED = re.compile(r"\[[A-Za-z][\w .:/-]{0,30}\](?=\s)\s{0,4}")


class Level(IntEnum):
    """How grave a line calls itself; `UNKNOWN` where it does not say."""

    UNKNOWN = 0
    TALK = 1
    WARNING = 2
    ERROR = 3
    FATAL = 4


_LEVELS = {
    Level.FATAL: "emerg emergency panic fatal alert crit critical ftl f dpanic",
    Level.ERROR: "error err eror errors severe failure failed e syserr",
    Level.WARNING: "warn warning wrn w",
    Level.TALK: "notice info information inf note debug dbg trace verbose i d n hint detail config "
    "fine finer",
    Level.UNKNOWN: "log status statement context",  # says nothing about how grave it is
}
_BY_WORD = {word: level for level, words in _LEVELS.items() for word in words.split()}
_SIGNS = {".": Level.TALK, "-": Level.TALK, "*": Level.TALK, "#": Level.WARNING}
_MARKS = {"!": Level.ERROR, "x": Level.ERROR, "X": Level.ERROR, " ": Level.TALK, ".": Level.TALK,
          "*": Level.TALK, "+": Level.TALK, ":": Level.TALK}  # fmt: skip
_BY_PRIORITY = {"0": Level.FATAL, "1": Level.FATAL, "2": Level.FATAL, "3": Level.ERROR,
                "4": Level.WARNING}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """One line that a process of the run wrote. ``text`` is what it says, without what is only put
    before it; ``raw`` is all of it."""

    raw: str
    text: str
    level: Level = Level.UNKNOWN
    at: float = 0.0
    identifier: str = ""
    pid: str = ""
    uid: int | None = None
    number: int = 0  # its place among the run's lines

    @property
    def lower(self) -> str:
        """For looking for words."""
        return self.text.lower()


def peel(raw: str, names: frozenset[str] = frozenset()) -> tuple[str, Level]:
    """What a line says, and how grave it calls itself. ``names`` are those of its program."""
    line = raw[:MAX_LINE].strip()
    structured = _structured(line)
    if structured is not None:
        return structured
    level = Level.UNKNOWN
    for _ in range(_ROUNDS):
        rest, found = _peel_once(line, names)
        level = found if level is Level.UNKNOWN else level
        if rest == line or not rest:
            break
        line = rest
    if level is Level.UNKNOWN and (inner := _INNER.match(line)) is not None:
        level = _BY_WORD[inner["word"].lower()]
    return line, level


def _peel_once(  # noqa: PLR0911 - one return for each thing that stands before words
    line: str, names: frozenset[str]
) -> tuple[str, Level]:
    for pattern in (_TIME, _PID, _SEPARATOR, _SOURCE):
        match = pattern.match(line)
        if match is not None and match.end():
            return line[match.end() :], Level.UNKNOWN
    match = _MARK.match(line)
    if match is not None and line[match.end() :]:
        return line[match.end() :], _MARKS.get(match["mark"] or "", Level.UNKNOWN)
    match = _KLOG.match(line)
    if match is not None:
        word = match["word"] or match["mark"]
        level = _BY_WORD[word.lower()] if word else _SIGNS[match["sign"]]
        return line[match.end() :], level
    match = _WORD_LEVEL.match(line)
    if match is not None and _is_level(match, line):
        return line[match.end() :], _BY_WORD[match["word"].lower()]
    match = _NAME.match(line)
    if match is not None and match["name"].rpartition("/")[2].lower() in names:
        return line[match.end() :], Level.UNKNOWN
    match = _BRACKETED.match(line)
    if match is not None and len(line) > match.end():
        return line[match.end() :], Level.UNKNOWN
    return line, Level.UNKNOWN


def _is_level(match: re.Match[str], line: str) -> bool:
    """``ERROR: x``, ``[error] x``, ``ERROR x``; but not "Failed to …", "error loading …"."""
    word = match["word"]
    if word.lower() not in _BY_WORD or not line[match.end() :]:
        return False
    if match["end"].strip() or line[match.start()] in "[(<*":
        return True
    return word.isupper() and len(word) > 2


def _structured(line: str) -> tuple[str, Level] | None:
    """logfmt (``level=error msg="…" err="…"``) and JSON lines."""
    if line.startswith("{") and line.endswith("}"):
        return _from_json(line)
    level = _LOGFMT.search(line)
    if level is None:
        return None
    given: dict[str, str] = {}
    for match in _LOGFMT_FIELD.finditer(line):
        value = match["quoted"] if match["quoted"] is not None else match["plain"]
        given.setdefault(match["key"], value.replace('\\"', '"').replace("\\n", " "))
    said = [given[name] for name in ("msg", "message", "err", "error", "reason") if name in given]
    said += [f"{name} {given[name]}" for name in ("file", "path", "line") if name in given]
    if not said:
        return None
    return ": ".join(dict.fromkeys(said)), _BY_WORD.get(level["word"].lower(), Level.UNKNOWN)


_JSON_SAID = ("msg", "message", "@m", "@mt", "error", "err", "exception", "reason", "@x")
_JSON_LEVEL = ("level", "lvl", "severity", "log.level", "levelname", "s", "@l")
_JSON_INSIDE = ("attr", "error", "err", "exception", "log", "fields", "context", "data")
_MAX_SAID = 6


def _from_json(line: str) -> tuple[str, Level] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    said = [text for name in _JSON_SAID if isinstance(text := entry.get(name), str) and text]
    for name in _JSON_INSIDE:  # {"msg": …, "attr": {"path": …, "error": …}}
        if isinstance(inside := entry.get(name), dict):
            said += [_brief(key, value) for key, value in inside.items() if _tells(key, value)]
    if not said:
        return None
    word = next((entry[name] for name in _JSON_LEVEL if name in entry), "")
    inner = entry.get("log")
    if not word and isinstance(inner, dict):
        word = inner.get("level", "")
    return ": ".join(dict.fromkeys(said[:_MAX_SAID]))[:MAX_LINE], _json_level(word)


def _tells(key: str, value: object) -> bool:
    return (
        isinstance(value, str | int)
        and bool(value)
        and key not in ("stack", "level", "name", "type")
    )


def _brief(key: str, value: object) -> str:
    text = str(value).strip()
    return text if key in (*_JSON_SAID, "errmsg", "what") else f"{key} {text}"


def _json_level(word: object) -> Level:
    """A word, or a number as bunyan and pino have it: 50 is an error."""
    if isinstance(word, int) and not isinstance(word, bool):
        steps = ((60, Level.FATAL), (50, Level.ERROR), (40, Level.WARNING), (10, Level.TALK))
        return next((level for least, level in steps if word >= least), Level.UNKNOWN)
    return _BY_WORD.get(str(word).lower(), Level.UNKNOWN)


def of_priority(priority: str | None) -> Level:
    """The level of a journal priority (systemd.journal-fields(7)): 6 is what any line has."""
    return _BY_PRIORITY.get(priority or "", Level.UNKNOWN)


def with_level(message: Message, level: Level) -> Message:
    """The message, as grave as ``level`` at least."""
    return message if level <= message.level else replace(message, level=level)


def within_budget(messages: Sequence[Message]) -> list[Message]:
    """The messages; where they are too much to look at, all but the last few are cut."""
    if sum(len(one.raw) for one in messages) <= _BUDGET:
        return list(messages)
    last = len(messages) - _WHOLE
    size = max(_CUT, (_BUDGET - _WHOLE * MAX_LINE) // max(1, last))
    return [
        one
        if number >= last or len(one.raw) <= size
        else replace(one, raw=one.raw[:size], text=one.text[:size])
        for number, one in enumerate(messages)
    ]
