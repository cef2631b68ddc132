# SPDX-License-Identifier: MIT
"""The story across boots: what became of an incident whose machine went down before it was over.

The next boot says how the last one ended, which entry came up instead, and whether the unit is well
now; in the incident, in the journal, at login and to everybody who heard of the trouble. Runs once
per boot, and only where somebody waits for a unit of an earlier one (`failhook-aftermath.service`).
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from failhook import open_list, settle
from failhook.act import later
from failhook.boot import detect, endings, running
from failhook.boot import ended as endings_of_boots
from failhook.boot.ended import Ended, Kind
from failhook.boot.endings import Ending
from failhook.boot.model import Entry
from failhook.boot.running import Running
from failhook.classify import timestamp
from failhook.config.model import Configuration
from failhook.decide import ASKED_FOR
from failhook.incident import Aftermath, Incident, State
from failhook.message import Event
from failhook.places import Places
from failhook.response import messages
from failhook.response.ledger import Ledger
from failhook.store.incidents import Store
from failhook.systemd import unit
from failhook.systemd.boot import boot_id, up_s
from failhook.systemd.unit import UnitState

logger = logging.getLogger(__name__)
_MOST = 100
_RECORDED_S = 60.0  # until the runner has taken what the shutdown left
_SETTLED_S = 90.0  # until the units have come up or not
_POLL_S = 0.5
BY_US = "failhook"
_DONE = {
    "reboot": "rebooted",
    "soft-reboot": "soft-rebooted",
    "kexec": "rebooted by kexec",
    "poweroff": "powered off",
    "halt": "halted",
    "exit": "ended",
}


def tell(places: Places, configuration: Configuration) -> list[Incident]:
    """Complete the incidents of earlier boots; those that were. Raises OSError and StoreError."""
    store = Store(places)
    try:
        _wait_until_recorded(store)
        boots = _Boots(places)
        waiting = list(_waiting(store, boots))
        states = _settled(waiting)
        done = [
            _complete(store, configuration, incident, boots, states.get(incident.unit))
            for incident in waiting
        ]
        open_list.publish(store)
        running.told(places)
        if done:
            later.show_at_login(store)
        return done
    finally:
        store.close()


def _wait_until_recorded(store: Store) -> None:
    """What the last shutdown left in the spool, and what a cut left half done, is the runner's."""
    until = time.monotonic() + _RECORDED_S
    while _is_at_work(store) and time.monotonic() < until:
        time.sleep(_POLL_S)


def _is_at_work(store: Store) -> bool:
    with contextlib.suppress(OSError):
        if any(path.suffix == ".json" for path in store.places.kept_spool.iterdir()):
            return True
    return bool(store.rows("stage != 'done'", (), 1))


def _waiting(store: Store, boots: _Boots) -> Iterator[Incident]:
    """The newest incident of each unit that waited when this boot began, and those that ended the
    one before. Somebody may have seen meanwhile that a unit is well."""
    named = {one.incident for one in boots.endings}
    began = time.time() - up_s()
    seen: set[str] = set()
    again: set[str] = set()  # failed in this boot as well, which ends the waiting for an older run
    for row in store.rows("stage = 'done'", (), _MOST):
        incident = store.load(row.name)
        if incident is None or incident.manager == "user":
            continue
        if incident.boot_id == boot_id():
            again.add(incident.unit)
            continue
        waited = (
            incident.id in named
            or incident.state is State.OPEN
            or (incident.recovered_at or 0.0) >= began
            or (
                incident.unit in again
                and incident.boot_id in boots
                and incident.phase not in ASKED_FOR
            )
        )
        if waited and incident.unit not in seen:
            seen.add(incident.unit)
            if incident.aftermath is None:
                yield incident


def _settled(incidents: Sequence[Incident]) -> Mapping[str, UnitState]:
    """The state of their units once none of them is on its way."""
    names = list({one.unit for one in incidents})
    until = time.monotonic() + _SETTLED_S
    while True:
        states = unit.show_many(names, settle.PROPERTIES)
        moving = any(_is_moving(one, time.time()) for one in states.values())
        if not moving or time.monotonic() > until:
            return states
        time.sleep(_POLL_S)


def _is_moving(state: UnitState, now: float) -> bool:
    active = state.get("ActiveState")
    since = timestamp(state.get("ActiveEnterTimestamp"))
    fresh = active == "active" and since is not None and now - since < settle.HEALTHY_S
    return fresh or active in ("activating", "deactivating", "reloading")


class _Boots:
    """What is known of earlier boots; each is looked at once, however many incidents it has."""

    def __init__(self, places: Places) -> None:
        self._known = {one.boot_id: one for one in running.boots(places)}
        self.endings = endings.known(places)
        self.now = running.running()
        self._seen: dict[str, Ended] = {}
        self._bad: tuple[Entry, ...] | None = None

    def __contains__(self, boot: str) -> bool:
        return boot in self._known

    def before(self, boot: str) -> Running | None:
        """What ran then."""
        return self._known.get(boot)

    def seen(self, boot: str) -> Ended:
        """How it ended."""
        if boot not in self._seen:
            self._seen[boot] = endings_of_boots.look(boot)
        return self._seen[boot]

    def is_bad(self, boot: str) -> bool:
        """The loader does not choose the entry that ran then any more."""
        before = self.before(boot)
        if before is None or before.entry is None:
            return False
        if self._bad is None:
            entries = detect.find().loader.standing().entries
            self._bad = tuple(one for one in entries if one.is_bad)
        # GRUB tells the running system which kernel it loaded, not which entry that was
        return any(before.entry in (one.id, one.path.rpartition("/")[2]) for one in self._bad)


