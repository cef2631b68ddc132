# SPDX-License-Identifier: MIT
"""What a traceback, a panic or an abort means: a module is missing, or the program has a defect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from failhook.diagnose.case import Case
from failhook.diagnose.config_file import LINE_ONLY, is_data_error, the_one
from failhook.diagnose.crash import Crash, around_of
from failhook.diagnose.empty import inputs_of
from failhook.diagnose.finding import GUESS, SAID, Cause, Finding, fails, quote
from failhook.diagnose.level import Level
from failhook.diagnose.nearby import told_paths
from failhook.diagnose.place import Place, stands_at
from failhook.diagnose.text import Message
from failhook.diagnose.tracebacks import crashes
from failhook.diagnose.wording import (
    FAILURE,
    FRAME,
    HARMLESS,
    NAMES_A_THING,
    OF_NOTHING,
    is_consequence,
)

_MODULE = re.compile(
    r"No module named '?(?P<python>[\w.]+)|Cannot find (?:module|package) '(?P<node>[^']+)'"
    r"|(?:cannot load such file|no such file to load) -- (?P<ruby>\S+)|Can't locate (?P<perl>\S+\.pm)|module '(?P<lua>[^']+)' not found"
)
_CONFIGPARSER = re.compile(r"/configparser\.py\", line |\bconfigparser\.No\w{1,20}Error\b")
_OF_CONFIGPARSER = (".ini", ".cfg", ".conf", ".config", ".cnf")
_OF_SQLITE = re.compile(r"not a database|disk image is malformed")
_FROM_THE_START = re.compile(
    r"JSONDecodeError.{0,80}\(char 0\)|Unexpected token .{1,12} in JSON at position 0"
    r"|Unexpected end of JSON input|JSON::ParserError.{0,80}unexpected (?:token|end)|invalid character '<' looking for"
)
_FORMATS = {"yaml": (".yml", ".yaml"), "json": (".json",), "tomllib": (".toml",), "xml": (".xml",)}
_ABOVE = 2  # lines
_BEFORE = 12  # lines
_TELLING = 30  # letters: no two errors have so many in common by chance
_PLACES = re.compile(r"\b(?:line|col\w{0,4}|char(?:acter)?|position) \d{1,9}|\b\d{1,9}\b")
_ERRNO = re.compile(r"\[Errno \d{1,3}\]|\b\w{0,20}Error\b")
# How a program of its own ended, which has told why: "starting java failed with [1]".
_OF_ANOTHER = re.compile(
    r"\b(?:fail(?:ed|ure)|exit(?:ed|s)?|return(?:ed|s)?|ended|died|terminated|code|status)\b.{0,24}"
    r"(?:[\[(]\d{1,3}[\])]|: \d{1,5}$|\b(?:code|status|with|rc)[ :=]{1,3}\d{1,3}\b|non-?zero)|\broot cause above\b",
    re.IGNORECASE,
)
_NEVER_ASKED = re.compile(r"exception was never retrieved")  # asyncio, when all is over
_CHAINED = re.compile(r"(?:During handling of|The) (?:the )?above exception\b")
_SOURCE_AT_END = re.compile(r" \((?:[\w$]{1,60}\.){1,9}[\w$]{1,80}:\d{1,6}\)$")  # log4j's %C:%L
_PASS_ON = ("raise ", "return func(", "return self.func(", "return fn(", "return f(")
_ABOUT_TO = re.compile(r"(?:[\w.-]{1,60}: )?(?:now )?\w{2,20}ing\b.{0,200}\S", re.IGNORECASE)


def _found(case: Case) -> Iterator[Finding]:
    for crash in crashes(case):
        if case.course.is_ignored(crash.at):
            continue
        module = _MODULE.search(crash.message) or _MODULE.search(f"{crash.kind}: {crash.message}")
        if module is not None:
            yield _missing_module(case, crash, next(filter(None, module.groups())))
            continue
        where = f" ({crash.place})" if crash.place else ""
        kind = f"{crash.kind}: " if crash.message else crash.kind
        unread = _unread(case, crash)
        more = f"{_around(case, crash)}{_configuration(case, crash)}{unread}"
        where = where if more else _with_code(case, crash, where)
        what = f"{kind}{quote(crash.message, 220)}{where}{more}"
        yield Finding(
            f"crash-{crash.language}",
            fails(case, what),
            "make it, or correct where it is named" if unread else _advice(crash),
            _how_sure(case, crash),
            (case.proof(crash.at),),
            crash.at.number,
        )


def _advice(crash: Crash) -> str:
    return f"look at {crash.file} line {crash.line}" if crash.file else "a defect of the program"


def _with_code(case: Case, crash: Crash, where: str) -> str:
    """The place with its line of code, as a traceback shows it, where the words name nothing."""
    if crash.file is None or NAMES_A_THING.search(_ERRNO.sub("", crash.message)):
        return where
    step = re.compile(rf'\s*File "{re.escape(crash.file)}", line {crash.line}\b')
    for one in case.messages[crash.first : crash.last]:
        code = case.messages[one.number + 1].raw if step.match(one.raw) else ""
        if code.startswith("    ") and not FRAME.match(code):
            return f" ({crash.place}: {quote(code.strip(), 100)}{_innermost(case, crash, code)})"
    return where


def _innermost(case: Case, crash: Crash, code: str) -> str:
    """The call of a library at which that ended, where it tells more than how libraries call."""
    lines = (one.raw for one in reversed(case.messages[crash.first : crash.at.number]))
    last = next((line for line in lines if any(map(str.isalpha, line))), "")  # and no ^~~~
    is_call = "." in last.partition("(")[0] and not last.strip().startswith(_PASS_ON)
    is_call = is_call and last.startswith("    ")
    return f", in the end {quote(last.strip(), 80)}" if is_call and last != code else ""


def _around(case: Case, crash: Crash) -> str:
    """What names the thing that the exception itself does not: one around it, a line of the log with
    the same words, or what the program was about to do."""
    if crash.around:
        return f", within “{quote(crash.around, 180)}”"
    outside = [one for one in case.messages if not crash.first <= one.number <= crash.last]
    if not crash.message and (handled := _handled(case, crash)):
        return handled
    if len(crash.message) >= _TELLING:
        same = [one.text for one in outside if crash.message[:_TELLING] in one.text]
        if around := around_of(crash.message, same):
            return f", within “{quote(around, 180)}”"
    if OF_NOTHING.search(crash.message) or not NAMES_A_THING.search(_ERRNO.sub("", crash.message)):
        before = [one for one in outside if one.number < crash.first and one.pid == crash.at.pid]
        return _after(crash, before[-_BEFORE:])
    return ""


def _handled(case: Case, crash: Crash) -> str:
    """What an exception of no words was raised for: the one in whose handling it was."""
    above = case.messages[max(0, crash.first - _BEFORE) : crash.first]
    own = [one for one in above if one.pid == crash.at.pid]
    if len(own) > 1 and _CHAINED.match(own[-1].text):
        return f", after “{quote(own[-2].text, 160)}”"
    return ""


def _after(crash: Crash, before: Sequence[Message]) -> str:
    """What it was about to do; else the last complaint that names a thing."""
    last = [one for one in before if not is_consequence(one.text)][-1:]
    if last and last[0].level <= Level.TALK and _ABOUT_TO.match(last[0].text):
        return f", after “{quote(last[0].text, 120)}”"
    for one in reversed(before):
        text = _SOURCE_AT_END.sub("", one.text[:600])
        complains = one.level >= Level.ERROR or FAILURE.search(text)
        told = complains and NAMES_A_THING.search(text) and not HARMLESS.search(text)
        if told and not FRAME.match(one.raw) and not (crash.message and crash.message in text):
            return f", after “{quote(text, 160)}”"
    return ""


def _how_sure(case: Case, crash: Crash) -> float:
    """Less of one that only follows: what a runtime says as it goes down, or a panic right after an
    error that the program itself has logged."""
    if crash.language == "erlang" and crash.kind.startswith("the "):
        return GUESS + (0.12 if "{'EXIT'," in crash.message else 0.06)
    above = case.messages[max(0, crash.first - _ABOVE) : crash.first]
    logged = any(one.level >= Level.ERROR and NAMES_A_THING.search(one.text[:600]) for one in above)
    late = any(_NEVER_ASKED.search(one.text) for one in above)
    return SAID + 0.02 - (0.2 if late else 0.1 if logged or _another_told(case, crash) else 0.0)


def _another_told(case: Case, crash: Crash) -> bool:
    """It says only how a program that it started ended, and a line close to it says more."""
    if not _OF_ANOTHER.search(crash.message):
        return False
    near = case.messages[max(0, crash.first - _BEFORE) : crash.first]
    near += case.messages[crash.last + 1 : crash.last + 1 + _BEFORE]
    return any(
        FAILURE.search(one.text[:600]) and NAMES_A_THING.search(one.text[:600])
        for one in near
        if not is_consequence(one.text)
    )


def _configuration(case: Case, crash: Crash) -> str:
    """The file that a library for data could not read: the only one that the unit names."""
    if _OF_SQLITE.search(crash.message):
        return _data(case, crash)
    if not is_data_error(f"{crash.kind}: {crash.message}"):
        return ""
    file = the_one(case.unit, case.facts) or _of_its_format(case, crash)
    if file is None:
        return _data(case, crash) or _no_json(crash)
    if file in crash.message:
        return ""
    place = LINE_ONLY.search(crash.message)
    number = place["line"] if place is not None else None
    line = case.facts.lines.get(f"{file}:{number}", "")
    shown = f" (that line: {quote(line, 120)})" if line else ""
    return f"; it reads {Place(file, number)}{shown}"


def _of_its_format(case: Case, crash: Crash) -> str | None:
    """The one file of the command line that is written in what the library reads."""
    inside = "\n".join(one.raw for one in case.messages[crash.first : crash.last + 1]).lower()
    for name, endings in _FORMATS.items():
        if f"/{name}/" in inside or f"{name}." in inside:
            files = [path for path in told_paths(case) if path.lower().endswith(endings)]
            there = [path for path in files if (fact := case.path(path)) and fact.kind == "file"]
            return there[0] if len(there) == 1 else None
    return None


def _no_json(crash: Crash) -> str:
    """``Expecting value: line 1 column 1 (char 0)``: not even the first letter was JSON's."""
    if not _FROM_THE_START.search(f"{crash.kind}: {crash.message}"):
        return ""
    return "; what it was given is empty or not JSON at all"


