# SPDX-License-Identifier: MIT
"""The JSON Schema (2020-12) of the configuration files, for editors.

Made of the very declarations that read them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from failhook.action import Action
from failhook.actions.schema import action_schema
from failhook.config import boot, load, rules
from failhook.config.reader import Fields
from failhook.incident import Json, JsonObject

_TEXTS: JsonObject = {"type": "object", "additionalProperties": {"type": "string"}}


def document(actions: Iterable[Action[Any]]) -> JsonObject:
    """For ``failhook.toml`` and ``conf.d/*.toml``, with the options of these types of action."""
    step = _table(rules.STEP, required=("on", "do"))
    rule = _table(rules.RULE, required=("name",))
    properties = rule["properties"]
    assert isinstance(properties, dict)
    properties["step"] = {"type": "array", "items": step}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "failhook.toml",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "collect": _table(load.COLLECT),
            "keep": _table(load.KEEP),
            "mask": _TEXTS,
            "collector": _named(_table(load.COLLECTOR, required=("type",))),
            "boot": _boot(),
            "limits": _table(rules.LIMITS),
            "quiet": _table(rules.QUIET),
            "rule": {"type": "array", "items": rule},
            "action": _named({"oneOf": [_action(one) for one in actions]}),
        },
    }


def _boot() -> JsonObject:
    """``[boot]``, and ``[boot.wanted]`` with the same checks."""
    checks: JsonObject = {
        **_properties(boot.UNITS),
        "disk": {"type": "array", "items": _table(boot.DISK, required=("path",))},
        "network": _table(boot.NETWORK),
        "http": {
            "type": "array",
            "items": {
                "anyOf": [dict(boot.HTTP["url"][1].schema), _table(boot.HTTP, required=("url",))]
            },
        },
    }
    wanted: JsonObject = {"type": "object", "properties": checks, "additionalProperties": False}
    own = {**_properties(boot.SETTINGS), **checks, "wanted": wanted}
    return {"type": "object", "properties": own, "additionalProperties": False}


def _named(schema: JsonObject) -> JsonObject:
    return {"type": "object", "additionalProperties": schema}


def _table(fields: Fields, required: tuple[str, ...] = ()) -> JsonObject:
    return {
        "type": "object",
        "properties": _properties(fields),
        "required": list(required),
        "additionalProperties": False,
    }


def _properties(fields: Fields) -> JsonObject:
    return {key: dict(kind.schema) for key, (_, kind) in fields.items()}


def _action(action: Action[Any]) -> JsonObject:
    """The type's own options and those that all have."""
    schema = action_schema(action)
    common: dict[str, Json] = {
        key: dict(kind.schema) for key, (_, kind) in rules.ACTION.items() if key != "type"
    }
    own = schema.get("properties")
    needed = schema.get("required")
    return {
        **schema,
        "properties": {
            **common,
            **(own if isinstance(own, dict) else {}),
            "type": {"const": action.name},
        },
        "required": ["type", *(needed if isinstance(needed, list) else [])],
    }
