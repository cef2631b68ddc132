# SPDX-License-Identifier: MIT
"""Where a plugin in Python is, and loading it: only ever done in a process that ends with it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failhook import trust
from failhook.action import Action
from failhook.collector import Collector
from failhook.plugins.entry_points import EntryPoint


class Unfit(Exception):
    """A plugin cannot be used: says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a plugin is: a file, or an entry point. ``owners`` (uids) may have written it."""

    file: Path
    owners: frozenset[int]
    entry: EntryPoint | None = None

    def __str__(self) -> str:
        return self.entry.package if self.entry is not None else str(self.file)

    def load(self) -> tuple[list[Action[Any]], list[Collector]]:
        """What it offers. Runs its code: only in a process that ends with it. Raises Unfit, and
        whatever that code raises."""
        before, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # beside a configuration
        try:
            return self._load()
        finally:
            sys.dont_write_bytecode = before

    def _load(self) -> tuple[list[Action[Any]], list[Collector]]:
        if self.entry is None:
            module = _of_file(self.file)
            actions, collectors = (_listed(module, word) for word in ("ACTION", "COLLECTOR"))
        else:
            offered = _of_entry(self.entry, self.owners)
            actions = [offered] if self.entry.group.endswith("actions") else []
            collectors = [] if actions else [offered]
        for kind, offered_ones in ((Action, actions), (Collector, collectors)):
            for one in offered_ones:
                if not isinstance(one, kind):
                    raise Unfit(f"offers a {type(one).__name__} where {_A[kind]} should be")
        return actions, collectors

    def action(self, name: str) -> Action[Any]:
        """As `load`, the one action."""
        found: Action[Any] = _named(self.load()[0], name)
        return found

    def collector(self, name: str) -> Collector:
        """As `load`, the one collector."""
        found: Collector = _named(self.load()[1], name)
        return found


_A: Mapping[type, str] = {Action: "an Action", Collector: "a Collector"}


def _named(offered: list[Any], name: str) -> Any:
    for one in offered:
        if one.name == name:
            return one
    raise Unfit(f"does not offer {name} any more")


def _of_file(path: Path) -> object:
    import importlib.util

    spec = importlib.util.spec_from_file_location(f"failhook_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise Unfit("is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


def _listed(module: object, word: str) -> list[Any]:
    """``WORD`` and ``WORDS`` of a module."""
    one = [getattr(module, word)] if hasattr(module, word) else []
    return [*one, *getattr(module, f"{word}S", ())]


def _of_entry(entry: EntryPoint, owners: frozenset[int]) -> Any:
    import importlib.util

    top = entry.module.partition(".")[0]
    spec = importlib.util.find_spec(top)  # finds, runs nothing of it
    if spec is None or not (spec.origin or spec.submodule_search_locations):
        raise Unfit(f"there is no module {top}: install {entry.package} again")
    for place in [
        *(spec.submodule_search_locations or ()),
        *([spec.origin] if spec.origin else ()),
    ]:
        refused = trust.refusal_by(Path(place), set(owners), directory=True)
        if refused is not None:
            raise Unfit(refused)
    found: Any = importlib.import_module(entry.module)
    for part in entry.attribute.split("."):
        found = getattr(found, part)
    name = getattr(found, "name", None)
    if name != entry.name:
        raise Unfit(f"is called {entry.name} by its package and {name!r} by itself")
    return found
