# SPDX-License-Identifier: MIT
"""Units that take the machine down themselves, before anybody hears of their failure.

Where a unit has `FailureAction=`, systemd queues the start of its `OnFailure=` units and at once
replaces it by the shutdown: the handler never runs (tried on 247, 252, 257). The rule that does
the same after the evidence is offered instead.
"""

from __future__ import annotations

from collections.abc import Mapping

from failhook.systemd import unit
from failhook.systemd.unit import UnitState

_PROPERTIES = ("FailureAction", "StartLimitAction", "LoadState")
_OURS = "failhook"


def silenced() -> list[str]:
    """A sentence for each; none where systemd does not answer."""
    return told(unit.show_loaded(_PROPERTIES))


def told(states: Mapping[str, UnitState]) -> list[str]:
    """The sentences for units in these states. Pure."""
    found = []
    for name, state in sorted(states.items()):
        if name.startswith(_OURS) or state.get("LoadState") != "loaded":
            continue
        for setting in ("FailureAction", "StartLimitAction"):
            action = state.get(setting) or "none"
            if action != "none":
                found.append(
                    f"{name}: {setting}={action} takes the machine down before OnFailure= runs, so "
                    f"there is no evidence; set {setting}=none and let a rule do it: "
                    f'[action.NAME] type = "system", action = "{action}"'
                )
    return found
