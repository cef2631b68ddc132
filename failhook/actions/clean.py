# SPDX-License-Identifier: MIT
"""Makes room: the directories that systemd keeps for a unit, and declared paths.

`unit_directories` empties what ``systemctl clean --what=`` would, with a walker of our own, so that
it works without the bus and while the unit waits for its restart; the directories themselves stay,
with their owner and mode. `paths` are cleaned by age, size, name and number. Nothing outside of
these directories is touched, whatever is linked, mounted or moved there meanwhile:
`failhook.actions.beneath`.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import Any

from failhook import places
from failhook.actions import beneath, clean_roots
from failhook.actions.beneath import Root, Tally
from failhook.actions.clean_choice import Chosen, Everything, Filters, Survey
from failhook.actions.clean_roots import Refused, Target
from failhook.places import Places
from failhook.plugin import (
    COUNT,
    DURATION,
    FLAG,
    PATHS,
    SIZE,
    TEXT,
    Action,
    Kind,
    Outcome,
    Request,
    Wrong,
    failed,
    option,
)
from failhook.systemd import unit as units

_MOST_KEPT = 1_000_000
_RESERVE_S = 2.0  # of the deadline, to say how it went
_MOST_REASONS = 3


def _kinds(value: object) -> tuple[str, ...]:
    words = value if isinstance(value, list) else None
    if words is None or not words or not all(word in clean_roots.KINDS for word in words):
        raise Wrong(f"is no list of these: {', '.join(clean_roots.KINDS)}")
    return tuple(dict.fromkeys(words))


def _patterns(value: object) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not words:
        raise Wrong('is no pattern for names; write "*.tmp" or ["*.tmp", "core.*"]')
    for word in words:
        if not isinstance(word, str) or not word or "/" in word:
            raise Wrong("is no pattern for names: those are compared without the directory")
    return tuple(words)


_KIND_WORDS = {"type": "array", "items": {"enum": list(clean_roots.KINDS)}, "minItems": 1}
_ONE_OR_MORE = {"type": ["string", "array"], "items": {"type": "string"}}
KINDS = Kind("list of unit directories", _kinds, _KIND_WORDS)
PATTERNS = Kind("pattern for names", _patterns, _ONE_OR_MORE)


@dataclass(frozen=True, slots=True)
class Options:
    """What is cleaned, and what of it goes."""

    unit_directories: tuple[str, ...] = option(
        KINDS, "directories of the unit that are emptied: cache, runtime, state, …", default=()
    )
    unit: str = option(TEXT, "the unit they belong to; the failed one unless said", default="")
    paths: tuple[str, ...] = option(PATHS, "directories whose files are cleaned", default=())
    older_than: float | None = option(
        DURATION, "of paths: only files that were last changed longer ago", default=None
    )
    larger_than: int | None = option(SIZE, "of paths: only files larger than this", default=None)
    keep_newest: int | None = option(
        COUNT, "of each path: the newest so many files stay", default=None
    )
    below: int | None = option(
        SIZE, "of each path: only until it takes less than this, oldest first", default=None
    )
    pattern: tuple[str, ...] = option(
        PATTERNS, 'of paths: only names like these, as "*.tmp"', default=()
    )
    empty_directories: bool = option(
        FLAG, "of paths: directories that are empty go as well", default=False
    )

    def __post_init__(self) -> None:
        if not self.unit_directories and not self.paths:
            raise Wrong("says nothing to clean; write unit_directories or paths")
        if not self.paths and self.filters != Filters():
            raise Wrong("older_than, below and the like are about paths, and there are none")
        if (self.keep_newest or 0) > _MOST_KEPT:
            raise Wrong(f"keep_newest is more than {_MOST_KEPT}")

    @property
    def filters(self) -> Filters:
        """For the declared paths."""
        return Filters(
            self.older_than,
            self.larger_than,
            self.keep_newest,
            self.below,
            self.pattern,
            self.empty_directories,
        )


@dataclass(slots=True)
class _Report:
    """How it went, over all directories."""

    roots: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)
    finished: bool = True

    def add(self, root: Root, tally: Tally, total: int, free: tuple[int, int]) -> None:
        """One directory: bytes before and after, and what was free on its file system."""
        self.finished = self.finished and tally.finished
        for why, count in tally.left.items():
            self.left[why] = self.left.get(why, 0) + count
        self.roots.append(
            {
                "path": root.path,
                "bytes_before": total,
                "bytes_after": total - tally.freed,
                "freed": tally.freed,
                "files_seen": tally.files,
                "files_removed": tally.removed,
                "names_of_linked_files": tally.linked,
                "directories_removed": tally.directories,
                "left": dict(tally.left),
                "finished": tally.finished,
                "free_before": free[0],
                "free_after": free[1],
            }
        )

    def sum(self, name: str) -> int:
        """A figure over all directories."""
        return sum(one[name] for one in self.roots)


def run(request: Request[Options]) -> Outcome:
    """Clean, within the deadline."""
    until = time.monotonic() + max(0.1, request.deadline_s - _RESERVE_S)
    where = places.find(user=request.user)
    try:
        targets = _targets(request)
    except Refused as refused:
        return failed(f"nothing was cleaned: {refused}", final=True)
    except _NotNow as not_now:
        return failed(f"nothing was cleaned: {not_now}")
    report = _Report()
    seen: set[tuple[int, int]] = set()
    for target in targets:
        try:
            with beneath.opened(target.path) as root:
                clean_roots.check(root, target, where, limited=request.options.filters.limited)
                if root.identity not in seen:
                    seen.add(root.identity)
                    _one(root, target, request, where, until, report)
        except FileNotFoundError:
            if target.kind is None:
                report.notes.append(f"{target.path} does not exist")
        except Refused as refused:
            report.problems.append(str(refused))
        except OSError as error:
            report.problems.append(f"{target.path}: {error.strerror or error}")
    return _outcome(report, request.dry_run)


class _NotNow(Exception):
    """It may be possible later: says why it is not now."""


def _targets(request: Request[Options]) -> list[Target]:
    options = request.options
    targets = [Target(path) for path in options.paths]
    if not options.unit_directories:
        return targets
    name = options.unit or request.incident.unit
    shown = units.show_many([name], clean_roots.PROPERTIES, user=request.user)
    state = shown.get(name)
    if state is None or not state.properties:
        raise _NotNow(f"systemd does not tell the directories of {name}")
    if not state.found:
        raise Refused(f"systemd knows no unit {name}")
    others = [kind for kind in options.unit_directories if kind != "cache"]
    if others and _runs(state):
        raise _NotNow(f"{name} runs, and its {' and '.join(others)} may be in use")
    return clean_roots.of_unit(state, options.unit_directories, user=request.user) + targets


def _runs(state: units.UnitState) -> bool:
    if (state.get("SubState") or "").startswith("auto-restart"):
        return False
    return state.get("ActiveState") not in ("inactive", "failed")


def _one(
    root: Root,
    target: Target,
    request: Request[Options],
    where: Places,
    until: float,
    report: _Report,
) -> None:
    filters = request.options.filters
    free_before = _free(root)
    spared = clean_roots.spared(where)
    judge: beneath.Judge = Everything()
    total = None
    if target.kind is None:
        judge = Chosen(filters, time.time())
        if filters.needs_survey:
            survey = Survey(filters, judge)
            looked = beneath.sweep(root, survey, until=until, dry_run=True, spared=spared)
            if not looked.finished:
                report.add(root, looked, looked.bytes, (free_before, free_before))
                return
            judge, total = Chosen(filters, time.time(), survey), survey.total
    tally = beneath.sweep(root, judge, until=until, dry_run=request.dry_run, spared=spared)
    report.add(root, tally, tally.bytes if total is None else total, (free_before, _free(root)))


def _free(root: Root) -> int:
    """Bytes that are free for everybody on that file system."""
    state = os.fstatvfs(root.fd)
    return state.f_bavail * state.f_frsize


def _outcome(report: _Report, dry_run: bool) -> Outcome:
    places_text = ", ".join(one["path"] for one in report.roots) or "no directory"
    verb = "would free" if dry_run else "freed"
    removed, linked = report.sum("files_removed"), report.sum("names_of_linked_files")
    before, after = _size(report.sum("bytes_before")), _size(report.sum("bytes_after"))
    freed = f"{verb} {_size(report.sum('freed'))} in {removed} files beneath {places_text}"
    words = [f"{freed}: {before} before, {after} after"]
    if linked:
        words.append(f"{linked} of them have other names, which stay")
    if not report.finished:
        words.insert(0, "stopped at the time limit")
    if report.left:
        most = sorted(report.left.items(), key=lambda one: -one[1])[:_MOST_REASONS]
        words.append("left: " + ", ".join(f"{count} ({why})" for why, count in most))
    words += [*report.notes, *report.problems]
    ok = report.finished and not report.problems
    data = {
        "freed": report.sum("freed"),
        "bytes_before": report.sum("bytes_before"),
        "bytes_after": report.sum("bytes_after"),
        "roots": report.roots,
    }
    # What is refused will be refused again; what took too long goes on where it was.
    return Outcome(ok, "; ".join(words), final=report.finished and not ok, data=data)


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


ACTION = Action(
    "clean",
    "makes room: a unit's cache and the like, and declared paths",
    Options,
    run,
    repeatable=True,
    timeout_s=300.0,
)
