# SPDX-License-Identifier: MIT
"""Mistakes in a configuration, in the many ways in which programs say where: file, line, directive.

Two things make a line such an error: it tells a place in a file that is no program text, and it
calls something wrong. Where the place and the complaint are two lines, they are joined.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from failhook.diagnose.case import Case
from failhook.diagnose.finding import SAID, Cause, Finding, from_message, quote
from failhook.diagnose.place import Place, file_pattern, is_program_text, place_in
from failhook.diagnose.text import Level, Message

_LINE_ONLY = re.compile(
    r"(?:at |on |in )?\bline[ :#=]{1,3}(?P<line>\d{1,7})(?:[,:]? (?:col(?:umn)?)[ :]{0,2}\d{1,6})?",
    re.IGNORECASE,
)
_ANY_FILE = re.compile(file_pattern("file"))
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
_CONFIGS = (
    ".conf", ".cnf", ".cfg", ".ini", ".yml", ".yaml", ".json", ".toml", ".xml", ".properties",
    ".rules", ".local", ".config", ".hcl", ".list", ".zone", ".vcl", ".options", ".default",
)  # fmt: skip
_COLON = re.compile(r"[:,]\s*$")


def _config_file(text: str) -> str | None:
    """A file of the line that is a configuration by its name or its place."""
    for match in _ANY_FILE.finditer(text):
        name = match["file"]
        if name.startswith("/etc/") or name.lower().endswith(_CONFIGS):
            return name
    return None


def _joined(case: Case, message: Message) -> str:
    """The line, the next one where it ends with a colon, and those above that say where it is."""
    if not _COLON.search(message.text):
        return _with_above(case, message)
    following = next(
        (
            one
            for one in case.messages
            if one.number == message.number + 1 and one.pid == message.pid
        ),
        None,
    )
    return f"{message.text} {following.text}" if following is not None else message.text


def _with_above(case: Case, message: Message) -> str:
    """``Reading the configuration file, at line 93`` / ``>>> 'tcp-backlogs 511'`` / ``Bad directive``."""
    if _LINE_ONLY.search(message.text) or not _ABOUT_SETTINGS.search(message.text):
        return message.text
    above = case.messages[max(0, message.number - 3) : message.number]
    start = next((n for n, one in enumerate(above) if _LINE_ONLY.search(one.text)), None)
    if start is None or place_in(message.text) is not None:
        return message.text
    return ": ".join(one.text for one in (*above[start:], message))


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
    line = case.facts.lines.get(f"{where.file}:{where.line}", "")
    shown = f" (that line: {quote(line, 120)})" if line and line not in text else ""
    sure = SAID + (0.02 if plain else 0.08)
    if place.line is None:
        sure -= 0.1
    return from_message(
        case,
        message,
        "configuration",
        what=f"a mistake in {where}: “{quote(text)}”{shown}",
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
    file = _config_file(text)
    if file is None and (near := _place_nearby(case, message)) is not None:
        return _at_place(case, message, text, near, plain=False)
    file = file or _file_nearby(case, message)
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


def _place_nearby(case: Case, message: Message) -> Place | None:
    """``Error found at /etc/x.conf:12`` as a line of its own, before or after."""
    near = [one for one in case.messages if 0 < abs(one.number - message.number) <= 2]
    for one in sorted(near, key=lambda each: abs(each.number - message.number)):
        place = place_in(one.text)
        if place is not None and place.line is not None and not _ABOUT_SETTINGS.search(one.text):
            return place
    return None


def _file_nearby(case: Case, message: Message) -> str | None:
    near = [one for one in case.messages if 0 < abs(one.number - message.number) <= 4]
    for one in sorted(near, key=lambda each: abs(each.number - message.number)):
        if (file := _config_file(one.text)) is not None and not is_program_text(file):
            return file
    return None


CAUSES = (Cause("configuration", "a mistake in a program's configuration", _said),)
