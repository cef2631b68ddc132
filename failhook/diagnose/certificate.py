# SPDX-License-Identifier: MIT
"""The two dates of a certificate (RFC 5280, section 4.1.2.5), and nothing else of it.

A library for certificates would be a compiled dependency on every machine for one comparison; the
way to the dates is six steps of DER (X.690) through a structure that has not changed since 1988.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime

_PEM = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----([A-Za-z0-9+/=\s]{64,40000})-----END"
)
_SEQUENCE, _VERSION, _UTC, _GENERAL = 0x30, 0xA0, 0x17, 0x18


def validity(pem: bytes) -> tuple[float, float] | None:
    """(not before, not after) of the first certificate, Unix seconds; None where there is none."""
    match = _PEM.search(pem)
    if match is None:
        return None
    try:
        der = base64.b64decode(b"".join(match[1].split()), validate=True)
        _, certificate, _ = _element(der)
        _, to_be_signed, _ = _element(certificate)
        tag, _, rest = _element(to_be_signed)
        if tag == _VERSION:
            _, _, rest = _element(rest)  # the serial number
        _, _, rest = _element(rest)  # the signature's algorithm
        _, _, rest = _element(rest)  # the issuer
        _, dates, _ = _element(rest)
        first, begins, rest = _element(dates)
        second, ends, _ = _element(rest)
        return _moment(first, begins), _moment(second, ends)
    except (ValueError, IndexError, binascii.Error):
        return None


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """(tag, content, what follows) of the first element. Raises ValueError, IndexError."""
    tag, length, start = data[0], data[1], 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("a length of that form has no place in a certificate")
        length, start = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if start + length > len(data):
        raise ValueError("an element is cut")
    return tag, data[start : start + length], data[start + length :]


def _moment(tag: int, content: bytes) -> float:
    text = content.decode("ascii").removesuffix("Z")
    if tag == _UTC:  # two digits of the year: 50 and above are of the last century
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif tag != _GENERAL:
        raise ValueError("no date")
    return datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
