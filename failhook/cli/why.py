# SPDX-License-Identifier: MIT
"""``failhook why``: every rule that was looked at, every step taken or left out, and the reason."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime

from failhook.cli import terminal
from failhook.cli.access import need_store
from failhook.cli.paused import say_if_paused
from failhook.cli.terminal import styled, visible
from failhook.incident import Incident, JsonObject, rfc3339, unix_time
from failhook.outcomes import Done
from failhook.response.threads import Thread, Threads
from failhook.store.incidents import Store

EPILOG = """\
  failhook why last
  failhook why 7f3a --json | jq .why.rules

What would happen next time:  failhook check --explain UNIT"""
STYLE = {
    Done.DONE: "good",
    Done.FAILED: "bad",
    Done.INTERRUPTED: "bad",
    Done.LEFT_OUT: "quiet",
    Done.WAITING: "warn",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("which", metavar="ID|UNIT|last", nargs="?", default="last")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    store = need_store(options)
    incident = store.find(options.which)
    thread = Threads(store.places).find(incident.unit, incident.manager)
    if options.json:
        terminal.print_json("why", _document(incident, thread))
        return 0
    say_if_paused(store.places)
    print("\n".join(_lines(store, incident, thread)))
    return 0


def _document(incident: Incident, thread: Thread | None) -> JsonObject:
    ours = thread is not None and incident.id in thread.recent
    return {
        "id": incident.id,
        "unit": incident.unit,
        **(incident.decision or {"remark": "", "rules": [], "steps": []}),
        "actions": list(incident.actions),
        "thread": None
        if thread is None or not ours
        else {
            "id": thread.id,
            "opened": rfc3339(thread.opened),
            "count": thread.count,
            "acked": thread.acked,
            "recovered_at": rfc3339(thread.recovered_at),
        },
    }


def _lines(store: Store, incident: Incident, thread: Thread | None) -> Iterator[str]:
    sentence = incident.verdict.summary if incident.verdict else f"{incident.unit} failed"
    yield styled(visible(sentence), "strong")
    if thread is not None and incident.id in thread.recent and thread.count > 1:
        opened = terminal.full_clock(thread.opened)
        yield f"  one of {thread.count} failures of the same trouble, which began {opened}"
    decision = incident.decision
    if decision is None:
        yield "  nothing was decided: there was no rule, and the unit has no [X-Failhook]"
        return
    if decision.get("remark"):
        yield f"  {styled(visible(str(decision['remark'])), 'warn')}"
    yield from _rules(decision)
    yield from _steps(incident)
    problems = decision.get("unit_problems")
    for problem in problems if isinstance(problems, list) else ():
        yield f"  {styled(visible(f'[X-Failhook] {problem}'), 'warn')}"


def _rules(decision: JsonObject) -> Iterator[str]:
    rules = decision.get("rules")
    yield ""
    yield "Rules"
    if not rules:
        yield "  none was looked at"
    for one in rules if isinstance(rules, list) else ():
        assert isinstance(one, dict)
        sign = styled("yes", "good") if one.get("matched") else styled("no ", "quiet")
        place = f" ({one['file']}:{one['line']})" if one.get("line") else ""
        yield f"  {sign}  {visible(str(one.get('rule')))}: {visible(str(one.get('reason')))}{place}"


def _steps(incident: Incident) -> Iterator[str]:
    yield ""
    yield "Steps"
    if not incident.actions:
        yield "  none followed"
    yield from done_lines(incident, indent="  ")


def done_lines(incident: Incident, *, indent: str) -> Iterator[str]:
    """A line for each step and delivery: when, what, how it went."""
    names = [str(one.get("name")) for one in incident.actions]
    wide = max([len(visible(name)) for name in names], default=0)
    for one in incident.actions:
        state = str(one.get("state"))
        started = one.get("started")
        when = _clock(started) if isinstance(started, str) else "  -     "
        word = styled(f"{state:<11}", STYLE[Done(state)]) if state in STYLE else f"{state:<11}"
        took = one.get("took_ms")
        cost = f" ({int(took) / 1000:.1f} s)" if isinstance(took, int) else ""
        event = str(one.get("event") or "").rpartition(".")[2]
        detail = visible(str(one.get("detail") or ""))
        what = f"{event}: {detail}" if event and detail else event or detail
        yield f"{indent}{when}  {visible(str(one.get('name'))):<{wide}}  {word} {what}{cost}"


def _clock(text: str) -> str:
    return datetime.fromtimestamp(unix_time(text), UTC).astimezone().strftime("%H:%M:%S")
