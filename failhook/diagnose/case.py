# SPDX-License-Identifier: MIT
"""What a cause may look at: one failed run, its lines, its unit, and the machine as it was seen.

Made from the items of a bundle, whether they were collected a moment ago or come from elsewhere.
Everything is bounded: a journal of a million lines gives its first few and its last few hundred.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from failhook.ascii import without_escapes
from failhook.diagnose import aside, cores
from failhook.diagnose import facts as facts_of
from failhook.diagnose.around import (
    Listener,
    Mount,
    Neighbour,
    links,
    listeners,
    mounts,
    neighbours,
    objects_of,
)
from failhook.diagnose.cores import Core
from failhook.diagnose.course import Course
from failhook.diagnose.facts import Facts, PathFact
from failhook.diagnose.level import Level, of_priority
from failhook.diagnose.stage import CHANGES
from failhook.diagnose.subjects import INTERPRETER, commands
from failhook.diagnose.text import (
    MAX_LINE,
    Message,
    peel,
    with_level,
    within_budget,
)
from failhook.diagnose.tongue import in_english
from failhook.incident import Change, Incident, Proof
from failhook.store import codec
from failhook.systemd.history import Line, line_of
from failhook.systemd.journal import COREDUMP
from failhook.systemd.settings import complete
from failhook.systemd.unit import UnitState

_SKIPPED = " missing, skipping: "
T = TypeVar("T")
REQUIRED = "unit/required.json"
_FIRST, _LAST = 150, 600
_OF_AN_ENTRY = 200
_MAX_KERNEL, _MAX_FILES = 2000, 8
_OF_ANYBODY = ("logger", "sleep", "nice", "timeout")
_TAG = re.compile(r"\blogger\b[^|;&]{0,80}?\s(?:-t|--tag)[ =]?['\"]?(?P<tag>[\w.-]{2,60})")
_PROCESS = re.compile(r"\bprocess (\d{1,8}) \(")


@dataclass(frozen=True)
class Case:
    """One failed run and what is known about it."""

    incident: Incident
    unit: UnitState
    messages: tuple[Message, ...]  # of the program, oldest first
    manager: tuple[Line, ...]  # of systemd about this run
    setup: tuple[Line, ...] = ()  # of systemd's own child, before it became the program
    kernel: tuple[str, ...] = ()
    earlier: frozenset[str] = frozenset()  # what the unit said before this run
    facts: Facts = field(default_factory=Facts)
    looked: bool = False  # who listens, and what is mounted, was looked at
    listeners: tuple[Listener, ...] = ()
    mounts: tuple[Mount, ...] = ()
    links: tuple[str, ...] = ()  # network interfaces
    neighbours: tuple[Neighbour, ...] = ()
    cores: tuple[Core, ...] = ()
    journal_text: str = field(default="", repr=False)
    unit_text: str = field(default="", repr=False)  # its files
    memory: Mapping[str, int] = field(default_factory=dict)
    required: Mapping[str, tuple[Message, ...]] = field(
        default_factory=dict
    )  # what failed ones said
    changes: tuple[Change, ...] = ()  # since it last ran well, newest first
    overheard: bool = False  # the program said nothing; `messages` are of who spoke meanwhile

    # -- where things are ----------------------------------------------------------------------

    def proof(self, message: Message) -> Proof:
        """The line, and its place in the bundle."""
        item = message.identifier
        if item.startswith((aside.LOGS, aside.OUTPUT)):
            return Proof(f"{self._file_of(item)} said", message.raw[:400], item)
        return self.proof_of(message.raw, f"{message.identifier} said")

    def _file_of(self, item: str) -> str:
        """Where on the machine an item's text stood."""
        name = item.partition("/")[2]
        if item.startswith(aside.LOGS):
            return f"/var/log/{name}"
        setting = name.removesuffix(".txt")
        return (self.unit.get(setting) or "").partition(":")[2] or f"its {setting}="

    def proof_of(self, text: str, source: str = "systemd said") -> Proof:
        """A line of the journal and its place in the bundle."""
        number = self._line_numbers.get(_key(text))
        ref = f"journal/journal.txt:{number}" if number else None
        return Proof(source, text.strip()[:400], ref)

    def once(self, key: Hashable, answer: Callable[[], T]) -> T:
        """What does not depend on a line, and is asked for each of hundreds: found once."""
        if key not in self._answers:
            self._answers[key] = answer()
        found: T = self._answers[key]
        return found

    @cached_property
    def _answers(self) -> dict[Hashable, Any]:
        return {}

    @property
    def failing(self) -> str:
        """The setting of the command that failed: ExecStart, or the one beside the main process."""
        control = self.incident.control
        return control.command if control is not None else "ExecStart"

    @cached_property
    def _line_numbers(self) -> dict[str, int]:
        numbers: dict[str, int] = {}
        for number, line in enumerate(self.journal_text.splitlines(), 1):
            _, _, said = line.partition("]: ")
            if not said:
                _, _, said = line.partition(": ")
            numbers.setdefault(_key(said), number)
        return numbers

    def checked(self, text: str, ref: str = "checks/facts.json") -> Proof:
        """What was seen on the machine."""
        return Proof("checked", text, ref)

    # -- what is known --------------------------------------------------------------------------

    @cached_property
    def uid(self) -> int | None:
        """Whom the program ran as: by its own lines, else by the unit."""
        said = [message.uid for message in self.messages if message.uid is not None]
        if said:
            return max(set(said), key=said.count)
        return self.unit.number("UID") or self.facts.users.get(self.unit.get("User") or "root", 0)

    def path(self, path: str) -> PathFact | None:
        """What was seen of a path; None where it was not looked at."""
        return self.facts.paths.get(path)

    def listener(self, port: int, protocol: str = "") -> Listener | None:
        """Who holds a port, if it is somebody else's."""
        own = self.incident.unit
        for one in self.listeners:
            if one.port == port and one.protocol.startswith(protocol) and one.unit != own:
                return one
        return None

    def mount(self, path: str) -> Mount | None:
        """The innermost mount that a path is below."""
        inside = [
            one
            for one in self.mounts
            if one.point in ("/", path) or path.startswith(one.point.rstrip("/") + "/")
        ]
        return max(inside, key=lambda one: len(one.point), default=None)

    @cached_property
    def failed_commands(self) -> frozenset[str]:
        """The names of the programs that failed beside a main process that did not
        (ExecStartPost=, mostly), if they said anything; that one's own words are of less weight."""
        control = self.incident.control
        if control is None or control.command in ("ExecStart", "ExecStartPre", "ExecCondition"):
            return frozenset()
        names = {
            path.rpartition("/")[2]
            for setting, path, _ in commands(self.unit)
            if setting == control.command
        }
        return frozenset(names & {message.identifier for message in self.messages})

    def of_another_command(self, message: Message) -> bool:
        """Another one failed, and has spoken for itself."""
        return bool(self.failed_commands) and message.identifier not in self.failed_commands

    def said(self, words: str) -> Line | None:
        """The manager's line that holds these words."""
        return next((line for line in self.manager if words in line.message), None)

    @cached_property
    def course(self) -> Course:
        """How the run went on after each of its lines."""
        return Course(self.messages, ran_out_of_time=self.incident.result == "timeout")

    @cached_property
    def pids(self) -> frozenset[str]:
        """Processes of the run: of those that said something, that systemd named, or that crashed."""
        named = {pid for line in self.manager for pid in _PROCESS.findall(line.message)}
        spoke = {message.pid for message in self.messages}
        dumped = {core.pid for core in self.cores}
        return frozenset((named | spoke | dumped | {str(self.incident.main.pid or "")}) - {""})

    def is_of_main(self, message: Message) -> bool:
        """Of the main process, or of one that nobody knows to be another."""
        main = self.incident.main.pid
        return main is None or message.pid in ("", str(main))

    @property
    def ended_badly(self) -> bool:
        """What failed gave a status other than 0."""
        return self.status not in (None, "0")

    @property
    def status(self) -> str | None:
        """The exit status, or the signal, of what failed: the main process or a command beside it."""
        control = self.incident.control
        return control.exit_status if control is not None else self.incident.exit_status

    @property
    def silent(self) -> bool:
        """The program wrote nothing at all."""
        return not self.messages or self.overheard


