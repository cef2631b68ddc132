# SPDX-License-Identifier: MIT
"""The variables of a command line that nothing sets: systemd puts nothing in their place.

Since version 254 systemd says so itself, of any unit and at every start; most programs can do
without. So it is a cause only where the program misses a word (systemd.service(5), "Command lines").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from failhook.diagnose.case import Case
from failhook.diagnose.finding import LIKELY, SAID, Cause, Finding, fails
from failhook.diagnose.place import place_in
from failhook.diagnose.subjects import INTERPRETER, commands, variables_in
from failhook.diagnose.text import Message
from failhook.incident import Proof
from failhook.systemd.history import UNSET

_UNSET = re.compile(rf"{UNSET}(?P<names>\w[\w, ]{{0,200}})")
_MISSES_A_WORD = re.compile(
    r"\b(?:missing|expects?|requires?|needs?|too few|not enough|no)\b.{0,40}\b(?:arguments?|operands?)\b"
    r"|(?<![\w'=])''(?![\w'])|(?<![\w\"=])\"\"(?![\w\"])|[‘“][’”]",
    re.IGNORECASE,
)
_USAGE = re.compile(r"^\s{0,20}usage\b", re.IGNORECASE)
_FIRST = 6  # lines


def _look(case: Case) -> Iterator[Finding]:
    names = list(dict.fromkeys([*_by_systemd(case), *_by_facts(case)]))
    if not names or not case.ended_badly:
        return
    missing = [one for one in case.messages if _misses_a_word(one)]
    if not missing and not any(_USAGE.match(one.text) for one in case.messages[:_FIRST]):
        return
    shown = " and ".join(f"${name}" for name in names[:3])
    verb = "are" if len(names) > 1 else "is"
    what = f"{case.failing}= uses {shown}, which {verb} not set: nothing stands in its place"
    yield Finding(
        "variable-unset", fails(case, what),
        "set it (Environment=, EnvironmentFile=), or take it out of the command line",
        SAID + 0.04 if missing else LIKELY + 0.05, tuple(_proofs(case, shown, missing[:1])),
    )  # fmt: skip


def _by_systemd(case: Case) -> Iterator[str]:
    for line in case.setup:
        if (match := _UNSET.search(line.message)) is not None:
            yield from (name.strip() for name in match["names"].split(","))


def _by_facts(case: Case) -> Iterator[str]:
    for setting, program, argv in commands(case.unit):
        if setting == case.failing and not INTERPRETER.search(program):  # a shell has its own
            yield from (name for name in variables_in(argv) if name in case.facts.unset)


def _misses_a_word(message: Message) -> bool:
    """Of its command line, not of a line of its configuration."""
    return bool(_MISSES_A_WORD.search(message.raw[:600])) and place_in(message.text) is None


def _proofs(case: Case, shown: str, missing: Sequence[Message]) -> Iterator[Proof]:
    line = next((one for one in case.setup if _UNSET.search(one.message)), None)
    if line is not None:
        yield case.proof_of(line.message)
    else:
        yield case.checked(f"{shown}: in no Environment= and no EnvironmentFile=")
    yield from map(case.proof, missing)


CAUSES = (Cause("variable-unset", "a variable of the command line that is not set", _look),)
