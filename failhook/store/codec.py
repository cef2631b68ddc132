# SPDX-License-Identifier: MIT
"""Reads an incident back from its JSON; the counterpart of `Incident.to_json`.

Tolerant in what may differ between versions (missing and unknown keys), strict in what makes no
sense: a wrong type raises `CodecError`, so that a damaged file is noticed and never half believed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeVar

from failhook import document
from failhook import incident as model
from failhook.incident import Incident, Json, JsonObject

T = TypeVar("T")


class CodecError(ValueError):
    """The file is not an incident; says what is wrong with it."""


def dump(incident: Incident) -> bytes:
    """The file's content: one JSON document, readable, with a schema version."""
    whole = {"schema": model.SCHEMA, "incident": incident.to_json()}
    text = document.text(whole, ascii_only=False)
    # A lone surrogate (a byte that was no UTF-8) becomes the escape that JSON has for it.
    return text.encode("utf-8", "backslashreplace")


def load(data: bytes) -> Incident:
    """The incident in a file's content. Raises CodecError."""
    try:
        known = json.loads(data, parse_constant=_no_number)
        if known["schema"] > model.SCHEMA:
            raise CodecError(f"written by a newer failhook (schema {known['schema']})")
        return _incident(known["incident"])
    except CodecError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise CodecError(f"not an incident: {type(error).__name__} {error}") from None


def dump_verdict(verdict: model.Verdict) -> bytes:
    """A verdict alone, as ``verdict.json`` in a bundle has it."""
    raw = document.text(model.plain(verdict), ascii_only=False)
    return raw.encode("utf-8", "backslashreplace")


def load_verdict(data: bytes) -> model.Verdict:
    """The reverse of `dump_verdict`. Raises CodecError."""
    try:
        raw = json.loads(data, parse_constant=_no_number)
        verdict = _verdict(raw)
    except CodecError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise CodecError(f"not a verdict: {type(error).__name__} {error}") from None
    if verdict is None:
        raise CodecError("no verdict")
    return verdict


def load_changes(data: bytes) -> tuple[tuple[model.Change, ...], float | None]:
    """What ``changes.json`` of a bundle says: the changes, and when the unit last ran well.

    Raises CodecError.
    """
    try:
        get = _Reader(json.loads(data, parse_constant=_no_number))
        changes = tuple(_change(_Reader(entry)) for entry in get.objects("changes"))
        return changes, get.time("last_well")
    except CodecError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise CodecError(f"not a list of changes: {type(error).__name__} {error}") from None


def _no_number(text: str) -> float:
    raise CodecError(f"{text} is no number")


def _incident(raw: object) -> Incident:
    get = _Reader(raw)
    return Incident(
        id=get.need("id"),
        host=get.need("host"),
        boot_id=get.need("boot_id"),
        unit=get.need("unit"),
        first_seen=model.unix_time(get.need("first_seen")),
        last_seen=model.unix_time(get.need("last_seen")),
        manager=get.text("manager") or "system",
        invocation_id=get.text("invocation_id"),
        triggers=tuple(_trigger(_Reader(entry)) for entry in get.objects("triggers")),
        result=get.text("result"),
        exit_code=get.text("exit_code"),
        exit_status=get.text("exit_status"),
        exit_status_name=get.text("exit_status_name"),
        control=_control(get.object("control")),
        main=_process(get.object("main")),
        trigger_unit=get.text("trigger_unit"),
        phase=model.Phase(get.text("phase") or "unknown"),
        attempt=get.number("attempt"),
        attempts=get.number("attempts"),
        state=model.State(get.text("state") or "open"),
        recovered_at=get.time("recovered_at"),
        stage=model.Stage(get.text("stage") or "done"),
        tries=get.number("tries") or 0,
        count=get.number("count") or 1,
        signature=get.text("signature"),
        dying_words=get.texts("dying_words"),
        verdict=_verdict(get.object("verdict")),
        changes=tuple(_change(_Reader(entry)) for entry in get.objects("changes")),
        last_well=get.time("last_well"),
        evidence=tuple(_evidence(_Reader(entry)) for entry in get.objects("evidence")),
        actions=tuple(get.objects("actions")),
        decision=get.object("decision"),
        bundle=_bundle(get.object("bundle")),
        aftermath=_aftermath(get.object("aftermath")),
        pinned=get.flag("pinned"),
        notes=get.texts("notes"),
        problems=get.texts("problems"),
    )