def _key(text: str) -> str:
    return " ".join(without_escapes(text.replace("\\x1b", "\x1b")).split())[:160]


def make(incident: Incident, items: Mapping[str, bytes]) -> Case:
    """The case that a bundle's items make. Missing or damaged items count as not known."""
    unit = complete(
        UnitState.parse(incident.unit, _text(items, "unit/show.txt")), _text(items, "unit/cat.txt")
    )
    entries = _entries(items.get("journal/journal.json", b""))
    names = _names(incident, unit, entries)
    messages, manager, setup = _sorted(entries, names, believed=_never_ran(incident))
    since = min((line.at for line in manager), default=incident.main.started or incident.first_seen)
    lost = aside.lost(_text(items, "journal/lost.txt"), names, messages, since)
    overheard = not messages and not any(aside.is_of(names, one.identifier) for one in lost)
    messages += lost
    files = aside.own_logs(items, names, len(messages), incident.main, incident.first_seen)
    facts = facts_of.load(items.get("checks/facts.json", b"{}"))
    system = objects_of(items.get("system/system.json", b""))
    return Case(
        incident=incident,
        unit=unit,
        overheard=overheard and bool(lost) and not files,
        messages=tuple(in_english(within_budget([*messages, *files]), facts.words)),
        manager=tuple(manager),
        setup=tuple(setup),
        kernel=tuple(
            line[:MAX_LINE]
            for line in _text(items, "kernel/kernel.txt").splitlines()[-_MAX_KERNEL:]
        ),
        earlier=frozenset(aside.said_before(_text(items, "journal/before.txt"))),
        facts=facts,
        looked="listening" in system,
        listeners=tuple(listeners(system)),
        mounts=tuple(mounts(system)),
        links=tuple(links(system)),
        neighbours=tuple(neighbours(_text(items, "unit/dependencies.txt"))),
        cores=cores.load(items),
        journal_text=_text(items, "journal/journal.txt"),
        unit_text=_text(items, "unit/cat.txt"),
        memory=_memory(items),
        required=dict(_required(items)),
        changes=_changes(incident, items),
    )


