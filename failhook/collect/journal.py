# SPDX-License-Identifier: MIT
"""What the failed run said, and what systemd said about it; exactly this run, the end whole.

``_SYSTEMD_INVOCATION_ID=`` has the lines of the run's processes. PID 1's lines about it carry
``INVOCATION_ID=`` (user manager: ``USER_INVOCATION_ID=``), which anybody may write: only root's
count. Lines sent by a process that had ended when journald looked have lost their unit (systemd
issue 2913; every second ``logger`` of a shell script that fails): those of the processes that
systemd started are found by their ids, others by time and user, and all are kept apart. Where
nothing ever ran there is no invocation, and systemd's lines about the unit are all there is.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from failhook import proc
from failhook.collect.accounts import uid_of
from failhook.collect.later import Later
from failhook.collector import Collector, Context, Sink
from failhook.systemd import cores, history, journal
from failhook.systemd.export import Entry
from failhook.systemd.journal import Query
from failhook.systemd.unit import CONTROL_PROPERTIES

TEXT_BYTES = 2 << 20
JSON_BYTES = 4 << 20
SIDE_BYTES = 256 << 10
BEFORE_LINES = 100
_NEVER_RAN_S = 60.0
_START_S = 90.0  # how long before its failure a run began, where nobody knows
_MAX_PIDS = 8
_LAST_S = 10.0
_SLACK_S = 1.0
_INSTEAD_OF_SYNC_S = 0.1
_UNSYNCED_S = 0.3
_UNSYNCED_MOST_S = 2.0
_MAX_STRAYS = 200
_BELONGS = ("_SYSTEMD_CGROUP", "_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT", "_SYSTEMD_INVOCATION_ID")
_ABOUT = ("UNIT", "USER_UNIT")  # systemd.journal-fields(7): what systemd's message is about
_SCAN = 5000  # entries looked at for those before the run, where its start is not known
_READ_S = 8.0
_RATE_S, _RATE_BURST = 30.0, 10_000  # journald's own limit for one unit (journald.conf(5))
_LEFT_OUT = ("COREDUMP_ENVIRON", "COREDUMP")  # secrets by nature; the core itself


@dataclass(slots=True)
class _Kept:
    """Lines, newest first, up to a limit."""

    max_bytes: int
    lines: list[str] = field(default_factory=list)
    size: int = 0
    full: bool = False

    def add(self, line: str) -> None:
        """Keep ``line`` unless the limit is reached; then nothing older is kept either."""
        self.size += len(line.encode("utf-8", "replace"))
        self.full = self.full or self.size > self.max_bytes
        if not self.full:
            self.lines.append(line)

    def put(self, sink: Sink, name: str, what: str) -> None:
        """Hand over what was kept, oldest first; nothing where there is nothing."""
        if not self.lines and not self.full:
            return
        reason = f"cut from the front at {self.max_bytes >> 10} KiB: {what}" if self.full else None
        sink.put(name, "".join(reversed(self.lines)), truncated=self.full, reason=reason)


class _Run:
    """Sorts the entries of one question: the run's own, those that lost their unit, the dropped."""

    def __init__(self, context: Context) -> None:
        incident = context.incident
        self._unit = incident.unit
        self._invocation = incident.invocation_id
        self._user = context.user
        self._pids = _pids(context)
        self._started = incident.main.started or incident.first_seen - _START_S
        self._boot = incident.boot_id.replace("-", "")
        self.text = _Kept(TEXT_BYTES)
        self.json = _Kept(JSON_BYTES)
        self.lost: list[Entry] = []
        self.dropped: list[str] = []
        self.seconds: Counter[int] = Counter()
        self.has_ended = False  # the manager's own line says so

    def query(self, first_seen: float) -> Query:
        """One question for all of it."""
        uid = f"_UID={os.getuid()}" if self._user else "_UID=0"
        boot = f"_BOOT_ID={self._boot}"
        dropped = ("+", f"MESSAGE_ID={journal.DROPPED}", "_TRANSPORT=driver", boot)
        if self._invocation is None:
            about = f"USER_UNIT={self._unit}" if self._user else f"UNIT={self._unit}"
            return Query((about, uid, boot, *dropped), since=first_seen - _NEVER_RAN_S)
        about = "USER_INVOCATION_ID" if self._user else "INVOCATION_ID"
        core = "COREDUMP_USER_UNIT" if self._user else "COREDUMP_UNIT"
        matches = [f"_SYSTEMD_INVOCATION_ID={self._invocation}"]
        matches += ["+", f"{about}={self._invocation}", uid]
        matches += ["+", f"OBJECT_SYSTEMD_INVOCATION_ID={self._invocation}", "_UID=0"]
        matches += ["+", f"MESSAGE_ID={journal.COREDUMP}", f"{core}={self._unit}", boot]
        for pid in self._pids:
            matches += ["+", f"_PID={pid}", boot]
        return Query((*matches, *dropped))

    def take(self, entry: Entry) -> bool:
        """Sort one entry in; False when nothing more would be kept."""
        if _is_ours(entry):
            return True
        if entry.text("MESSAGE_ID") == journal.DROPPED and entry.text("_TRANSPORT") == "driver":
            if f"from {self._unit}" in entry.text("MESSAGE"):
                self.dropped.append(entry.text("N_DROPPED") or "some")
        elif self._is_of_the_run(entry):
            self.seconds[int(entry.realtime)] += 1
            self.has_ended |= entry.fields.get("MESSAGE_ID") == history.UNIT_RESULT
            self.text.add(journal.to_text(entry))
            if not self.json.full:
                self.json.add(journal.to_json(_harmless(entry)))
        elif self._lost_its_unit(entry):
            self.lost.append(entry)
        return not self.text.full

    def _is_of_the_run(self, entry: Entry) -> bool:
        if self._invocation is None:
            return True
        fields = entry.fields
        if fields.get("_SYSTEMD_INVOCATION_ID") == self._invocation:
            return True
        if fields.get("_UID") == "0" or (self._user and fields.get("_UID") == str(os.getuid())):
            for name in ("INVOCATION_ID", "USER_INVOCATION_ID", "OBJECT_SYSTEMD_INVOCATION_ID"):
                if fields.get(name) == self._invocation:
                    return True
        return self._came_late(entry) or self._is_core_of_the_run(entry)

    def _came_late(self, entry: Entry) -> bool:
        """journald (a namespace's, mostly) looked when the run was over: it knew the unit alone.

        Of a user manager's unit it did not even know that: only the system manager tells journald
        whose standard output it is (exec_params, EXEC_PASS_LOG_UNIT).
        """
        fields = entry.fields
        if "_SYSTEMD_INVOCATION_ID" in fields or fields.get("_PID") not in self._pids:
            return False
        if entry.realtime < self._started - _SLACK_S:
            return False
        if self._user and _is_nobodys_output(entry):
            return True
        return fields.get("_SYSTEMD_USER_UNIT" if self._user else "_SYSTEMD_UNIT") == self._unit

    def _is_core_of_the_run(self, entry: Entry) -> bool:
        fields = entry.fields
        if self._unit not in (fields.get("COREDUMP_UNIT"), fields.get("COREDUMP_USER_UNIT")):
            return False
        if fields.get("COREDUMP_PID") not in self._pids and entry.realtime < self._started:
            return False
        return cores.is_trusted(entry)

    def _lost_its_unit(self, entry: Entry) -> bool:
        fields = entry.fields
        if "_SYSTEMD_INVOCATION_ID" in fields or fields.get("_PID") not in self._pids:
            return False
        if fields.get("_TRANSPORT") not in ("syslog", "journal"):
            return False
        return entry.realtime >= self._started - _SLACK_S


