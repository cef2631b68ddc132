# SPDX-License-Identifier: MIT
"""Files that a unit's output goes to, where its errors stand as well and the journal is silent.

``StandardOutput=append:/path`` (also ``file:`` and ``truncate:``, systemd.exec(5)) takes the errors
along, since ``StandardError=inherit`` is what systemd makes of a unit that says nothing about them.
"""

from __future__ import annotations

import os

from failhook.safe_open import open_regular
from failhook.systemd.settings import complete
from failhook.systemd.unit import UnitState

_SETTINGS = ("StandardError", "StandardOutput")
_KINDS = ("file", "append", "truncate")
_UNIT_BYTES = 256 << 10


def files(state: UnitState) -> dict[str, str]:
    """Each one's path and the setting that names it, that of the errors first; ``systemctl show``
    tells the kind alone, so the unit's files are read."""
    if not any((state.get(setting) or "").partition(":")[0] in _KINDS for setting in _SETTINGS):
        return {}
    text = "\n".join(_read(path) for path in state.unit_files)
    whole = complete(state, text)
    found: dict[str, str] = {}
    for setting in _SETTINGS:
        kind, _, path = (whole.get(setting) or "").partition(":")
        if kind in _KINDS and path.startswith("/"):
            found.setdefault(os.path.normpath(path), setting)
    return found


def plain_lines(data: bytes) -> list[str]:
    """The lines that are text: what a program puts out may be an archive, and its last words stand
    after it."""
    lines = data.decode("utf-8", "replace").split("\n")
    return [line for line in lines if line.isprintable() or line.replace("\t", "").isprintable()]


def _read(path: str) -> str:
    try:
        with open_regular(path) as stream:
            return stream.read(_UNIT_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