def _changes(incident: Incident, items: Mapping[str, bytes]) -> tuple[Change, ...]:
    """As they were just found, else as the incident has them."""
    with contextlib.suppress(codec.CodecError):
        return codec.load_changes(items.get(CHANGES, b""))[0]
    return incident.changes


def _text(items: Mapping[str, bytes], name: str) -> str:
    return items.get(name, b"").decode("utf-8", "replace")


def _ends(lines: list[T]) -> list[T]:
    """The first few and the last few hundred."""
    return lines if len(lines) <= _FIRST + _LAST else [*lines[:_FIRST], *lines[-_LAST:]]


def _entries(data: bytes) -> list[Line]:
    *first, rest = data.split(b"\n", _FIRST)
    rows = [*first, *rest.rsplit(b"\n", _LAST)[-_LAST:]]  # a million lines are not taken apart
    return [line for text in rows if (line := line_of(text)) is not None]


def _names(incident: Incident, unit: UnitState, entries: Iterable[Line]) -> frozenset[str]:
    """What the program calls itself in front of its lines."""
    names = {incident.unit.partition(".")[0].partition("@")[0].lower()}
    names |= {(line.get("SYSLOG_IDENTIFIER") or "").lower() for line in entries}
    names |= {(line.get("_COMM") or "").lower() for line in entries}
    for _, path, argv in commands(unit):
        program = path.rpartition("/")[2].lower()
        if not INTERPRETER.search(program) and program not in _OF_ANYBODY:
            names.add(program)
        names |= {match["tag"].lower() for match in _TAG.finditer(argv)}
    return frozenset(name for name in names if len(name) > 1)


