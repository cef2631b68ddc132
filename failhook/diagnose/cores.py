# SPDX-License-Identifier: MIT
"""The cores that processes of the run left, as the collector `coredump` wrote them down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from failhook.diagnose.around import objects_of

_MOST = 5
_TEXT_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Core:
    """Who crashed (pid, whole path of the program), and systemd-coredump's message with the stack."""

    pid: str
    program: str
    text: str


def load(items: Mapping[str, bytes]) -> tuple[Core, ...]:
    """Those of a bundle's items, in the order of their crashes; what is damaged is left out."""
    names = sorted(
        name for name in items if name.startswith("coredump/core") and name.endswith(".txt")
    )
    return tuple(_core(items, name) for name in names[:_MOST])


def _core(items: Mapping[str, bytes], name: str) -> Core:
    facts = objects_of(items.get(name.removesuffix(".txt") + ".json", b""))
    text = items[name][:_TEXT_BYTES].decode("utf-8", "replace")
    return Core(str(facts.get("pid") or ""), str(facts.get("exe") or ""), text)
