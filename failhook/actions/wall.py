# SPDX-License-Identifier: MIT
"""Tells everybody who is logged in, on their terminals (wall(1)).

Of the incident only the sentence and how to see the rest, as plain text: what a failing service
wrote must not move the cursor of somebody's terminal.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from failhook import proc
from failhook.actions import variables
from failhook.ascii import printable
from failhook.incident import State
from failhook.plugin import TEXT, Action, Outcome, Request, done, failed, option

_MAX_SENTENCE = 500
_LINE = 78  # columns; what is longer is wrapped at a space


@dataclass(frozen=True, slots=True)
class Options:
    """To whom."""

    group: str = option(TEXT, "only members of this group", default="")


def text_of(request: Request[Options]) -> str:
    """The lines, in printable ASCII: a terminal may be of any kind."""
    incident = request.incident
    about = variables.of(incident)
    again = "well again: " if incident.state is State.RECOVERED else ""
    sentence = printable(f"failhook: {again}{about['FAILHOOK_SUMMARY']}")[:_MAX_SENTENCE]
    lines = textwrap.wrap(sentence, _LINE) or ["failhook"]
    return "\n".join([*lines, f"see: failhook show {printable(incident.id)}"]) + "\n"


def run(request: Request[Options]) -> Outcome:
    """Write it once."""
    text, group = text_of(request), request.options.group
    if request.dry_run:
        return done(f"would write to all terminals: {text.splitlines()[0]}")
    argv = ["wall", *(["--group", group] if group else []), "--timeout", "5"]
    told = proc.run(argv, timeout_s=10.0, stdin=text.encode("ascii"))
    if told.returncode is None and not told.timed_out:
        return failed(f"{told.why()}; wall is in bsdutils or util-linux", final=True)
    return done("written to all terminals") if told.ok else failed(told.why())


ACTION = Action("wall", "writes to the terminals of all who are logged in", Options, run)
