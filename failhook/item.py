# SPDX-License-Identifier: MIT
"""One file of evidence on its way from a collector into the bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Item:
    """``path`` is relative and below the bundle's top; ``data`` is masked already.

    ``masked`` counts what was masked, by rule; ``reason`` says why it is cut or incomplete.
    """

    path: str
    data: bytes
    collector: str
    took_ms: int = 0
    truncated: bool = False
    reason: str | None = None
    masked: Mapping[str, int] = field(default_factory=dict)
