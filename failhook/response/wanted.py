# SPDX-License-Identifier: MIT
"""Does anything follow from this failure? Where not, none of the rest is even imported."""

from __future__ import annotations

from failhook.config.model import Configuration
from failhook.incident import Incident
from failhook.response.unit_words import UnitWords
from failhook.trigger import Kind


def is_wanted(configuration: Configuration, incident: Incident, words: UnitWords) -> bool:
    """A rule, or the unit itself, may want something done; nothing follows from `failhook run`."""
    if all(note.kind == Kind.MANUAL for note in incident.triggers):
        return False
    return bool(configuration.rules) or bool(words.rules or words.steps)
