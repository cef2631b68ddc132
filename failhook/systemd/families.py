# SPDX-License-Identifier: MIT
"""Which sockets a unit may open: ``RestrictAddressFamilies=`` (systemd.exec(5)).

``systemctl show`` prints "~" where nothing is restricted and nothing at all for ``none``.
"""

from __future__ import annotations

from failhook.systemd.unit import UnitState

SETTING = "RestrictAddressFamilies"
_NOT_SET = ("~", "no", "[not set]")


def restricted(state: UnitState) -> str | None:
    """The value as an administrator would write it; None where nothing is restricted."""
    value = state.properties.get(SETTING)
    return None if value is None or value in _NOT_SET else value or "none"


def is_closed(state: UnitState, family: str) -> bool:
    """Would socket(2) of ``family`` fail with EAFNOSUPPORT in this unit?"""
    words = (restricted(state) or "~").split()
    listed = family in [word.lstrip("~") for word in words]
    return listed if words[0].startswith("~") else not listed
