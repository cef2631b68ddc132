# SPDX-License-Identifier: MIT
"""The command line: one module per verb, loaded when called. Only here do errors become exits.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not found.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

# verb -> what it does, in the order in which a person meets them
VERBS = {
    "list": "incidents, newest first",
    "show": "one incident: what failed, how, its last words, what was collected",
    "why": "what was done about it, what was left out, and the reasons",
    "explain": "why a unit of another machine failed, from its bundle",
    "bundle": "the evidence of an incident as a tar file",
    "verify": "check a bundle, also one from elsewhere",
    "status": "is it wired up, what failed last, what is waiting",
    "run": "collect the evidence of a unit now",
    "enable": "hook failhook into units",
    "disable": "take it out of units again",
    "ack": "say that somebody is at it: no message until the unit recovers",
    "mute": "tell nobody of a unit or of one kind of failure",
    "unmute": "tell people again",
    "pause": "record failures and do nothing about them",
    "resume": "act upon the rules again",
    "retry": "try deliveries that wait or were given up now",
    "note": "write down what you found out about an incident",
    "forget": "remove incidents from the history",
    "prune": "bring the history within its limits now",
    "check": "check the configuration",
    "plugins": "collectors and actions, also your own: list, show, new, test",
    "boot": "the boot loader's entries and their marks; is this boot a good one?",
    "install": "put units and the command where systemd finds them",
    "uninstall": "take them away again; the history stays",
}
# what systemd calls; not for people
INTERNAL = {
    "runner": "runner",
    "keep-spool": "keep_spool",
    "act": "act",
    "deliver": "deliver",
    "aftermath": "aftermath",
}


def main(arguments: Sequence[str]) -> int:
    """Carry out one command and return its exit code."""
    try:
        code = _main([*arguments])  # `list` is a verb here
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `failhook list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0


def _main(words: list[str]) -> int:
    user = "--user" in words[:1]
    if user:
        words = words[1:]
    if not words:
        words = ["status"]
    verb, *rest = words
    if verb in ("-h", "--help", "help"):
        return _help(rest)
    if verb in ("-V", "--version"):
        return _version()
    if verb not in VERBS and verb not in INTERNAL:
        return _unknown(verb)
    return _call(verb, [*rest, "--user"] if user else rest)


def parser_of(verb: str) -> argparse.ArgumentParser:
    """The parser of one verb: a call loads no other."""
    return _filled(verb, argparse.ArgumentParser(prog=f"failhook {verb}", **_options(verb)))


def full_parser() -> argparse.ArgumentParser:
    """All verbs in one parser, for the man page and for completion."""
    parser = argparse.ArgumentParser(
        prog="failhook",
        description=_ABOUT,
        epilog=_FURTHER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-V", "--version", action="store_true", help="say which version this is")
    verbs = parser.add_subparsers(metavar="COMMAND")
    for verb, summary in VERBS.items():
        _filled(verb, verbs.add_parser(verb, help=summary, **_options(verb)))
    return parser


def _options(verb: str) -> dict[str, Any]:
    summary = VERBS.get(verb, "called by systemd")
    return {
        "description": summary[:1].upper() + summary[1:] + ".",
        "epilog": getattr(_module(verb), "EPILOG", None),
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }


def _filled(verb: str, parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    _module(verb).arguments(parser)
    parser.add_argument(
        "--user", action="store_true", help="your own units instead of the system's"
    )
    return parser


def _module(verb: str) -> ModuleType:
    return importlib.import_module(f"failhook.cli.{INTERNAL.get(verb, verb)}")


def _call(verb: str, words: Sequence[str]) -> int:
    options = parser_of(verb).parse_args(words)
    module = _module(verb)
    logging.basicConfig(format="failhook: %(message)s", level=logging.WARNING)
    try:
        return int(module.run(options))
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - a defect is raised again
        return _explained(error)


def _explained(error: Exception) -> int:
    """The message and the exit code of what is no defect; raises what is one."""
    from failhook.cli.errors import UsageError
    from failhook.store.incidents import NotFound, StoreError

    if isinstance(error, NotFound):
        return _fail(str(error), 3)
    if isinstance(error, UsageError):
        return _fail(str(error), 2)
    if isinstance(error, StoreError):
        return _fail(f"{error}{_hint()}", 1)
    if isinstance(error, PermissionError):
        return _fail(f"{error.filename or ''}: {error.strerror}{_hint()}", 1)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror or error}", 1)
    raise error


def _hint() -> str:
    return "" if os.geteuid() == 0 else " (the system's history is root's: use sudo, or --user)"


def _fail(message: str, code: int) -> int:
    from failhook.cli.terminal import visible

    print(f"failhook: {visible(message)}", file=sys.stderr)
    return code


def _unknown(verb: str) -> int:
    from failhook.values import nearest

    near = f"show {verb}" if "." in verb else nearest(verb, VERBS)
    hint = f"; did you mean: failhook {near}" if near else ""
    return _fail(f"unknown command {verb!r}{hint}; see: failhook --help", 2)


def _help(rest: Sequence[str]) -> int:
    if rest and rest[0] in VERBS:
        parser_of(rest[0]).print_help()
        return 0
    lines = "\n".join(f"  {verb:<10} {summary}" for verb, summary in VERBS.items())
    print(f"{_OVERVIEW}\n{lines}\n\n{_FURTHER}")
    return 0


def _version() -> int:
    from failhook.version import VERSION

    print(f"failhook {VERSION}")
    return 0


_ABOUT = """\
failhook is what systemd runs when a unit fails: it keeps the evidence and says
what happened."""

_OVERVIEW = f"""\
{_ABOUT}

In a unit:   [Service] ExecStopPost=failhook
             [Unit]    OnFailure=failhook@%n.service
Or let it do that:   failhook enable UNIT…      failhook enable --all

Commands (failhook COMMAND --help tells more):"""

_FURTHER = """\
An incident is named by its id or the beginning of it, by a unit (the newest of
it), or "last".
Add --user for your own units. Reading commands take --json.
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 not found."""
