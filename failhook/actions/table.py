# SPDX-License-Identifier: MIT
"""Which types of action there are, and what the planning has to know of each without importing it.

The runner plans and does not act: it must not pay for the imports of a mail client. So what
matters for a plan stands here, and a test holds it against the modules.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from failhook.action import Action
from failhook.values import Wrong, nearest


@dataclass(frozen=True, slots=True)
class Traits:
    """What a plan needs to know; as in `failhook.action.Action`."""

    delivers: bool = False
    counts_as: str | None = None
    records: bool = False  # only writes down what happened: no cascade is too large for it


BUILT_IN: Mapping[str, Traits] = {
    "apprise": Traits(delivers=True),
    "boot-bad": Traits(counts_as="reboots"),
    "clean": Traits(),
    "command": Traits(),
    "journal": Traits(records=True),
    "mail": Traits(delivers=True),
    "metrics": Traits(records=True),
    "reset-failed": Traits(),
    "restart": Traits(counts_as="restarts"),
    "set-property": Traits(),
    "start": Traits(counts_as="restarts"),
    "stop": Traits(),
    "system": Traits(counts_as="reboots"),
    "upload": Traits(delivers=True),
    "wall": Traits(),
    "webhook": Traits(delivers=True),
}


def load(name: str) -> Action[Any]:
    """The built-in action of that type. Raises KeyError."""
    if name not in BUILT_IN:
        raise KeyError(name)
    module = importlib.import_module(f"failhook.actions.{name.replace('-', '_')}")
    found: Action[Any] = module.ACTION
    return found


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with one option: ``key`` is "" where it is about all of them."""

    key: str
    message: str
    hint: str = ""


def bind(action: Action[Any], raw: Mapping[str, object]) -> tuple[Any | None, list[Mistake]]:
    """The options of ``action`` from what the configuration says, or every mistake in it."""
    if action.bind is not None:
        return action.bind(raw)
    fields = {field.name: field for field in dataclasses.fields(action.options)}
    mistakes: list[Mistake] = []
    read: dict[str, object] = {}
    for key, value in raw.items():
        field = fields.get(key)
        if field is None:
            near = nearest(key, fields)
            there = ", ".join(fields) or "none"
            hint = f"did you mean {near!r}?" if near else f"{action.name} takes: {there}"
            mistakes.append(Mistake(key, "is not known", hint))
            continue
        try:
            read[key] = field.metadata["kind"].read(value)
        except Wrong as wrong:
            mistakes.append(Mistake(key, f"{value!r} {wrong}"))
    for name, field in fields.items():
        if name not in raw and field.default is dataclasses.MISSING:
            hint = f"{field.metadata['summary']}; {action.name} needs it"
            mistakes.append(Mistake(name, "is missing", hint))
    if mistakes:
        return None, mistakes
    try:
        return action.options(**read), []
    except Wrong as wrong:  # options that do not go together, from __post_init__
        return None, [Mistake("", str(wrong))]
