# SPDX-License-Identifier: MIT
"""AWS Signature Version 4 for one request to an S3-compatible service. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Keys:
    """Who asks."""

    access: str
    secret: str = field(repr=False)
    region: str = "us-east-1"
    token: str = field(default="", repr=False)  # of temporary ones


def quoted(key: str) -> str:
    """An object's name as it stands in a URL and in what is signed; / stays."""
    return quote(key, safe="/-_.~")


def signed(
    method: str,
    url: str,
    headers: Mapping[str, str],
    payload_sha256: str,
    keys: Keys,
    *,
    at: float,
) -> dict[str, str]:
    """``headers`` and those that sign them, for a request at ``at`` (Unix seconds).

    ``url`` has its path as `quoted` makes it and no query.
    """
    parts = urlsplit(url)
    moment = datetime.fromtimestamp(at, UTC)
    stamp, day = moment.strftime("%Y%m%dT%H%M%SZ"), moment.strftime("%Y%m%d")
    all_of_them = dict(headers) | {"x-amz-date": stamp, "x-amz-content-sha256": payload_sha256}
    if keys.token:
        all_of_them["x-amz-security-token"] = keys.token
    host = parts.netloc.rpartition("@")[2]
    canonical = {name.lower(): " ".join(value.split()) for name, value in all_of_them.items()}
    canonical["host"] = host
    names = ";".join(sorted(canonical))
    lines = [f"{name}:{canonical[name]}" for name in sorted(canonical)]
    request = "\n".join([method, parts.path or "/", "", *lines, "", names, payload_sha256])
    scope = f"{day}/{keys.region}/s3/aws4_request"
    hashed = hashlib.sha256(request.encode()).hexdigest()
    to_sign = "\n".join([_ALGORITHM, stamp, scope, hashed])
    key = f"AWS4{keys.secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    credential = f"{keys.access}/{scope}"
    all_of_them["Authorization"] = (
        f"{_ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
    )
    return all_of_them
