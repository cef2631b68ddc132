# SPDX-License-Identifier: MIT
"""The way of a failure on one screen: collect, classify, describe, count, pack, and it is kept.

Every way in ends here: the runner, ``failhook run UNIT``, and a hook on a machine without a runner.
The incident was recorded before; each stage is on disk before the next begins, so that a kill at
any point repeats at most what left no trace.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from failhook import files, plugins
from failhook.changes import stage as changes
from failhook.classify import classify, dying_words_of_file, normalised
from failhook.collect import processes, table
from failhook.collector import Collector, Context, CpuTimes
from failhook.config.model import Configuration
from failhook.describe import essence, summary
from failhook.diagnose import stage as diagnosis
from failhook.gather.lane import Crews
from failhook.gather.stage import Gathered, Last, gather
from failhook.incident import Evidence, Incident, Phase, Stage, State, Verdict
from failhook.item import Item
from failhook.packing import Packing
from failhook.redact import Redactor
from failhook.response import unit_words
from failhook.response.unit_words import UnitWords
from failhook.response.wanted import is_wanted
from failhook.store import codec, counts
from failhook.store.incidents import HOOK, Store
from failhook.systemd import history, journal, secrets, unit
from failhook.systemd.boot import boot_id
from failhook.systemd.history import Line
from failhook.systemd.unit import UnitState
from failhook.trigger import MAX_BYTES, Trigger, TriggerError, parse

_ON_THE_WAY = ("stop-post", "final-", "stop-sig", "stop-watchdog", "stop")
_SETTLE_S = 1.0
_ESSENTIAL = ("unit/show.txt", "journal/journal.txt")
_ESSENTIAL_BYTES = 64 << 10


@dataclass(slots=True)
class _Haul:
    """What collecting gave, beside what went straight into the bundle."""

    evidence: list[Evidence] = field(default_factory=list)
    essentials: list[Item] = field(default_factory=list)
    kept: dict[str, bytes] = field(default_factory=dict)

    @property
    def journal(self) -> bytes:
        """The run's lines as JSON."""
        return self.kept.get("journal/journal.json", b"")

    @property
    def newest_log(self) -> str:
        """Where its output went to a file that one, else the log file of its own that was written
        last; empty where there is none."""
        logs = [data for path, data in self.kept.items() if path.startswith(("output/", "logs/"))]
        return logs[0].decode("utf-8", "replace") if logs else ""

    def take(self, item: Item) -> None:
        """Remember what a reduced bundle and the verdict need."""
        if diagnosis.is_wanted(item.path):
            self.kept[item.path] = item.data
        if item.path in _ESSENTIAL:
            tail = item.data[-_ESSENTIAL_BYTES:]
            cut = item.truncated or len(tail) < len(item.data)
            self.essentials.append(replace(item, data=tail, truncated=cut))


def work(
    store: Store,
    configuration: Configuration,
    incident: Incident,
    *,
    concurrency: int = 4,
    crews: Crews | None = None,
) -> Incident:
    """Carry a recorded incident to its end and return it. Raises OSError where even the record
    cannot be written. ``crews`` has the collectors' processes of the incident before."""
    crews = crews or Crews()
    incident = replace(incident, tries=incident.tries + 1)
    in_storm = concurrency == 1
    asked = _Asked(incident, one_by_one=in_storm)  # they answer while the disk is busy
    cpu_times = _cpu_times(configuration, incident)
    store.save(incident)
    crews.prepare()
    table.warm()
    collectors = changes.collectors(store.places, incident.unit, configuration.collect.skip)
    collectors += _collectors(configuration, incident)
    collectors += plugins.collectors_to_run(store.places, configuration)
    if cpu_times is None:  # it measures twice itself, and waits in between: the sooner the better
        collectors.sort(key=lambda one: one.name != processes.COLLECTOR.name)
    before, synced = asked.answers()
    words = unit_words.read(before)
    collectors += _asked_for(configuration, incident, words)
    wanted = is_wanted(configuration, incident, words)
    redactor = _redactor(configuration, before, incident)
    context = _context(store, incident, before, synced=synced, cpu_times=cpu_times)
    context = replace(context, in_storm=in_storm)
    haul = _Haul()
    packing = Packing(store, incident, configuration)
    own = diagnosis.Own(configuration.causes, configuration.plugins)
    inquiry = _Inquiry(incident, before, haul, own, [one.name for one in collectors])
    try:
        stage = gather(
            context,
            collectors,
            redactor.mask_item,
            deadline_s=configuration.collect.deadline_s,
            concurrency=concurrency,
            crew=crews.collectors,
            last=Last(inquiry.collector, crews.causes),
        )
        for item in _kept(stage, haul):
            packing.add(item)
        incident = _judge(store, inquiry.incident, haul)
        reached = Stage.PACKED if wanted else Stage.DONE
        packed = packing.finish(incident, haul.essentials, reached)
    except BaseException:
        packing.abort()
        raise
    return answer(store, configuration, packed, before)


