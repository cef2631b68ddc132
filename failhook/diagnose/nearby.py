# SPDX-License-Identifier: MIT
"""Which files does a line mean? Those that it names, or that the line above does."""

from __future__ import annotations

import re

from failhook.diagnose.case import Case
from failhook.diagnose.subjects import commands, paths_in, started
from failhook.diagnose.text import Message
from failhook.diagnose.wording import FRAME

# strerror(3) at the end: the words are the system's, and about a file.
ERRNO = re.compile(
    r"(?:no such file or directory|permission denied|operation not permitted|read-only file ?system"
    r"|no space left on device|disk quota exceeded|\bE(?:NOENT|ACCES|PERM|ROFS|NOSPC|DQUOT)\b"
    r"|os error \d{1,3}|errno[ =:]{1,3}\d{1,3})[\s)\].:;,'\"\d(]{0,12}$",
    re.IGNORECASE,
)
PUTS = re.compile(r"\b(?:writ|append|sav|stor|flush|dump|creat|copy|extend)", re.IGNORECASE)


def named_paths(case: Case, message: Message) -> list[str]:
    """The paths of the line; where it has none and ends with an error of the system, those of the
    lines just before it: "user x not found" is not about the file that was read before."""
    own = [path for path in paths_in(message.raw) if not is_program(case, path)]
    if own or not ERRNO.search(message.text):
        return own
    for one in reversed(case.messages[max(0, message.number - 2) : message.number]):
        if FRAME.match(one.raw):
            continue
        above = [path for path in paths_in(one.raw) if not is_program(case, path)]
        above = [path for path in above if path.count("/") > 1]  # a word behind a slash
        if above:
            return above
    return []


def is_program(case: Case, path: str) -> bool:
    """One of those that the unit starts."""
    return path in case.facts.programs and any(path == one for _, one, _ in commands(case.unit))


def told_paths(case: Case) -> frozenset[str]:
    """What the command that failed was given, but for its program."""

    def look() -> frozenset[str]:
        return frozenset(
            path
            for setting, program, argv in started(case.unit)
            if setting == case.failing
            for path in paths_in(argv)
            if path != program
        )

    return case.once("told paths", look)
