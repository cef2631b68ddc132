# SPDX-License-Identifier: MIT
"""Is this value worth masking, or is it what a diagnosis needs: a placeholder, a path, a sentence?

Everything errs on the side of masking where the text is a setting (``key=value``), and on the side
of showing where it is a sentence (``invalid token: unexpected end of input``).
"""

from __future__ import annotations

import re

from failhook.mask.tokens import TOKEN

_NOTHING = frozenset(
    b"true false yes no on off none null nil undefined unset empty missing required optional "
    b"hidden redacted masked filtered removed ok ask prompt 0 1 n/a stdin invalid expired rejected "
    b"accepted revoked denied valid failed incorrect wrong "
    # passwd:amd64, the package
    b"amd64 arm64 armhf armel i386 riscv64 ppc64el s390x all any".split()
)
_PLACEHOLDER = re.compile(
    rb"\*+|x{3,}|\.{2,}|-+|_+|%[sdvq]|\$\{[a-z_]\w{0,60}\}|\$\([^()]{1,80}\)|%[a-z_]\w{0,40}%"
    rb"|\{\{[\w .]{0,40}\}\}|\{\w{0,20}\}|@[a-z_]{2,40}@|<[a-z][\w -]{0,30}>"
    rb"|[\[<({*]{1,3}(?:redacted|filtered|hidden|masked|removed|secret|protected|sensitive|none|"
    rb"null|not set|unprintable)[\])>}*]{1,3}|[^A-Za-z0-9\x80-\xff]{1,3}",
    re.IGNORECASE,
)
_VARIABLE = re.compile(rb"\$[A-Z_][A-Z0-9_]{0,60}")  # case matters: $ecret may be a password
_KNOWN_ROOTS = (
    rb"etc|var|usr|home|root|run|opt|srv|tmp|mnt|dev|proc|sys|lib|lib64|bin|sbin|data|app|config|"
    rb"secrets?|certs?|ssl|nix|boot|media|snap|workspace|private|Users|Library|credentials"
)
_PATH = re.compile(
    rb"/(?:%b)(?:/[\w.@%%:,-]+)*/?|\$\{?\w{1,60}\}?(?:/[\w.-]+)+|(?:/[a-z0-9_.-]{1,32}){1,12}/?|/"
    rb"|[\w.-]{1,80}\.(?:pem|key|crt|cer|der|p12|pfx|jks|pub|gpg|asc|json|txt)" % _KNOWN_ROOTS,
)
_EXPRESSION = re.compile(rb"\$\(|[a-z]\w{0,40}[._]\w{1,40}\([^()]{0,80}\)\Z")
_WORDS = re.compile(rb"(?<![\w-])[A-Za-z']+(?![\w-])")
_PLAIN_WORD = re.compile(rb"[A-Z]?[a-z']+|[A-Z]{1,4}")
# Words that make what follows a colon a sentence; functional ones weigh as those of failure.
_PROSE = frozenset(
    b"a an the is are was were be been has have had not no must cannot can't could should would "
    b"will may might for from with without of to too in on at by as and or but than that this it "
    b"its if while when because since after before until during into invalid expired expires "
    b"incorrect wrong missing required denied unexpected error errors unknown failed failure "
    b"fails fail failing authentication authorization empty changed updated unable rejected "
    b"accepted mismatch mismatched short long malformed unauthorized forbidden unsupported "
    b"disabled enabled revoked refused timeout timed out found loaded loading using used read "
    b"reading write writing generated generating created creating deleted removed refreshed "
    b"refreshing renewed renewing rotated rotating valid verified succeeded success successful "
    b"successfully started stopped starting stopping done skipped skipping ignored ignoring "
    b"parse parsing syntax bucket filter got expected does doesn't did didn't do only already "
    b"please try again see check use never files compat sss winbind nis bad connect connection "
    b"available unavailable validation".split()
)
# Things messages are about; alone they may be somebody's (poor) password.
_TOPICS = frozenset(
    b"token tokens password passwords secret secrets key keys user option flag argument".split()
)
_OPTION_WORDS = _PROSE | _TOPICS | frozenset(b"instead requires takes given provided set".split())
_DIGIT = re.compile(rb"[0-9]")
_LETTER = re.compile(rb"[A-Za-z]")
_LOUD = re.compile(rb"[!@#$%^&*+=~?|]")
_PLACE = re.compile(
    rb"v?\d+(?:\.\d+)*[a-z%]{0,3}|\d{4}-\d\d-\d\d\S*|[\w.-]+:\d+|(?:\d{1,3}\.){3}\d{1,3}\S*|[a-z+]{2,10}://\S*|/\S*|"
    rb"[\w.-]*\(\S*|0x[0-9a-f]{1,8}|[A-Za-z]+[-_.][A-Za-z_.-]+|[A-Za-z]+-?\d{1,3}"
)


def is_masked(value: bytes) -> bool:
    """It is exactly one of our tokens."""
    return TOKEN.fullmatch(value) is not None


def is_placeholder(value: bytes) -> bool:
    """Nothing secret: empty, a switch, stars, an unresolved ``${VARIABLE}``, our own token."""
    text = value.strip()
    if not text or text.lower() in _NOTHING or is_masked(text):
        return True
    if len(text) > 90:
        return text.strip(b"*") == b""
    return any(pattern.fullmatch(text) is not None for pattern in (_PLACEHOLDER, _VARIABLE))


def is_path(value: bytes) -> bool:
    """An absolute path or a file's name, and not a base64 text that begins with a slash."""
    text = value.strip()
    return len(text) <= 4096 and _PATH.fullmatch(text) is not None


def is_expression(value: bytes) -> bool:
    """Program text, not a value: ``$(getent passwd x)``, ``yaml.scan(input)``."""
    return _EXPRESSION.match(value) is not None


def is_number(value: bytes) -> bool:
    """A count or a size: digits, also with separators and a unit."""
    return re.fullmatch(rb"[0-9][0-9_.,]{0,15} ?[A-Za-z%/]{0,3}", value.strip()) is not None


def is_sentence(text: bytes) -> bool:
    """The first words of ``text`` are those of a message for people."""
    words = [word.lower() for word in _WORDS.findall(text[:96])[:8]]
    return any(word in _PROSE or (word in _TOPICS and len(words) > 1) for word in words)


def is_option_talk(word: bytes) -> bool:
    """What follows ``--password`` is the rest of a sentence about the option, not its value."""
    return word.strip(b".,;:)\"'").lower() in _OPTION_WORDS


def is_plain_word(word: bytes) -> bool:
    """Letters only, as in a sentence: ``bucket``, ``Connection``, ``EOF``."""
    return _PLAIN_WORD.fullmatch(word.rstrip(b".,;:!?)")) is not None


def looks_random(word: bytes) -> bool:
    """Long enough and mixed enough to be a secret even in the middle of a sentence."""
    text = word.strip(b".,;:()[]{}<>\"'")
    if len(text) < 6 or _PLACE.fullmatch(text):
        return False
    mixed = _DIGIT.search(text) is not None and _LETTER.search(text) is not None
    return mixed or _LOUD.search(text) is not None or len(text) >= 24
