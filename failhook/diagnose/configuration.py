# SPDX-License-Identifier: MIT
"""Mistakes in a configuration, in the many ways in which programs say where: file, line, directive.

Two things make a line such an error: it tells a place in a file that is no program text, and it
calls something wrong. Where the place and the complaint are two lines, they are joined.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from failhook.diagnose.case import Case
from failhook.diagnose.finding import SAID, Cause, Finding, from_message, quote
from failhook.diagnose.text import Level, Message

_FILE = r"(?P<{name}>(?:/|\./|[\w-]{{1,40}}/)?[\w@%+=~-][\w./@%+=~-]{{0,300}}\.[A-Za-z][\w-]{{0,14}}|/[\w./@%+=~-]{{2,300}})"


def _file(name: str) -> str:
    return _FILE.format(name=name)


# Every way is: a file and a line number, in some order, with some words between them.
_PLACES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        _file("file") + r"['\"\])]{0,2}[:(] ?(?:line ?)?(?P<line>\d{1,7})(?![\d.]*[.:]\d{1,3}\.)",
        _file("file") + r"['\"\])]{0,2},? {0,2}(?:at |on |in )?\(?line[ :#=]{1,3}(?P<line>\d{1,7})",
        r"line[ :#=]{1,3}(?P<line>\d{1,7})(?:,? (?:col(?:umn)?|char(?:acter)?|pos(?:ition)?)[ :]{0,2}\d{1,6})?"
        r"\)?,? {0,2}(?:of|in|from|\(|:|,)[ :]{0,2}(?:the )?(?:config(?:uration)?(?: file)? ?)?(?:file ?:? ?)?"
        r"['\"\[(]{0,2}" + _file("file"),
        r"['\"\[(]" + _file("file") + r"['\"\])]{1,2}[,:]? {0,2}line[ :]{1,2}(?P<line>\d{1,7})",
    )
)
_LINE_ONLY = re.compile(
    r"(?:at |on |in )?\bline[ :#=]{1,3}(?P<line>\d{1,7})(?:[,:]? (?:col(?:umn)?)[ :]{0,2}\d{1,6})?",
    re.IGNORECASE,
)
_ANY_FILE = re.compile(_file("file"))
_WRONG = re.compile(
    r"\b(?:unknown|unrecogni[sz]ed|unexpected|unsupported|invalid|illegal|bad|wrong|undefined|malformed"
    r"|deprecated|obsolete|missing|expected|expecting|duplicate|already (?:defined|exists|declared)"
    r"|not (?:a )?(?:valid|known|allowed|permitted|recogni[sz]ed|defined|supported|found|understood)"
    r"|must be|should be|requires?|cannot|can't|could not|couldn't|unable|fail(?:ed|ure|s)?|error|syntax"
    r"|pars(?:e|ing)|no such|does not exist|out of range|too (?:large|small|long|many|few)|stray"
    r"|mismatch|conflict|unterminated|unbalanced|unclosed|misspelled|ignored|emerg)",
    re.IGNORECASE,
)
_ABOUT_SETTINGS = re.compile(
    r"\b(?:unknown|unrecogni[sz]ed|unsupported|invalid|illegal|bad|undefined|no such|unexpected|wrong"
    r"|misspelled|duplicate|obsolete|ambiguous|missing)[ \w/'\"`-]{0,30}"
    r"\b(?:option|directive|parameter|setting|keyword|key|variable|command|field|flag|argument"
    r"|value|entry|section|statement|property|token|element|attribute|config(?:uration)?)s?\b"
    r"|\b(?:option|directive|parameter|setting|keyword|variable|field|flag|key|entry|value|property)s?"
    r"[ :'\"`\w./=-]{0,60}(?:is |are |was )?(?:not (?:found|known|recogni[sz]ed|valid|allowed|supported"
    r"|defined|understood)|unknown|invalid|unrecogni[sz]ed|already (?:exists|defined|set)|out of range"
    r"|must be|is required|does not exist)"
    r"|(?:syntax|pars(?:e|er|ing)|config(?:uration)?|yaml|json|toml|xml|ini) error"
    r"|(?:error|failed|failure|unable|cannot|could not|can't).{0,40}\b(?:pars(?:e|ing)|config(?:uration)?)"
    r"|provided but not defined|not in range|out of range|must be (?:greater|less|a |an |between|positive)"
    r"|is not (?:a )?(?:valid|known|integer|number|boolean)|bad (?:numerical|numeric|number)"
    r"|requires? (?:a |an )?(?:argument|value)|perhaps misspelled|did you mean|expected.{1,60}(?:but|got|found)",
    re.IGNORECASE,
)
_PROGRAM_TEXT = (
    ".py", ".js", ".mjs", ".cjs", ".ts", ".go", ".rb", ".pl", ".pm", ".c", ".cc", ".cpp", ".cxx",
    ".h", ".hpp", ".java", ".kt", ".scala", ".rs", ".php", ".lua", ".erl", ".ex", ".exs", ".sh",
    ".cs", ".ml", ".hs", ".tcl", ".vala", ".service", ".socket",
)  # fmt: skip
_CONFIGS = (
    ".conf", ".cnf", ".cfg", ".ini", ".yml", ".yaml", ".json", ".toml", ".xml", ".properties",
    ".rules", ".local", ".config", ".hcl", ".list", ".zone", ".vcl", ".options", ".default",
)  # fmt: skip
_COLON = re.compile(r"[:,]\s*$")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a configuration."""

    file: str
    line: str | None

    def __str__(self) -> str:
        return f"{self.file} line {self.line}" if self.line else self.file