def _is_nobodys_output(entry: Entry) -> bool:
    """Standard output of a process of ours that had ended when journald looked whose it was."""
    fields = entry.fields
    mine = fields.get("_TRANSPORT") == "stdout" and fields.get("_UID") == str(os.getuid())
    return mine and not any(name in fields for name in _BELONGS)


def _pids(context: Context) -> list[str]:
    """The processes that systemd started itself: the main one, and the control commands."""
    known = [context.incident.main.pid, *(command.pid for command in context.unit.commands)]
    return list(dict.fromkeys(str(pid) for pid in known if pid))[:_MAX_PIDS]


def collect(context: Context, sink: Sink) -> None:
    """The run's lines as text and JSON, the lines before it, and those that lost their unit."""
    namespace = context.unit.get("LogNamespace")
    before = Later(context, lambda: _before(context, namespace))
    _sync(context, sink, namespace, done=context.synced)
    run, strays, done = _read(context, namespace)
    if context.synced and not run.has_ended:  # systemd had not yet logged the end when we asked
        _sync(context, sink, namespace)
        run, strays, done = _read(context, namespace)
    what = "the oldest lines of the run are missing"
    run.text.put(sink, "journal/journal.txt", what)
    run.json.put(sink, "journal/journal.json", what)
    lost = _merged([*run.lost, *strays])
    lost.put(sink, "journal/lost.txt", "older lines are missing")
    before.result().put(sink, "journal/before.txt", "older lines are missing")
    _say_what_is_missing(run, sink, journal.complaint(done))


