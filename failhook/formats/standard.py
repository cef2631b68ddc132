# SPDX-License-Identifier: MIT
"""``format = "json"``: the payload of Standard Webhooks, and their signature.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: type,
timestamp and data; webhook-id is the same at every try, webhook-timestamp is the try's own;
webhook-signature is "v1," and the base64 of the HMAC-SHA256 over id.timestamp.body, one for each
key while keys are changed. Payloads stay below 20 kB.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import cast

from failhook.formats.form import JSON, Call, Form, Settings
from failhook.incident import Json, JsonObject
from failhook.message import Message

MAX_BODY = 20_000
_HALF = re.compile("[\ud800-\udfff]")
_NOT_IN_HEADERS = re.compile(r"[^\x21-\x7e]")
_LONG_LISTS = ("actions", "changes", "notes", "problems")  # of an incident
_PREFIX = "whsec_"


class WrongSecret(ValueError):
    """A signing key that is none."""


def call(message: Message, settings: Settings) -> Call:
    """The message as it is, as long as that is not too long."""
    return Call(settings.url, body(message), JSON)


def body(message: Message) -> bytes:
    """The payload, its summary first."""
    document = message.to_json()
    data = cast("JsonObject", document["data"])
    data = {"summary": data.pop("summary"), **data}
    incident = cast("JsonObject", data["incident"])
    incident.pop("actions", None)  # what was done about it is not the receiver's business
    document["data"] = data
    for most in (1000, 10, 0):
        found = _dump(document)
        if len(found) <= MAX_BODY:
            return found
        for name in _LONG_LISTS:
            kept = incident.get(name)
            incident[name] = kept[:most] if isinstance(kept, list) else []
        data["excerpt"] = cast("list[Json]", data["excerpt"])[:most]
        data["entries"] = cast("list[Json]", data["entries"])[: most or 30]
        _shorten(document, 2000 if most else 300)
    return _dump(document)


def _dump(document: Json) -> bytes:
    return json.dumps(_whole(document), separators=(",", ":")).encode()


def _whole(value: Json) -> Json:
    """Half characters (a byte of a log that was no UTF-8) are no JSON to many readers."""
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        return {_HALF.sub("\ufffd", key): _whole(one) for key, one in value.items()}
    return value


def _shorten(value: Json, limit: int) -> None:
    """Cut the texts in it, in place."""
    entries = value.items() if isinstance(value, dict) else enumerate(value)  # type: ignore[arg-type]
    for key, one in list(entries):
        if isinstance(one, str) and len(one) > limit:
            value[key] = one[:limit] + "…"  # type: ignore[index,call-overload]
        elif isinstance(one, dict | list):
            _shorten(one, limit)


def signed(message_id: str, at: int, sent: bytes, secrets: Sequence[str]) -> Mapping[str, str]:
    """The headers of a try that is made at ``at`` (Unix seconds).

    A secret is ``whsec_`` and base64, or its own bytes. Raises WrongSecret.
    """
    message_id = _NOT_IN_HEADERS.sub("_", message_id)
    headers = {"webhook-id": message_id, "webhook-timestamp": str(at)}
    if secrets:
        content = f"{message_id}.{at}.".encode() + sent
        headers["webhook-signature"] = " ".join(_signature(one, content) for one in secrets)
    return headers


def _signature(secret: str, content: bytes) -> str:
    digest = hmac.new(key_of(secret), content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def key_of(secret: str) -> bytes:
    """The key in a secret. Raises WrongSecret."""
    if not secret:
        raise WrongSecret("the signing secret is empty")
    if not secret.startswith(_PREFIX):
        return secret.encode()
    text = secret.removeprefix(_PREFIX)
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        raise WrongSecret("the signing secret begins with whsec_ and is no base64 then") from None


FORM = Form("json", "JSON, signed as Standard Webhooks say", call, needs=("url",), signs=True)
