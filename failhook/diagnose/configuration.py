# SPDX-License-Identifier: MIT
"""Mistakes in a configuration, in the many ways in which programs say where: file, line, directive.

Two things make a line such an error: it tells a place in a file that is no program text, and it
calls something wrong. Where the place and the complaint are two lines, they are joined.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile

from failhook.diagnose.case import Case
from failhook.diagnose.config_check import check_command
from failhook.diagnose.config_file import (
    LINE_ONLY,
    OF_THE_SYSTEM,
    file_in,
    is_data_error,
    lone_line,
    the_one,
)
from failhook.diagnose.crash import Crash
from failhook.diagnose.finding import GUESS, SAID, Cause, Finding, from_message, quote
from failhook.diagnose.general import is_concrete, work_of
from failhook.diagnose.level import Level
from failhook.diagnose.mistake_place import (
    ABOUT_SETTINGS,
    PLACE_BELOW,
    file_nearby,
    is_only_place,
    line_below,
    of_command_line,
    perhaps_elsewhere,
    place_nearby,
    told_before,
    with_directory,
)
from failhook.diagnose.place import Place, place_in
from failhook.diagnose.subjects import paths_in
from failhook.diagnose.text import Message
from failhook.diagnose.together import SOURCE_PLACE, taken_back, together
from failhook.diagnose.told_above import WRONG, told_above
from failhook.diagnose.tracebacks import crashes
from failhook.diagnose.wording import DONE_BEFORE, FAILURE, FRAME, NAMES_A_THING, VAGUE

# The line says which setting it is about: a name in quotes, an option, a word after the complaint.
_NAMES_IT = re.compile(
    r"['\"`‘“<\[][^'\"`’”>\]]{1,120}['\"`’”>\]]|(?<![\w-])--?[a-z][\w-]*|[:=] ?\S|\b[a-z]+(?:[_.-][a-z0-9]+)+\b"
    r"|\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b|\b[a-z]+[A-Z]\w*"
    r"|\b(?:option|directive|parameter|setting|keyword|key|variable|field|flag|argument|command|value)s? "
    r"(?!(?:in|error|found|encountered|is|was|not|for|on|at|of|or|and|file)\b)\w"
)
# Of the command line, not of a file.
_OPTION = re.compile(
    r"(?<![\w-])--?[a-z]|\b(?:flag|argument|usage|command[ -]line)s?\b|\boption -- ['\"]",
    re.IGNORECASE,
)
_ERROR_IN_LINE = re.compile(
    r"\berrors?\b.{0,40}\bline(?: number)?[ :#=]{1,3}\d{1,7}", re.IGNORECASE
)
_SOURCE = re.compile(
    r"\(?\b\w{1,60}\.(?:c|cc|cpp|h|go|rs|py|java|js|rb|ex|erl|y|l)(?::\d{1,7}\)?|\(\d{1,7}\):?)"
)
_EINVAL = re.compile(r"[:(] ?invalid argument\b(?! ?['\"`-])", re.IGNORECASE)
# Of the system's rights, not of a setting: "couldn't load the configuration: Operation not permitted".
_DENIED = re.compile(
    r"[:(] ?(?:operation not permitted|permission denied)[\s.)\]]{0,4}$", re.IGNORECASE
)
_COUNTED = re.compile(r"\b\d{1,9} (?:\w{1,20} )?(?:failures?|errors?)\b", re.IGNORECASE)
_LOGIN = re.compile(
    r"\b40[13]\b|unauthori[sz]ed|authenticat(?:ion|ed?)\b(?! (?:method|option|setting|type))|forbidden|\bjwt\b"
    r"|\b(?:wrong|incorrect|bad|invalid) pass(?:word|phrase)\b",
    re.IGNORECASE,
)
# A file without its directory: see `relative`.
_NOT_THERE = re.compile(
    r"no such file or directory: ['\"]?(?!/)[^\s'\"]{1,200}['\"]?$", re.IGNORECASE
)
_ASIDE = re.compile(r"\([^()]*\)[\s.]*")  # a sentence in parentheses
_POINTS = re.compile(r"\b(?:at|in|near)\s*$")
_WARNED = re.compile(r"^(?P<file>[^\s:]{1,300}):\d{1,7}(?::\d{1,7})?: warning: ", re.IGNORECASE)
_CHECKED = re.compile(
    r"^(?P<file>[^\s:]{1,300}):\d{1,7}(?::\d{1,7})?: (?!warning|note|info|hint|remark)(?=\w)",
    re.IGNORECASE,
)
_ONLY_FAILED = re.compile(r"\bfail(?:ed|ure|s)?\b|\berrors?\b|\bpars(?:er|ing)\b", re.IGNORECASE)
_OF_A_QUOTE = 200  # characters
_A_REASON = 6  # letters, at least
_REASONS = 2  # lines


def _joined(case: Case, message: Message) -> str:
    """The line with what belongs to it, or with those above that say where it is."""
    text = together(case, message)
    return text if text != message.text else _with_above(case, message)


def _with_above(case: Case, message: Message) -> str:
    """``Reading the configuration file, at line 93`` / ``>>> 'tcp-backlogs 511'`` / ``Bad directive``."""
    if LINE_ONLY.search(message.text) or not ABOUT_SETTINGS.search(message.text):
        return message.text
    above = case.messages[max(0, message.number - 3) : message.number]
    start = next((n for n, one in enumerate(above) if LINE_ONLY.search(one.text)), None)
    if start is None or place_in(message.text) is not None:
        return message.text
    return ": ".join(one.text for one in (*above[start:], message))


def _said(case: Case) -> Iterator[Finding]:
    found = crashes(case)
    checked = {match["file"] for one in case.messages if (match := _WARNED.match(one.text))}
    for message in case.messages:
        text = _joined(case, message)
        if _is_beside_the_point(message, text) or any(
            _is_in_a_report(one, message) for one in found
        ):
            continue
        place = place_in(text)
        about = _is_about_settings(text)
        if place is not None and place.line is not None and is_only_place(message.text):
            yield from _above(case, message, place)
        elif place is None and _ERROR_IN_LINE.search(message.text) and is_only_place(message.text):
            yield from _above_a_number(case, message)
        elif place is not None and (about or WRONG.search(text)):
            if FRAME.match(message.raw):
                continue  # a step of a stack, not a mistake
            sure = SAID - 0.1 if not about and _was_told_before(case, message, text) else None
            yield _at_place(case, message, text, place, plain=not about, sure=sure)
        elif place is not None and _is_of_a_checker(message.text, checked):
            yield _at_place(case, message, text, place, plain=False)
        elif any(
            one.first <= message.number <= one.last
            and not (about and one.kind == "panic" and lone_line(text))
            for one in found
        ):
            continue  # a line of a traceback speaks of the program's text, unless it says otherwise
        elif about and (
            message.level not in (Level.TALK, Level.WARNING)
            or (case.course.explains(message) and not paths_in(message.text))
        ):
            yield _somewhere(case, message, text)


def _is_beside_the_point(message: Message, text: str) -> bool:
    """A place in the program's own text, what a script finds done already, or an error whose reason
    (``text`` is the line with that) only announces one."""
    plain = message.text
    if SOURCE_PLACE.match(plain) or DONE_BEFORE.match(plain):
        return True
    return text != plain and VAGUE.search(text) is not None and not _is_about_settings(plain)


def _was_told_before(case: Case, message: Message, text: str) -> bool:
    """``Access denied for user a`` / ``fixing failed at /etc/a.cfg:750``: a statement of the file that
    did not work, and an error above says why."""
    if not _ONLY_FAILED.search(text) or WRONG.search(_ONLY_FAILED.sub(" ", text)):
        return False
    above = case.messages[max(0, message.number - PLACE_BELOW) : message.number]
    return any(
        one.pid == message.pid
        and FAILURE.search(one.text[:600])
        and NAMES_A_THING.search(one.text[:600])
        for one in above
    )


def _is_in_a_report(crash: Crash, message: Message) -> bool:
    """Data that Clojure prints of its own error: ``:clojure.error/line 1``."""
    return crash.language == "clojure" and crash.first <= message.number <= crash.last


def _is_of_a_checker(text: str, checked: set[str]) -> bool:
    """``de.po:6: formats are not the same`` beside ``de.po:2: warning: …``: where a program says of
    a remark that it is only a warning, what it says without that word is an error (GNU Coding
    Standards, 4.4)."""
    match = _CHECKED.match(text) if checked else None
    return match is not None and match["file"] in checked


def _is_about_settings(text: str) -> bool:
    """It calls a setting wrong; "Invalid argument" alone is errno's, a token may be a login's, and
    mount(8) says of every refusal that it may be a bad option."""
    if _LOGIN.search(text) or _NOT_THERE.search(text) or "wrong fs type, bad option" in text:
        return False
    if (_DENIED.search(text) and place_in(text) is None) or any(
        name in text for name in OF_THE_SYSTEM
    ):
        return False
    plain = _COUNTED.sub("", _EINVAL.sub("", text))
    return bool(ABOUT_SETTINGS.search(plain) or is_data_error(text))


def _above(case: Case, message: Message, place: Place) -> Iterator[Finding]:
    """The complaint that stands above its place: the nearest line that is one."""
    for one in reversed(case.messages[max(0, message.number - PLACE_BELOW) : message.number]):
        if place_in(one.text) is not None or one.pid != message.pid:
            return
        if _ASIDE.fullmatch(one.text):
            continue
        complains = WRONG.search(one.text) or _POINTS.search(one.text)
        if complains and not one.lower.startswith("while "):
            yield _at_place(case, one, one.text, place, plain=False)
            return


def _above_a_number(case: Case, message: Message) -> Iterator[Finding]:
    """``unknown user: x`` / ``config file error in line 9``."""
    number = lone_line(message.text)
    for one in reversed(case.messages[max(0, message.number - 2) : message.number]):
        if one.pid != message.pid or not WRONG.search(one.raw):
            return
        file = the_one(case.unit, case.facts)
        where = Place(file, number) if file else f"line {number} of its configuration"
        yield from_message(
            case, one, "configuration",
            what=f"a mistake in {where}: “{quote(one.text)}”",
            advice=f"correct {where}{_and_check(case)}", confidence=SAID + 0.02,
        )  # fmt: skip
        return


def _at_place(
    case: Case,
    message: Message,
    text: str,
    place: Place,
    *,
    plain: bool,
    sure: float | None = None,
) -> Finding:
    where = with_directory(case, message, place)
    if where.line is None and (found := told_before(case, message, where.file)) is not None:
        return _at_place(case, *found, plain=False)
    told = told_above(case, message, text) if where.line is None else []
    if told:
        text, plain = ": ".join(one.text.rstrip(": ") for one in told), False
    teller = case.course.teller_of(message) if where.line is None and not told else None
    if teller is not None and teller.number < message.number and teller.text not in text:
        text, plain = f"{teller.text.rstrip(': .')}: {text}", False
    if where.line is None and (reason := _reason_below(case, message, text, place.file)):
        text, plain = f"{text.rstrip(': .')}: {reason}", False
    if sure is None:
        sure = SAID + (0.02 if plain else 0.08) - (0.1 if place.line is None else 0.0)
    if where.line is None and _is_vague(text, place.file):
        sure -= 0.2
    return from_message(
        case,
        message,
        "configuration",
        what=f"a mistake in {where}: “{quote(_from_its_line(text, where.line))}”"
        f"{_its_text(case, where, text)}",
        advice=f"correct {where}{_and_check(case)}",
        confidence=sure,
        more=[case.proof(one) for one in told],
    )


def _and_check(case: Case) -> str:
    """How to see before the next start whether it is right then."""
    command = check_command(case)
    return f", and check it: {command}" if command is not None else ""


def _from_its_line(text: str, line: str | None) -> str:
    """Of a text that is too long to be quoted, what it says of the line."""
    head = f"line {line}: "
    at = text.rfind(head) if line and len(text) > _OF_A_QUOTE else -1
    return text[at + len(head) :] if at >= 0 else text


def _its_text(case: Case, place: Place, text: str) -> str:
    line = case.facts.lines.get(f"{place.file}:{place.line}", "")
    return f" (that line: {quote(line, 120)})" if line and line not in text else ""


def _reason_below(case: Case, message: Message, text: str, file: str) -> str:
    """``Parse error in /etc/x.conf``, and what is wrong in it on the lines below."""
    if not is_only_place(text.replace(file, " ").replace("Parse", " ").replace("parse", " ")):
        return ""
    below = case.messages[message.number + 1 : message.number + 1 + _REASONS]
    said = [
        one.text
        for one in takewhile(lambda each: each.pid == message.pid, below)
        if WRONG.search(one.text) and place_in(one.text) is None and _NAMES_IT.search(one.text)
    ]
    return ": ".join(said)


def _is_vague(text: str, file: str) -> bool:
    """``Unable to load config file 'x.conf'``, and nothing after that."""
    return bool(VAGUE.search(text)) and len(re.sub(r"\W", "", text.rpartition(file)[2])) < _A_REASON


def _somewhere(case: Case, message: Message, text: str) -> Finding:
    """A complaint about a setting that does not tell where it stands; perhaps a line nearby does,
    or there is only one file where it can stand."""
    line = lone_line(text)
    file = file_in(text)
    if line is None and (below := line_below(case, message)) is not None:
        line, more = below
        text = f"{text.rstrip(': .')}: {more}"
        file = file or the_one(case.unit, case.facts)
    if file is None and (near := place_nearby(case, message)) is not None:
        return _at_place(case, message, text, near, plain=False)
    file = file or file_nearby(case, message)
    of_a_file = line is not None or not _OPTION.search(text)
    if file is None and of_a_file:
        file = the_one(case.unit, case.facts)
        if file is not None and line is not None and perhaps_elsewhere(case, text, file, line):
            return _there_or_below(case, message, text, file, line)
    told = told_above(case, message, text) if file is None else []
    if told:
        text = ": ".join(one.text.rstrip(": ") for one in told)
    named = (
        bool(told)
        or _NAMES_IT.search(_without_itself(case, message, _without_verb(text))) is not None
    )
    if file is not None:
        sure = SAID if named or line is not None else SAID - 0.04
        return _at_place(case, message, text, Place(file, line), plain=False, sure=sure)
    return _nowhere(case, message, text, line, named=named)


def _there_or_below(case: Case, message: Message, text: str, file: str, number: str) -> Finding:
    return from_message(
        case, message, "configuration",
        what=f"a mistake in line {number} of {file} or of a file that it includes: “{quote(text)}”",
        advice=f"look at line {number} of each, the last one that it reads first",
        confidence=SAID - 0.04,
    )  # fmt: skip


def _without_verb(text: str) -> str:
    """Without what only introduces: ``error: unknown option``."""
    return re.sub(r"^(?:[\w ./-]{0,40}: )?(?:fatal )?(?:error|failed|failure)s?:? ", "", text)


def _without_itself(case: Case, message: Message, text: str) -> str:
    """Without the program's own name, and the place in its source: no setting is called so."""
    for name in {message.identifier, case.incident.unit.partition(".")[0]}:
        if len(name) > 2:
            text = text.replace(name, " ")
    return _SOURCE.sub(" ", text)


def _nowhere(case: Case, message: Message, text: str, line: str | None, *, named: bool) -> Finding:
    """It tells neither file nor line. Where it does not even tell the setting, that is not known."""
    sure = SAID - 0.06 if named else GUESS - 0.02
    if taken_back(case, message):
        sure -= 0.3
    where = of_command_line(case) if _OPTION.search(text) else ""
    if line is not None and line not in text:
        where = f"line {line} of its configuration"
    where = where or "its configuration or command line"
    given = "" if is_concrete(_SOURCE.sub("", text)) else work_of(case)
    return from_message(
        case,
        message,
        "configuration" if named else "unclear",
        what=f"a mistake in {where}: “{quote(text)}”{given}"
        if named
        else f"a mistake in its configuration, it is unclear where: “{quote(text)}”",
        advice=_advice_where_to_look(case),
        confidence=sure,
    )


def _advice_where_to_look(case: Case) -> str:
    if (command := check_command(case)) is not None:
        return (
            f"check its configuration: {command}; its options: systemctl cat {case.incident.unit}"
        )
    return f"check its options: systemctl cat {case.incident.unit}"


CAUSES = (Cause("configuration", "a mistake in a program's configuration", _said),)