def _unread(case: Case, crash: Crash) -> str:
    """The file whose sections are missed: Python's configparser reads a missing one as an empty one."""
    inside = case.messages[crash.first : crash.last + 1]
    if not any(_CONFIGPARSER.search(one.raw) for one in inside):
        return ""
    missing = [path for path in case.facts.absent if path.lower().endswith(_OF_CONFIGPARSER)]
    if len(missing) != 1:
        return ""
    return f"; {missing[0]} ({stands_at(case.facts.absent[missing[0]])}) does not exist"


def _data(case: Case, crash: Crash) -> str:
    """The one file of data that its command line or its script names, if its words name none."""
    known = dict.fromkeys(inputs_of(case), "ExecStart") or {**case.facts.data}
    if len(known) != 1 or NAMES_A_THING.search(_PLACES.sub("", crash.message)):
        return ""
    (path, place), *_ = known.items()
    return f"; it reads {path} ({stands_at(place)})"


def _missing_module(case: Case, crash: Crash, name: str) -> Finding:
    names = {"perl": name.removesuffix(".pm").replace("/", "::")}
    shown = names.get(crash.language, name)
    own = name.startswith((".", "/"))
    kind = {"python": "Python", "node": "Node", "ruby": "Ruby", "perl": "Perl", "lua": "Lua"}
    what = f"the {kind.get(crash.language, '')} module {shown} is not installed"
    if own:
        what = f"the module {shown} is not there"
    where = f", needed by {crash.place}" if crash.place else ""
    return Finding(
        "module-missing",
        fails(case, f"{what}{where}"),
        "correct the path, the case of its letters counts" if own else
        f"install {shown} for the interpreter that the unit starts",
        SAID + 0.12,
        (case.proof(crash.at),),
        crash.at.number,
    )  # fmt: skip


CAUSES = (Cause("crash", "a traceback, a panic, an abort", _found),)
