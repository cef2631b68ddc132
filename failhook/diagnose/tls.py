# SPDX-License-Identifier: MIT
"""Certificates and keys that are expired, not trusted, not readable, or do not belong together."""

from __future__ import annotations

import re
import time

from failhook.diagnose.case import Case
from failhook.diagnose.finding import SAID, SEEN, Finding, from_message, quote
from failhook.diagnose.text import Message

_EXPIRED = re.compile(
    r"certificate (?:has |is )?expired|certificate verify failed.*expired|cert.{0,30}\bexpired"
    r"|expired.{0,30}certificate|CERT_HAS_EXPIRED|not yet valid",
    re.IGNORECASE,
)
_MISMATCH = re.compile(
    r"key values mismatch|private key.{0,60}(?:do(?:es)? not|doesn't|don't) match|mismatch.{0,40}private key"
    r"|\bkey\b.{0,60}(?:do(?:es)? not|doesn't|don't) (?:match|belong).{0,40}\bcert|\bcert.{0,60}(?:do(?:es)? not|doesn't|don't) match.{0,40}\bkey\b"
    r"|\bcert.{0,30}\bkey\b.{0,200}(?:mismatch|(?:do(?:es)? not|don't) match)|private key.{0,40}mismatch",
    re.IGNORECASE,
)
_NOT_TRUSTED = re.compile(
    r"certificate signed by unknown authority|self[- ]signed certificate|unable to get (?:local )?issuer"
    r"|certificate verify failed|certificate verification failed|PKIX path building failed"
    r"|DEPTH_ZERO_SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET_ISSUER)|certificate is not trusted|unknown ca\b",
    re.IGNORECASE,
)
_UNREADABLE = re.compile(
    r"PEM_read_bio|PEM routines|no start line|bad base64 decode|failed to find any PEM data"
    r"|bad decrypt|(?:wrong|bad|incorrect) pass ?phrase|not enough data to decode|bad end line",
    re.IGNORECASE,
)


_PEER = re.compile(
    r"\bhost=['\"](?P<host>[\w.-]{1,200})['\"]|(?<![a-z+])[a-z+]{2,10}://(?P<url>[\w.-]{1,200})"
)
_OF_HELP = re.compile(
    r"\b(?:details?|documentation|docs?|more|help|see|visit|report|read|learn)\b", re.IGNORECASE
)
_NEAR = 40  # lines: a traceback


def expired(case: Case, message: Message) -> Finding | None:
    if not _EXPIRED.search(message.text):
        return None
    for path, dates in case.facts.certificates.items():
        if dates.not_after < case.facts.at:
            day = time.strftime("%Y-%m-%d", time.gmtime(dates.not_after))
            return from_message(
                case, message, "certificate-expired",
                what=f"the certificate {path} expired on {day}{_peer(case, message)}: “{quote(message.text, 120)}”",
                advice=f"renew {path}", confidence=SEEN,
                more=[case.checked(f"{path} is valid until {day}")],
            )  # fmt: skip
    return from_message(
        case, message, "certificate-expired",
        what=f"a certificate has expired{_peer(case, message)}: “{quote(message.text, 180)}”",
        advice="renew it, and check the clock: timedatectl", confidence=SAID + 0.05,
    )  # fmt: skip


def _peer(case: Case, message: Message) -> str:
    """The one server that the command line names, or the lines around."""
    if _PEER.search(message.text):
        return ""
    near = case.messages[max(0, message.number - _NEAR) : message.number + _NEAR]
    about = [one.text for one in near if not _OF_HELP.search(one.text)]
    for texts in ([case.unit.get("ExecStart") or ""], about):
        hosts = {next(filter(None, one.groups())) for text in texts for one in _PEER.finditer(text)}
        if len(hosts) == 1:
            return f" (connecting to {hosts.pop()})"
    return ""


def mismatch(case: Case, message: Message) -> Finding | None:
    if not _MISMATCH.search(message.text):
        return None
    return from_message(
        case, message, "key-mismatch",
        what=f"a private key does not belong to its certificate: “{quote(message.text, 180)}”",
        advice="compare: openssl x509 -noout -pubkey -in CERT; openssl pkey -pubout -in KEY",
        confidence=SAID + 0.05,
    )  # fmt: skip


def not_trusted(case: Case, message: Message) -> Finding | None:
    """A peer's certificate that no authority of this machine vouches for."""
    if not _NOT_TRUSTED.search(message.text):
        return None
    return from_message(
        case, message, "certificate-not-trusted",
        what=f"a certificate is not trusted{_peer(case, message)}: “{quote(message.text, 180)}”",
        advice="add its authority to this machine's (update-ca-certificates), or to the program's",
        confidence=SAID - 0.02,
    )  # fmt: skip


def unreadable(case: Case, message: Message) -> Finding | None:
    """A file that holds no certificate or key, or one whose pass phrase is another."""
    if not _UNREADABLE.search(message.text):
        return None
    return from_message(
        case, message, "certificate-unreadable",
        what=f"a certificate or key cannot be read: “{quote(message.text, 190)}”",
        advice="is it PEM, whole, and without a pass phrase? openssl x509 -in FILE, openssl pkey -in FILE",
        confidence=SAID - 0.1,
    )  # fmt: skip
