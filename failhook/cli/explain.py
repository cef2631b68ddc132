# SPDX-License-Identifier: MIT
"""``failhook explain``: why did that fail, from a bundle alone? This machine is not asked."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from failhook import places
from failhook.bundle import reader
from failhook.bundle.gunzip import Limits
from failhook.bundle.layout import BundleError
from failhook.bundle.verify import judged
from failhook.cli import terminal
from failhook.cli.errors import UsageError
from failhook.cli.show import changed_lines, verdict_lines
from failhook.cli.terminal import styled, visible
from failhook.config import load
from failhook.diagnose.case import make
from failhook.diagnose.custom import of_data
from failhook.diagnose.engine import CAUSES, diagnose
from failhook.diagnose.finding import Cause
from failhook.diagnose.stage import is_wanted
from failhook.incident import Incident, Json, JsonObject
from failhook.store import codec
from failhook.store.incidents import NotFound

EPILOG = """\
The bundle may come from another machine and from a stranger: it is checked as
"failhook verify" does, nothing is unpacked, and nothing here is looked at.

  failhook explain nginx.tar.gz
  failhook explain *.tar.gz --json | jq -r '.explained[].verdict.summary'"""
_INCIDENT = "incident.json"
_MAX_ITEM = 8 << 20
_MAX_ALL = 48 << 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    parser.add_argument("file", metavar="FILE", nargs="+", help="bundles of failhook")
    parser.add_argument("--json", action="store_true", help="one JSON document")


def run(options: argparse.Namespace) -> int:
    """Explain each; 1 if one cannot be explained."""
    documents: list[Json] = []
    bad = False
    own = load.load(places.find(user=options.user)).causes
    for name in options.file:
        incident, problems = explained(Path(name), [*of_data(own), *CAUSES])
        bad = bad or bool(problems)
        documents.append(_document(name, incident, problems))
        if not options.json:
            _print(name, incident, problems, several=len(options.file) > 1)
    if options.json:
        terminal.print_json("explained", documents)
    return int(bad)


def explained(
    path: Path, causes: Sequence[Cause] = CAUSES
) -> tuple[Incident | None, tuple[str, ...]]:
    """The incident with this version's verdict on it, and what is wrong with the bundle.

    Raises NotFound where there is no such file, and UsageError where it is no bundle.
    """
    if not path.exists():
        raise NotFound(f"{path} does not exist")
    items, problems = _items(path)
    try:
        incident = codec.load(items.pop(_INCIDENT, b""))
    except codec.CodecError as error:
        return None, (*problems, f"it has no incident.json to go by ({error})")
    return replace(
        incident, verdict=diagnose(make(incident, items), causes) or incident.verdict
    ), problems


class _Wanted:
    """Takes the items that a verdict looks at, and no more than is affordable."""

    def __init__(self) -> None:
        self.items: dict[str, bytearray] = {}
        self._current: bytearray | None = None
        self._left = _MAX_ALL

    def directory(self, path: str) -> None:
        """Directories hold nothing by themselves."""

    def begin(self, path: str) -> None:
        """A file: is it one of ours?"""
        name = path.partition("/")[2]  # below the one top directory
        self._current = None
        if is_wanted(name) or name == _INCIDENT:
            self._current = self.items.setdefault(name, bytearray())

    def data(self, piece: bytes) -> None:
        """The next bytes of the file that began last."""
        if self._current is not None:
            room = min(_MAX_ITEM - len(self._current), self._left)
            self._current += piece[:room]
            self._left -= min(room, len(piece))


def _items(path: Path) -> tuple[dict[str, bytes], tuple[str, ...]]:
    limits, wanted = Limits(), _Wanted()
    try:
        with reader.opened(path, limits) as stream:
            found = judged(reader.scan(stream, wanted, limits=limits))
    except BundleError as error:
        raise UsageError(error.reason) from None
    return {name: bytes(data) for name, data in wanted.items.items()}, found.problems


def _document(name: str, incident: Incident | None, problems: tuple[str, ...]) -> JsonObject:
    known: JsonObject = incident.to_json() if incident is not None else {}
    return {
        "file": name,
        "id": known.get("id"),
        "unit": known.get("unit"),
        "host": known.get("host"),
        "first_seen": known.get("first_seen"),
        "verdict": known.get("verdict"),
        "last_well": known.get("last_well"),
        "changes": known.get("changes"),
        "problems": list(problems),
    }


def _print(
    name: str, incident: Incident | None, problems: tuple[str, ...], *, several: bool
) -> None:
    if several:
        print(f"{visible(name)}:")
    if incident is not None:
        sentence = incident.verdict.summary if incident.verdict else f"{incident.unit} failed"
        print(styled(visible(sentence), "strong"))
        print(f"  on {visible(incident.host)}, {terminal.full_clock(incident.first_seen)}")
        for line in (*verdict_lines(incident), *changed_lines(incident)):
            print(line)
    for problem in problems:
        print(f"  {styled('Damaged', 'bad')}   {visible(problem)}")
