# SPDX-License-Identifier: MIT
"""Finds actions and collectors: the built-in ones first, then executables, files, packages.

A name counts once. What is built in cannot be replaced; of two files with one name the
administrator's takes the place of the vendor's, as systemd does it with units, and a link to
/dev/null takes it away; anything else is refused and said. Costs a few system calls where there is
nothing to find.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from failhook import trust
from failhook.action import Action
from failhook.actions import table as built_in
from failhook.actions.table import Traits
from failhook.collect import table as collectors_table
from failhook.collector import Collector
from failhook.config.model import Configuration, Problem
from failhook.places import Places
from failhook.plugins import entry_points
from failhook.plugins.model import NAME, FoundAction, FoundCollector, Listing, Way
from failhook.plugins.source import Source

if TYPE_CHECKING:
    from failhook.plugins.python import Description

ACTIONS, COLLECTORS = "actions", "collectors"
# Collectors that are not in the table: `failhook.changes.stage`, `failhook.diagnose.stage`.
RESERVED = ("changes", "diagnose")
_PASSED_OVER = re.compile(r"\..*|.*~|.*\.(?:dpkg-.*|rpm(?:new|save|orig)|bak|swp)|README.*|.*\.md")


def find_action(places: Places, configuration: Configuration, name: str) -> Action[Any] | None:
    """The type of action of that name: built in, or a plugin's; None where there is none.

    Of a plugin in Python it is a stand-in, so that this and `table.bind` may be called anywhere;
    its ``run`` loads the plugin and belongs into `failhook.isolate`.
    """
    if name in built_in.BUILT_IN:
        return built_in.load(name)
    search = _Search(places, configuration)
    for found in search.actions(only=name):
        if found.action.name == name:
            return found.action
    return None


def traits(places: Places, configuration: Configuration, name: str) -> Traits | None:
    """What a plan has to know of that type; None where there is none. Imports no action."""
    if name in built_in.BUILT_IN:
        return built_in.BUILT_IN[name]
    action = find_action(places, configuration, name)
    return None if action is None else Traits(action.delivers, action.counts_as)


def actions(places: Places, configuration: Configuration) -> Listing[FoundAction]:
    """All types of action, the built-in ones first, and what is wrong with others."""
    search = _Search(places, configuration)
    found = [*search.built_in(), *search.actions()]
    return Listing(tuple(found), tuple(search.problems))


def collectors(places: Places, configuration: Configuration) -> Listing[FoundCollector]:
    """All collectors that are plugins, and what is wrong with others."""
    search = _Search(places, configuration)
    return Listing(tuple(search.collectors()), tuple(search.problems))


def to_run(places: Places, configuration: Configuration) -> list[Collector]:
    """The collectors that are plugins and not skipped: what an incident is worked with."""
    return [one.collector for one in _Search(places, configuration).collectors() if not one.off]


def problems(places: Places, configuration: Configuration) -> list[Problem]:
    """All that is wrong with plugins, for ``failhook check``."""
    search = _Search(places, configuration)
    list(search.actions())
    list(search.collectors())
    return list(dict.fromkeys(search.problems))


class _Search:
    """One look at all places."""

    def __init__(self, places: Places, configuration: Configuration) -> None:
        self._places = places
        self._configuration = configuration
        self.problems: list[Problem] = []

    # Actions

    def built_in(self) -> Iterator[FoundAction]:
        """Ours; one that lacks a library on this machine is a problem and stops nothing."""
        for name in built_in.BUILT_IN:
            try:
                action = built_in.load(name)
            except ImportError as error:
                self._problem(Path(built_in.__file__).parent, f"{name!r}: {error}")
            else:
                yield FoundAction(action, Way.BUILT_IN, "failhook")

    def actions(self, only: str | None = None) -> Iterator[FoundAction]:
        """Those of plugins; with ``only`` perhaps without some that have another name."""
        taken: dict[str, str] = dict.fromkeys(built_in.BUILT_IN, "built in")
        for name, path in self._executables(ACTIONS, only):
            if self._is_free(name, path, taken):
                from failhook.plugins import executable  # here: most machines have none

                yield FoundAction(executable.action(name, path), Way.EXECUTABLE, str(path))
        for way, source in self._sources(ACTIONS, only):
            for action in self._described(source).actions:
                if self._is_free(action.name, source, taken):
                    yield FoundAction(action, way, str(source))

    # Collectors

    def collectors(self) -> Iterator[FoundCollector]:
        """Those of plugins."""
        taken = dict.fromkeys((*collectors_table.NAMES, *RESERVED), "built in")
        custom = self._configuration.collect.custom
        taken |= {one.name: f"[collector.{one.name}]" for one in custom}
        for name, path in self._executables(COLLECTORS):
            if self._is_free(name, path, taken):
                from failhook.plugins import executable

                yield self._collector(executable.collector(name, path), Way.EXECUTABLE, path)
        for way, source in self._sources(COLLECTORS):
            for collector in self._described(source).collectors:
                if self._is_free(collector.name, source, taken):
                    yield self._collector(collector, way, source)

    def _collector(self, one: Collector, way: Way, source: object) -> FoundCollector:
        off = one.name in self._configuration.collect.skip
        return FoundCollector(one, way, str(source), off)

    # Both

    def _problem(self, file: Path, message: str, hint: str = "") -> None:
        problem = Problem(file, None, "", message, hint)
        if problem not in self.problems:
            self.problems.append(problem)

    def _is_free(self, name: str, source: Path | Source, taken: dict[str, str]) -> bool:
        if name in taken:
            file = source if isinstance(source, Path) else source.file
            hint = "give it another name; it is not used"
            self._problem(file, f"{name!r} is there already ({taken[name]})", hint)
            return False
        taken[name] = str(source)
        return True

    def _executables(self, kind: str, only: str | None = None) -> Iterator[tuple[str, Path]]:
        """Names and files, by name; an administrator's file hides the vendor's."""
        files: dict[str, Path] = {}
        for directory in self._places.configuration:
            seen: dict[str, Path] = {}
            for path in _entries(directory / kind):
                if (only is None or path.stem == only) and not _PASSED_OVER.fullmatch(path.name):
                    if path.stem in seen:
                        why = f"{path.stem!r} is there already ({seen[path.stem]})"
                        self._problem(path, why, "give it another name; it is not used")
                        continue
                    seen[path.stem] = path
            files |= seen
        for name, path in sorted(files.items()):
            if _is_masked(path):
                continue
            refused = self._refusal(name, path)
            if refused is None:
                yield name, path
            else:
                self._problem(path, refused, "it is not run")

    def _refusal(self, name: str, path: Path) -> str | None:
        if not NAME.fullmatch(name):
            return f"{name!r} is no name: lower case letters, digits, - and _"
        refused = trust.refusal(path, user=self._places.user)
        if refused is None and not os.access(path, os.X_OK):
            return f"is not executable: chmod +x {path}"
        return refused

    def _sources(self, kind: str, only: str | None = None) -> Iterator[tuple[Way, Source]]:
        user = self._places.user
        owners = frozenset({0, os.geteuid()} if user else {0})
        for path in self._configuration.plugins:
            refused = trust.refusal_by(path, set(owners))
            if refused is None:
                yield Way.FILE, Source(path, owners)
            else:
                self._problem(path, refused, "no action or collector of it is used")
        # Whoever installs for the interpreter that runs us decides what runs anyway.
        owners = frozenset({0, os.geteuid()})
        for entry in entry_points.of_group(f"failhook.{kind}"):
            if only is not None and entry.name != only:
                continue
            refused = trust.refusal_by(entry.file, set(owners))
            if refused is None:
                yield Way.PACKAGE, Source(entry.file, owners, entry)
            else:
                self._problem(entry.file, refused, f"{entry.name} is not used")

    def _described(self, source: Source) -> Description:
        from failhook.plugins import python

        found = python.describe(source)
        if found.problem is not None:
            self._problem(source.file, found.problem, "nothing of it is used")
        return found


def _entries(directory: Path) -> Iterable[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return ()


def _is_masked(path: Path) -> bool:
    """Taken away by the administrator: a link to /dev/null, as for units."""
    return path.is_symlink() and os.path.realpath(path) == "/dev/null"