def _cpu_times(configuration: Configuration, incident: Incident) -> CpuTimes | None:
    """Measured for `processes` while systemd answers; None where that would hold it up."""
    wanted = processes.COLLECTOR.name not in configuration.collect.skip
    is_now = incident.boot_id == boot_id()
    return processes.early_cpu_times() if wanted and is_now else None


class _Asked:
    """What systemd and journald are asked first: all there is of the unit, and to write all down.

    Nothing is known of a unit from a former boot, and its journal is on disk. A user manager's
    owner may not ask journald: its collector knows other ways.
    """

    def __init__(self, incident: Incident, *, one_by_one: bool) -> None:
        self._unit = incident.unit
        self._state: Callable[[], UnitState] | None = None
        self._sync: Callable[[], str | None] | None = None
        if incident.boot_id == boot_id():
            user = incident.manager == "user"
            self._sync = None if user else journal.start_sync()
            if one_by_one and self._sync is not None:
                problem = self._sync()
                self._sync = lambda: problem
            self._state = unit.ask(incident.unit, user=user)

    def answers(self) -> tuple[UnitState, bool]:
        """The unit as it is now, and whether journald did as it was told."""
        state = self._state() if self._state else UnitState(self._unit, {})
        return state, self._sync is not None and self._sync() is None


def _redactor(configuration: Configuration, state: UnitState, incident: Incident) -> Redactor:
    known = secrets.known_values(state, user=incident.manager == "user")
    return Redactor(known, configuration.mask)


def _context(
    store: Store,
    incident: Incident,
    state: UnitState,
    *,
    synced: bool,
    cpu_times: CpuTimes | None,
) -> Context:
    seen = _hook_record(store, incident)
    return Context(
        incident=incident,
        unit=state,
        user=incident.manager == "user",
        cgroup=seen.cgroup if seen else {},
        cgroup_path=seen.cgroup_path if seen else state.get("ControlGroup"),
        left_processes=seen.processes if seen else (),
        synced=synced,
        cpu_times=cpu_times,
    )


def _hook_record(store: Store, incident: Incident) -> Trigger | None:
    with contextlib.suppress(OSError, TriggerError):
        path = store.directory(incident) / HOOK
        return parse("", files.read_bounded(path, MAX_BYTES))
    return None


def _collectors(configuration: Configuration, incident: Incident) -> list[Collector]:
    chosen = table.load([name for name in table.NAMES if name not in configuration.collect.skip])
    for custom in configuration.collect.custom:
        if any(fnmatchcase(incident.unit, pattern) for pattern in custom.units):
            chosen.append(table.make(custom.name, custom.type, custom))
    return chosen


def _asked_for(
    configuration: Configuration, incident: Incident, words: UnitWords
) -> list[Collector]:
    """The collectors of the configuration that the unit itself names (Collect=)."""
    return [
        table.make(custom.name, custom.type, custom)
        for custom in configuration.collect.custom
        if custom.name in words.collect
        and not any(fnmatchcase(incident.unit, pattern) for pattern in custom.units)
    ]


def _kept(stage: Iterable[Gathered], haul: _Haul) -> Iterator[Item]:
    """The items of ``stage``, after ``haul`` has taken what it needs of them."""
    for one in stage:
        haul.evidence.append(one.evidence)
        for item in one.items:
            haul.take(item)
            yield item


class _Inquiry:
    """The question why: asked as soon as those have reported whose evidence a verdict looks at,
    while others still collect what is for people alone."""

    def __init__(
        self,
        incident: Incident,
        before: UnitState,
        haul: _Haul,
        own: diagnosis.Own,
        collectors: Iterable[str],
    ) -> None:
        self.incident = incident
        self._before = before
        self._haul = haul
        self._own = own
        self._awaited = {*diagnosis.SOURCES, changes.NAME}.intersection(collectors)

    def collector(self) -> Collector | None:
        """The diagnosis of the classified ``incident``; None while somebody is awaited."""
        if self._awaited.difference(one.name for one in self._haul.evidence):
            return None
        self.incident = _classified(self.incident, self._before, self._haul)
        return diagnosis.collector(self.incident, self._haul.kept, self._own)