class _Reader:
    """Typed access to one JSON object; None for what is missing."""

    def __init__(self, raw: object) -> None:
        if not isinstance(raw, dict):
            raise CodecError(f"{type(raw).__name__} where an object belongs")
        self._raw: Mapping[str, Json] = raw

    def _of(self, name: str, kind: type[T]) -> T | None:
        value = self._raw.get(name)
        if value is None or (isinstance(value, kind) and not isinstance(value, bool)):
            return value
        raise CodecError(f"{name} is {type(value).__name__}, not {kind.__name__}")

    def text(self, name: str) -> str | None:
        return self._of(name, str)

    def need(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise CodecError(f"{name} is missing")
        return value

    def number(self, name: str) -> int | None:
        return self._of(name, int)

    def flag(self, name: str) -> bool:
        return bool(self.maybe(name))

    def maybe(self, name: str) -> bool | None:
        value = self._raw.get(name)
        if value is None or isinstance(value, bool):
            return value
        raise CodecError(f"{name} is {type(value).__name__}, not bool")

    def share(self, name: str) -> float | None:
        value = self._raw.get(name)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return None if value is None else float(value)
        raise CodecError(f"{name} is {type(value).__name__}, not a number")

    def time(self, name: str) -> float | None:
        text = self.text(name)
        return None if text is None else model.unix_time(text)

    def object(self, name: str) -> JsonObject | None:
        return self._of(name, dict)

    def objects(self, name: str) -> list[JsonObject]:
        return self._all(name, dict)

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(self._all(name, str))

    def _all(self, name: str, kind: type[T]) -> list[T]:
        entries: list[Json] = self._of(name, list) or []
        kept = [entry for entry in entries if isinstance(entry, kind)]
        if len(kept) < len(entries):
            raise CodecError(f"{name} holds something that is not {kind.__name__}")
        return kept


def _trigger(get: _Reader) -> model.TriggerNote:
    at = get.time("at") or 0.0
    return model.TriggerNote(
        get.need("id"), get.need("kind"), at, get.text("result"), get.flag("waits")
    )


def _control(raw: JsonObject | None) -> model.Control | None:
    if raw is None:
        return None
    get = _Reader(raw)
    return model.Control(get.need("command"), get.text("exit_code"), get.text("exit_status"))


def _process(raw: JsonObject | None) -> model.Process:
    get = _Reader(raw or {})
    return model.Process(get.number("pid"), get.time("started"), get.time("exited"))


def _verdict(raw: JsonObject | None) -> model.Verdict | None:
    if raw is None:
        return None
    get = _Reader(raw)
    return model.Verdict(
        summary=get.need("summary"),
        cause=get.text("cause"),
        confidence=get.share("confidence"),
        advice=get.text("advice"),
        evidence=tuple(_proof(_Reader(entry)) for entry in get.objects("evidence")),
        others=tuple(_suspect(_Reader(entry)) for entry in get.objects("others")),
    )


def _suspect(get: _Reader) -> model.Suspect:
    return model.Suspect(get.need("summary"), get.need("cause"), get.share("confidence") or 0.0)


def _proof(get: _Reader) -> model.Proof:
    return model.Proof(get.need("source"), get.need("text"), get.text("ref"))


def _evidence(get: _Reader) -> model.Evidence:
    return model.Evidence(
        name=get.need("name"),
        status=model.Status(get.need("status")),
        took_ms=get.number("took_ms") or 0,
        bytes=get.number("bytes") or 0,
        truncated=get.flag("truncated"),
        reason=get.text("reason"),
    )


def _change(get: _Reader) -> model.Change:
    return model.Change(
        get.need("what"), get.text("before") or "", get.text("after") or "", get.time("at")
    )


def _bundle(raw: JsonObject | None) -> model.Bundle | None:
    if raw is None:
        return None
    get = _Reader(raw)
    return model.Bundle(get.need("path"), get.number("bytes") or 0, get.need("sha256"))


def _aftermath(raw: JsonObject | None) -> model.Aftermath | None:
    if raw is None:
        return None
    get = _Reader(raw)
    return model.Aftermath(
        summary=get.need("summary"),
        ended=get.need("ended"),
        boot_id=get.need("boot_id"),
        at=get.time("at"),
        before=get.text("before"),
        after=get.text("after"),
        rolled_back=get.flag("rolled_back"),
        is_well=get.maybe("is_well"),
        lines=get.texts("lines"),
    )
