# SPDX-License-Identifier: MIT
"""How careful an action is that takes the machine down: options that all of them share."""

from __future__ import annotations

from dataclasses import dataclass

from failhook.boot.guards import Guards
from failhook.plugin import DURATION, FLAG, option


@dataclass(frozen=True, slots=True)
class Caution:
    """What `failhook.boot.guards` asks before; a step that may not be done yet waits."""

    min_uptime: float = option(
        DURATION, "not before the machine has been up for so long; the step waits", default=300.0
    )
    pause: float = option(
        DURATION,
        "so long after the last reboot by failhook; twice as long after each further one in a day",
        default=600.0,
    )
    unless_logged_in: bool = option(FLAG, "wait until nobody is logged in", default=False)

    @property
    def guards(self) -> Guards:
        """As the guards take it."""
        return Guards(self.min_uptime, self.pause, self.unless_logged_in)
