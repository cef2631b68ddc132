# SPDX-License-Identifier: MIT
"""How grave a line calls itself, in the words of many programs."""

from __future__ import annotations

from enum import IntEnum


class Level(IntEnum):
    """How grave a line calls itself; `UNKNOWN` where it does not say."""

    UNKNOWN = 0
    TALK = 1
    WARNING = 2
    ERROR = 3
    FATAL = 4


_LEVELS = {
    Level.FATAL: "emerg emergency panic fatal alert crit critical ftl f dpanic pani fata c",
    Level.ERROR: "error err erro eror errors severe fail failure failed e ee syserr",
    Level.WARNING: "warn warning wrn w ww",
    Level.TALK: "notice info information inf note debug debu dbg dbug dbgs trace trac trce verbose i ii d n hint"
    " detail config fine finer finest progress success",
    Level.UNKNOWN: "log status statement context",  # says nothing about how grave it is
}
BY_WORD = {word: level for level, words in _LEVELS.items() for word in words.split()}
_BY_PRIORITY = {"0": Level.FATAL, "1": Level.FATAL, "2": Level.FATAL, "3": Level.ERROR,
                "4": Level.WARNING}  # fmt: skip
# As bunyan and pino number them: 50 is an error.
_STEPS = ((60, Level.FATAL), (50, Level.ERROR), (40, Level.WARNING), (10, Level.TALK))


def of_word(word: object) -> Level:
    """The level that a word, or a number of bunyan's or pino's, stands for."""
    if isinstance(word, int) and not isinstance(word, bool):
        return next((level for least, level in _STEPS if word >= least), Level.UNKNOWN)
    return BY_WORD.get(str(word).lower(), Level.UNKNOWN)


def of_priority(priority: str | None) -> Level:
    """The level of a journal priority (systemd.journal-fields(7)): 6 is what any line has."""
    return _BY_PRIORITY.get(priority or "", Level.UNKNOWN)
