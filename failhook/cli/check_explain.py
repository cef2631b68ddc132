# SPDX-License-Identifier: MIT
"""``failhook check --explain UNIT``: what would happen at the first, second, nth failure.

Asks the same code as the runner, with the pauses and mutes of today and an empty ledger: a new
trouble of a unit that ran well before.
"""

from __future__ import annotations

import argparse
import time

from failhook.cli import terminal
from failhook.cli.errors import UsageError
from failhook.cli.terminal import styled, visible
from failhook.config.model import Configuration
from failhook.config.rules import RESULTS, STARTED
from failhook.decide import ahead, ordinal
from failhook.incident import Incident, JsonObject, Phase, Verdict
from failhook.outcomes import Done
from failhook.places import Places
from failhook.plan import Circumstances, Decision, Memory
from failhook.response import circumstances, unit_words
from failhook.response.ledger import Ledger
from failhook.systemd import unit
from failhook.systemd.boot import boot_id
from failhook.trigger import is_unit_name

_PHASES = [str(one) for one in Phase]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    group = parser.add_argument_group("what the rules would do")
    group.add_argument("--explain", metavar="UNIT", help="at each failure of this unit")
    group.add_argument("--times", type=int, default=6, metavar="N", help="how many (default 6)")
    group.add_argument(
        "--result", choices=RESULTS, metavar="RESULT", default="exit-code", help="how it fails"
    )
    group.add_argument("--status", metavar="STATUS", default="1", help='such as 1, "KILL"')
    group.add_argument("--cause", help="the cause of the verdict, such as port-in-use")
    group.add_argument(
        "--phase", choices=_PHASES, metavar="PHASE", default="failed", help="such as gave-up"
    )
    group.add_argument(
        "--started", choices=STARTED, metavar="HOW", default="hand", help="such as timer"
    )


def run(options: argparse.Namespace, where: Places, configuration: Configuration) -> int:
    """Print it."""
    name: str = options.explain
    if not is_unit_name(name):
        raise UsageError(f"{name!r} is not the name of a unit; write it with its type")
    if not 1 <= options.times <= 1000:
        raise UsageError("--times takes a number from 1 to 1000")
    incident = _example(options)
    facts = _facts(options, where, configuration, incident)
    limits = configuration.limits
    room = {"restarts": limits.restarts.count, "reboots": limits.reboots.count}
    decisions = list(ahead(configuration, incident, facts, Memory(room=room), options.times))
    if options.json:
        terminal.print_json("explain", _document(incident, decisions))
        return 0
    _print(incident, decisions)
    return 0


def _example(options: argparse.Namespace) -> Incident:
    """A failure as the options describe it."""
    now = time.time()
    verdict = Verdict(f"{options.explain} failed", cause=options.cause) if options.cause else None
    code = "killed" if options.status.isalpha() else "exited"
    return Incident(
        id="0" * 12,
        host="",
        boot_id=boot_id(),
        unit=options.explain,
        first_seen=now,
        last_seen=now,
        manager="user" if options.user else "system",
        result=options.result,
        exit_code=code,
        exit_status=options.status,
        phase=Phase(options.phase),
        verdict=verdict,
    )


def _facts(
    options: argparse.Namespace, where: Places, configuration: Configuration, incident: Incident
) -> Circumstances:
    now = time.time()
    ledger = Ledger(where)
    words = unit_words.read(unit.show(incident.unit, user=options.user))
    return Circumstances(
        now=now,
        host=circumstances.host_facts({f for rule in configuration.rules for f, _ in rule.host}),
        started=options.started,
        paused=circumstances.paused_text(ledger, now),
        muted=circumstances.muted_text(ledger, incident, now),
        quiet_until=circumstances.quiet_until(configuration.quiet, now),
        unit_rules=words.rules,
        unit_steps=words.steps,
        traits=circumstances.traits_of(where, configuration),
    )


def _document(incident: Incident, decisions: list[Decision]) -> JsonObject:
    return {
        "unit": incident.unit,
        "failures": [{"number": n, **one.to_json()} for n, one in enumerate(decisions, 1)],
    }


def _print(incident: Incident, decisions: list[Decision]) -> None:
    print(styled(visible(f"{incident.unit}, result {incident.result}"), "strong"))
    for one in decisions[0].looked:
        sign = styled("yes", "good") if one.matched else styled("no ", "quiet")
        reason = one.reason.partition(";")[0]
        print(f"  {sign}  rule {visible(one.rule.name)}: {visible(reason)}")
    if not decisions[0].looked:
        print("  there is no rule: failures are recorded and nothing is done")
    for number, decision in enumerate(decisions, 1):
        print(f"{ordinal(number)} failure")
        if not decision.steps:
            print(f"  {styled('nothing', 'quiet')}")
        for step in decision.steps:
            left_out = step.state is Done.LEFT_OUT
            word = styled("left out", "quiet") if left_out else styled("do      ", "good")
            event = f" {step.event.rpartition('.')[2]}" if step.event and not left_out else ""
            before = ", before the restart" if step.before_restart else ""
            text = f"{step.action} ({step.type}{event}{before}): {step.reason}"
            print(f"  {word}  {visible(text)}")
