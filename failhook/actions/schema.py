# SPDX-License-Identifier: MIT
"""The options of an action, told to people and, as JSON Schema (2020-12), to editors."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from failhook.action import Action
from failhook.incident import Json, JsonObject
from failhook.secret import Secret
from failhook.values import Rate, Wrong, secret


@dataclass(frozen=True, slots=True)
class Told:
    """One option: ``default`` is as the configuration would say it, None where it has none."""

    name: str
    kind: str
    summary: str
    required: bool
    default: Json
    schema: JsonObject


def options_of(action: Action[Any]) -> list[Told]:
    """The options of ``action``, in its order."""
    told = []
    for field in dataclasses.fields(action.options):
        kind = field.metadata.get("kind")
        if kind is None:  # not for the configuration
            continue
        required = field.default is dataclasses.MISSING
        default = None if required else plain(field.default)
        summary = str(field.metadata["summary"])
        told.append(
            Told(field.name, kind.name, summary, required, default, _plain_object(kind.schema))
        )
    return told


def action_schema(action: Action[Any]) -> JsonObject:
    """What an ``[action.NAME]`` table with this type may hold beside the keys of all types."""
    told = options_of(action)
    properties: JsonObject = {}
    for one in told:
        described: JsonObject = {**one.schema, "description": one.summary}
        if one.default is not None:
            described["default"] = one.default
        properties[one.name] = described
    schema: JsonObject = {"type": "object", "description": action.summary, "properties": properties}
    if required := [one.name for one in told if one.required]:
        schema["required"] = list[Json](required)
    return schema


def is_open(action: Action[Any]) -> bool:
    """Whether it takes any option at all: an executable's options are not told by fields."""
    return action.bind is not None and not options_of(action)


def secrets_in(options: object) -> list[Secret]:
    """The secrets among the options of an action as they were read, wherever they stand in them:
    what `failhook.isolate` should mask in what the action says."""
    if isinstance(options, Secret):
        return [options]
    if dataclasses.is_dataclass(options) and not isinstance(options, type):
        inside: list[Any] = [getattr(options, one.name) for one in dataclasses.fields(options)]
    elif isinstance(options, Mapping):
        inside = list(options.values())
        with contextlib.suppress(Wrong):
            if len(options) == 1:
                return [secret(dict(options))]
    elif isinstance(options, tuple | list):
        inside = list(options)
    else:
        return []
    return [found for one in inside for found in secrets_in(one)]


def plain(value: object) -> Json:
    """A value of `failhook.values` as TOML or JSON would have it."""
    if isinstance(value, Rate):
        return f"{value.count} per {value.within_s:g}s"
    if isinstance(value, Secret):
        return str(value)
    if isinstance(value, tuple | list):
        if value and all(isinstance(one, tuple) and len(one) == 2 for one in value):
            return {str(key): plain(one) for key, one in value}
        return [plain(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _plain_object(schema: Any) -> JsonObject:
    return {str(key): _json(value) for key, value in schema.items()}


def _json(value: Any) -> Json:
    if hasattr(value, "items"):
        return _plain_object(value)
    if isinstance(value, tuple | list):
        return [_json(one) for one in value]
    return plain(value)
