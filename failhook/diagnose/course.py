# SPDX-License-Identifier: MIT
"""How a run went on after each of its lines: did it survive what it complained of?

A program that says "no such file" and then that it listens did not die of that file. What it died
of is the last complaint before its end, however vague that is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property, lru_cache

from failhook.diagnose.level import Level
from failhook.diagnose.text import Message, continues
from failhook.diagnose.wording import (
    FAILURE,
    FRAME,
    GAVE_UP,
    GOOD,
    HARMLESS,
    LINES,
    NAMES_A_THING,
    RETRIES,
    STRERROR,
    VAGUE,
    is_consequence,
)

_ANNOUNCES = re.compile(
    r"\bfollowing (?:\w+ )?(?:errors?|messages?|reasons?|output|problems?)\b.{0,20}[:.]?$|\breasons? follows?\W{0,3}$",
    re.IGNORECASE,
)
_RECOVERED = re.compile(
    r"\b(?:connected|succe\w{2,8}|recovered|(?:re)?established|restored|reconnected|back online|is up)\b",
    re.IGNORECASE,
)
# What a program does on its way out, after the error that it dies of.
_LEAVING = re.compile(
    r"\b(?:clos(?:ed|ing)|clean(?:ed|ing)? ?up|remov(?:ed|ing)|unload(?:ed|ing)?|flush(?:ed|ing)?"
    r"|disconnect(?:ed|ing)?|releas(?:ed|ing)|destroy(?:ed|ing)?|kill(?:ed|ing)|finish(?:ed|ing)|done"
    r"|usage|options?:|help|build failure)\b",
    re.IGNORECASE,
)
# What tells one thing from another: a path, something in quotes, a name of several words or parts.
_DISTINCT = re.compile(r"(?<!/)/(?!/)[\w./@+-]{3,200}|\b\w+[_.]\w[\w.]+\b|\b[A-Z][a-z]+[A-Z]\w*")
_IN_QUOTES = re.compile(r"['\"`‘“]([^'\"`’”]{1,80})['\"`’”]")

_EXITS = re.compile(
    r"\W{0,4}(?:now )?(?:exit(?:ing|ed)?|terminat(?:ing|ed)|shutting down|bye|process exited)\b.{0,40}$",
    re.IGNORECASE,
)
_IGNORED = re.compile(r"Exception ignored (?:in|on|while)\b")  # sys.unraisablehook
_IN_A_TRACE = re.compile(r"\s|Traceback \(most recent call last\):")
_OF_A_TRACE = 40  # lines
_NEAR = 4
_OF_THE_ERROR = re.compile(r"\b(?:hint|detail|context|statement|note|tip|help): ", re.IGNORECASE)
_AS_GOOD_AS = 3  # healthy lines
_OFTEN = 3  # the same words
_NEUTRAL = 3  # of them are as good as a healthy one


_USAGE = re.compile(r"usage(?: of \S{1,80}| information)?:", re.IGNORECASE)
_OPTION = re.compile(
    r"^\s{1,20}(?:\[ {0,3})?(?:-\w, )?--?\w[\w-]{1,40}(?:[=, ]|\s{2,})"
)  # of a help
_LONG_USAGE = 8  # lines


class Course:
    """The way of one run, by its lines."""

    def __init__(self, messages: Sequence[Message], *, ran_out_of_time: bool = False) -> None:
        self._messages = messages
        self._ran_out_of_time = ran_out_of_time

    def is_usage(self, message: Message) -> bool:
        """A line of the help that a program prints after it did not like its command line."""
        return message.number > self._usage_at.get(message.pid, message.number)

    @cached_property
    def _usage_at(self) -> dict[str, int]:
        """The first line of that by process, where a complaint stands before it, or it is long."""
        found: dict[str, int] = {}
        complained: set[str] = set()
        for one in self._messages:
            is_help = _USAGE.match(one.text) and (one.pid in complained or self._is_long_from(one))
            if is_help or (one.pid in complained and _OPTION.match(one.raw)):
                found.setdefault(one.pid, one.number)
            if _complains(one):
                complained.add(one.pid)
        return found

    def _is_long_from(self, message: Message) -> bool:
        below = self._messages[message.number + 1 : message.number + 1 + _LONG_USAGE]
        return len(below) == _LONG_USAGE and all(one.pid == message.pid for one in below)

    def survived(self, message: Message) -> int:
        """How many healthy lines stand between a complaint and the one that the run died of; 0
        where it is that one, or says the same."""
        last = self._last_complaint
        if last is None or message.number >= last.number:
            return 0
        again = self._again(message)
        if again is last:
            return 0
        between = slice((again or message).number + 1, last.number)
        healthy = sum(self._healthy[between]) + sum(self._neutral[between]) // _NEUTRAL
        return healthy + (_AS_GOOD_AS if _another_error(message, last) else 0)

    def told_nearby(self, message: Message) -> bool:
        """A line says only that a configuration is no good, and one close to it says why."""
        return self.teller_of(message) is not None

    def teller_of(self, message: Message) -> Message | None:
        """The line that says why a configuration is no good, where this one does not."""
        if not VAGUE.search(message.text[:600]):
            return None
        above = self._messages[max(0, message.number - _NEAR) : message.number]
        below = self._messages[message.number + 1 : message.number + 1 + _NEAR]
        return next((one for one in (*above, *below) if _tells_why(one, message)), None)

    def announces(self, message: Message) -> bool:
        """``x generated the following error messages:``, and here they are, by the same process."""
        below = self._messages[message.number + 1 : message.number + 1 + _NEAR]
        return _ANNOUNCES.search(message.text[:600]) is not None and any(
            one.pid == message.pid and _complains(one) for one in below
        )

    def explains(self, message: Message) -> bool:
        """A warning right above an error of the same process that names nothing itself, or one of a
        thing that a later error names again: it is the error's reason."""
        if message.level is not Level.WARNING or HARMLESS.search(message.text[:600]):
            return False
        following = self._messages[message.number + 1 : message.number + 2]
        again = self._again(message)
        return any(
            one.level >= Level.ERROR
            and one.pid == message.pid
            and not NAMES_A_THING.search(one.text[:600])
            for one in following
        ) or (again is not None and again.level >= Level.ERROR and again.pid == message.pid)

    def is_ignored(self, message: Message) -> bool:
        """A line of an exception that Python tells of and goes on: in a destructor, mostly."""
        return message.number in self._ignored

    @cached_property
    def _ignored(self) -> frozenset[int]:
        found: list[int] = []
        for one in self._messages:
            if _IGNORED.match(one.text):
                found.append(one.number)
                for following in self._messages[one.number + 1 : one.number + 1 + _OF_A_TRACE]:
                    found.append(following.number)
                    if not _IN_A_TRACE.match(following.raw):
                        break  # the exception itself ends it
        return frozenset(found)

    def came_after_the_end(self, message: Message) -> bool:
        """Another process of the run says it after one has said that it exits: of that, mostly."""
        return any(
            one.pid != message.pid and one.pid and _EXITS.match(one.text)
            for one in self._messages[max(0, message.number - _NEAR) : message.number]
        )

    def complained_after(self, message: Message) -> bool:
        """It called this a warning, and told of a failure later that it calls nothing: as compilers
        do, whose errors alone have no word before them."""
        if message.level is not Level.WARNING:
            return False
        last = self._last_complaint
        return last is not None and last.number > message.number and last.pid == message.pid

    def did_without(self, message: Message) -> bool:
        """A later line names the same thing and says that the program goes on without it."""
        things = _things(message.text)
        return any(
            things & _things(one.text) and HARMLESS.search(one.text[:600])
            for one in self._messages[message.number + 1 : message.number + 1 + _NEAR]
        )

    def gave_up_on(self, message: Message) -> bool:
        """It tried again and again, to no avail, and said so."""
        repeated = self._ran_out_of_time and self._said[message.text] >= _OFTEN
        if not (repeated or RETRIES.search(message.text[:600])) or self._gave_up_at is None:
            return False
        if message.number >= self._gave_up_at:
            return False
        after = self._messages[message.number + 1 : self._gave_up_at]
        return not any(
            _RECOVERED.search(one.text[:600]) and not FAILURE.search(one.text[:600])
            for one in after
        )

    def _again(self, message: Message) -> Message | None:
        """The last complaint after it that speaks of the same thing."""
        last = max((self._last_of.get(thing, -1) for thing in _things(message.text)), default=-1)
        return self._messages[last] if last > message.number else None

    @cached_property
    def _last_of(self) -> dict[str, int]:
        """The last complaint that names each thing."""
        return {thing: one.number for one in self._complaints for thing in _things(one.text)}

    @cached_property
    def _said(self) -> Counter[str]:
        return Counter(one.text for one in self._messages)

    @cached_property
    def _gave_up_at(self) -> int | None:
        """The number of the last line that says so; where systemd lost its patience, the end."""
        if self._ran_out_of_time:
            return len(self._messages)
        return next(
            (one.number for one in reversed(self._messages) if GAVE_UP.search(one.text[:600])), None
        )

    @cached_property
    def _healthy(self) -> list[bool]:
        return [_is_healthy(one) and not self.is_usage(one) for one in self._messages]

    @cached_property
    def _neutral(self) -> list[bool]:
        above = (None, *self._messages)
        return [
            _is_neutral(one)
            and not self.is_usage(one)
            and not (before is not None and continues(before, one))
            for before, one in zip(above, self._messages, strict=False)
        ]

    @cached_property
    def _complaints(self) -> list[Message]:
        """All errors that are no mere consequences."""
        return [one for one in self._messages if _complains(one) and not self.is_usage(one)]

    @cached_property
    def _last_complaint(self) -> Message | None:
        """The error that came last, and no mere consequence."""
        return self._complaints[-1] if self._complaints else None


