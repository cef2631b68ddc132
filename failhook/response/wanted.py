# SPDX-License-Identifier: MIT
"""Does anything follow from this failure? Where not, none of the rest is even imported."""

from __future__ import annotations

from failhook.config.model import Configuration
from failhook.incident import Incident
from failhook.response import unit_words
from failhook.systemd.unit import UnitState
from failhook.trigger import Kind


def is_wanted(configuration: Configuration, incident: Incident, state: UnitState) -> bool:
    """A rule, or the unit itself, may want something done; nothing follows from `failhook run`."""
    if all(note.kind == Kind.MANUAL for note in incident.triggers):
        return False
    return bool(configuration.rules) or bool(unit_words.read(state))
