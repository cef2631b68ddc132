# SPDX-License-Identifier: MIT
"""The variables of a command line that nothing sets: systemd puts nothing in their place.

Since version 254 systemd says so itself, of any unit and at every start; most programs can do
without. So it is a cause only where the program misses a word (systemd.service(5), "Command lines").
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from failhook.diagnose.case import Case
from failhook.diagnose.finding import LIKELY, SAID, Cause, Finding, fails
from failhook.diagnose.subjects import INTERPRETER, commands, variables_in
from failhook.incident import Proof

# exec-invoke.c of systemd
_UNSET = re.compile(
    r"Referenced but unset environment variable evaluates to an empty string: (?P<names>\w[\w, ]{0,200})"
)
_MISSES_A_WORD = re.compile(
    r"\b(?:missing|expects?|requires?|needs?|too few|not enough|no|after|without)\b.{0,40}"
    r"\b(?:arguments?|operands?|parameters?|values?)\b"
    r"|(?<![\w'=])''(?![\w'])|(?<![\w\"=])\"\"(?![\w\"])|[‘“][’”]",
    re.IGNORECASE,
)
_USAGE = re.compile(r"^\s{0,20}usage\b", re.IGNORECASE)
_FIRST = 6  # lines


def _look(case: Case) -> Iterator[Finding]:
    names = list(dict.fromkeys([*_by_systemd(case), *_by_facts(case)]))
    if not names or not case.ended_badly:
        return
    misses = any(_MISSES_A_WORD.search(one.raw[:600]) for one in case.messages)
    usage = any(_USAGE.match(one.text) for one in case.messages[:_FIRST])
    if not (misses or usage or case.silent):
        return
    shown = " and ".join(f"${name}" for name in names[:3])
    verb = "are" if len(names) > 1 else "is"
    what = f"{case.failing}= uses {shown}, which {verb} not set: nothing stands in its place"
    yield Finding(
        "variable-unset", fails(case, what),
        "set it (Environment=, EnvironmentFile=), or take it out of the command line",
        SAID + 0.06 if misses else LIKELY + 0.05, tuple(_proofs(case, shown)),
    )  # fmt: skip


def _by_systemd(case: Case) -> Iterator[str]:
    for line in case.setup:
        if (match := _UNSET.search(line.message)) is not None:
            yield from (name.strip() for name in match["names"].split(","))


def _by_facts(case: Case) -> Iterator[str]:
    for setting, program, argv in commands(case.unit):
        if setting == case.failing and not INTERPRETER.search(program):  # a shell has its own
            yield from (name for name in variables_in(argv) if name in case.facts.unset)


def _proofs(case: Case, shown: str) -> Iterator[Proof]:
    line = next((one for one in case.setup if _UNSET.search(one.message)), None)
    if line is not None:
        yield case.proof_of(line.message)
    else:
        yield case.checked(f"{shown}: in no Environment= and no EnvironmentFile=")
    said = (one for one in case.messages if _MISSES_A_WORD.search(one.raw[:600]))
    yield from (case.proof(one) for one in list(said)[:1])


CAUSES = (Cause("variable-unset", "a variable of the command line that is not set", _look),)