def _classified(incident: Incident, before: UnitState, haul: _Haul) -> Incident:
    """The phase, the process that failed, its last words, and systemd's own sentence on it."""
    lines = [line for text in haul.journal.splitlines() if (line := history.line_of(text))]
    state = _settled(incident, before)
    known = classify(incident, state, lines, stopping=_stopping(lines, incident))
    if not known.dying_words:
        known = replace(known, dying_words=dying_words_of_file(haul.newest_log))
    return replace(known, verdict=Verdict(summary(known, state, lines)))


def _judge(store: Store, incident: Incident, haul: _Haul) -> Incident:
    """The verdict, the signature and the count; what is known now goes to disk at once."""
    verdict = incident.verdict
    with contextlib.suppress(codec.CodecError):
        verdict = codec.load_verdict(haul.kept.get(diagnosis.VERDICT, b""))
    with contextlib.suppress(codec.CodecError):
        verdict = codec.load_verdict(haul.kept.get(diagnosis.VERDICT_PLUGINS, b""))
    changed, last_well = incident.changes, incident.last_well
    with contextlib.suppress(codec.CodecError):
        changed, last_well = codec.load_changes(haul.kept.get(diagnosis.CHANGES, b""))
    why = essence(incident.unit, verdict.summary) if verdict is not None else ""
    sentence = normalised([why])
    signature = counts.signature_of(incident, normalised(incident.dying_words), sentence)
    tally = counts.count(store, incident, signature)
    known = replace(
        incident,
        verdict=verdict,
        changes=changed,
        last_well=last_well,
        signature=signature,
        count=tally.count,
        evidence=tuple(haul.evidence),
    )
    store.save(known)
    return known


def _settled(incident: Incident, state: UnitState) -> UnitState:
    """The unit once systemd has ended this run: it may still have been busy with our hook."""
    until = time.monotonic() + _SETTLE_S
    if any(one.waits for one in incident.triggers):
        return state  # it is busy with our hook until we are done
    while _is_on_the_way(state) and time.monotonic() < until:
        state = unit.show(incident.unit, user=incident.manager == "user")  # that was a while ago
        if _is_on_the_way(state):
            time.sleep(0.03)
    return state


def _is_on_the_way(state: UnitState) -> bool:
    return (state.get("SubState") or "").startswith(_ON_THE_WAY)


def _stopping(lines: Sequence[Line], incident: Incident) -> bool:
    """Is the machine going down? Asked only where somebody asked for the stop."""
    if incident.boot_id != boot_id():
        return incident.phase is Phase.SHUTDOWN
    if not any(line.get("MESSAGE_ID") == history.STOPPING for line in lines):
        return False
    return unit.manager_state(user=incident.manager == "user") == "stopping"


# -- what is not worked in full -----------------------------------------------------------------


def answer(
    store: Store, configuration: Configuration, incident: Incident, state: UnitState | None = None
) -> Incident:
    """Decide about a packed incident from which something may follow, and let go of a hook that
    waits (`--wait`) where nothing does. Raises OSError."""
    is_wanted = incident.stage is Stage.PACKED
    if not is_wanted and not any(one.waits for one in incident.triggers):
        return incident
    from failhook.response import stage as response  # who has no rules does not pay for it

    if not is_wanted:
        response.let_go(store.places, incident)
        return incident
    return response.respond(store, configuration, incident, state)


def fold(
    store: Store, configuration: Configuration, incident: Incident, like: Incident
) -> Incident:
    """End a repeat without collecting: the same failure again while its unit loops.

    ``like`` is the incident whose evidence stands for it; the count stays exact.
    """
    signature = like.signature or counts.signature_of(incident, normalised(like.dying_words))
    tally = counts.count(store, incident, signature)
    verdict = Verdict(summary(incident, UnitState(incident.unit, {})))
    reason = f"a repeat of {like.id} while the unit kept failing; first and last have evidence"
    after = replace(
        incident,
        phase=Phase.RESTARTING,
        state=State.CLOSED,
        stage=Stage.PACKED if configuration.rules else Stage.DONE,
        verdict=like.verdict or verdict,
        changes=like.changes,
        last_well=like.last_well,
        signature=signature,
        count=tally.count,
        problems=(*incident.problems, reason),
    )
    store.save(after)
    with contextlib.suppress(OSError):
        (store.directory(after) / HOOK).unlink()
    return answer(store, configuration, after)


def give_up(
    store: Store, configuration: Configuration, incident: Incident, reason: str
) -> Incident:
    """End an incident whose work failed again and again; what was recorded stays."""
    after = replace(
        incident,
        stage=Stage.PACKED if configuration.rules else Stage.DONE,
        verdict=incident.verdict or Verdict(summary(incident, UnitState(incident.unit, {}))),
        problems=(*incident.problems, reason),
    )
    store.save(after)
    return answer(store, configuration, after)
