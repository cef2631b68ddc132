# SPDX-License-Identifier: MIT
"""``failhook check``: every mistake in the configuration, with file, line and remedy."""

from __future__ import annotations

import argparse
from pathlib import Path

from failhook import places
from failhook.changes import stage as changes
from failhook.cli import terminal
from failhook.cli.errors import UsageError
from failhook.cli.terminal import styled, visible
from failhook.collect import table
from failhook.config import load
from failhook.config.locate import line_of
from failhook.config.model import Configuration, Problem

EPILOG = """\
Reads /etc/failhook/failhook.toml, conf.d/*.toml and causes.d/*.toml, or the
files that are named; each cause is tried on its own examples. The exit code is
2 where something is wrong; failhook itself goes on with the rest."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("file", nargs="*", help="check these instead of what is in force")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(options: argparse.Namespace) -> int:
    """Check and print."""
    configurations = [_one(Path(name)) for name in options.file]
    if not configurations:
        configurations = [load.load(places.find(user=options.user))]
    problems = [problem for one in configurations for problem in (*one.problems, *_further(one))]
    files = [path for one in configurations for path in one.files]
    if options.json:
        found = [
            {
                "file": str(problem.file),
                "line": problem.line,
                "key": problem.key,
                "message": problem.message,
                "hint": problem.hint,
            }
            for problem in problems
        ]
        terminal.print_json("check", {"files": [str(path) for path in files], "problems": found})  # type: ignore[dict-item]
        return 2 if problems else 0
    for problem in problems:
        print(styled(visible(str(problem)), "bad"))
    if not problems:
        print(
            f"no mistake in {len(files)} file{'' if len(files) == 1 else 's'}"
            if files
            else "there is no configuration file; the defaults are in force"
        )
    return 2 if problems else 0


def _one(path: Path) -> Configuration:
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    return load.load_file(path)


def _further(configuration: Configuration) -> list[Problem]:
    """What reading alone does not see: names of collectors."""
    problems = []
    names = (*table.NAMES, changes.NAME)
    for name in configuration.collect.skip:
        if name not in names:
            hint = f"there are: {', '.join(names)}"
            problems.append(_problem(configuration, ("collect", "skip"), f"no {name!r}", hint))
    return problems


def _problem(
    configuration: Configuration, key: tuple[str, ...], message: str, hint: str
) -> Problem:
    """Placed in the last file that has the key, which is the one in force."""
    for path in reversed(configuration.files):
        line = line_of(path.read_text(encoding="utf-8", errors="replace"), key)
        if line is not None:
            return Problem(path, line, ".".join(key), message, hint)
    return Problem(configuration.files[-1], None, ".".join(key), message, hint)
