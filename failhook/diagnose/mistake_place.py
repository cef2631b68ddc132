# SPDX-License-Identifier: MIT
"""Where a mistake in a configuration stands: in the line that tells it, or in one close to it."""

from __future__ import annotations

import re

from failhook.diagnose.case import Case
from failhook.diagnose.config_file import file_in, the_one
from failhook.diagnose.place import ANY_FILE, CONFIGS, Place, is_program_text, place_in
from failhook.diagnose.subjects import commands, environment_files, variables_in
from failhook.diagnose.text import Message
from failhook.diagnose.told_above import WRONG

ABOUT_SETTINGS = re.compile(
    r"\b(?:unknown|unrecogni[sz]ed|unsupported|invalid|illegal|bad|bogus|undefined|no such|unexpected|wrong"
    r"|misspelled|duplicate|obsolete|ambiguous|missing)[ \w/'\"`-]{0,30}"
    r"\b(?:option|directive|parameter|setting|keyword|key|variable|command|field|flag|argument"
    r"|value|entry|section|statement|property|token|element|attribute|config(?:uration)?)s?\b"
    r"|\b(?:option|directive|parameter|setting|keyword|variable|field|flag|key|entry|value|property)s?"
    r"[ :'\"`\w./=-]{0,60}(?:is |are |was )?(?:not (?:found|known|recogni[sz]ed|valid|allowed|supported"
    r"|defined|understood)|unknown|invalid|unrecogni[sz]ed|already (?:exists|defined|set)|out of range"
    r"|must be|is required|does not exist)"
    r"|(?:syntax|pars(?:e|er|ing)|config(?:uration)?|yaml|json|toml|xml|ini) error"
    r"|(?:error|failed|failure|unable|cannot|could not|can't|couldn't).{0,40}\b(?:pars(?:e|ing)|config(?:uration)?(?!ure (?:the )?(?:driver|interface|device|network|link|adapter)))"
    r"|\b(?:unterminated|unclosed|unbalanced|unmatched|mismatched) (?:block|section|group|quot\w+|string|brac\w+|comment|parenthes[ie]s|tag)\b"
    r"|\bexpected (?:near|before|after|instead|to close)\b"
    r"|provided but not defined|not in range|out of range|must be (?:greater|less|a |an |between|positive)|must specify\b"
    r"|is not (?:a )?(?:valid|known|integer|number|boolean)|bad (?:numerical|numeric|number)"
    r"|requires? (?:a |an )?(?:argument|value)|perhaps misspelled|check (?:your|the) syntax|when expecting|which wasn't expected|expected.{1,60}(?:but (?:got|found)|found)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"['\"`‘“]([^'\"`’”]{2,80})['\"`’”]")
_PLACE_WORDS = re.compile(
    r"[\s\W\d]|\b(?:occurred|in|at|on|of|the|error|errors|found|location|context|near|line|col|column|pos|position"
    r"|char|character|config|configuration|file|source|from|included|and|see|while|reading|number)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    r"(?:at |in |on )?line[ :#]{1,3}(?P<line>\d{1,7}): (?P<text>\S.{0,200})$", re.IGNORECASE
)
_A_REASON_FOR_IT = re.compile(rf"{WRONG.pattern}|\bnot\b", re.IGNORECASE)
_LINE_FOLLOWS = re.compile(
    r"\b(?:below|following|offending|this) line:?$|\bline (?P<line>\d{1,7}),? below:?$",
    re.IGNORECASE,
)
_FILES = 2
# "Using power down flag file /etc/killpower" is none of it.
_OF_CONFIGURATION = re.compile(
    r"conf|cfg|setting|option|\bload|\bread|\bpars|\binclu|\berror|\bline\b", re.IGNORECASE
)
PLACE_BELOW = 4  # lines: the complaint, then where it is


def is_only_place(text: str) -> bool:
    """``in "/etc/x.yml", line 3, column 1``: what is wrong there, another line says."""
    rest = ANY_FILE.sub(" ", text[:400])
    return not _PLACE_WORDS.sub("", rest)


def with_directory(case: Case, message: Message, place: Place) -> Place:
    """With the whole path, where a line nearby has it."""
    if place.file.startswith("/"):
        return place
    for one in case.messages[max(0, message.number - 30) : message.number + 3]:
        for match in ANY_FILE.finditer(one.text):
            if match["file"].startswith("/") and match["file"].endswith(f"/{place.file}"):
                return Place(match["file"], place.line)
    known = the_one(case.unit, case.facts)
    if known is not None and known.endswith(f"/{place.file}"):
        return Place(known, place.line)
    return place


def told_before(case: Case, message: Message, file: str) -> tuple[Message, str, Place] | None:
    """``/etc/x.conf line 8: invalid directive`` and, after that, what comes of it: the first line of
    the same process that finds something wrong in a line of that ``file``; with what it says."""
    first = case.once(told_before, lambda: _first_of_each(case)).get((message.pid, file))
    if first is None or first[0].number >= message.number:
        return None
    one, place = first
    return one, one.text, place


def _first_of_each(case: Case) -> dict[tuple[str, str], tuple[Message, Place]]:
    """By process and file: the first line that finds something wrong in a line of the file."""
    found: dict[tuple[str, str], tuple[Message, Place]] = {}
    for one in case.messages:
        place = place_in(one.text[:600]) if WRONG.search(one.text[:600]) else None
        if place is not None and place.line is not None:
            file = with_directory(case, one, place).file
            found.setdefault((one.pid, file), (one, place))
    return found


def line_below(case: Case, message: Message) -> tuple[str | None, str] | None:
    """``syntax error in section neighbor`` / ``line 5: peer-as AS-1 ;`` / ``"AS-1" is an invalid ASN``,
    or ``There is no such command.`` / ``… during reading the below line:`` / ``rtp portrange``: the
    number if there is one, and what the lines below tell."""
    below = [
        one
        for one in case.messages[message.number + 1 : message.number + 1 + PLACE_BELOW]
        if one.pid == message.pid and any(map(str.isalnum, one.text)) and one.text[-1] != "|"
    ]
    for one, following in zip(below[:2], [*below[1:], None], strict=False):
        if (match := _NUMBERED.match(one.text)) is not None:
            reason = following.text if following and _A_REASON_FOR_IT.search(following.text) else ""
            return match["line"], ": ".join(filter(None, (match["text"].rstrip(" ;"), reason)))
        if following is not None and (match := _LINE_FOLLOWS.search(one.text)) is not None:
            return match["line"], following.text
    return None


def perhaps_elsewhere(case: Case, text: str, file: str, number: str) -> bool:
    """A number alone may be of a line in a file that `file` includes, unless the words of that line
    are the ones that the message quotes."""
    line = case.facts.lines.get(f"{file}:{number}")
    quoted = [one for one in _QUOTED.findall(text) if one.strip() and not one.startswith("/")]
    if line is not None and quoted:
        return not any(one in line for one in quoted)
    return file in case.facts.including


def of_command_line(case: Case) -> str:
    """Where the options of the command line stand, if it takes them from a variable."""
    names = [name for _, _, argv in commands(case.unit) for name in variables_in(argv)]
    files = [file for file in environment_files(case.unit) if file in case.facts.paths]
    there = [file for file in files if (fact := case.path(file)) is not None and fact.exists]
    if not names or not 0 < len(there) <= _FILES:
        return ""
    return f"its command line, which has ${names[0]} of {' or '.join(there)}"


def place_nearby(case: Case, message: Message) -> Place | None:
    """``Error found at /etc/x.conf:12`` as a line of its own, before or after."""
    near = [one for one in case.messages if 0 < abs(one.number - message.number) <= 2]
    for one in sorted(
        near, key=lambda each: (abs(each.number - message.number), each.number < message.number)
    ):
        place = place_in(one.text)
        if (
            place is not None
            and place.line is not None
            and (is_only_place(one.text) or not ABOUT_SETTINGS.search(one.text))
        ):
            return place
    return None


def file_nearby(case: Case, message: Message) -> str | None:
    near = [one for one in case.messages if 0 < abs(one.number - message.number) <= 4]
    for one in sorted(near, key=lambda each: abs(each.number - message.number)):
        if (
            (file := file_in(one.text)) is not None
            and not is_program_text(file)
            and (file.lower().endswith(CONFIGS) or _OF_CONFIGURATION.search(one.text))
        ):
            return file
    return None