def _read(context: Context, namespace: str | None) -> tuple[_Run, list[Entry], proc.Completed]:
    """The run's lines, those without a unit, and how reading them went."""
    strays = Later(context, lambda: _strays(context, namespace))
    run = _Run(context)
    query = replace(run.query(context.incident.first_seen), namespace=namespace)
    done = journal.walk(query, run.take, timeout_s=_READ_S)
    return run, strays.result(), done


def _sync(context: Context, sink: Sink, namespace: str | None, *, done: bool = False) -> None:
    """Have journald write what it was sent; ``done`` says that its default namespace has."""
    scopes: list[str | None] = [] if done else [None]
    for scope in scopes if namespace is None else [*scopes, namespace]:
        problem = journal.sync(scope)
        if problem is not None and context.user:
            _wait_unsynced(context)
        elif problem is not None:
            sink.problem(problem)


def _wait_unsynced(context: Context) -> None:
    """A user manager's owner may not ask for a sync before systemd 258: wait until the manager's
    own last line about the run has arrived, and then for what came by slower ways."""
    until = time.monotonic() + _UNSYNCED_MOST_S
    incident = context.incident
    while incident.invocation_id is not None and time.monotonic() < until:
        runs = history.failed_runs(incident.unit, incident.boot_id, user=True, limit=5)
        if any(run.invocation_id == incident.invocation_id for run in runs):
            break
        time.sleep(0.1)
    time.sleep(_UNSYNCED_S)


def _is_ours(entry: Entry) -> bool:
    """What the action ``journal`` said of an earlier failure is no evidence of this one."""
    known = entry.fields.get("_UID") in ("0", str(os.getuid()))
    return known and "FAILHOOK_ID" in entry.fields


def _before(context: Context, namespace: str | None) -> _Kept:
    """The unit's last lines before this run, from this boot."""
    incident = context.incident
    kept = _Kept(SIDE_BYTES)
    if incident.invocation_id is None:
        return kept
    boot = f"_BOOT_ID={incident.boot_id.replace('-', '')}"
    if context.user:
        uid = f"_UID={os.getuid()}"
        own, about = f"_SYSTEMD_USER_UNIT={incident.unit}", f"USER_UNIT={incident.unit}"
    else:
        uid, own, about = "_UID=0", f"_SYSTEMD_UNIT={incident.unit}", f"UNIT={incident.unit}"
    matches = (own, boot, "+", about, uid, boot)
    until = incident.main.started or incident.first_seen
    query = Query(matches, until=until, namespace=namespace, max_entries=_SCAN)
    journal.walk(query, _earlier_than(incident.invocation_id, kept), timeout_s=_READ_S)
    return kept


def _earlier_than(invocation: str, kept: _Kept) -> Callable[[Entry], bool]:
    names = ("_SYSTEMD_INVOCATION_ID", "INVOCATION_ID", "USER_INVOCATION_ID")

    def take(entry: Entry) -> bool:
        others = all(entry.fields.get(name) != invocation for name in names)
        if others and not _is_ours(entry):
            kept.add(journal.to_text(entry))
        return len(kept.lines) < BEFORE_LINES and not kept.full

    return take