def _another_error(message: Message, last: Message) -> bool:
    """Both end with an error of the system, another one each: the second one does not follow from
    the first, so the program went on in between."""
    first, second = STRERROR.search(message.text[:600]), STRERROR.search(last.text[:600])
    if first is None or second is None or message.pid != last.pid:
        return False
    around = tuple(f"{path}/" for path in _DISTINCT.findall(last.text[:600]) if path[0] == "/")
    if any(path.startswith(around) for path in _DISTINCT.findall(message.text[:600])):
        return False  # "cannot open /srv/a/block: …", and so "no store in /srv/a: …"
    return first[0].lower() != second[0].lower() and message.level is last.level


@lru_cache(LINES)
def _things(text: str) -> frozenset[str]:
    """What it names; also within quotes: the host of a URL."""
    found = {*_DISTINCT.findall(text[:600]), *_IN_QUOTES.findall(text[:600])}
    return frozenset(one for one in found if not one.startswith("127."))


def _complains(message: Message) -> bool:
    text = message.text[:600]
    if FRAME.match(message.raw) or is_consequence(text) or HARMLESS.search(text):
        return False
    if not any(map(str.isalpha, text)):
        return False
    if message.level >= Level.ERROR:
        return True
    failures = len({word.lower() for word in FAILURE.findall(text)})
    return message.level is Level.UNKNOWN and failures > bool(GOOD.search(text))


