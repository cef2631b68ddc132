# SPDX-License-Identifier: MIT
"""``failhook plugins test``: one action or collector on one incident, as failhook would run it."""

from __future__ import annotations

import argparse
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

from failhook import isolate, places, testing
from failhook.action import Action, Outcome, Request
from failhook.actions import table
from failhook.actions.schema import secrets_in
from failhook.actions.table import Mistake
from failhook.cli import terminal
from failhook.cli.access import need_store
from failhook.cli.errors import UsageError
from failhook.cli.terminal import styled, visible
from failhook.collector import Context
from failhook.config import load
from failhook.gather.stage import Gathered, gather
from failhook.incident import Incident, Json, JsonObject, Status
from failhook.message import Event
from failhook.plugins.model import FoundAction, FoundCollector
from failhook.redact import Redactor
from failhook.store.incidents import Store
from failhook.systemd import secrets, unit
from failhook.systemd.unit import UnitState

_SHOWN_LINES = 10  # of each item of a collector
_SAMPLE = "sample"


def run(
    options: argparse.Namespace, action: FoundAction | None, collector: FoundCollector | None
) -> int:
    """Try it; 0 where it did what it should."""
    incident, store = _incident(options)
    try:
        if action is not None:
            return _try_action(options, action.action, incident, store)
        assert collector is not None
        if options.option or options.for_real:
            raise UsageError("a collector takes no options and only looks: leave --option away")
        return _try_collector(options, collector, incident)
    finally:
        if store is not None:
            store.close()


def _incident(options: argparse.Namespace) -> tuple[Incident, Store | None]:
    if options.incident == _SAMPLE:
        return testing.incident(), None
    store = need_store(options)
    return store.find(options.incident), store


# -- actions ------------------------------------------------------------------------------------


def _try_action(
    options: argparse.Namespace, action: Action[object], incident: Incident, store: Store | None
) -> int:
    bound = _bound(action, options.option)
    with tempfile.TemporaryDirectory(prefix="failhook-test-") as state:
        told = None
        if action.delivers:
            told = testing.message(Event.TEST, incident=incident, destination=action.name)
        asked = Request(
            name=action.name,
            options=bound,
            incident=incident,
            id=f"{incident.id}-{action.name}-test",
            dry_run=not options.for_real,
            user=options.user,
            deadline_s=action.timeout_s,
            bundle=_bundle(store, incident),
            message=told,
            state=Path(state),
        )
        report = isolate.watched(
            lambda: action.run(asked), timeout_s=asked.deadline_s, secrets=secrets_in(bound)
        )
    if options.json:
        terminal.print_json("test", _report_json(options, action, incident, report))
    else:
        print("\n".join(_page(options, action, report)))
    return 0 if report.outcome.ok else 1


def _bundle(store: Store | None, incident: Incident) -> Path | None:
    if store is None or incident.bundle is None:
        return None
    path = store.directory(incident) / incident.bundle.path
    return path if path.exists() else None


def _bound(action: Action[object], words: list[str]) -> object:
    """The options from ``KEY=VALUE``; a value is TOML where it can be and is meant to be."""
    texts: dict[str, str] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{word!r} is no option: write --option KEY=VALUE")
        texts[key] = text
    raw: dict[str, object] = {key: _value(text) for key, text in texts.items()}
    bound, mistakes = table.bind(action, raw)
    again = {one.key for one in mistakes if one.key in texts and raw[one.key] != texts[one.key]}
    if again:
        raw |= {key: texts[key] for key in again}
        bound, mistakes = table.bind(action, raw)
    if bound is None:
        raise UsageError("; ".join(_mistake(one) for one in mistakes))
    return bound


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return text


def _mistake(one: Mistake) -> str:
    hint = f" ({one.hint})" if one.hint else ""
    return f"{one.key} {one.message}{hint}".strip()


def _report_json(
    options: argparse.Namespace, action: Action[object], incident: Incident, report: isolate.Report
) -> JsonObject:
    outcome = report.outcome
    return {
        "name": action.name,
        "kind": "action",
        "incident": incident.id,
        "dry_run": not options.for_real,
        "ok": outcome.ok,
        "detail": outcome.detail,
        "helped": outcome.helped,
        "final": outcome.final,
        "gone": outcome.gone,
        "retry_after_s": outcome.retry_after_s,
        "data": dict(outcome.data),
        "took_ms": round(report.took_s * 1000),
        "timed_out": report.timed_out,
        "output": report.output,
    }