def _strays(context: Context, namespace: str | None) -> list[Entry]:
    """Lines of the run's last seconds that belong to no unit, or to the unit but to no run."""
    incident = context.incident
    if incident.invocation_id is None:
        return []
    ended = incident.main.exited or incident.first_seen
    since = max(ended - _LAST_S, (incident.main.started or 0.0) - _SLACK_S)
    boot = f"_BOOT_ID={incident.boot_id.replace('-', '')}"
    uid = _uid(context)
    mine = (boot,) if uid is None else (f"_UID={uid}", boot)
    name = "_SYSTEMD_USER_UNIT" if context.user else "_SYSTEMD_UNIT"
    matches = ("_TRANSPORT=syslog", *mine, "+", "_TRANSPORT=journal", *mine)
    matches += ("+", f"{name}={incident.unit}", boot)
    if context.user:
        matches += ("+", "_TRANSPORT=stdout", *mine)
    until = ended + _SLACK_S
    query = Query(matches, since, until, namespace, max_entries=_SCAN)
    found: list[Entry] = []
    known = _pids(context)  # their lines come with the run's
    elsewhere: set[str] = set()  # who also speaks as another unit: it is that one's, mostly

    def take(entry: Entry) -> bool:
        fields = entry.fields
        if any(fields.get(one, incident.unit) != incident.unit for one in _ABOUT):
            return True  # a helper of systemd's own, for another unit
        if fields.get(name, incident.unit) != incident.unit:
            elsewhere.add(entry.text("SYSLOG_IDENTIFIER") or name)
        late = fields.get(name) == incident.unit and "_SYSTEMD_INVOCATION_ID" not in fields
        if (late and fields.get("_PID") not in known) or not any(key in fields for key in _BELONGS):
            found.append(entry)
        return len(found) < _MAX_STRAYS

    journal.walk(query, take, timeout_s=_READ_S)
    elsewhere -= _own_names(context)
    return [entry for entry in found if entry.text("SYSLOG_IDENTIFIER") not in elsewhere]


def _own_names(context: Context) -> set[str]:
    """What the unit's own processes are called in the journal, as a rule."""
    programs = context.unit.programs(*CONTROL_PROPERTIES)
    prefix = context.incident.unit.partition(".")[0].partition("@")[0]
    return {prefix, *(path.rpartition("/")[2] for path in programs)}


def _uid(context: Context) -> int | None:
    """Whose lines the run's would be; None where that is not known any more."""
    if context.user:
        return os.getuid()
    known = context.unit.number("UID")
    if known is not None:
        return known
    user = context.unit.get("User")
    return 0 if user is None else uid_of(user)


def _merged(entries: list[Entry]) -> _Kept:
    """Each of ``entries`` once, newest first."""
    kept = _Kept(SIDE_BYTES)
    unique = {(entry.realtime, entry.text("__CURSOR")): entry for entry in entries}
    for key in sorted(unique, reverse=True):
        kept.add(journal.to_text(unique[key]))
    return kept


def _say_what_is_missing(run: _Run, sink: Sink, problem: str | None) -> None:
    if problem is not None:
        sink.problem(problem)
    if run.dropped:
        sink.problem(
            f"journald suppressed {' + '.join(run.dropped[:5])} lines of the unit in this boot "
            "(rate limit): LogRateLimitIntervalSec=1s and a large LogRateLimitBurst= avoid that"
        )
    elif run.seconds and _burst(run.seconds) >= _RATE_BURST:
        sink.problem(
            f"{_burst(run.seconds)} lines within {_RATE_S:.0f} s at the end: journald's rate limit "
            "may have dropped the last ones, and says so only later"
        )
    storage = journal.storage_problem()
    if storage is not None:
        sink.problem(storage)
    elif not run.text.lines:
        sink.problem("the journal has no line of this run")


def _burst(seconds: Counter[int]) -> int:
    """The number of lines in the last `_RATE_S` of the run."""
    last = max(seconds)
    return sum(count for second, count in seconds.items() if second > last - _RATE_S)


def _harmless(entry: Entry) -> Entry:
    """``entry`` without the fields that nobody should find in a bundle."""
    if not any(name in entry.fields for name in _LEFT_OUT):
        return entry
    note = "[left out by failhook]"
    fields = {name: note if name in _LEFT_OUT else it for name, it in entry.fields.items()}
    return replace(entry, fields=fields)


COLLECTOR = Collector(
    "journal",
    "the lines of the failed run, and systemd's about it",
    collect,
    timeout_s=12.0,
    max_bytes=TEXT_BYTES + JSON_BYTES + 2 * SIDE_BYTES,
)
