# SPDX-License-Identifier: MIT
"""``failhook show``: one incident, answer first."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator

from failhook.cli import terminal, why
from failhook.cli.access import need_store
from failhook.cli.paused import say_if_paused
from failhook.cli.terminal import styled, visible
from failhook.incident import Incident, Phase, State, Status
from failhook.store import counts
from failhook.store.incidents import Store

EPILOG = """\
  failhook show last
  failhook show nginx
  failhook show 7f3a --json | jq .incident.evidence"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("which", metavar="ID|UNIT|last", nargs="?", default="last")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    store = need_store(options)
    incident = store.find(options.which)
    if options.json:
        terminal.print_json("incident", incident.to_json())
        return 0
    say_if_paused(store.places)
    print("\n".join(page(store, incident)))
    return 0


def page(store: Store, incident: Incident) -> Iterator[str]:
    """The lines for a person."""
    sentence = incident.verdict.summary if incident.verdict else f"{incident.unit} failed"
    yield styled(visible(sentence), "strong")
    yield f"  {visible(_how(incident))}"
    yield f"  {_times(store, incident)}"
    if incident.recovered_at is not None:
        down = incident.recovered_at - incident.first_seen
        when = f"{terminal.clock(incident.recovered_at)}, after {terminal.span(down)}"
        yield f"  {styled('recovered', 'good')} {when}"
    yield from _aftermath_lines(incident)
    yield from verdict_lines(incident)
    yield from changed_lines(incident)
    yield from _words(incident)
    if incident.actions:
        yield ""
        yield "  Done"
        yield from why.done_lines(incident, indent="    ")
    yield ""
    for note in incident.notes:
        yield f"  Note      {visible(note)}"
    for problem in incident.problems:
        yield f"  Missing   {styled(visible(problem), 'warn')}"
    for item in incident.evidence:
        if item.status is not Status.SKIPPED and (item.reason or item.status is not Status.OK):
            reason = f"{item.name}: {item.reason or item.status}"
            yield f"  Missing   {styled(visible(reason), 'warn')}"
    yield f"  Bundle    {_bundle(incident)}"


def _aftermath_lines(incident: Incident) -> Iterator[str]:
    """What the next boot had to say; nothing where the machine stayed up."""
    story = incident.aftermath
    if story is None:
        return
    yield from _wrapped("Machine", story.summary)
    if story.before != story.after and story.before is not None:
        yield from _wrapped("", f"before {story.before}, now {story.after}")


def verdict_lines(incident: Incident) -> Iterator[str]:
    """What to do, what proves it, what else was found; nothing where no cause is known."""
    verdict = incident.verdict
    if verdict is None or verdict.cause is None:
        return
    if verdict.advice:
        yield from _wrapped("Do", verdict.advice)
    yield ""
    sure = (
        f"{verdict.cause}, {verdict.confidence:.0%} sure" if verdict.confidence else verdict.cause
    )
    yield from _wrapped("Because", visible(sure))
    for proof in verdict.evidence:
        place = f" ({proof.ref})" if proof.ref else ""
        yield from _wrapped("Proof", f"{proof.source}: {proof.text}{place}")
    for other in verdict.others:
        yield from _wrapped("Or", other.summary.removeprefix(f"{incident.unit} "))


def changed_lines(incident: Incident) -> Iterator[str]:
    """What is not as it was when the unit last ran well; nothing where that was never seen."""
    if incident.last_well is None:
        return
    yield ""
    yield from _wrapped("Ran well", f"last seen {terminal.clock(incident.last_well)}")
    if not incident.changes:
        yield from _wrapped("Changed", "nothing that failhook looks at")
    for change in incident.changes:
        when = f"{terminal.clock(change.at)}  " if change.at is not None else ""
        yield from _wrapped("Changed", f"{when}{change.what}: {change.before} -> {change.after}")


def _wrapped(label: str, text: str) -> Iterator[str]:
    room = max(30, (terminal.width() or 10_000) - 12)
    for number, piece in enumerate(textwrap.wrap(visible(text), room)):
        yield f"  {label if number == 0 else '':<9} {piece}"


def _how(incident: Incident) -> str:
    parts = [incident.result or str(incident.phase)]
    main = incident.main
    if incident.exit_code is not None:
        ran = ""
        if main.started is not None and main.exited is not None:
            ran = f" after {terminal.span(max(0.0, main.exited - main.started))}"
        parts.append(f"main process {_ending(incident.exit_code, incident.exit_status)}{ran}")
    if incident.control is not None:
        control = incident.control
        parts.append(f"{control.command}= {_ending(control.exit_code, control.exit_status)}")
    return "; ".join([", ".join(parts), phase_words(incident)])


def _ending(code: str | None, status: str | None) -> str:
    """What is known of it."""
    return " ".join(word for word in (code or "ended", status) if word)


def phase_words(incident: Incident) -> str:
    """The phase for a person."""
    attempt, attempts = incident.attempt, incident.attempts
    of = f" {attempt} of {attempts}" if attempt and attempts else f" {attempt}" if attempt else ""
    starts = f" after {attempt} start{'' if attempt == 1 else 's'}" if attempt else ""
    return {
        Phase.FAILED: "final, it is not restarted",
        Phase.RESTARTING: f"systemd restarted it (start{of} failed)",
        Phase.GAVE_UP: f"systemd gave up{starts}",
        Phase.DEPENDENCY: "it never ran",
        Phase.JOB_TIMEOUT: "the start job timed out",
        Phase.STOPPED: "the stop was asked for",
        Phase.SHUTDOWN: "the machine was going down",
        Phase.RELOAD: "while it was reloading",
        Phase.CONDITION: "its ExecCondition= could not be checked",
        Phase.UNKNOWN: "what comes next is not known yet",
    }[incident.phase]


def _times(store: Store, incident: Incident) -> str:
    when = terminal.full_clock(incident.first_seen)
    tally = counts.tally(store, incident.signature) if incident.signature else None
    if tally is None or tally.count < 2:
        return f"{when}, the first time"
    first = terminal.clock(tally.first_seen)
    last = "" if tally.last_id == incident.id else f", last {terminal.clock(tally.last_seen)}"
    return f"{when}; {tally.count} times since {first}{last}"


def _words(incident: Incident) -> Iterator[str]:
    if not incident.dying_words:
        return
    yield ""
    room = (terminal.width() or 10_000) - 14
    shown = [piece for word in incident.dying_words for piece in textwrap.wrap(visible(word), room)]
    for number, piece in enumerate(shown):
        yield f"  {'Last words' if number == 0 else '':<10}  {piece}"


def _bundle(incident: Incident) -> str:
    if incident.bundle is None:
        running = incident.stage != "done" and incident.state is State.OPEN
        return "being collected …" if running else "none"
    cut = sum(item.truncated for item in incident.evidence)
    of = f", {cut} cut" if cut else ""
    number = len([item for item in incident.evidence if item.status is Status.OK])
    size = terminal.size(incident.bundle.bytes)
    return f"{size}, {number} kinds of evidence{of} (failhook bundle {incident.id[:6]})"
