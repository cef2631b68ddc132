# SPDX-License-Identifier: MIT
"""``failhook check``: every mistake in the configuration, with file, line and remedy.

And what the rules would do (``--explain``), and the schema of the files for editors (``--schema``).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from failhook import places
from failhook.actions import table as actions
from failhook.boot import detect
from failhook.boot.silenced import silenced
from failhook.changes import stage as changes
from failhook.cli import check_explain, check_limits, check_schema, check_send, terminal
from failhook.cli.errors import UsageError
from failhook.cli.terminal import styled, visible
from failhook.collect import table
from failhook.config import load
from failhook.config.locate import line_of
from failhook.config.model import ActionTable, Configuration, Problem
from failhook.incident import JsonObject
from failhook.plugins import find
from failhook.setup.obstacles import emptied

EPILOG = """\
Reads /etc/failhook/failhook.toml, conf.d/*.toml and causes.d/*.toml, or the
files that are named; each cause is tried on its own examples, each action's
options are read. The exit code is 2 where something is wrong; failhook itself
goes on with the rest.

  failhook check --explain gitea.service                  the 1st to 6th failure
  failhook check --explain gitea.service --result oom-kill --times 10
  failhook check --send tell-ops                          does my webhook work?
  failhook check --schema > failhook.schema.json          for an editor"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("file", nargs="*", help="check these instead of what is in force")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of the files")
    parser.add_argument("--send", metavar="ACTION", help="send a test message by this action")
    check_explain.arguments(parser)
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(options: argparse.Namespace) -> int:
    """Check and print."""
    where = places.find(user=options.user)
    if options.schema:
        found = find.actions(where, load.load(where)).found
        schema = check_schema.document(one.action for one in found)
        print(terminal.ascii_json(schema, indent=1))
        return 0
    configurations = [_one(Path(name)) for name in options.file]
    if not configurations:
        configurations = [load.load(where)]
    if options.explain is not None:
        return check_explain.run(options, where, _together(configurations))
    if options.send is not None:
        together = _together(configurations)
        return check_send.run(options.send, where, together, as_json=options.json)
    warnings: list[Problem] = []
    problems = [
        problem
        for one in configurations
        for problem in (*one.problems, *_further(one), *_of_actions(where, one, warnings))
    ]
    files = [path for one in configurations for path in one.files]
    # Of this machine, not of a file: no mistakes in the configuration.
    notes = [] if options.file or options.user else [
        *detect.others_who_mark(), *silenced(), *emptied(),
    ]  # fmt: skip
    if options.json:
        terminal.print_json(
            "check",
            {
                "files": [str(path) for path in files],
                "problems": [_document(problem) for problem in problems],
                "warnings": [_document(warning) for warning in warnings],
                "notes": list(notes),
            },
        )
        return 2 if problems else 0
    for problem in problems:
        print(styled(visible(str(problem)), "bad"))
    if not problems:
        print(_praise(configurations, len(files)))
    for warning in warnings:
        print(styled(visible(f"warning: {warning}"), "warn"))
    for note in notes:
        print(styled(visible(f"note: {note}"), "warn"))
    return 2 if problems else 0


def _document(problem: Problem) -> JsonObject:
    return {
        "file": str(problem.file),
        "line": problem.line,
        "key": problem.key,
        "message": problem.message,
        "hint": problem.hint,
    }


def _praise(configurations: list[Configuration], files: int) -> str:
    if not files:
        return "there is no configuration file; the defaults are in force"
    rules = sum(len(one.rules) for one in configurations)
    named = sum(len(one.actions) for one in configurations)
    return (
        f"no mistake in {files} file{'' if files == 1 else 's'}: "
        f"{rules} rule{'' if rules == 1 else 's'}, {named} action{'' if named == 1 else 's'}"
    )


def _one(path: Path) -> Configuration:
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    return load.load_file(path)


def _together(configurations: list[Configuration]) -> Configuration:
    if len(configurations) > 1:
        raise UsageError("name one file, or none for what is in force")
    return configurations[0]


def _further(configuration: Configuration) -> list[Problem]:
    """What reading alone does not see: names of collectors."""
    problems = []
    names = (*table.NAMES, changes.NAME)
    for name in configuration.collect.skip:
        if name not in names:
            hint = f"there are: {', '.join(names)}"
            problems.append(_problem(configuration, ("collect", "skip"), f"no {name!r}", hint))
    return problems


def _of_actions(
    where: places.Places, configuration: Configuration, warnings: list[Problem]
) -> Iterator[Problem]:
    """What is wrong with plugins, and with the options of each action; what is only doubtful goes
    into ``warnings``."""
    yield from find.problems(where, configuration)
    for one in configuration.actions.values():
        try:
            action = find.find_action(where, configuration, one.type)
        except Exception as error:  # noqa: BLE001 - a plugin's own code
            yield _at(one, "type", f"{one.type}: {type(error).__name__}: {error}", "mend it")
            continue
        if action is None:
            hint = f"there are: {', '.join(actions.BUILT_IN)}; see: failhook plugins"
            yield _at(one, "type", f"there is no type {one.type!r}", hint)
            continue
        options, mistakes = actions.bind(action, one.raw)
        for mistake in mistakes:
            yield _at(one, mistake.key, mistake.message, mistake.hint)
        for tight in check_limits.tight(one, action, options):
            told = _at(one, tight.mistake.key, tight.mistake.message, tight.mistake.hint)
            if tight.always:
                yield told
            else:
                warnings.append(told)


def _at(one: ActionTable, key: str, message: str, hint: str) -> Problem:
    path = ("action", one.name, key) if key else ("action", one.name)
    text = one.file.read_text(encoding="utf-8", errors="replace")
    line = line_of(text, path) or line_of(text, path[:2])
    return Problem(one.file, line, ".".join(path), message, hint)


def _problem(
    configuration: Configuration, key: tuple[str, ...], message: str, hint: str
) -> Problem:
    """Placed in the last file that has the key, which is the one in force."""
    for path in reversed(configuration.files):
        line = line_of(path.read_text(encoding="utf-8", errors="replace"), key)
        if line is not None:
            return Problem(path, line, ".".join(key), message, hint)
    return Problem(configuration.files[-1], None, ".".join(key), message, hint)
