# SPDX-License-Identifier: MIT
"""What the findings share that rest on systemd's own word: how it ended, and which program it was."""

from __future__ import annotations

import re

from failhook.diagnose.case import Case
from failhook.diagnose.finding import LIKELY, SAID, Finding, fails
from failhook.diagnose.general import telling
from failhook.diagnose.subjects import commands
from failhook.incident import Proof
from failhook.systemd.unit import programs_in

# How it ended; where the program said why, that is the reason and this its consequence.
_OUTRANKED = ("protocol", "pid-file", "timeout-start", "start-limit")


_GIVEN = re.compile(
    r"\{ path=\S{1,400} ; argv\[\]=\S{1,400} -\w{0,4}c (?P<script>.{1,2000}?) ; ignore_errors="
)


def program_of(case: Case, setting: str = "ExecStart") -> str:
    """The program that failed, with its whole path."""
    control = case.incident.control
    wanted = control.command if control is not None else setting
    for command in case.unit.commands:
        ended = command.code is not None and not command.status.startswith("0")
        if command.property == wanted and ended and (paths := programs_in(command.text)):
            return paths[0]
    return next((path for name, path, _ in commands(case.unit) if name == wanted), "its program")


def script_of(case: Case) -> str:
    """What the shell that failed was given (``-c``), beside the program's path; empty: no shell."""
    wanted = case.failing
    for command in case.unit.commands:
        ended = command.code is not None and not command.status.startswith("0")
        match = _GIVEN.match(command.text) if command.property == wanted and ended else None
        if match is not None:
            return match["script"].strip()
    return ""


def complains(case: Case) -> bool:
    """One of its lines speaks of something that went wrong."""
    return bool(telling(case, case.messages))


def of_manager(
    case: Case, cause: str, what: str, advice: str, line: object, sure: float = SAID
) -> Finding:
    """A finding that rests on ``line`` of the manager, if on any."""
    text = getattr(line, "message", "")
    proof: tuple[Proof, ...] = (case.proof_of(text),) if text else ()
    if cause in _OUTRANKED and complains(case):
        sure = min(sure, LIKELY - 0.1)
    return Finding(cause, fails(case, what), advice, sure, proof)
