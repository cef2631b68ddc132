# SPDX-License-Identifier: MIT
"""Secrets that are known by where they stand: headers, URLs, SQL, XML, lists of names and values.

A shape is tried only on lines that hold one of its hints (lower case). Its group ``s`` is the
secret. Every repetition is bounded or cannot overlap its neighbour, so that a line of a
megabyte made to hurt costs time in proportion to its length (a test tries).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass

from failhook.mask import names, values

Check = Callable[["re.Match[bytes]"], bool]
_SCHEMES = (b"basic", b"bearer", b"token", b"apikey", b"negotiate", b"ntlm", b"splunk", b"key")
_DIGIT = re.compile(rb"[0-9]")


@dataclass(frozen=True, slots=True)
class Shape:
    """``rule`` names it in counts and tokens; ``check`` has the last word on a match.

    Compiled when a line holds one of its hints: all of them together would take a cold runner
    longer than the collectors need.
    """

    rule: str
    hints: tuple[bytes, ...]
    source: bytes
    flags: re.RegexFlag
    check: Check

    @property
    def pattern(self) -> re.Pattern[bytes]:
        """The compiled pattern; `re` itself remembers it."""
        return re.compile(self.source, self.flags)


def worth(match: re.Match[bytes]) -> bool:
    """The secret is more than a placeholder."""
    return not values.is_placeholder(match["s"])


def shape(
    rule: str, hints: str, pattern: bytes, check: Check = worth, *, case: bool = False
) -> Shape:
    """One row of a table. ``case``: capitals matter, as they do in what generators print."""
    flags = re.RegexFlag(0) if case else re.IGNORECASE
    return Shape(rule, tuple(hints.encode().split()), pattern, flags, check)


def _named(match: re.Match[bytes]) -> bool:
    name, value = match["n"].decode("ascii", "replace"), match["s"]
    path = values.is_path(value) and names.may_hold_path(name)
    return names.kind_of(name) is not None and not path and not values.is_placeholder(value)


def _random(match: re.Match[bytes]) -> bool:
    return values.looks_random(match["s"]) and worth(match)


def _is_basic(match: re.Match[bytes]) -> bool:
    """Base64 of ``user:password``; "Basic authentication" is not."""
    text = match["s"]
    try:
        plain = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return b":" in plain and all(byte >= ord(" ") for byte in plain)


def _credential(match: re.Match[bytes]) -> bool:
    """What follows ``Authorization:`` and is not "denied for user x"."""
    if not worth(match) or values.is_option_talk(match["s"]):
        return False
    scheme = (match["scheme"] or b"").strip().lower()
    return scheme in _SCHEMES or values.looks_random(match["s"])


def _token_as_user(match: re.Match[bytes]) -> bool:
    return _DIGIT.search(match["s"]) is not None


# What may stand between the name of a header and its value, in HTTP, JSON and percent code.
_SIGN = rb"(?:\\{0,7}[\"'])?[ \t]{0,8}(?:[:=]>?|%3a)[ \t]{0,8}(?:\\{0,7}[\"'])?"
_USER = rb"://[^\s/:@\"'<>\[\]\x00]{0,128}:"
_BASE64 = rb"(?P<s>[A-Za-z0-9+/]{4,1024}={0,2})"
_SECRET_NAME = rb"(?P<n>[\w.\-]{0,40}(?:pass|pwd|secret|token|key|cred)[\w.\-]{0,40})"
_QUOTED = rb"(?P<q>\\{0,7}[\"'])(?P<s>(?:(?!(?P=q))(?:\\.|[^\\])){1,4096})"

SHAPES = (
    shape(
        "authorization",
        "authorization",
        rb"authorization" + _SIGN + rb"(?:digest|aws4-hmac-sha256|hawk|oauth|signature|scram-"
        rb"[\w\-]+)[ \t]+(?P<s>[^\r\n\x00]{4,8192})",
    ),
    shape(
        "authorization",
        "authorization",
        rb"authorization" + _SIGN + rb"(?P<scheme>[a-z][\w\-]{1,30}[ \t]+)?"
        rb"(?P<s>[^\s\"'\\,;\x00]{4,8192})",
        _credential,
    ),
    shape(
        "authorization", "bearer", rb"\bbearer[ \t:=\"']{1,4}(?P<s>[\w.~+/=\-]{16,8192})", _random
    ),
    shape("authorization", "basic", rb"\bbasic[ \t]+" + _BASE64, _is_basic),
    shape(
        "authorization", "auth", rb"(?<!\w)_?auth[\"']?\s?[:=]\s?[\"']?" + _BASE64, _is_basic
    ),  # npm and docker keep user:password so
    shape(
        "cookie",
        "cookie",
        rb"(?<![\w\-])(?:set-)?cookie2?" + _SIGN + rb"(?P<s>[\w!#$%&*+.^|~\-]{1,128}="
        rb"[^\"'\r\n\x00\\]{1,8192})",
    ),
    # up to the last @ of the authority; the second one is for passwords with a slash in them,
    # and leaves http://host:8080/@me alone
    shape("url-password", "://", _USER + rb"(?P<s>[^\s/?#\"'<>\x00]{1,256})@(?=[\w.\[\-$%{])"),
    shape(
        "url-password",
        "://",
        _USER + rb"(?!\d{1,5}[/?#])(?P<s>[^\s\"'<>@\x00]{1,256})@(?=[\w.\[\-])",
    ),
    shape("url-token", "://", rb"://(?P<s>[\w\-]{20,256})@(?=[\w.\[\-])", _token_as_user),
    shape(
        "url-password",
        "@tcp( @unix( @udp(",  # Go's MySQL driver
        rb"(?<![\w.\-])[\w.\-]{1,64}:(?P<s>[^\s:@/]{1,256})@(?:tcp|unix|udp)\(",
    ),
    shape(
        "url-password",
        "jdbc:oracle",
        rb"jdbc:oracle:\w{1,10}:[^\s/@]{1,64}/(?P<s>[^\s@]{1,256})@",
    ),
    shape(
        "query",
        "sig= signature= credential= security-token= key= code= auth= sid= session= hmac=",
        rb"[?&;](?:amp;)?(?:sig|(?:x-(?:amz|goog)-)?signature|x-(?:amz|goog)-credential|"
        rb"x-amz-security-token|key|code|auth|sid|session|hmac)="
        rb"(?P<s>[^&#\s\"'<>\\\x00]{12,4096})",
        _random,
    ),
    shape(
        "password",
        "</",
        rb"<" + _SECRET_NAME + rb"(?:\s[^<>]{0,200})?>(?P<s>[^<\x00]{1,2048})</",
        _named,
    ),
    shape(
        "password",
        "value",  # {"name": "DB_PASSWORD", "value": "…"}, <add key="Password" value="…"/>
        rb"(?:name|key)\\{0,7}[\"']?\s?[:=]\s?\\{0,7}[\"'](?P<n>[\w.\-]{2,80})\\{0,7}[\"'][ ,]{0,3}"
        rb"\\{0,7}[\"']?value\\{0,7}[\"']?\s?[:=]\s?" + _QUOTED,
        _named,
    ),
    shape(
        "password",
        "password identified",  # SQL
        rb"\b(?:password|(?<!revision )identified(?: with [\w\-]{1,40})? by)[ \t]{1,4}(?P<q>['\"])"
        rb"(?P<s>(?:(?!(?P=q)).){1,512})(?P=q)",
    ),
    shape(
        "password",
        "password",  # netrc
        rb"\blogin[ \t]{1,8}\S{1,128}[ \t]{1,8}password[ \t]{1,8}(?P<s>\S{1,512})",
    ),
    shape(
        "password",
        "requirepass masterauth auth-pass",  # redis.conf
        rb"^\s{0,8}(?:requirepass|masterauth|sentinel auth-pass \S{1,64})[ \t]{1,8}"
        rb"[\"']?(?P<s>[^\s\"']{1,512})",
    ),
)


def patterns() -> list[re.Pattern[bytes]]:
    """All of them, compiled."""
    return [one.pattern for one in SHAPES]
