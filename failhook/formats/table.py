# SPDX-License-Identifier: MIT
"""Which formats there are. A module is imported when its format is used."""

from __future__ import annotations

import importlib

from failhook.formats.form import Form

NAMES = (
    "json",
    "template",
    "slack",
    "discord",
    "teams",
    "mattermost",
    "ntfy",
    "pagerduty",
    "opsgenie",
    "alertmanager",
    "healthchecks",
    "github",
    "gitlab",
)
_MODULES = {"json": "standard"}


def load(name: str) -> Form:
    """The format of that name. Raises KeyError."""
    if name not in NAMES:
        raise KeyError(name)
    module = importlib.import_module(f"failhook.formats.{_MODULES.get(name, name)}")
    found: Form = module.FORM
    return found
