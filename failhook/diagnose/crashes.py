# SPDX-License-Identifier: MIT
"""What a traceback, a panic or an abort means: a module is missing, or the program has a defect."""

from __future__ import annotations

import re
from collections.abc import Iterator

from failhook.diagnose.case import Case
from failhook.diagnose.finding import SAID, Cause, Finding, fails, quote
from failhook.diagnose.tracebacks import Crash, crashes

_MODULE = re.compile(
    r"No module named '?(?P<python>[\w.]+)|Cannot find (?:module|package) '(?P<node>[^']+)'"
    r"|cannot load such file -- (?P<ruby>\S+)|Can't locate (?P<perl>\S+\.pm)|module '(?P<lua>[^']+)' not found"
)


def _found(case: Case) -> Iterator[Finding]:
    for crash in crashes(case):
        module = _MODULE.search(crash.message) or _MODULE.search(f"{crash.kind}: {crash.message}")
        if module is not None:
            yield _missing_module(case, crash, next(filter(None, module.groups())))
            continue
        where = f" ({crash.place})" if crash.place else ""
        kind = f"{crash.kind}: " if crash.message else crash.kind
        what = f"{kind}{quote(crash.message, 220)}{where}"
        yield Finding(
            f"crash-{crash.language}",
            fails(case, what),
            f"look at {crash.file} line {crash.line}" if crash.file else "a defect of the program",
            SAID + 0.02,
            (case.proof(crash.at),),
            crash.at.number,
        )


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
