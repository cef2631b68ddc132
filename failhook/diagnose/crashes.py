# SPDX-License-Identifier: MIT
"""What a traceback, a panic or an abort means: a module is missing, or the program has a defect."""

from __future__ import annotations

import re
from collections.abc import Iterator

from failhook.diagnose.case import Case
from failhook.diagnose.config_file import LINE_ONLY, is_data_error, the_one
from failhook.diagnose.course import NAMES_A_THING
from failhook.diagnose.crash import Crash
from failhook.diagnose.finding import GUESS, SAID, Cause, Finding, fails, quote
from failhook.diagnose.level import Level
from failhook.diagnose.place import Place
from failhook.diagnose.tracebacks import crashes

_MODULE = re.compile(
    r"No module named '?(?P<python>[\w.]+)|Cannot find (?:module|package) '(?P<node>[^']+)'"
    r"|cannot load such file -- (?P<ruby>\S+)|Can't locate (?P<perl>\S+\.pm)|module '(?P<lua>[^']+)' not found"
)
_ABOVE = 2  # lines


def _found(case: Case) -> Iterator[Finding]:
    for crash in crashes(case):
        module = _MODULE.search(crash.message) or _MODULE.search(f"{crash.kind}: {crash.message}")
        if module is not None:
            yield _missing_module(case, crash, next(filter(None, module.groups())))
            continue
        where = f" ({crash.place})" if crash.place else ""
        kind = f"{crash.kind}: " if crash.message else crash.kind
        what = f"{kind}{quote(crash.message, 220)}{where}{_configuration(case, crash)}"
        yield Finding(
            f"crash-{crash.language}",
            fails(case, what),
            f"look at {crash.file} line {crash.line}" if crash.file else "a defect of the program",
            _how_sure(case, crash),
            (case.proof(crash.at),),
            crash.at.number,
        )


def _how_sure(case: Case, crash: Crash) -> float:
    """Less of one that only follows: what a runtime says as it goes down, or a panic right after an
    error that the program itself has logged."""
    if crash.language == "erlang" and crash.kind.startswith("the "):
        return GUESS + 0.06
    above = case.messages[max(0, crash.first - _ABOVE) : crash.first]
    logged = any(one.level >= Level.ERROR and NAMES_A_THING.search(one.text[:600]) for one in above)
    return SAID + 0.02 - (0.1 if logged else 0.0)


def _configuration(case: Case, crash: Crash) -> str:
    """The file that a library for data could not read: the only one that the unit names."""
    file = the_one(case.unit, case.facts) if is_data_error(crash.message) else None
    if file is None or file in crash.message:
        return ""
    place = LINE_ONLY.search(crash.message)
    number = place["line"] if place is not None else None
    line = case.facts.lines.get(f"{file}:{number}", "")
    shown = f" (that line: {quote(line, 120)})" if line else ""
    return f"; its configuration is {Place(file, number)}{shown}"


def _missing_module(case: Case, crash: Crash, name: str) -> Finding:
    names = {"perl": name.removesuffix(".pm").replace("/", "::")}
    shown = names.get(crash.language, name)
    own = name.startswith((".", "/"))
    kind = {"python": "Python", "node": "Node", "ruby": "Ruby", "perl": "Perl", "lua": "Lua"}
    what = f"the {kind.get(crash.language, '')} module {shown} is not installed"
    if own:
        what = f"the module {shown} is not there"
    where = f", needed by {crash.place}" if crash.place else ""
    return Finding(
        "module-missing",
        fails(case, f"{what}{where}"),
        "correct the path, the case of its letters counts" if own else
        f"install {shown} for the interpreter that the unit starts",
        SAID + 0.12,
        (case.proof(crash.at),),
        crash.at.number,
    )  # fmt: skip


CAUSES = (Cause("crash", "a traceback, a panic, an abort", _found),)
