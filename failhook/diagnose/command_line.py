# SPDX-License-Identifier: MIT
"""What systemd makes of a command line: it is no shell, and takes a word of ``$NAME`` for a variable.

systemd.service(5), "Command lines": no redirection, no pipe, no background; ``$NAME`` at the start
of a word is replaced together with the rest of that word, ``${NAME}`` anywhere; ``$$`` is a dollar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from failhook.diagnose.case import Case
from failhook.diagnose.finding import LIKELY, Cause, Finding, fails, quote
from failhook.diagnose.subjects import started

_OF_A_SHELL = re.compile(
    r"(?<=\s)(?:[12&]?>{1,2}(?:/\S{1,200})?|[12]?>&[12-]|<|\|{1,2}|&{1,2}|\$\([^)]{0,200}\)|`[^`]{1,200}`)(?=\s|$)"
)
_SHELLS = re.compile(r"(?:ba|da|z|k|mk|fi|a)?sh|busybox|env|su|sudo|runuser|ssh|awk|expr|test|\[")
_QUOTED = re.compile(r"'[^']{0,2000}'|\"[^\"]{0,2000}\"")
_WORD = re.compile(r"(?:\"[^\"]{0,2000}\"|'[^']{0,2000}'|[^\s'\"]){1,2000}")
_VARIABLE = re.compile(r"\$[A-Za-z_]\w{0,60}[^\w].{0,2000}", re.DOTALL)
_EXEC = re.compile(
    r"^(?P<setting>Exec(?:Start|StartPre|StartPost|Condition)) *= *(?P<line>\S.{0,4000})$",
    re.MULTILINE,
)


def _look(case: Case) -> Iterator[Finding]:
    if not case.ended_badly:
        return
    ran = {(setting, program.rpartition("/")[2]) for setting, program, _ in started(case.unit)}
    for match in _EXEC.finditer(case.unit_text.replace("\\\n", " ")):
        setting, line = match["setting"], match["line"]
        program = line.lstrip("-+!@:|").partition(" ")[0]
        name = program.rpartition("/")[2]  # a bare name is looked for (systemd.exec(5))
        if setting != case.failing or (setting, name) not in ran or _SHELLS.fullmatch(name):
            continue
        yield from _of_a_shell(case, setting, program, line)
        yield from _replaced(case, setting, line)


def _of_a_shell(case: Case, setting: str, program: str, line: str) -> Iterator[Finding]:
    """Words that only a shell understands, and that are not quoted."""
    words = list(dict.fromkeys(match[0] for match in _OF_A_SHELL.finditer(_QUOTED.sub("x", line))))
    if not words:
        return
    shown = _shown(words)
    kind = "an argument" if len(words) == 1 else "arguments"
    what = f"{setting}= gives {shown} to {program} as {kind}: systemd runs no shell"
    yield Finding(
        "command-line", fails(case, what),
        f"let a shell do it, {setting}=/bin/sh -c '…'; for a file alone StandardOutput=append:FILE",
        LIKELY + 0.16, (case.checked(quote(line, 300), "unit/cat.txt"),),
    )  # fmt: skip


def _replaced(case: Case, setting: str, line: str) -> Iterator[Finding]:
    """Words that begin with the name of a variable and go on: all of each is replaced."""
    plain = (word.replace("'", "").replace('"', "") for word in _WORD.findall(line))
    words = list(dict.fromkeys(word for word in plain if _VARIABLE.fullmatch(word)))
    if not words:
        return
    one = len(words) == 1
    what = f"systemd takes {_shown(words)} of {setting}= as a whole for "
    what += "a variable, which is not set: it falls away" if one else (
        "variables, which are not set: they fall away"
    )  # fmt: skip
    yield Finding(
        "command-line", fails(case, what),
        "write ${NAME} where the variable is meant, $$ for a dollar (systemd.service(5))",
        LIKELY + 0.12, (case.checked(quote(line, 300), "unit/cat.txt"),),
    )  # fmt: skip


def _shown(words: Sequence[str]) -> str:
    return " and ".join(f"“{quote(word, 80)}”" for word in words[:3])


CAUSES = (Cause("command-line", "a command line that needs a shell, or loses a word", _look),)
