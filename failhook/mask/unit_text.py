# SPDX-License-Identifier: MIT
"""The text of ``systemctl show`` and ``systemctl cat``: every value handed to the service goes.

Here no name and no look is asked: whoever reads a bundle needs to know that ``PORT`` is set, and
the value of one of twenty variables may be what the administrator did not think of as secret.
Names, and values that are empty, stay: ``DB_URL=`` set to nothing is a cause.
"""

from __future__ import annotations

import re

from failhook.mask.quoting import split_words
from failhook.mask.tokens import TOKEN, Counts, token

ENVIRONMENT = "environment"
CREDENTIAL = "credential"
INPUT = "standard-input"
RULES = (ENVIRONMENT, CREDENTIAL, INPUT)
_KINDS = {
    b"Environment": ENVIRONMENT,
    b"DefaultEnvironment": ENVIRONMENT,
    b"ManagerEnvironment": ENVIRONMENT,
    b"SetCredential": CREDENTIAL,
    b"SetCredentialEncrypted": CREDENTIAL,
    b"StandardInputText": INPUT,
    b"StandardInputData": INPUT,
}
# A setting and the lines that continue it; in a unit file comments may stand in between.
_SETTING = re.compile(
    rb"^([ \t]*(%b)[ \t]*=[ \t]*)([^\n]*\\\n(?:[ \t]*[#;][^\n]*\n|[^\n]*\\\n)*[^\n]*|[^\n]*)"
    % b"|".join(re.escape(name) for name in sorted(_KINDS, key=len, reverse=True)),
    re.MULTILINE,
)
_CONTINUED = re.compile(rb"\\\n(?:[ \t]*[#;][^\n]*\n)*")
_SHOWN_AS_NOTHING = b"[unprintable]"  # what systemctl says of credentials
_ENVIRONMENT_LINE = re.compile(
    rb"^([ \t]*(?:[#;][ \t]*)?(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_.\-]*[ \t]*=)"
    rb"([ \t]*(?:\"(?:[^\"\\]|\\[\x00-\xff])*\"|'[^']*'|[^\n\\]+|\\\n|\\[^\n])*)",
    re.MULTILINE,
)


def mask_unit_text(text: bytes) -> tuple[bytes, Counts]:
    """``text`` with the values of Environment=, SetCredential= and StandardInput…= masked."""
    counts: Counts = {}
    if not any(hint in text for hint in (b"Environment", b"SetCredential", b"StandardInput")):
        return text, counts

    def mask(match: re.Match[bytes]) -> bytes:
        kind = _KINDS[match[2]]
        value = _CONTINUED.sub(b" ", match[3]).strip()
        if not value or value == _SHOWN_AS_NOTHING:
            return match[0]
        lost = match[3].count(b"\n")  # line numbers stay true
        return match[1] + _masked(value, kind, counts) + b"\n" * lost

    return _SETTING.sub(mask, text), counts


def mask_environment_file(text: bytes) -> tuple[bytes, Counts]:
    """The content of an ``EnvironmentFile=`` with every value masked, also those commented out."""
    counts: Counts = {}

    def mask(match: re.Match[bytes]) -> bytes:
        if not match[2].strip():
            return match[0]
        lost = match[2].rstrip(b"\n").count(b"\n")
        rest = b"\n" * (len(match[2]) - len(match[2].rstrip(b"\n")))
        return match[1] + _token(ENVIRONMENT, match[2].strip(), counts) + b"\n" * lost + rest

    return _ENVIRONMENT_LINE.sub(mask, text), counts


def _token(kind: str, value: bytes, counts: Counts) -> bytes:
    if TOKEN.fullmatch(value):  # masked before, whatever as
        return value
    counts[kind] = counts.get(kind, 0) + 1
    return token(kind)


def _masked(value: bytes, kind: str, counts: Counts) -> bytes:
    if kind == INPUT:
        return _token(kind, value, counts)
    if kind == CREDENTIAL:
        name, colon, content = value.partition(b":")
        if not colon or TOKEN.fullmatch(value):
            return _token(kind, value, counts)
        return name + colon + _token(kind, content.strip(), counts)
    words = split_words(value.decode("utf-8", "surrogateescape"))
    if words is None:  # cut off or broken: nothing of it can be told apart
        return _token(kind, value, counts)
    return b" ".join(_assignment(word.encode("utf-8", "surrogateescape"), counts) for word in words)


def _assignment(word: bytes, counts: Counts) -> bytes:
    name, equals, value = word.partition(b"=")
    if not equals or not re.fullmatch(rb"[A-Za-z_][A-Za-z0-9_]*", name):
        return _token(ENVIRONMENT, word, counts)
    return name + equals + (_token(ENVIRONMENT, value, counts) if value else b"")
