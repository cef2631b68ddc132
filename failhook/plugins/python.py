# SPDX-License-Identifier: MIT
"""Plugins in Python: one file, or an entry point of an installed package.

Their code is loaded in a process that ends with them and nowhere else: what a plugin offers is told
by such a process (`describe`), the options are read by one, and the action runs in one. What is
handed out here are stand-ins that do that.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from failhook import isolate
from failhook.action import Action, Outcome, Request, done, failed
from failhook.actions import table
from failhook.actions.schema import options_of
from failhook.actions.table import Mistake
from failhook.collector import Collector, Context, Sink
from failhook.plugins.model import NAME
from failhook.plugins.source import Source, Unfit
from failhook.values import Kind

LOAD_S = 10.0
_LIMITS = ("restarts", "reboots")
_described: dict[tuple[object, ...], Description] = {}


# -- what it offers, told by a process of its own -------------------------------------------------


@dataclass(frozen=True, slots=True)
class Description:
    """Stand-ins for what a plugin offers, and what is wrong with it."""

    actions: tuple[Action[Any], ...] = ()
    collectors: tuple[Collector, ...] = ()
    problem: str | None = None


def describe(source: Source) -> Description:
    """What ``source`` offers; asked once for each state of its file. Never raises."""
    key = _key(source)
    if key not in _described:
        _described[key] = _describe(source)
    return _described[key]


def _key(source: Source) -> tuple[object, ...]:
    try:
        state = source.file.stat()
    except OSError:
        return (source,)
    return source, state.st_ino, state.st_mtime_ns, state.st_size


def _describe(source: Source) -> Description:
    told = isolate.run_isolated(partial(_tell, source), timeout_s=LOAD_S, mask=False)
    if not told.ok:
        return Description(problem=told.detail)
    try:
        return Description(
            tuple(_stand_in(source, one) for one in told.data["actions"]),
            tuple(_collector_stand_in(source, one) for one in told.data["collectors"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return Description(problem="does not say properly what it offers")


def _tell(source: Source) -> Outcome:
    """In that process."""
    try:
        actions, collectors = source.load()
    except Unfit as unfit:
        return failed(str(unfit))
    return done(
        "",
        actions=[_told_action(one) for one in actions],
        collectors=[
            {
                "name": one.name,
                "summary": one.summary,
                "timeout_s": float(one.timeout_s),
                "max_bytes": int(one.max_bytes),
            }
            for one in collectors
        ],
    )


def _told_action(action: Action[Any]) -> dict[str, object]:
    return {
        "name": action.name,
        "summary": action.summary,
        "delivers": action.delivers,
        "repeatable": action.repeatable,
        "counts_as": action.counts_as,
        "timeout_s": float(action.timeout_s),
        "retries": int(action.retries),
        # As one text: an outcome's figures may not lie so deep.
        "options": [json.dumps(dataclasses.asdict(one)) for one in options_of(action)],
    }


def _stand_in(source: Source, told: Mapping[str, Any]) -> Action[Any]:
    """Raises KeyError, TypeError or ValueError where ``told`` is not what `_told_action` made."""
    name = _text(told["name"])
    if not NAME.fullmatch(name):
        raise ValueError(name)
    limit = told["counts_as"]
    return Action(
        name=name,
        summary=_text(told["summary"])[:200],
        options=_options_class([json.loads(one) for one in told["options"]]),
        run=partial(_act, source, name),
        delivers=told["delivers"] is True,
        repeatable=told["repeatable"] is True,
        counts_as=limit if limit in _LIMITS else None,
        timeout_s=min(max(float(told["timeout_s"]), 0.1), 86400.0),
        retries=min(max(int(told["retries"]), 0), 100),
        bind=partial(_bind, source, name),
    )


def _collector_stand_in(source: Source, told: Mapping[str, Any]) -> Collector:
    name = _text(told["name"])
    if not NAME.fullmatch(name):
        raise ValueError(name)
    return Collector(
        name=name,
        summary=_text(told["summary"])[:200],
        collect=partial(_collect, source, name),
        timeout_s=min(max(float(told["timeout_s"]), 0.1), 600.0),
        max_bytes=min(max(int(told["max_bytes"]), 1), 1 << 30),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _options_class(options: list[Mapping[str, Any]]) -> type:
    """A class with the same fields, to be shown; it is never made."""
    fields = []
    for one in options:
        kind = Kind(_text(one["kind"]), lambda value: value, dict(one["schema"]))
        default = dataclasses.MISSING if one["required"] else _hashable(one["default"])
        metadata = {"kind": kind, "summary": _text(one["summary"])}
        field: Any = dataclasses.field(default=default, metadata=metadata)
        fields.append((_text(one["name"]), object, field))
    return dataclasses.make_dataclass("Options", fields, frozen=True, kw_only=True)


def _hashable(value: object) -> object:
    """A default as a dataclass takes it."""
    if isinstance(value, list):
        return tuple(_hashable(one) for one in value)
    if isinstance(value, dict):
        return tuple((key, _hashable(one)) for key, one in value.items())
    return value


# -- the stand-ins at work ------------------------------------------------------------------------


Raw: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Unread:
    """Options as the configuration has them, found to be right: read again where they are used."""

    raw: Raw


def _bind(source: Source, name: str, raw: Raw) -> tuple[Unread | None, list[Any]]:
    """In a process of its own: the kinds of options may be the plugin's as well."""

    def read() -> Outcome:
        _, mistakes = table.bind(source.action(name), raw)
        return done("", mistakes=[[one.key, one.message, one.hint] for one in mistakes])

    told = isolate.run_isolated(read, timeout_s=LOAD_S)
    if not told.ok:
        return None, [Mistake("", f"{name} of {source}: {told.detail}")]
    mistakes = [Mistake(*map(str, one)) for one in told.data.get("mistakes", ())]
    return (None, mistakes) if mistakes else (Unread(raw), [])


def _act(source: Source, name: str, request: Request[Unread]) -> Outcome:
    try:
        action = source.action(name)
    except Unfit as unfit:
        return failed(f"{source} {unfit}", final=True)
    options, mistakes = table.bind(action, request.options.raw)
    if options is None:
        said = "; ".join(f"{one.key} {one.message}".strip() for one in mistakes)
        return failed(said, final=True)
    return action.run(replace(request, options=options))


def _collect(source: Source, name: str, context: Context, sink: Sink) -> None:
    source.collector(name).collect(context, sink)
