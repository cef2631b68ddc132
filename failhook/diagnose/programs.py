# SPDX-License-Identifier: MIT
"""Programs, shared libraries and modules that are missing or do not fit together."""

from __future__ import annotations

import re

from failhook.diagnose.case import Case
from failhook.diagnose.finding import (
    GUESS,
    LIKELY,
    SAID,
    SEEN,
    Cause,
    Finding,
    each,
    from_message,
    quote,
)
from failhook.diagnose.level import Level
from failhook.diagnose.subjects import EXECUTES, INTERPRETER, paths_in
from failhook.diagnose.text import Message
from failhook.diagnose.wording import FAILURE, NAMES_A_THING, OF_BASH

_LIBRARY = re.compile(
    r"error while loading shared libraries: (?P<library>[^\s:]+): (?P<why>[^\n]{3,200})"
    r"|(?P<library2>lib[\w.+-]{1,80}\.so[.\d]{0,20}): cannot open shared object file"
)
_SYMBOL = re.compile(
    r"symbol lookup error: [^\s:]{1,300}: undefined symbol: \S"
    r"|: version [`'](?P<version>[^']{1,100})' not found \(required by [^)]{1,300}\)"
)
_NET_FRAMEWORK = re.compile(
    r"Framework: '(?P<name>[\w.]{3,80})', version '(?P<version>[\w.+-]{1,40})'"
)
_NO_MODULE = re.compile(r"\bNo module named ['\"]?(?P<name>\w[\w.]{0,80})['\"]?\W{0,3}$")
_OF_TRACEBACK = re.compile(
    r"(?:ModuleNotFound|Import)Error: "
)  # see `crashes`, and what it follows from
_MOST = 4
_COMMAND = re.compile(
    r"^(?:bundler|zsh|fish): command not found: (?P<of_it>\S{1,100})$"
    r"|^(?:(?P<script>/?[\w./-]{1,200}): )?(?:line |)(?P<line>\d{1,6}): (?P<command>[^\s:]{1,200}):"
    r" (?:command )?not found$"
    r"|(?:env|xargs|nohup|timeout|sudo|exec): [‘'\"]?(?P<by_env>[^\s:’'\"]{1,200})[’'\"]?: No such file"
    r"|(?:^|: )(?P<bare>[\w./-]{1,100}): command not found"
)
_SHELL_LINE = re.compile(
    r"^(?P<script>/[\w./@+-]{1,300}): (?:line )?(?P<line>\d{1,6}): (?P<what>[^\n]{3,300})$"
)
# bash(1) of a command that did not end by itself: "x.sh: line 31: 207 Killed   python3 train.py"
_JOB = re.compile(
    r"^(?P<script>[\w./@+-]{1,300}): line (?P<line>\d{1,6}): {1,6}\d{1,8} (?P<how>Killed|Segmentation fault|Aborted|Bus error"
    r"|Illegal instruction|Floating point exception|Bad system call)(?: +\(core dumped\))? {1,40}(?P<command>\S.{0,400})$"
)
_SHELL = re.compile(
    r"unbound variable|parameter not set|syntax error|unexpected|bad substitution|not a valid identifier"
    r"|ambiguous redirect|arithmetic|readonly variable|bad interpreter|too many arguments",
    re.IGNORECASE,
)


def _library(case: Case, message: Message) -> Finding | None:
    match = _LIBRARY.search(message.text)
    if match is None:
        return None
    name = (match["library"] or match["library2"]).rpartition("/")[2]
    like = case.facts.libraries.get(name, ())
    others = [one for one in like if one != name]
    beside = f" (there is {', '.join(others[:3])})" if others else ""
    if name in like:
        beside = f" ({quote(match['why'] or '', 100)})"
    return from_message(
        case, message, "library-missing",
        what=f"the shared library {name}, which its program needs, is missing{beside}",
        advice=f"install the package that has {name} (apt-file search {name}, dnf provides), or the "
        "program's version for this release",
        # dlopen(3) is for plugins: a program may live without
        confidence=SEEN if match["library"] else SAID + 0.05,
        more=[case.checked(f"libraries of that name: {', '.join(like) or 'none'}")],
    )  # fmt: skip


def _symbol(case: Case, message: Message) -> Finding | None:
    match = _SYMBOL.search(message.text)
    if match is None:
        return None
    wanted = [
        one["version"]
        for each in case.messages
        if (one := _SYMBOL.search(each.text)) is not None and one["version"]
    ]
    several = list(dict.fromkeys(wanted))[-_MOST:]
    versions = f" (it wants {', '.join(several)})" if len(several) > 1 else ""
    return from_message(
        case, message, "library-version",
        what=f"its program and a library of this machine do not fit{versions}: "
        f"“{quote(message.text, 220)}”",
        advice="install the program's build for this release, or the library's newer version",
        confidence=SAID + 0.1,
    )  # fmt: skip


def _framework(case: Case, message: Message) -> Finding | None:
    """What the host of .NET says of a runtime that is not there (hostfxr: "framework-dependent")."""
    match = _NET_FRAMEWORK.match(message.text)
    if match is None:
        return None
    name = f"{match['name']} {match['version']}"
    return from_message(
        case, message, "runtime-missing",
        what=f"the .NET framework {name}, which its program needs, is not installed",
        advice=f"install the runtime {name}, or publish the program self-contained; "
        "dotnet --list-runtimes shows those that are there",
        confidence=SAID + 0.1,
    )  # fmt: skip


