# SPDX-License-Identifier: MIT
"""A cause of the administrator's own, as it stands in ``causes.d``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from failhook import pattern

FIELD = re.compile(r"\{([A-Za-z_]\w*)\}")


@dataclass(frozen=True, slots=True)
class CustomCause:
    """One ``[[cause]]``: what a line has to say, and what that means."""

    name: str
    pattern: re.Pattern[bytes]
    sentence: str
    advice: str = ""
    runbook: str = ""
    units: tuple[str, ...] = ("*",)
    results: tuple[str, ...] = ()
    confidence: float = 0.9
    examples: tuple[str, ...] = ()
    near_misses: tuple[str, ...] = ()

    def found_in(self, line: str) -> str | None:
        """The sentence that this line makes; None where the pattern is not in it."""
        match = self.pattern.search(line.encode()[: pattern.MAX_LINE])
        if match is None:
            return None
        groups = {
            name: (value or b"").decode("utf-8", "replace")
            for name, value in match.groupdict().items()
        }
        return FIELD.sub(lambda field: groups.get(field[1], ""), self.sentence)