def _tells_why(one: Message, message: Message) -> bool:
    """Of the same process, about as grave, and it names what is wrong."""
    text = one.text[:600]
    alike = one.level is message.level is Level.WARNING and FAILURE.search(text) is not None
    return (
        (_complains(one) or alike)
        and one.pid == message.pid
        and one.level >= message.level - 1
        and not VAGUE.search(text)
        and NAMES_A_THING.search(text) is not None
    )


def _is_healthy(message: Message) -> bool:
    """It says that something went well, or tells as it goes."""
    text = message.text[:600]
    if FRAME.match(message.raw) or is_consequence(text) or _LEAVING.search(text):
        return False
    if message.level is Level.TALK:
        return any(map(str.isalpha, text)) and not _OF_THE_ERROR.search(message.raw[:300])
    return message.level is Level.UNKNOWN and bool(GOOD.search(text)) and not FAILURE.search(text)


def _is_neutral(message: Message) -> bool:
    """It tells of neither good nor bad, and belongs to no line above it."""
    text = message.text[:600]
    if message.level is not Level.UNKNOWN or message.raw.startswith((" ", "\t")):
        return False
    if FRAME.match(message.raw) or _LEAVING.search(text) or is_consequence(text):
        return False
    return any(map(str.isalpha, text)) and not FAILURE.search(text) and not GOOD.search(text)