def _sorted(
    entries: Sequence[Line], names: frozenset[str], *, believed: bool = True
) -> tuple[list[Message], list[Line], list[Line]]:
    said: list[tuple[Line, str]] = []
    manager: list[Line] = []
    setup: list[Line] = []
    for line in entries:
        identifier = line.get("SYSLOG_IDENTIFIER") or ""
        if is_managers(line):
            manager.append(line)
        elif identifier == "systemd-coredump" and line.get("MESSAGE_ID") == COREDUMP:
            continue  # about the program, not of it: it is in `cores`
        elif identifier in ("failhook", "(failhook)") or line.get("_COMM") == "(failhook)":
            continue  # our own hook's, in the unit's own cgroup
        elif identifier.startswith("(") and _SKIPPED in line.message:
            continue  # of a command with "-" before it: systemd goes on (systemd.service(5))
        elif _is_setup(line, identifier, believed=believed):
            setup.append(line)
        else:
            rows = [
                without_escapes(row[:MAX_LINE]) for row in line.message.splitlines()[:_OF_AN_ENTRY]
            ]
            said += [(line, row) for row in rows if row.strip()]
    messages = [_message(line, row, names, n) for n, (line, row) in enumerate(_ends(said))]
    return messages, manager, setup


def is_managers(line: Line) -> bool:
    """Said by the manager itself, not by something that calls itself so: journald adds these."""
    return line.get("_PID") == "1" or (
        line.get("_SYSTEMD_USER_UNIT") == "init.scope" or line.get("_SYSTEMD_UNIT") == "init.scope"
    )


def _never_ran(incident: Incident) -> bool:
    """By systemd's word: it ended with a status of the set-up, or has none at all."""
    ended = incident.control.exit_status if incident.control else incident.exit_status
    return ended is None or (ended.isdecimal() and 200 <= int(ended[:9]) <= 246)


def _is_setup(line: Line, identifier: str, *, believed: bool) -> bool:
    """Of systemd's child on its way to execve(2): ``(name)`` is what it is called until then, and
    its words are systemd's. A program can call itself so, but not with systemd's own executable;
    where journald was too late for that field, the run must have ended in its set-up."""
    if not (identifier.startswith("(") and identifier.endswith(")")):
        return False
    executable = line.get("_EXE") or ""
    if not executable:
        return believed
    return executable.rpartition("/")[2] in ("systemd", "systemd-executor")


def _message(line: Line, raw: str, names: frozenset[str], number: int) -> Message:
    text, level = peel(raw, names)
    message = Message(
        raw=raw,
        text=text,
        level=level,
        at=line.at,
        identifier=line.get("SYSLOG_IDENTIFIER") or "",
        pid=line.get("_PID") or "",
        uid=_count(line.get("_UID") or ""),
        number=number,
    )
    return with_level(message, of_priority(line.get("PRIORITY")))


def _count(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) <= 20 else None


def _required(items: Mapping[str, bytes]) -> Iterable[tuple[str, tuple[Message, ...]]]:
    """What the units said that this one requires and that failed; systemd's own words last."""
    for name, lines in list(objects_of(items.get(REQUIRED, b"{}")).items())[:_MAX_FILES]:
        if isinstance(lines, list):
            found = [line for text in _ends(lines) if (line := line_of(str(text))) is not None]
            names = frozenset({name.partition(".")[0].lower()})
            messages, manager, setup = _sorted(found, names)
            for line in (*setup, *manager):
                raw = line.message[:MAX_LINE]
                text = raw.partition(": ")[2]
                messages.append(Message(raw, text, at=line.at, number=len(messages)))
            yield name, tuple(messages)


def _memory(items: Mapping[str, bytes]) -> dict[str, int]:
    """``memory.max`` and the like, and the counters of memory.events (cgroup-v2), as numbers."""
    found: dict[str, int] = {}
    for name in ("memory.max", "memory.high", "memory.peak", "memory.current", "pids.max",
                 "pids.current", "pids.peak"):  # fmt: skip
        number = _count(_text(items, f"cgroup/{name}").strip())
        if number is not None:
            found[name] = number
    for file in ("memory.events", "pids.events"):
        for line in _text(items, f"cgroup/{file}").splitlines():
            key, _, value = line.partition(" ")
            if (number := _count(value.strip())) is not None:
                # memory.max is the limit, "max" in memory.events how often it was reached
                stem = file if key in ("max", "high") else file.partition(".")[0]
                found[f"{stem}.{key}"] = number
    return found


def fatal_or_error(message: Message) -> bool:
    """It calls itself an error."""
    return message.level >= Level.ERROR
