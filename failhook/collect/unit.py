# SPDX-License-Identifier: MIT
"""The unit itself: its properties, its files with drop-ins, and the units that it depends on.

The properties were asked for when the work on the incident began, and are not asked for again: by
now the unit may be in its next run. Its files are read directly, as ``systemctl cat`` would, where
systemd has said which they are. What it requires and is not active is followed down to what failed
of its own, whose last lines are kept: a victim's own log is empty.

Unit names may begin with ``-``: ``--`` before every one of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from failhook import document, proc
from failhook.collect.columns import table
from failhook.collect.later import Later
from failhook.collect.now import of_this_boot
from failhook.collector import Collector, Context, Sink
from failhook.safe_open import open_regular
from failhook.systemd import journal
from failhook.systemd.export import Entry
from failhook.systemd.journal import Query
from failhook.systemd.unit import UnitState

# In the order of how much they can have to do with a failure.
_RELATIONS = (
    "Requires",
    "Requisite",
    "BindsTo",
    "PartOf",
    "Upholds",
    "Wants",
    "TriggeredBy",
    "Triggers",
    "JoinsNamespaceOf",
    "OnFailure",
    "OnSuccess",
    "After",
)
_NEEDS = ("Requires", "Requisite", "BindsTo")
_ASKED = (
    f"Id,LoadState,ActiveState,SubState,Result,UnitFileState,Job,InvocationID,{','.join(_NEEDS)}"
)
_RUNS = ("_SYSTEMD_INVOCATION_ID", "INVOCATION_ID", "USER_INVOCATION_ID")
_MAX_DEPTH = 5
_MAX_ROOTS = 3
_ROOT_LINES = 60
_ROOT_BYTES = 128 << 10
_MAX_UNITS = 400
_MAX_FILE = 256 << 10
_ASK_S = 5.0


def collect(context: Context, sink: Sink) -> None:
    """Properties, files, dependencies."""
    unit = context.unit
    neighbours = Later(context, lambda: _states(context, _relations(unit)))
    if unit.properties:
        sink.put("unit/show.txt", _show(unit))
    elif of_this_boot(context):
        argv = [*context.systemctl, "show", "--no-pager", "--", unit.name]
        sink.command("unit/show.txt", argv, timeout_s=_ASK_S)
    if unit.properties and not unit.found:
        sink.problem(f"{unit.name} is not loaded any more: its properties are gone")
    now, then = unit.get("InvocationID"), context.incident.invocation_id
    if now and then and now != then:
        sink.problem(f"the unit runs again: its properties are those of run {now}")
    _files(context, sink)
    if _relations(unit):
        found, problem = neighbours.result()
        if found:
            sink.put("unit/dependencies.txt", _text(found))
        _roots(context, sink, found)
        if problem is not None:
            sink.problem(problem)


def _show(unit: UnitState) -> str:
    """The lines of ``systemctl show`` again; a property that repeats was joined by newlines."""
    return "".join(
        f"{key}={value}\n"
        for key, joined in unit.properties.items()
        for value in joined.split("\n")
    )


def _files(context: Context, sink: Sink) -> None:
    unit = context.unit
    paths = [unit.get("FragmentPath") or "", *(unit.get("DropInPaths") or "").split()]
    if unit.get("SourcePath"):
        paths.append(unit.properties["SourcePath"])
    paths = [path for path in paths if path]
    if not paths or not all(path.startswith("/") for path in paths):  # "[unprintable]"
        if unit.found or not unit.properties:
            argv = [*context.systemctl, "cat", "--no-pager", "--", unit.name]
            sink.command("unit/cat.txt", argv, timeout_s=_ASK_S)
        return
    sink.put("unit/cat.txt", b"\n".join(_file(path) for path in paths))
    if unit.get("NeedDaemonReload") == "yes":
        sink.problem("the files were changed since systemd read them (NeedDaemonReload=yes)")


def _file(path: str) -> bytes:
    head = f"# {path}\n".encode("utf-8", "replace")
    if path == "/dev/null" or path.endswith("/dev/null"):
        return head
    try:
        with open_regular(path) as stream:
            content = stream.read(_MAX_FILE + 1)
    except OSError as error:
        return head + f"# failhook: not readable: {error.strerror or error}\n".encode()
    note = b"\n# failhook: cut here\n" if len(content) > _MAX_FILE else b""
    return head + content[:_MAX_FILE] + note


# -- dependencies -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Neighbour:
    """One unit that this one depends on, and by which settings."""

    name: str
    relations: tuple[str, ...]
    state: UnitState

    @property
    def needed(self) -> bool:
        """Without it the unit does not start."""
        return any(one.partition("<")[0] in _NEEDS for one in self.relations)

    @property
    def healthy(self) -> bool:
        """Loaded and not failed; a unit that is only an ordering may be absent."""
        ordering = set(self.relations) <= {"After"}
        loaded = self.state.get("LoadState") in (None, "loaded", "masked") or ordering
        active = self.state.get("ActiveState")
        return loaded and active != "failed" and (active == "active" or not self.needed)


def _relations(unit: UnitState) -> dict[str, list[str]]:
    """Each unit that is named in a dependency, and in which."""
    found: dict[str, list[str]] = {}
    for relation in _RELATIONS:
        for name in (unit.get(relation) or "").split():
            found.setdefault(name, []).append(relation)
    return found


def _states(
    context: Context, relations: dict[str, list[str]]
) -> tuple[list[_Neighbour], str | None]:
    """The neighbours, and further down those that what is needed and not active needs itself."""
    found: list[_Neighbour] = []
    left_out = max(0, len(relations) - _MAX_UNITS)
    for _ in range(_MAX_DEPTH):
        names = list(relations)[:_MAX_UNITS]
        if not names:
            break
        argv = [*context.systemctl, "show", "--no-pager", "-p", _ASKED, "--", *names]
        done = proc.run(argv, timeout_s=_ASK_S, own_group=False)
        if not done.ok:
            return found, f"the state of the dependencies is unknown: {done.why()}"
        blocks = [UnitState.parse("", block) for block in done.text.split("\n\n")]
        level = [
            _Neighbour(name, tuple(relations[name]), state)
            for name, state in zip(names, blocks, strict=False)
        ]
        found += level
        relations = _further(level, {context.unit.name, *(one.name for one in found)})
    return found, f"{left_out} dependencies are not shown" if left_out else None


def _further(level: Iterable[_Neighbour], known: set[str]) -> dict[str, list[str]]:
    """What those need that are needed and not active, by the name of who needs it."""
    found: dict[str, list[str]] = {}
    for one in level:
        if one.needed and one.state.get("ActiveState") not in ("active", "failed"):
            for setting in _NEEDS:
                for name in (one.state.get(setting) or "").split():
                    if name not in known:
                        found.setdefault(name, []).append(f"{setting}<{one.name}")
    return found


def _roots(context: Context, sink: Sink, found: Iterable[_Neighbour]) -> None:
    """The last lines of what failed and is needed, or was started by this unit."""
    about = (one for one in found if one.needed or "Triggers" in one.relations)
    failed = [one for one in about if one.state.get("ActiveState") == "failed"]
    lines = {one.name: list(_last_lines(context, one)) for one in failed[:_MAX_ROOTS]}
    if lines:
        sink.put("unit/required.json", document.text(lines))


def _last_lines(context: Context, one: _Neighbour) -> Iterable[str]:
    """Of its run, also what journald saw too late to know which run it was (collect/journal.py)."""
    boot = f"_BOOT_ID={context.incident.boot_id.replace('-', '')}"
    uid = f"_UID={os.getuid()}" if context.user else "_UID=0"
    run = one.state.get("InvocationID")
    if run is not None:
        about = "USER_INVOCATION_ID" if context.user else "INVOCATION_ID"
        own = "_SYSTEMD_USER_UNIT" if context.user else "_SYSTEMD_UNIT"
        matches: tuple[str, ...] = (f"_SYSTEMD_INVOCATION_ID={run}", "+", f"{about}={run}", uid)
        matches += ("+", f"{own}={one.name}", boot)
    else:
        matches = (f"USER_UNIT={one.name}" if context.user else f"UNIT={one.name}", uid, boot)
    query = Query(matches, max_entries=_ROOT_LINES)
    reading = journal.ask(query, max_bytes=_ROOT_BYTES, timeout_s=_ASK_S)
    return (journal.to_json(entry).strip() for entry in _of_run(reading.entries, run))


def _of_run(entries: Iterable[Entry], run: str | None) -> Iterator[Entry]:
    """Of entries in order, those of this run, and after its first line those of no run."""
    begun = run is None
    for entry in entries:
        known = {value for name in _RUNS if (value := entry.fields.get(name)) is not None}
        begun = begun or run in known
        if begun and (run is None or run in known or not known):
            yield entry


def _text(neighbours: Iterable[_Neighbour]) -> str:
    rows = [
        (
            " " if each.healthy else "!",
            each.name,
            each.state.get("LoadState"),
            each.state.get("ActiveState"),
            each.state.get("SubState"),
            each.state.get("Result"),
            " ".join(each.relations),
        )
        for each in sorted(neighbours, key=lambda each: each.healthy)
    ]
    return table(("!", "UNIT", "LOAD", "ACTIVE", "SUB", "RESULT", "RELATION"), rows)


COLLECTOR = Collector(
    "unit",
    "properties, files with drop-ins, dependencies and their state",
    collect,
    max_bytes=1 << 20,
)
