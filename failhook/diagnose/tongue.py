# SPDX-License-Identifier: MIT
"""The errors of the system in the language of the machine, and in that of the causes.

A service inherits LANG= from the system (locale.conf(5)), and C programs have strerror(3) and
gai_strerror(3) speak it: "Datei oder Verzeichnis nicht gefunden". What the C library of this machine
says for each error stands in its catalogue; the causes read all of them in English, and the sentence
quotes the program in its own words.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from failhook.diagnose.text import Message
from failhook.mask.quoting import split_words

# In the order in which setlocale(3) asks them; LANGUAGE (gettext(3)) comes before all of them.
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
DEFAULTS = ("/etc/locale.conf", "/etc/default/locale")  # for all units
_NONE = ("C", "POSIX", "en")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:_[A-Z]{2})?")
_CATALOGUES = ("/usr/share/locale", "/usr/share/locale-langpack")  # the latter on Ubuntu
_CATALOGUE_BYTES = 2 << 20
_ERRORS = tuple(
    getattr(errno, name)
    for name in (
        "EPERM", "ENOENT", "ESRCH", "EIO", "ENXIO", "ENOEXEC", "ECHILD", "EAGAIN", "ENOMEM", "EACCES",
        "EBUSY", "EEXIST", "ENODEV", "ENOTDIR", "EISDIR", "EINVAL", "ENFILE", "EMFILE", "ETXTBSY",
        "EFBIG", "ENOSPC", "EROFS", "EPIPE", "ENAMETOOLONG", "ENOTEMPTY", "ELOOP", "EPROTONOSUPPORT",
        "EAFNOSUPPORT", "EADDRINUSE", "EADDRNOTAVAIL", "ENETDOWN", "ENETUNREACH", "ECONNABORTED",
        "ECONNRESET", "ENOTCONN", "ETIMEDOUT", "ECONNREFUSED", "EHOSTDOWN", "EHOSTUNREACH", "ESTALE",
        "EDQUOT", "EOVERFLOW",
    )
)  # fmt: skip
_OTHERS = (
    "Name or service not known", "Temporary failure in name resolution",
    "No address associated with hostname", "Non-recoverable failure in name resolution",
    "Segmentation fault", "Bus error", "Illegal instruction", "Floating point exception",
)  # fmt: skip
_QUOTES = re.compile("“[^”]*”")


def languages_of(environment: str, defaults: Iterable[str]) -> tuple[str, ...]:
    """The languages that a unit's programs speak, as catalogues are called, the first one first;
    none for English. ``environment`` is its ``Environment=``, ``defaults`` are the texts of what sets
    them for all units."""
    words = [word for text in defaults for line in text.splitlines() for word in _assigned(line)]
    words += split_words(environment) or []
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    found = next((value for name in _VARIABLES if (value := settings.get(name))), "C")
    if found.partition(".")[0].partition("_")[0] in _NONE:
        return ()
    asked = [*settings.get("LANGUAGE", "").split(":"), found.partition(".")[0].partition("@")[0]]
    tags = [tag for one in asked for tag in (one, one.partition("_")[0])]
    sound = [tag for tag in dict.fromkeys(tags) if _LANGUAGE.fullmatch(tag)]
    english = next((n for n, tag in enumerate(sound) if tag.partition("_")[0] == "en"), len(sound))
    return tuple(sound[:english])


def _assigned(line: str) -> list[str]:
    return split_words(line.strip().removeprefix("export ")) or []


def catalogues(languages: Iterable[str]) -> list[str]:
    """Where the C library's words for these languages may lie."""
    return [
        f"{base}/{language}/LC_MESSAGES/libc.mo" for language in languages for base in _CATALOGUES
    ]


def words_of(
    languages: Iterable[str], open_file: Callable[[str, int], bytes | None]
) -> dict[str, str]:
    """For each error what the machine says to what it is in English. ``open_file`` gives so much of
    a file, None where it is none."""
    for path in catalogues(languages):
        if data := open_file(path, _CATALOGUE_BYTES):
            return _read(data)
    return {}


def _read(data: bytes) -> dict[str, str]:
    import gettext  # who speaks English does not pay for it
    import io
    import struct

    try:
        catalogue = gettext.GNUTranslations(io.BytesIO(data))
    except (OSError, ValueError, LookupError, ArithmeticError, struct.error):
        return {}
    english = [*(os.strerror(number) for number in _ERRORS), *_OTHERS]
    said = {catalogue.gettext(one): one for one in english}
    return {own: one for own, one in said.items() if own != one and own.strip()}


def in_english(messages: Iterable[Message], words: Mapping[str, str]) -> list[Message]:
    """The lines as the causes read them; what was written stays in ``raw``."""
    if not words:
        return list(messages)
    pattern = _any_of(words)
    return [
        replace(one, text=pattern.sub(lambda match: words[match[0]], one.text))
        if pattern.search(one.text)
        else one
        for one in messages
    ]


def written(messages: Iterable[Message], words: Mapping[str, str]) -> dict[str, str]:
    """Of ``words`` those that the lines have, from English to what was written."""
    text = "\n".join(message.raw for message in messages) if words else ""
    return {english: own for own, english in words.items() if own in text}


def quoted_as_written(sentence: str, own: Mapping[str, str]) -> str:
    """``sentence``, with the words in it that are quoted as the program wrote them."""
    if not own:
        return sentence
    pattern = _any_of(own)
    return _QUOTES.sub(lambda quote: pattern.sub(lambda match: own[match[0]], quote[0]), sentence)


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(words, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)))