def _complete(
    store: Store,
    configuration: Configuration,
    incident: Incident,
    boots: _Boots,
    state: UnitState | None,
) -> Incident:
    boot = incident.boot_id
    ending = endings.of_boot(boots.endings, boot)
    both = (boots.before(boot), boots.now)
    is_bad = boots.is_bad(boot)
    story = compose(incident, ending, boots.seen(boot), both, is_bad=is_bad, state=state)
    incident = store.update(incident, lambda one: replace(one, aftermath=story))
    logger.warning("%s (failhook show %s)", capitalised(story.summary), incident.id)
    return _tell(store, configuration, incident, ending, state)


# -- the sentence ---------------------------------------------------------------------------------


def compose(
    incident: Incident,
    ending: Ending | None,
    seen: Ended,
    boots: tuple[Running | None, Running],
    *,
    is_bad: bool,
    state: UnitState | None,
) -> Aftermath:
    """What the next boot has to say: ``boots`` are the one before, if known, and this one. Pure."""
    before, now = boots
    if before is None and ending is not None and ending.kernel:
        before = Running(incident.boot_id, ending.kernel)  # its entry is the loader's name for it
    other = before is not None and _differs(before, now)
    wanted = ending is not None and ending.expects not in (None, ending.entry)
    rolled_back = other and (is_bad or wanted)
    at = ending.at if ending is not None else seen.at
    verb = _verb(ending, seen)
    if other and before is not None:
        names = _names(before, now)
        verb = f"rolled back from {names[0]} to {names[1]}"
        if not rolled_back:
            verb = f"{_verb(ending, seen)} and came up with {names[1]} instead of {names[0]}"
    verdict = incident.verdict
    cause = verdict.summary if verdict is not None else f"{incident.unit} failed"
    why = "because" if ending is not None or rolled_back else "after"
    when = f" at {_clock(at)}" if at is not None else ""
    well = _well(incident, state)
    return Aftermath(
        summary=f"{verb}{when} {why} {cause}{_now(incident, state, well)}",
        ended=BY_US if ending is not None else str(seen.kind),
        boot_id=now.boot_id,
        at=at,
        before=before.name if before is not None else None,
        after=now.name,
        rolled_back=rolled_back,
        is_well=well,
        lines=seen.lines,
    )


def _differs(before: Running, now: Running) -> bool:
    """Another entry; where only one of the two is named, another kernel."""
    if before.entry is not None and now.entry is not None:
        return before.entry != now.entry
    return before.kernel != now.kernel


def _names(before: Running, now: Running) -> tuple[str, str]:
    """What a person tells them apart by: the kernels, where these differ."""
    if before.kernel != now.kernel:
        return before.kernel, now.kernel
    return before.name, now.name


def _verb(ending: Ending | None, seen: Ended) -> str:
    if ending is None:
        return seen.text
    verb = ending.how.removesuffix("-force").removesuffix("-immediate")
    word = _DONE.get(verb, "ended")
    if seen.kind in (Kind.PANIC, Kind.WATCHDOG):
        return f"{seen.text} while it was to be {word}"
    return word


def _clock(at: float) -> str:
    then, today = time.localtime(at), time.localtime()
    return time.strftime("%H:%M" if then[:3] == today[:3] else "%Y-%m-%d %H:%M", then)


def _well(incident: Incident, state: UnitState | None) -> bool | None:
    """True: it runs in this boot; False: it failed; None: it was not started, or is gone."""
    if state is None or not state.found:
        return None
    return {"active": True, "reloading": True, "failed": False}.get(state.get("ActiveState") or "")


def _now(incident: Incident, state: UnitState | None, well: bool | None) -> str:
    if well is None:
        gone = state is None or not state.found
        return f"; {incident.unit} {'does not exist' if gone else 'does not run'} now"
    return f"; {incident.unit} {'is well' if well else 'failed again'} now"


def capitalised(sentence: str) -> str:
    """For the beginning of a line."""
    return sentence[:1].upper() + sentence[1:]


# -- telling --------------------------------------------------------------------------------------


def _tell(
    store: Store,
    configuration: Configuration,
    incident: Incident,
    ending: Ending | None,
    state: UnitState | None,
) -> Incident:
    """Those who heard of the trouble; and the ledger, whether taking the machine down helped."""
    well = incident.aftermath.is_well if incident.aftermath is not None else None
    action = _action(incident, ending)
    if action is not None and ending is not None and well is not None:
        ledger = Ledger(store.places)
        with ledger.locked():
            ledger.helped(incident, action, ending.step, helped=well)
    if well and incident.state is State.OPEN:
        since = timestamp(state.get("ActiveEnterTimestamp")) if state is not None else None
        return later.recovered(store, configuration, incident, since or time.time(), action)
    if incident.state is not State.OPEN:
        return incident
    return messages.tell_news(store, configuration, incident, Event.REBOOTED, at=time.time())


def _action(incident: Incident, ending: Ending | None) -> str | None:
    """The name of the action that took the machine down for this incident."""
    if ending is None or ending.incident != incident.id:
        return None
    named = (one.get("name") for one in incident.actions if one.get("id") == ending.step)
    return next((str(one) for one in named), None)
