# SPDX-License-Identifier: MIT
"""What a unit may execute: ``NoExecPaths=`` and ``ExecPaths=`` (systemd.exec(5)).

The innermost of both that a program lies below decides.
"""

from __future__ import annotations

from failhook.systemd.unit import UnitState

_LINKS = ("/bin", "/sbin", "/lib")


def is_closed(state: UnitState, program: str) -> bool:
    """Would execve(2) of ``program`` fail with EACCES in this unit?"""
    program = _as_it_is(program)
    closed = _innermost(state.get("NoExecPaths"), program)
    return closed > _innermost(state.get("ExecPaths"), program)


def _as_it_is(place: str) -> str:
    """/bin is a link to /usr/bin where systemd runs (file-hierarchy(7))."""
    return f"/usr{place}" if place.startswith(_LINKS) else place


def _innermost(value: str | None, program: str) -> int:
    """How long the innermost of the places in ``value`` is that ``program`` is or is below; 0: none
    of them."""
    places = (_as_it_is(word.lstrip("-+").rstrip("/")) for word in (value or "").split())
    return max((len(one) + 1 for one in places if f"{program}/".startswith(f"{one}/")), default=0)
