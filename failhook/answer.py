# SPDX-License-Identifier: MIT
"""What an action's process answers: an outcome as JSON, cleaned inside and checked outside.

It never is pickle: the process runs code that may be somebody else's. Inside, each field is made
what its type says, masked, and bounded; outside, what no honest process sends is refused.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from failhook.action import Outcome

if TYPE_CHECKING:
    from failhook.redact import Redactor

MAX_DETAIL = 600  # characters
MAX_TEXT = 16 << 10  # of a text, before it is masked and cut
_MAX_DATA = 32 << 10  # of an outcome's figures, as JSON
_MAX_DEPTH = 6
_MAX_ENTRIES = 200
_MAX_ANSWER = 128 << 10
_MAX_WAIT_S = 30 * 86400.0
_LENGTH = struct.Struct(">4sI")
_MAGIC = b"fh1\n"
# What steers a terminal, a log line or a reader's eye: C0, C1, bidirectional overrides, tags.
_STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


class Untrue(ValueError):
    """What no honest process answers: says what is wrong with it."""


# -- texts --------------------------------------------------------------------------------------


def cleaned(text: str, most: int = MAX_DETAIL) -> str:
    """``text`` as one line of at most ``most`` characters, steering characters shown as codes."""
    line = escaped(" ".join(text[: 8 * most].split()))
    return line if len(line) <= most and len(text) <= 8 * most else f"{line[: most - 1]}…"


def escaped(line: str) -> str:
    """``line`` with everything that steers a terminal or a log shown as its code."""
    return _STEERING.sub(_code, line)


def _code(match: re.Match[str]) -> str:
    number = ord(match[0])
    if number > 0xFFFF:
        return f"\\U{number:08x}"
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"


def prepare() -> None:
    """Make what `masked` needs: before a fork, for all forks."""
    _redactor(frozenset())


def masked(text: str, values: Iterable[str] = (), *, most: int = MAX_TEXT) -> str:
    """The first ``most`` characters of ``text`` without ``values`` and without what has the shape
    of a secret."""
    redactor = _redactor(frozenset(values))
    data, _ = redactor.mask(text[:most].encode("utf-8", "backslashreplace"))
    return data.decode("utf-8", "replace")


@lru_cache(maxsize=2)
def _redactor(values: frozenset[str]) -> Redactor:
    from failhook import redact  # here: 30 ms
    from failhook.mask.known import Known

    known = [Known(value.encode("utf-8", "replace"), "secret") for value in values if value]
    return redact.Redactor(known)


# -- inside -------------------------------------------------------------------------------------


def packed(outcome: Outcome, secrets: Collection[str] | None) -> bytes:
    """``outcome`` for the pipe, each field as its type says, whatever was put there; masked, with
    ``secrets`` as further ones, unless that is None."""

    def hidden(text: str) -> str:
        return text if secrets is None else masked(text, secrets)

    given: dict[str, Any] = {name: getattr(outcome, name, None) for name in _FIELDS}
    data = _plain(given["data"], hidden) if isinstance(given["data"], Mapping) else {}
    if len(json.dumps(data)) > _MAX_DATA:
        data = {"left_out": "the figures were too large"}
    detail, later, helped = given["detail"], given["retry_after_s"], given["helped"]
    body = json.dumps(
        {
            "ok": given["ok"] is True,
            "detail": cleaned(hidden(detail)) if isinstance(detail, str) else "",
            "helped": helped if isinstance(helped, bool) else None,
            "retry_after_s": float(later) if _is_number(later) else None,
            "final": given["final"] is True,
            "gone": given["gone"] is True,
            "data": data,
        },
        allow_nan=False,
    ).encode()
    return _LENGTH.pack(_MAGIC, len(body)) + body


_FIELDS = ("ok", "detail", "helped", "retry_after_s", "final", "gone", "data")


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1 << 63 and math.isfinite(value)


def _plain(value: Any, hidden: Callable[[str], str], depth: int = 0) -> Any:
    """``value`` as JSON has it; what JSON does not have becomes the name of its type."""
    if value is None or isinstance(value, bool) or _is_number(value):
        return value
    if isinstance(value, str):
        return escaped(hidden(value))
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        pairs = list(value.items())[:_MAX_ENTRIES]
        return {cleaned(str(key), 60): _plain(one, hidden, depth + 1) for key, one in pairs}
    if depth < _MAX_DEPTH and isinstance(value, list | tuple):
        return [_plain(one, hidden, depth + 1) for one in value[:_MAX_ENTRIES]]
    return type(value).__name__


# -- outside ------------------------------------------------------------------------------------


def is_complete(received: bytearray) -> bool:
    """Nothing more need be waited for: a whole answer is there, or something that is none."""
    if len(received) < _LENGTH.size:
        return False
    magic, size = _LENGTH.unpack_from(received)
    return bool(magic != _MAGIC or size > _MAX_ANSWER or len(received) >= _LENGTH.size + size)


def unpacked(received: bytearray) -> Outcome | None:
    """The outcome; None where nothing was said. Raises Untrue."""
    if not received:
        return None
    if not is_complete(received):
        raise Untrue("its answer is not whole")
    magic, size = _LENGTH.unpack_from(received)
    if magic != _MAGIC or size > _MAX_ANSWER or len(received) > _LENGTH.size + size:
        raise Untrue("something else than its answer came through its pipe")
    try:
        return _outcome(json.loads(received[_LENGTH.size :], parse_constant=_no_number))
    except (ValueError, RecursionError):
        raise Untrue("its answer cannot be read") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _outcome(raw: object) -> Outcome:
    """Raises ValueError for what `packed` does not make."""
    if not isinstance(raw, dict) or not isinstance(raw.get("detail"), str):
        raise ValueError("not an outcome")
    ok, helped, later = raw.get("ok"), raw.get("helped"), raw.get("retry_after_s")
    final, gone, data = raw.get("final"), raw.get("gone"), raw.get("data")
    flags = all(isinstance(one, bool) for one in (ok, final, gone))
    if not flags or not (helped is None or isinstance(helped, bool)) or not isinstance(data, dict):
        raise ValueError("not an outcome")
    if later is not None and not isinstance(later, float):
        raise ValueError("not an outcome")
    return Outcome(
        ok=ok is True,
        detail=cleaned(raw["detail"]),
        helped=helped,
        retry_after_s=None if later is None else min(max(later, 0.0), _MAX_WAIT_S),
        final=final is True,
        gone=gone is True,
        data=data,
    )