def place_in(text: str) -> Place | None:
    """The innermost place that a line tells: of several (includes), the last one."""
    found: list[tuple[int, Place]] = []
    for pattern in _PLACES:
        found += [
            (match.start(), Place(match["file"], match["line"]))
            for match in pattern.finditer(text)
            if not _is_program_text(match["file"])
        ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _is_program_text(name: str) -> bool:
    return name.lower().endswith(_PROGRAM_TEXT) or name.startswith(("http:", "https:"))


def _config_file(text: str) -> str | None:
    """A file of the line that is a configuration by its name or its place."""
    for match in _ANY_FILE.finditer(text):
        name = match["file"]
        if name.startswith("/etc/") or name.lower().endswith(_CONFIGS):
            return name
    return None


def _joined(case: Case, message: Message) -> str:
    """The line, and the next one where it ends with a colon."""
    if not _COLON.search(message.text):
        return message.text
    following = next(
        (
            one
            for one in case.messages
            if one.number == message.number + 1 and one.pid == message.pid
        ),
        None,
    )
    return f"{message.text} {following.text}" if following is not None else message.text


def _said(case: Case) -> Iterator[Finding]:
    for message in case.messages:
        text = _joined(case, message)
        place = place_in(text)
        about = _ABOUT_SETTINGS.search(text)
        if place is not None and (about or _WRONG.search(text)):
            yield _at_place(case, message, text, place, plain=about is None)
        elif about is not None and message.level not in (Level.TALK, Level.WARNING):
            yield _somewhere(case, message, text)


def _at_place(case: Case, message: Message, text: str, place: Place, *, plain: bool) -> Finding:
    where = _around(case, message, place)
    sure = SAID + (0.02 if plain else 0.08)
    if place.line is None:
        sure -= 0.1
    return from_message(
        case,
        message,
        "configuration",
        what=f"a mistake in {where}: “{quote(text)}”",
        advice=f"correct {where}",
        confidence=sure,
    )


def _around(case: Case, message: Message, place: Place) -> Place:
    """With the whole path, where a line nearby has it."""
    if place.file.startswith("/"):
        return place
    for one in case.messages[max(0, message.number - 30) : message.number + 3]:
        for match in _ANY_FILE.finditer(one.text):
            if match["file"].startswith("/") and match["file"].endswith(f"/{place.file}"):
                return Place(match["file"], place.line)
    return place


def _somewhere(case: Case, message: Message, text: str) -> Finding:
    """A complaint about a setting that does not tell where it stands; perhaps a line nearby does."""
    line = _LINE_ONLY.search(text)
    file = _config_file(text) or _file_nearby(case, message)
    where = f"{file}" if file else "its configuration or command line"
    if file and line:
        where = f"{file} line {line['line']}"
    return from_message(
        case,
        message,
        "configuration",
        what=f"a mistake in {where}: “{quote(text)}”",
        advice=f"correct {where}"
        if file
        else f"check its options: systemctl cat {case.incident.unit}",
        confidence=SAID if file else SAID - 0.06,
    )


def _file_nearby(case: Case, message: Message) -> str | None:
    near = [one for one in case.messages if 0 < abs(one.number - message.number) <= 4]
    for one in sorted(near, key=lambda each: abs(each.number - message.number)):
        if (file := _config_file(one.text)) is not None and not _is_program_text(file):
            return file
    return None


CAUSES = (Cause("configuration", "a mistake in a program's configuration", _said),)
