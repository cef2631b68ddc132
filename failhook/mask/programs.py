# SPDX-License-Identifier: MIT
"""Options of well-known programs that carry a password under a letter: ``mysql -pX``, ``curl -u``.

The letters mean other things elsewhere, so each is looked for only behind its program's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from failhook.mask import values
from failhook.mask.tokens import Span

_VALUE = (
    rb"(?:(?P<q>\\{0,7}[\"'])(?P<s>(?:(?!(?P=q)).){1,512})|(?P<r>[^\s\x00\"'][^\s\x00]{0,511}))"
)
_QUOTED_WITH_P = rb"(?P<q>\\{0,7}[\"'])-p(?P<s>(?:(?!(?P=q)).){1,512})(?P<r>(?!))?"
_BLANK = rb"(?:[\s\x00]|\\{0,7}[\"'],[ \t]?\\{0,7}(?=[\"']))"
_MAY_BLANK = rb"(?:[ \t=\x00]|\\{0,7}[\"'],[ \t]?\\{0,7}(?=[\"']))?"


@dataclass(frozen=True, slots=True)
class _Program:
    """Patterns are compiled where a line holds the hint, as those of `failhook.mask.shapes`."""

    hint: bytes
    name: bytes
    option: bytes

    def search(self, line: bytes) -> re.Match[bytes] | None:
        """The program's name."""
        return self.named.search(line)

    @property
    def named(self) -> re.Pattern[bytes]:
        """What finds the name; `re` itself remembers it."""
        return re.compile(rb"(?<![\w.])(?:" + self.name + rb")(?![\w.])")

    @property
    def given(self) -> re.Pattern[bytes]:
        """What finds the option and its value."""
        return re.compile(self.option)


def _program(hint: str, name: bytes, option: bytes, value: bytes = _VALUE) -> _Program:
    return _Program(hint.encode(), name, option + value)


_USER = rb"[^\s:\"'\x00]{1,128}:"
_USER_AND_PASSWORD = (
    rb"(?:(?P<q>\\{0,7}[\"'])" + _USER + rb"(?P<s>(?:(?!(?P=q)).){1,512})|"
    + _USER + rb"(?P<r>[^\s\x00\"']{1,512}))"
)  # fmt: skip
_PROGRAMS = (
    *(
        _program(hint, name, option, value)
        for hint, name in (("mysql", rb"mysql\w*"), ("mariadb", rb"mariadb[\w\-]*"))
        for option, value in ((rb"[\s\x00]-p", _VALUE), (rb"", _QUOTED_WITH_P))
    ),
    _program(
        "curl",
        rb"curl",
        _BLANK + rb"[\"']?(?:-[A-Za-z]{0,6}[uU]|--user|--proxy-user)" + _MAY_BLANK,
        _USER_AND_PASSWORD,
    ),
    _program("sshpass", rb"sshpass", _BLANK + rb"-p" + _MAY_BLANK),
    _program("redis-cli", rb"redis-cli", _BLANK + rb"-a" + _BLANK),
    _program(
        "ldap",
        rb"ldap(?:search|modify|add|delete|whoami|passwd|compare)",
        _BLANK + rb"-w" + _MAY_BLANK,
    ),
    _program("smbclient", rb"smbclient", _BLANK + rb"-U" + _MAY_BLANK + rb"[^\s%\x00]{1,64}%"),
    _program("login", rb"(?:docker|podman|helm registry|buildah) login", _BLANK + rb"-p" + _BLANK),
    _program("mongo", rb"mongo\w*", _BLANK + rb"-p" + _BLANK),
    _program("ipmitool", rb"ipmitool", _BLANK + rb"-P" + _BLANK),
    _program("mosquitto_", rb"mosquitto_(?:pub|sub|rr)", _BLANK + rb"-P" + _BLANK),
    _program("snmp", rb"snmp\w+", _BLANK + rb"-[AXc]" + _BLANK),
    _program("htpasswd", rb"htpasswd", _BLANK + rb"-\w{0,4}b\w{0,4}\s+\S{1,256}\s+\S{1,128}\s+"),
    _program("rabbitmqctl", rb"rabbitmqctl", rb"(?:add_user|change_password)\s+\S{1,128}\s+"),
    _program("zip", rb"zip|unzip", _BLANK + rb"-P" + _BLANK),
    _program("7z", rb"7z[ar]?", _BLANK + rb"-p"),
    _program("openssl", rb"openssl", _BLANK + rb"-[kK]" + _BLANK),
    _program("lftp", rb"lftp", _BLANK + rb"-u" + _MAY_BLANK + rb"[^\s,\x00]{1,64},"),
)
HINTS = tuple(sorted({program.hint for program in _PROGRAMS}))


def patterns() -> list[re.Pattern[bytes]]:
    """All of them, compiled."""
    return [each for program in _PROGRAMS for each in (program.named, program.given)]


def spans(line: bytes) -> Iterator[Span]:
    """The passwords in the command lines of one line, program by program."""
    for program in _PROGRAMS:
        found = program.search(line) if program.hint in line else None
        if found is None:
            continue
        for match in program.given.finditer(line, found.end()):
            group = "s" if match["s"] is not None else "r"
            if not values.is_placeholder(match[group]) and match[group][:1] != b"-":
                yield Span(*match.span(group), "password")
