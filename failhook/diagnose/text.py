# SPDX-License-Identifier: MIT
"""A line of a log, peeled of what programs put before their words.

Time, level, pid and own name say how grave it is, and are in the way of everything else.

Every pattern here is tried at one place of a line that was cut to `MAX_LINE`, and repeats nothing
that can match in two ways: a hostile line costs no more than a long one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from failhook.diagnose.level import BY_WORD, Level, of_priority, of_word
from failhook.diagnose.structured import structured, with_fields

MAX_LINE = 4000
# Of all lines together: each character is looked at by some 250 patterns.
_BUDGET, _WHOLE, _CUT = 112_000, 8, 100
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
    rf"|\d{{1,2}}/\d{{1,2}}(?:/\d{{2,4}})?[ -]{{1,4}}{_CLOCK}{_ZONE}"
    rf"|\d{{8}}[T ]\d\d:?\d\d:?\d\d(?:[.,]\d+)?"
    rf"|{_CLOCK}{_ZONE}"
    r"|\d{10}(?:\.\d{1,9})?| {0,8}\d{1,7}\.\d{6}(?=\])|\d{1,4}d\.\d\d:\d\d:\d\d\.\d{3}"
    r")[\])>]?(?=[\s:,|\]\[-]|\Z)"
)
_PID = re.compile(
    r"\d{1,3}\(\d{1,8}\)(?= )|\[\d{1,8}\]:?|\(\d{1,8}\):?|\d{1,8}#\d{1,8}:|\d{1,8}:[A-Z](?= )|pid[= ]\d{1,8}[:,]?"
    r"|\[(?:id|tid|thread)[=: ]\w{1,20}\]|\[pid[: ]\d{1,8}(?::tid \d{1,16})?\]|\[[\w.-]{1,40}(?:\(\d+\))?:\d{1,8}(?::\d+)?\]"
    r"|<\d{1,3}(?:\.\d{1,6}){0,3}>|\d{1,8}(?= \[)|(?:0x)?[0-9a-f]{12,16}(?= (?:[A-Z][a-z]{3,9}(?: error)?: |[A-Z]{3,10} ))|tid[= ]\d{1,16}"
)
_WORD_LEVEL = re.compile(
    r"[\[(<*]{0,3} ?(?P<word>[A-Za-z]{1,9})(?:\[\d{1,8}\])?(?:-?\d{1,3})?(?: ?\(\d{1,3}\))? ?[\])>*]{0,3}"
    r"(?P<end>\s?[:|](?!:)|\s?-(?= )|(?<=[\])>])|(?=\s{1,4}\S))\s{0,8}"
)
# Levels of some (java.util.logging, PostgreSQL) in capitals; "config: line 8: …" is a part of the program.
_PARTS = ("config", "status", "context", "detail", "progress", "log", "statement")
# Whose line it is, of one that runs several: pm2, foreman and those that were made after it.
MULTIPLEXED = re.compile(
    r"\d{1,3}\|[\w.@-]{1,60} {0,20}\| ?|(?:\d\d:\d\d:\d\d )?[\w-]{1,40}[._]\d{1,3} {1,20}\| "
)
_KLOG = re.compile(
    r"(?P<word>[IWEF])\d{4}(?:\d{4})? [\d:.]{8,20}(?: {1,8}\d{1,8})? [\w.-]{1,60}:\d{1,6}\]|(?P<mark>[IWEFD])!(?= )|(?P<sign>[.\-*#])(?= )"
)
_SOURCE = re.compile(r"\([\w./-]{1,60}\.(?:c|cc|cpp|h|go|py|rs)[.:]\d{1,6}\)")
# g_log(3): a program survives what GLib calls critical, and dies of its errors.
_GLIB = re.compile(
    r"(?:\*\* )?\([\w.-]{1,60}:\d{1,8}\): (?:[\w-]{1,40}-)?(?P<word>WARNING|CRITICAL|ERROR|INFO|DEBUG|Message|MESSAGE) \*\*: "
)
_OF_GLIB = {"WARNING": Level.WARNING, "CRITICAL": Level.WARNING, "ERROR": Level.FATAL}
_MARK = re.compile(
    r"\[(?P<mark>[!xX ✗.*+:-])\](?=\s)\s{0,4}|\[ (?P<double>!!|\*\*|\.\.|>>) \] |(?P<arrow>!{2,3}|>{2,3}|\*{3,60})(?=\s)\s{0,4}"
)
_SEPARATOR = re.compile(r"[\s|:,\-\x07│┃║╷╵]{1,8}")
# /etc/x.conf:3: error: …
_INNER = re.compile(
    r"(?:[^\s:]{1,200}:){0,3}\d{0,6}:?\s{0,3}(?P<word>fatal|panic|error|critical|err|emerg|warning|warn)(?: error)?:",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"(?:[\w.-]{1,64} (?=[\w.+@/-]{1,60}\[\d{1,8}\]:))?"  # the host, as syslog files have it
    r"(?P<name>/?[A-Za-z][\w.+@/-]{1,60})(?:\[\d{1,8}(?::\d{1,8})?\]:?|:)(?=\s)\s{0,4}"
)
# "acme ERROR  : MAIN : …"
_NAME_BEFORE_LEVEL = re.compile(
    r"(?P<name>/?[A-Za-z][\w.+@/-]{1,60}) {1,4}(?=[\[(]?(?:[A-Z]{4,9}|DBG)[\])]?\s{0,4}:)"
)
_BRACKETED = re.compile(
    r"\[(?:[A-Za-z][\w .:/-]{0,30}|(?:[A-Za-z]\w{0,40}\.){1,10}\w{1,60})\](?=\s)\s{0,4}(?:\([\w.-]{1,40}\)\s{1,2})?"
    r"|\(0x[0-9a-f]{1,8}\):\s"  # a level as bits
)
# The part of the program that speaks: loggers of Java, Rust (tracing, env_logger), .NET and Python.
_LOGGERS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\d{1,8} {1,8}\| [a-z][\w -]{0,30}? {1,16}\| ",  # a table: pid, part
        r"\d{1,8} --- (?:\[[^\]]{0,60}\] ){1,3}[\w.$]{1,80}\s{1,40}: ",  # Spring Boot
        r"(?:[a-z]\w{0,30}\.){1,8}[A-Z][\w$]{0,80} - ",  # log4j, logback
        r"(?:[a-z]\w{0,30}\.){1,8}[A-Z][\w$]{0,80}\.[a-z<]\w{0,60}>? (?=[A-Z])",  # Tomcat's
        r"[A-Za-z_][\w:.-]{0,60}\{[^{}]{0,300}\}(?::[a-z_]\w{0,60}\{[^{}]{0,300}\}){0,6}: ",  # spans
        r"[a-z_]\w{0,60}(?:::\w{1,60}){1,8}(?:\]|:)\s{1,4}",
        r"[A-Za-z][\w:.@-]{0,60}\](?=\s)\s{1,4}",  # what is left of [time LEVEL logger]
        r"(?:[A-Za-z]\w{0,60}\.){1,8}\w{1,60}\|",
        r"\[ERRCODE: \w{1,60}\(\d{1,5}\)\] - ",  # Suricata
        r"(?:[a-z]\w{0,30}\.){1,8}[A-Z][\w$]{0,80}#\w{1,60}: ",  # winstone
        r"[\w./-]{1,60}\.(?:go|rs|java|kt|scala|cc|cpp|c):\d{1,6}:?(?: in)?(?: \w{1,60}:)?(?=\s)",
    )
)
# Where the level stands among other things, or is no word of its own.
_FRAMEWORKS = tuple(
    re.compile(pattern)
    for pattern in (
        r"[DIWEFA], \[[^\[\]]{10,60}\] {1,2}(?P<word>[A-Z]{3,7}) -- [^:\n]{0,60}: ",  # Ruby
        r"(?P<word>CRITICAL|ERROR|WARNING|INFO|DEBUG):[\w.]{1,80}:(?=\S)",  # Python's basicConfig
        r"\((?P<word>EE|WW|II)\) {1,2}(?=\S)",  # X servers
        r"(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local[0-7])\.(?P<word>emerg|alert|crit|err|warn|notice|info|debug)(?=\s)",
        r"(?P<word>[DIWEF])\[[\d|:.-]{8,30}\] ",  # Tendermint
        r"(?P<word>PANI|FATA|ERRO|WARN|INFO|DEBU|TRAC)\[\d{1,8}\] ?",  # logrus
        r"\[\w{2,8}:(?P<word>[A-Z]{4,8})\] ",
        r"[a-z]{2,12} {1,3}[\w-]{2,20}:(?P<word>[A-Z]{4,9}):\d{4}-\d\d-\d\d \d\dh\d\d\.\d\d [A-Za-z]{2,5}:\d{1,8}: ",  # GVM
        r"log4j:(?P<word>WARN|ERROR) ",
        r"\[ \d{1,9} \] \{[^{}]{0,60}\} <(?P<word>[A-Z][a-z]{4,12})> [\w:() .-]{1,60}?: ",  # ClickHouse
        r"lxc(?:-[\w-]{1,30})? (?:\S{1,80} )?\d{14}\.\d{3} (?P<word>[A-Z]{4,8})\s{1,8}(?:[\w-]{1,40} - )?[\w./-]{1,80}\.c:\w{1,80}:\d{1,6} - ",
        r"\[:(?P<word>[A-Z]{4,8}):[\w./-]{1,80}:\d{1,6}\] ",  # Firecracker
        r"=(?P<word>[A-Z]{3,10}) REPORT={4}",  # Erlang, before OTP 21
        r"(?P<word>info|warn|warning|error|debug|fatal|panic|notice)\t(?=\S)",  # zap's console
        r"\[\d{1,8}:\d{1,8}:\d{4}/\d{6}(?:\.\d{1,6})?:(?P<word>[A-Z]{3,9})(?:\(\d\))?:[\w.]{1,80}\(\d{1,6}\)\] ",  # Chromium
        r"(?P<word>fail|crit): (?=(?:\w{1,60}\.){1,8}\w{1,60}\[\d{1,8}\])",  # .NET
    )
)
# Where in the program's text it was said, at the end of the line.
_TAIL = re.compile(
    r"\s{1,4}(?:->|at)?\s?[\[(]?[\w./-]{1,80}\.(?:c|cc|cpp|cxx|h|hpp)(?::| line |:)\d{1,6}(?:\([\w:~]{1,60}\))?[\])]?$"
)
_PLAIN = (MULTIPLEXED, _TIME, _PID, _SEPARATOR, _SOURCE)
_BULLET = re.compile(r"^[*#-] {1,3}(?=\w)")  # of a list; after time or pid it is a level (Redis)
_SYSLOG = re.compile(r"<(?P<priority>\d{1,3})>(?=\S)")  # sd-daemon(3), RFC 3164

_LEAST_WIDTH, _MOST_WIDTH = 52, 110  # characters of a line that was broken
# No sentence ends so.
_IS_OPEN = re.compile(
    r"(?:,| (?:a|an|the|of|with|without|to|for|from|in|on|at|by|and|or|but|as|than|that|which|is|are|be|was"
    r"|not|no|its?|their|your|this|these|more|has|have|file|directory|path|such))$",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"[a-z]{2,20}(?: [a-z]|[,.] )|/[\w.-]{1,60}/")
_SIGNS = {".": Level.TALK, "-": Level.TALK, "*": Level.TALK, "#": Level.WARNING}
_MARKS = {"!": Level.ERROR, "x": Level.ERROR, "X": Level.ERROR, " ": Level.TALK, ".": Level.TALK,
          "*": Level.TALK, "+": Level.TALK, ":": Level.TALK, "!!": Level.ERROR, "..": Level.TALK, ">>": Level.TALK}  # fmt: skip
_FAILS = re.compile(
    r"\b(?:fatal|fail(?:ed|ure)|not found|cannot|can't|could not|unable|denied|error|no such)\b",
    re.IGNORECASE,
)


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
    if (made_of_fields := structured(line)) is not None:
        return made_of_fields
    line, level = _BULLET.sub("", line), Level.UNKNOWN
    for _ in range(_ROUNDS):
        rest, found = _peel_once(line, names)
        if level is Level.UNKNOWN or (level is Level.ERROR and found is Level.FATAL):
            level = found  # "ERROR … FATAL: …": a part of it passes on what another said
        if rest == line or not rest:
            break
        line = rest
    if level is Level.UNKNOWN and (inner := _INNER.match(line)) is not None:
        level = of_word(inner["word"])
    return with_fields(_TAIL.sub("", line) or line), level


def _peel_once(line: str, names: frozenset[str]) -> tuple[str, Level]:
    """The line without the first thing that stands before its words; the level, if it was that."""
    if (match := _SYSLOG.match(line)) is not None:
        return line[match.end() :], of_priority(str(int(match["priority"]) & 7))
    if (rest := _without(line, _PLAIN)) is not None:
        return rest, Level.UNKNOWN
    if (graded := _graded(line)) is not None:
        return graded
    match = _NAME.match(line) or _NAME_BEFORE_LEVEL.match(line)
    if match is not None and match["name"].rpartition("/")[2].lower() in names:
        return line[match.end() :], Level.UNKNOWN
    rest = _without(line, (_BRACKETED, *_LOGGERS))
    return (rest or line), Level.UNKNOWN


def _without(line: str, patterns: Iterable[re.Pattern[str]]) -> str | None:
    for pattern in patterns:
        match = pattern.match(line)
        if match is not None and match.end():
            return line[match.end() :]
    return None


def _graded(line: str) -> tuple[str, Level] | None:
    """The line without its level, and that level."""
    if (match := _GLIB.match(line)) is not None:
        return line[match.end() :], _OF_GLIB.get(match["word"], Level.TALK)
    for pattern in _FRAMEWORKS:
        if (match := pattern.match(line)) is not None:
            return line[match.end() :], of_word(match["word"])
    match = _MARK.match(line)
    if match is not None and line[match.end() :]:
        return line[match.end() :], _of_mark(match)
    if (match := _KLOG.match(line)) is not None:
        word = match["word"] or match["mark"]
        return line[match.end() :], of_word(word) if word else _of_sign(match)
    match = _WORD_LEVEL.match(line)
    if match is not None and _is_level(match, line):
        return line[match.end() :], of_word(match["word"])
    return None


def _of_mark(match: re.Match[str]) -> Level:
    """Of "[*] could not find it" the words tell more than the mark."""
    level = _MARKS.get(match["mark"] or match["double"] or "", Level.UNKNOWN)
    return Level.UNKNOWN if level is Level.TALK and _FAILS.search(match.string) else level


def _of_sign(match: re.Match[str]) -> Level:
    """Of some programs a "*" is a level, of others it is before every line: not where it fails."""
    level = _SIGNS[match["sign"]]
    return Level.UNKNOWN if level is Level.TALK and _FAILS.search(match.string) else level


def _is_level(match: re.Match[str], line: str) -> bool:
    """``ERROR: x``, ``[error] x``, ``ERROR x``; but not "Failed to …", "error loading …"."""
    word = match["word"]
    if word.lower() not in BY_WORD or not line[match.end() :]:
        return False
    if word in _PARTS and line[match.start()] not in "[(<*":
        return False
    if match["end"].strip() or line[match.start()] in "[(<*":
        return True
    return word.isupper() and len(word) > 2


def continues(above: Message, message: Message) -> bool:
    """The line goes on with a sentence that was too long for the one above: of a paragraph that was
    written for a terminal, without time and level."""
    plain = all(one.level is Level.UNKNOWN and one.raw == one.text for one in (above, message))
    is_open = _LEAST_WIDTH <= len(above.raw) <= _MOST_WIDTH and _IS_OPEN.search(above.raw)
    return bool(plain and is_open and above.pid == message.pid and _GOES_ON.match(message.raw))


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
