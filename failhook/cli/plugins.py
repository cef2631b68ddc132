# SPDX-License-Identifier: MIT
"""``failhook plugins``: collectors and types of action, ours and others'; to make and try one."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from failhook import places
from failhook.actions import table as actions_table
from failhook.actions.schema import Told, is_open, options_of
from failhook.changes import stage as changes
from failhook.cli import terminal
from failhook.cli.errors import UsageError
from failhook.cli.terminal import styled, visible
from failhook.collect import table
from failhook.config import load
from failhook.config.model import Configuration, Problem
from failhook.incident import Json, JsonObject
from failhook.places import Places
from failhook.plugins import find, new
from failhook.plugins.model import NAME, FoundAction, FoundCollector, Way
from failhook.store.incidents import NotFound
from failhook.values import nearest

EPILOG = """\
  failhook plugins                     all collectors and types of action
  failhook plugins show restart        one of them, with its options
  failhook plugins new my-lamp         write an example that works, with a test
  failhook plugins test my-lamp --option lamp=red
                                       try it on an incident; without
                                       --for-real an action only says what it
                                       would do

Collectors of the configuration ([collector.NAME]) are listed after the
built-in ones, then those of plugins. See docs/plugins.md."""

_NEW_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("what", nargs="?", default="list", choices=("list", "show", "new", "test"))
    parser.add_argument("name", metavar="NAME", nargs="?")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument(
        "--kind", choices=new.KINDS, help="show, new, test: an action or a collector"
    )
    parser.add_argument(
        "--way", choices=new.WAYS, default="file", help="new: how it is installed (file)"
    )
    parser.add_argument(
        "--directory", metavar="DIR", help="new: where to write it (./NAME); has to be empty"
    )
    parser.add_argument(
        "--incident", metavar="ID", default="sample", help='test: an incident, "last", or "sample"'
    )
    parser.add_argument(
        "--option",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="test: an option of the action, as in TOML or as plain text",
    )
    parser.add_argument("--for-real", action="store_true", help="test: do it, not a dry run")


def run(options: argparse.Namespace) -> int:
    """List, show, write or try."""
    if options.what == "list":
        if options.name is not None:
            raise UsageError(f"to see one of them: failhook plugins show {options.name}")
        return _list(options)
    if options.name is None:
        raise UsageError(f"which one? failhook plugins {options.what} NAME")
    if options.what == "new":
        return _new(options)
    look = Look(places.find(user=options.user))
    action, collector = look.named(options.name, options.kind)
    if options.what == "show":
        return _show(options, action, collector)
    from failhook.cli import plugins_try

    return plugins_try.run(options, action, collector)


@dataclass(frozen=True, slots=True)
class _All:
    """Everything there is, and what is not used."""

    actions: tuple[FoundAction, ...]
    collectors: tuple[FoundCollector, ...]
    problems: tuple[Problem, ...]


class Look:
    """What is there, for one failhook."""

    def __init__(self, found_in: Places) -> None:
        self._places = found_in
        self.configuration: Configuration = load.load(found_in)

    def all(self) -> _All:
        """Everything."""
        actions = find.actions(self._places, self.configuration)
        others = find.collectors(self._places, self.configuration)
        problems = tuple(dict.fromkeys((*actions.problems, *others.problems)))
        return _All(actions.found, (*self._ours(), *others.found), problems)

    def _ours(self) -> Iterator[FoundCollector]:
        collect = self.configuration.collect
        for one in (*table.load(table.NAMES), changes.collector(self._places)):
            yield FoundCollector(one, Way.BUILT_IN, "failhook", one.name in collect.skip)
        for custom in collect.custom:
            made = table.make(custom.name, custom.type, custom)
            yield FoundCollector(made, Way.CONFIGURED, custom.type)

    def named(
        self, name: str, kind: str | None
    ) -> tuple[FoundAction | None, FoundCollector | None]:
        """The action and the collector of that name, whichever there is. Raises NotFound."""
        everything = self.all()
        actions = {one.action.name: one for one in everything.actions}
        collectors = {one.collector.name: one for one in everything.collectors}
        action = actions.get(name) if kind != "collector" else None
        collector = collectors.get(name) if kind != "action" else None
        if action is None and collector is None:
            raise NotFound(_no_such(name, [*actions, *collectors], everything.problems))
        return action, collector


def _no_such(name: str, names: list[str], problems: tuple[Problem, ...]) -> str:
    for problem in problems:
        if problem.file.stem.replace("_", "-") == name.replace("_", "-"):
            return f"{name} is not used: {problem}"
    near = nearest(name, names)
    hint = f"; did you mean {near}?" if near else "; see: failhook plugins"
    return f"there is no action and no collector {name!r}{hint}"


# -- list ---------------------------------------------------------------------------------------


def _list(options: argparse.Namespace) -> int:
    found = Look(places.find(user=options.user)).all()
    if options.json:
        document: JsonObject = {
            "schema": 1,
            "collectors": [_collector_json(one) for one in found.collectors],
            "actions": [_action_json(one) for one in found.actions],
            "problems": [_problem_json(one) for one in found.problems],
        }
        print(terminal.ascii_json(document, indent=1))
        return 0
    rows = [
        (
            one.collector.name,
            _origin(one),
            f"{one.collector.timeout_s:.0f} s",
            terminal.size(one.collector.max_bytes),
            one.collector.summary,
        )
        for one in found.collectors
    ]
    print(terminal.table(("COLLECTOR", "ORIGIN", "TIME", "SIZE", "WHAT"), rows, stretch=4))
    print()
    shown = [(one.action.name, str(one.way), one.action.summary) for one in found.actions]
    print(terminal.table(("ACTION", "ORIGIN", "WHAT"), shown, stretch=2))
    for problem in found.problems:
        print(styled(visible(f"not used: {problem}"), "warn"))
    return 0


def _origin(one: FoundCollector) -> str:
    if one.off:
        return "off"
    return one.source if one.way is Way.CONFIGURED else str(one.way)


def _collector_json(one: FoundCollector) -> JsonObject:
    return {
        "name": one.collector.name,
        "origin": _origin(one),
        "source": one.source,
        "timeout_s": one.collector.timeout_s,
        "max_bytes": one.collector.max_bytes,
        "summary": one.collector.summary,
    }


def _action_json(one: FoundAction) -> JsonObject:
    action = one.action
    return {
        "name": action.name,
        "origin": str(one.way),
        "source": one.source,
        "summary": action.summary,
        "timeout_s": action.timeout_s,
        "retries": action.retries,
        "delivers": action.delivers,
        "repeatable": action.repeatable,
        "counts_as": action.counts_as,
        "any_option": is_open(action),
        "options": [_option_json(told) for told in options_of(action)],
    }


def _option_json(told: Told) -> JsonObject:
    return {
        "name": told.name,
        "kind": told.kind,
        "summary": told.summary,
        "required": told.required,
        "default": told.default,
    }


def _problem_json(one: Problem) -> JsonObject:
    return {"file": str(one.file), "message": one.message, "hint": one.hint}


# -- show ---------------------------------------------------------------------------------------


def _show(
    options: argparse.Namespace, action: FoundAction | None, collector: FoundCollector | None
) -> int:
    if options.json:
        shown: JsonObject = {
            "action": _action_json(action) if action else None,
            "collector": _collector_json(collector) if collector else None,
        }
        terminal.print_json("plugin", shown)
        return 0
    pages = [_action_page(action)] if action else []
    pages += [_collector_page(collector)] if collector else []
    print("\n\n".join("\n".join(page) for page in pages))
    return 0


def _action_page(found: FoundAction) -> Iterator[str]:
    action = found.action
    yield styled(visible(f"{action.name}: {action.summary}"), "strong")
    yield f"  Action    {visible(_from(found.way, found.source))}"
    tries = f", tried {action.retries} times more" if action.retries else ""
    yield f"  Time      {terminal.span(action.timeout_s)}{tries}"
    if action.delivers:
        yield "  Tells     somebody: it goes through the outbox and is tried over days"
    if action.counts_as:
        yield f"  Counts    in [limits] {action.counts_as}"
    told = options_of(action)
    if is_open(action):
        yield "  Options   any; it gets them as texts (FAILHOOK_OPTION_NAME)"
    elif not told:
        yield "  Options   none"
    else:
        rows = [(one.name, one.kind, _default(one), one.summary) for one in told]
        yield ""
        yield terminal.table(("OPTION", "TAKES", "DEFAULT", "WHAT"), rows, stretch=3)


def _default(told: Told) -> str:
    if told.required:
        return "(needed)"
    if told.default in (None, "", [], {}):
        return "-"
    return _as_text(told.default)


def _as_text(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else terminal.ascii_json(value)


def _collector_page(found: FoundCollector) -> Iterator[str]:
    one = found.collector
    yield styled(visible(f"{one.name}: {one.summary}"), "strong")
    yield f"  Collector {visible(_from(found.way, found.source))}"
    yield f"  Time      {terminal.span(one.timeout_s)}"
    yield f"  Size      {terminal.size(one.max_bytes)}"
    if found.off:
        yield "  Off       [collect] skip names it"


def _from(way: Way, source: str) -> str:
    return str(way) if way is Way.BUILT_IN else f"{way}: {source}"


# -- new ----------------------------------------------------------------------------------------


def _new(options: argparse.Namespace) -> int:
    name, kind, way = options.name, options.kind or "action", options.way
    if not _NEW_NAME.fullmatch(name) or not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a plugin: lower case letters, digits and -")
    reserved = actions_table.BUILT_IN if kind == "action" else (*table.NAMES, *find.RESERVED)
    if name in reserved:
        raise UsageError(f"there is a built-in {kind} {name}: take another name")
    directory = Path(options.directory or name)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} is there already: remove it, or name another --directory")
    written = new.example(name, kind, way)
    new.write(directory, written)
    paths = [str(directory / one.path) for one in written]
    if options.json:
        terminal.print_json("written", list[Json](paths))
        return 0
    for path in paths:
        print(visible(path))
    print()
    print(visible(f"Try it:      python3 -m pytest {directory}"))
    print(visible(f"Install it:  {_install(kind, way, directory, written[0].path)}"))
    print(visible(f"Then:        failhook plugins test {name}"))
    return 0


def _install(kind: str, way: str, directory: Path, first: str) -> str:
    if way == "executable":
        return f"install -D -o root -m 0755 -t /etc/failhook/{kind}s {directory / first}"
    if way == "file":
        return f"install -D -o root -m 0644 -t /etc/failhook/plugins {directory / first}"
    return f"pip install ./{directory}  (with the pip of failhook's own environment)"