# The words that files of Python, JavaScript, Perl, PHP and Ruby begin with.
_OF_OTHER_LANGUAGES = (
    "import", "from", "def", "class", "__requires__", "__author__", "const", "var", "let", "use", "package", "<?php",
    "require", "require_relative", "module", "async",
)  # fmt: skip


def _main_process_says_more(case: Case, message: Message) -> bool:
    """A helper that it started misses a command; it goes on, and dies of something that it names."""
    main = str(case.incident.main.pid or "")
    return message.pid != main and any(
        one.pid == main and one.level >= Level.ERROR and NAMES_A_THING.search(one.text)
        for one in case.messages[message.number + 1 :]
    )


def _command(case: Case, message: Message) -> Finding | None:
    match = _COMMAND.search(message.raw.strip()) or _COMMAND.search(message.text)
    if match is None:
        return None
    command = match["of_it"] or match["command"] or match["by_env"] or match["bare"]
    script = match["script"] or ""
    if script and command in _OF_OTHER_LANGUAGES:
        return _wrong_shell(case, message, script)
    where = f" (line {match['line']} of {script})" if script else ""
    if INTERPRETER.search(script):  # of what it was given with -c
        where = ""
    return from_message(
        case, message, "command-missing",
        what=f"the command {command} does not exist or is not in its search path{where}",
        advice="install it, or name it with its whole path; the unit's $PATH is not that of a login",
        confidence=GUESS
        if OF_BASH.search(message.raw) or _main_process_says_more(case, message)
        else SAID + 0.1,
    )  # fmt: skip


def _wrong_shell(case: Case, message: Message, script: str) -> Finding:
    """A file that execve(2) refuses as ENOEXEC is taken for a script of the shell by most that start
    it (posix_spawnp(3), "If the file ... is not an executable"; sh(1p), "Command Search and Execution")."""
    return from_message(
        case, message, "command-missing",
        what=f"{script} is read by the shell and is no script of it; its first line names no other "
        f"interpreter (#!): “{quote(message.text, 120)}”",
        advice=f"begin {script} with a line such as #!/usr/bin/env python3, or start it with its interpreter",
        confidence=SAID + 0.1,
    )  # fmt: skip


def _module(case: Case, message: Message) -> Finding | None:
    """What an interpreter cannot import, told by a program that caught it."""
    match = _NO_MODULE.search(message.text)
    if match is None or _OF_TRACEBACK.match(message.text):
        return None
    return from_message(
        case, message, "module-missing",
        what=f"the Python module {match['name']} is not installed: “{quote(message.text, 160)}”",
        advice=f"install {match['name']} for the interpreter that the unit starts",
        confidence=SAID + 0.04,
    )  # fmt: skip


def _interpreter(case: Case, message: Message) -> Finding | None:
    """A script that another program could not execute: of the interpreter execve(2) says ENOENT."""
    if not EXECUTES.search(message.text[:600]):
        return None
    for path in paths_in(message.raw[:600]):
        head = case.facts.programs.get(path)
        if head is None or head.interpreter is None or head.interpreter_exists is not False:
            continue
        ends = " (its first line ends with a carriage return)" if head.carriage_return else ""
        what = f"{path} asks for the interpreter {head.interpreter}, which does not exist{ends}"
        return from_message(
            case, message, "command-missing", what=what,
            advice=f"install it, or correct the first line of {path}", confidence=SEEN,
            more=[case.checked(what)],
        )  # fmt: skip
    return None


def _shell(case: Case, message: Message) -> Finding | None:
    match = _SHELL_LINE.match(message.raw.strip())
    if match is None or not _SHELL.search(match["what"]):
        return None
    return from_message(
        case, message, "script",
        what=f"a mistake in the script {match['script']} line {match['line']}: “{quote(match['what'])}”",
        advice=f"correct {match['script']}; bash -n {match['script']} checks its syntax",
        confidence=LIKELY if _had_complained(case, message, match["what"]) else SAID + 0.08,
    )  # fmt: skip


def _had_complained(case: Case, message: Message, what: str) -> bool:
    """A redirection to nothing follows from the command that should have said where."""
    failing = (one.number for one in case.messages if FAILURE.search(one.text[:600]))
    first = case.once(_had_complained, lambda: next(failing, len(case.messages)))
    return "ambiguous redirect" in what and first < message.number


def _job(case: Case, message: Message) -> Finding | None:
    """A shell tells which of its commands a signal ended."""
    match = _JOB.match(message.raw.strip())
    if match is None:
        return None
    oom = match["how"] == "Killed" and case.incident.result == "oom-kill"
    why = " by the out-of-memory killer" if oom else ""
    return from_message(
        case, message, "command-killed",
        what=f"the command {quote(match['command'], 120)} (line {match['line']} of {match['script']}) "
        f"was ended by a signal{why}: {match['how']}",
        advice="more memory for it, or find what grows" if oom else "see why it ended: its core, dmesg",
        confidence=SEEN if oom else SAID,
    )  # fmt: skip


def _said(case: Case) -> list[Finding]:
    return list(
        each(case, _library, _symbol, _framework, _command, _module, _interpreter, _shell, _job)
    )


CAUSES = (Cause("programs", "programs and libraries that are missing or do not fit", _said),)