def _page(
    options: argparse.Namespace, action: Action[object], report: isolate.Report
) -> Iterator[str]:
    outcome = report.outcome
    sentence = visible(f"{action.name}: {outcome.detail or 'nothing said'}")
    yield styled(sentence, "strong" if outcome.ok else "bad")
    how = _how(outcome)
    dry = "" if options.for_real else "; a dry run, --for-real does it"
    yield f"  Outcome   {how}, after {report.took_s:.2f} s{dry}"
    if outcome.data:
        figures = ", ".join(f"{key} {value}" for key, value in outcome.data.items())
        yield f"  Figures   {visible(figures)}"
    for number, line in enumerate(report.output.splitlines()):
        yield f"  {'Printed' if number == 0 else '':<9} {visible(line)}"


def _how(outcome: Outcome) -> str:
    if outcome.ok:
        helped = {None: "", True: ", and it helped", False: ", and it did not help"}
        return f"done{helped[outcome.helped]}"
    if outcome.gone:
        return "failed: nobody wants anything there any more"
    if outcome.final:
        return "failed for good, not tried again"
    if outcome.retry_after_s is not None:
        return f"failed for now, again in {terminal.span(outcome.retry_after_s)}"
    return "failed for now"


# -- collectors ---------------------------------------------------------------------------------


def _try_collector(options: argparse.Namespace, found: FoundCollector, incident: Incident) -> int:
    state = UnitState(incident.unit, {})
    if options.incident != _SAMPLE:
        state = unit.show(incident.unit, user=options.user)
    mask = load.load(places.find(user=options.user)).mask
    redactor = Redactor(secrets.known_values(state, user=options.user), mask)
    context = Context(incident, state, user=options.user)
    since = time.monotonic()
    (gathered,) = gather(context, [found.collector], redactor.mask_item, deadline_s=3600.0)
    took_s = time.monotonic() - since
    if options.json:
        terminal.print_json("test", _gathered_json(incident, gathered))
    else:
        print("\n".join(_gathered_page(gathered, took_s)))
    return 0 if gathered.evidence.status in (Status.OK, Status.SKIPPED) else 1


def _gathered_json(incident: Incident, gathered: Gathered) -> JsonObject:
    evidence = gathered.evidence
    items: list[Json] = [
        {
            "path": one.path,
            "bytes": len(one.data),
            "truncated": one.truncated,
            "reason": one.reason,
            "masked": sum(one.masked.values()),
            "text": one.data.decode("utf-8", "replace"),
        }
        for one in gathered.items
    ]
    return {
        "name": evidence.name,
        "kind": "collector",
        "incident": incident.id,
        "ok": evidence.status in (Status.OK, Status.SKIPPED),
        "status": str(evidence.status),
        "detail": evidence.reason,
        "took_ms": evidence.took_ms,
        "items": items,
    }


def _gathered_page(gathered: Gathered, took_s: float) -> Iterator[str]:
    evidence, items = gathered.evidence, gathered.items
    good = evidence.status in (Status.OK, Status.SKIPPED)
    count = f"{len(items)} item{'' if len(items) == 1 else 's'}, {terminal.size(evidence.bytes)}"
    yield styled(visible(f"{evidence.name}: {count}"), "strong" if good else "bad")
    yield f"  Outcome   {evidence.status}, after {took_s:.2f} s"
    if evidence.reason:
        yield f"  {'Skipped' if evidence.status is Status.SKIPPED else 'Missing':<9} " + styled(
            visible(evidence.reason), "warn"
        )
    for item in items:
        yield ""
        cut = ", cut" if item.truncated else ""
        hidden = f", {sum(item.masked.values())} masked" if item.masked else ""
        yield f"  {visible(item.path)}  {terminal.size(len(item.data))}{cut}{hidden}"
        lines = item.data.decode("utf-8", "replace").splitlines()
        for line in lines[:_SHOWN_LINES]:
            yield f"    {visible(line)}"
        if len(lines) > _SHOWN_LINES:
            yield f"    … {len(lines) - _SHOWN_LINES} lines more"
