# SPDX-License-Identifier: MIT
"""JSON for files that people open as well: an item a line, and what is flat stays on one.

`json.dumps` has an encoder in C only for text without ``indent``; with it, writing an incident and
its manifest was a fifth of the CPU that a worker needs. So the outline is made here, and C writes
what hangs on it.
"""

from __future__ import annotations

import json
from typing import Any

_plain = json.JSONEncoder(ensure_ascii=False).encode
_plain_ascii = json.JSONEncoder(ensure_ascii=True).encode


def text(value: Any, *, ascii_only: bool = True) -> str:
    """``value`` (dictionaries with names of text, lists, and what JSON has) as a document that ends
    with a newline. With ``ascii_only`` what is not ASCII becomes an escape, a lone surrogate as
    well, so that it can be encoded at all.

    Raises TypeError or ValueError as `json.dumps` does.
    """
    flat = _plain_ascii if ascii_only else _plain
    return _outline(value, "\n", flat, is_top=True) + "\n"


def _outline(value: Any, indent: str, flat: Any, *, is_top: bool = False) -> str:
    inner = indent + " "
    if isinstance(value, dict) and (is_top or any(map(_has_items, value.values()))) and value:
        members = [f"{flat(name)}: {_outline(it, inner, flat)}" for name, it in value.items()]
        return f"{{{inner}{f',{inner}'.join(members)}{indent}}}"
    if isinstance(value, list | tuple) and _is_long(value):
        items = [_outline(it, inner, flat) for it in value]
        return f"[{inner}{f',{inner}'.join(items)}{indent}]"
    return str(flat(value))


def _has_items(value: Any) -> bool:
    return isinstance(value, dict | list | tuple) and bool(value)


def _is_long(values: list[Any] | tuple[Any, ...]) -> bool:
    """Lists of lines, and lists of what is no mere word or number."""
    if any(map(_has_items, values)):
        return True
    return len(values) > 1 and any(isinstance(one, str) for one in values)
