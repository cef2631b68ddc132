# SPDX-License-Identifier: MIT
"""Which incidents the next boot completes, and who hears of it."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from failhook.act import aftermath, later
from failhook.actions import notice
from failhook.boot import detect, endings, running
from failhook.boot.endings import Ending
from failhook.boot.model import Entry, Mark, Standing
from failhook.cli import list as listing
from failhook.config.model import ActionTable, Configuration
from failhook.formats import words
from failhook.incident import Incident, JsonObject, Phase, Stage, State
from failhook.message import Event
from failhook.outbox import message_from_json
from failhook.outcomes import Done
from failhook.places import Places
from failhook.plan import Told
from failhook.queue import Queue
from failhook.response.ledger import Ledger
from failhook.response.threads import Thread, Threads
from failhook.store.incidents import Store
from failhook.systemd.boot import boot_id
from tests.unit.collect.bench import Programs
from tests.unit.samples import incident, run_id

_OLD, _OLDER = "f" * 32, "e" * 32
_CONFIGURATION = Configuration(
    actions={"tell": ActionTable("tell", "webhook"), "go": ActionTable("go", "system")}
)


class _Loader:
    """A loader that calls one entry bad, and counts how often it is asked."""

    def __init__(self, *bad: Entry) -> None:
        self.bad = bad
        self.asked = 0

    def standing(self) -> Standing:
        """The entries."""
        self.asked += 1
        return Standing("grub", Mark.CLEAN, "r", self.bad)


@pytest.fixture
def loader(monkeypatch: pytest.MonkeyPatch) -> _Loader:
    found = _Loader()
    monkeypatch.setattr(detect, "find", lambda: detect.Found(found))  # type: ignore[arg-type]
    return found


@pytest.fixture
def place(
    where: Places,
    programs: Programs,
    loader: _Loader,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Places:
    """A boot after `_OLD`, in which a.service waited; the unit is failed now."""
    del loader
    where.run.mkdir()
    monkeypatch.setattr(aftermath, "up_s", lambda: 36000.0)
    monkeypatch.setattr(notice, "PATH", tmp_path / "motd")
    monkeypatch.setattr(notice.show, "__defaults__", (tmp_path / "motd", ()))
    programs.add("journalctl", ":")
    _shows(programs, "failed")
    _waited(where, monkeypatch, _OLD)
    return where


def _shows(programs: Programs, active: str, ago: float = 60.0) -> None:
    at = time.strftime("%a %Y-%m-%d %H:%M:%S.000000 UTC", time.gmtime(time.time() - ago))
    lines = f"Id=a.service\\nLoadState=loaded\\nActiveState={active}\\nInvocationID={run_id(9)}"
    programs.add("systemctl", f"printf '{lines}\\nActiveEnterTimestamp={at}\\n'")


def _waited(where: Places, monkeypatch: pytest.MonkeyPatch, boot: str) -> None:
    with monkeypatch.context() as then:
        then.setattr(running, "boot_id", lambda: boot)
        running.remember(where)


def _keep(where: Places, *incidents: Incident) -> None:
    store = Store(where)
    for one in incidents:
        store.create(one)
    store.close()


def _tell(where: Places) -> dict[str, Incident]:
    aftermath.tell(where, _CONFIGURATION)
    store = Store(where)
    try:
        found = [store.load(row.name) for row in store.rows()]
        return {one.id: one for one in found if one is not None}
    finally:
        store.close()


def _told(where: Places, one: Incident) -> None:
    """Somebody heard of the trouble."""
    heard = {"tell": Told(Event.OPENED, "all", 1, 1.0)}
    Threads(where).save(
        Thread("t", one.unit, "system", one.first_seen, one.id, 1, (one.id,), heard)
    )


def _sent(where: Places) -> list[tuple[str, str]]:
    queue = Queue(where.outbox)
    items = [item for path in queue.waiting() if (item := queue.read(path)) is not None]
    messages = [message_from_json(item.payload) for item in items]
    return [(str(one.event), words.headline(one)) for one in messages]


# -- which ones -----------------------------------------------------------------------------------


def test_the_newest_of_each_unit_that_waited(place: Places) -> None:
    old, new = incident(1, boot_id=_OLD), incident(2, boot_id=_OLD)
    other = incident(3, boot_id=_OLD, unit="b.service")
    _keep(place, old, new, other)
    found = _tell(place)
    assert found[old.id].aftermath is None
    assert found[new.id].aftermath is not None
    assert found[other.id].aftermath is not None


@pytest.mark.parametrize(
    ("changes", "is_told"),
    [
        ({"state": State.OPEN}, True),
        ({"state": State.RECOVERED, "recovered_at": time.time()}, True),  # seen in this boot
        ({"state": State.RECOVERED, "recovered_at": 1795300000.0}, False),
        ({"state": State.CLOSED}, False),
        ({"state": State.OPEN, "boot_id": boot_id()}, False),
        ({"state": State.OPEN, "manager": "user"}, False),
    ],
)
def test_who_waited_when_this_boot_began(
    place: Places, changes: dict[str, object], *, is_told: bool
) -> None:
    one = incident(1, **{"boot_id": _OLD, **changes})
    _keep(place, one)
    assert (_tell(place)[one.id].aftermath is not None) is is_told


@pytest.mark.parametrize(
    ("changes", "is_told"),
    [({}, True), ({"phase": Phase.STOPPED}, False), ({"boot_id": _OLDER}, False)],
)
def test_a_unit_that_failed_again_before_anybody_looked(
    place: Places, changes: dict[str, object], *, is_told: bool
) -> None:
    """The failure of this boot ended the waiting for the older one."""
    before = incident(1, **{"boot_id": _OLD, "state": State.CLOSED, **changes})
    _keep(place, before, incident(2))
    assert (_tell(place)[before.id].aftermath is not None) is is_told


def test_one_that_ended_a_boot_is_told_whatever_became_of_it(place: Places) -> None:
    one = incident(1, boot_id=_OLDER, state=State.CLOSED)
    _keep(place, one)
    endings.remember(place, Ending(time.time(), _OLDER, 9.0, "reboot", "why", incident=one.id))
    story = _tell(place)[one.id].aftermath
    assert story is not None
    assert story.ended == "failhook"


def test_a_story_is_told_once(place: Places) -> None:
    one = incident(1, boot_id=_OLD)
    _keep(place, one)
    first = _tell(place)[one.id]
    assert not [boot for boot in running.boots(place) if boot.boot_id == _OLD]
    assert _tell(place)[one.id] == first


def test_what_is_still_being_worked_on_is_waited_for(
    place: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aftermath, "_POLL_S", 0.01)
    one = incident(1, boot_id=_OLD, stage=Stage.RECORDED)
    _keep(place, one)

    def done(_: float) -> None:
        store = Store(place)
        store.update(one, lambda now: replace(now, stage=Stage.DONE))
        store.close()

    monkeypatch.setattr(time, "sleep", done)
    assert _tell(place)[one.id].aftermath is not None


def test_each_boot_and_the_loader_are_looked_at_once(
    place: Places, programs: Programs, loader: _Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = place
    entry = running.Running(_OLD, "6.1.0-56", "vmlinuz-6.1.0-56")
    monkeypatch.setattr(running, "boots", lambda _: (entry,))
    _keep(where, *(incident(n, boot_id=_OLD, unit=f"u{n}.service") for n in range(5)))
    _tell(where)
    assert loader.asked == 1
    assert len([one for one in programs.calls if f"--boot={_OLD}" in one]) == 1


@pytest.mark.parametrize(
    ("bad", "rolled_back"),
    [
        (Entry("gnulinux-56", path="/boot/vmlinuz-6.1.0-56", is_bad=True), True),
        (Entry("vmlinuz-6.1.0-56", is_bad=True), True),
        (Entry("gnulinux-54", path="/boot/vmlinuz-6.1.0-54", is_bad=True), False),
        (Entry("gnulinux-56", path="/boot/vmlinuz-6.1.0-56"), False),
    ],
)
def test_a_rollback_is_known_by_the_entry_that_ran(
    place: Places,
    loader: _Loader,
    monkeypatch: pytest.MonkeyPatch,
    bad: Entry,
    *,
    rolled_back: bool,
) -> None:
    entry = running.Running(_OLD, "6.1.0-56", "vmlinuz-6.1.0-56")
    monkeypatch.setattr(running, "boots", lambda _: (entry,))
    now = running.Running(boot_id(), "6.1.0-55", "vmlinuz-6.1.0-55")
    monkeypatch.setattr(running, "running", lambda *_: now)
    loader.bad = (bad,)
    one = incident(1, boot_id=_OLD)
    _keep(place, one)
    found = _tell(place)[one.id]
    assert found.aftermath is not None
    assert found.aftermath.rolled_back is rolled_back
    why = listing.why(found.to_json(), "a.service")
    assert why.startswith("Rolled back from 6.1.0-56 to 6.1.0-55") is rolled_back


# -- who hears of it ------------------------------------------------------------------------------


def test_who_heard_of_the_trouble_hears_that_the_machine_was_booted(place: Places) -> None:
    one = incident(1, boot_id=_OLD)
    _keep(place, one)
    _told(place, one)
    found = _tell(place)[one.id]
    assert found.state is State.OPEN
    (sent,) = _sent(place)
    assert sent[0] == "incident.rebooted"
    assert sent[1].startswith("h left no journal after a.service failed")
    assert [entry["state"] for entry in found.actions] == [Done.DUE]


def test_a_unit_that_is_well_is_told_as_recovered(place: Places, programs: Programs) -> None:
    one = incident(1, boot_id=_OLD)
    _keep(place, one)
    _told(place, one)
    _shows(programs, "active")
    found = _tell(place)[one.id]
    assert found.state is State.RECOVERED
    assert [event for event, _ in _sent(place)] == ["incident.recovered"]


def test_somebody_saw_before_that_it_is_well(place: Places, programs: Programs) -> None:
    one = incident(1, boot_id=_OLD, state=State.RECOVERED, recovered_at=time.time())
    _keep(place, one)
    _told(place, one)
    _shows(programs, "active")
    assert _tell(place)[one.id].aftermath is not None
    assert _sent(place) == []


@pytest.mark.parametrize(("active", "useless"), [("active", 0), ("failed", 1)])
def test_whether_the_reboot_helped_is_remembered(
    place: Places, programs: Programs, active: str, useless: int
) -> None:
    one = incident(1, boot_id=_OLD)
    step: JsonObject = {"id": f"{one.id}-go", "name": "go", "type": "system", "state": "done"}
    one = replace(one, actions=(step,))
    _keep(place, one)
    end = Ending(1.0, _OLD, 9.0, "reboot", "why", step=f"{one.id}-go", incident=one.id)
    endings.remember(place, end)
    _shows(programs, active)
    _tell(place)
    assert Ledger(place).useless(one) == {"go": useless}


def test_login_and_every_later_message_tell_it(place: Places, tmp_path: Path) -> None:
    one = incident(1, boot_id=_OLD)
    _keep(place, one)
    _tell(place)
    assert (
        (tmp_path / "motd").read_text().startswith("failhook: this machine left no journal after")
    )
    store = Store(place)
    store.update(one, lambda now: replace(now, aftermath=replace(now.aftermath, boot_id=_OLDER)))  # type: ignore[type-var]
    later.show_at_login(store)
    store.close()
    assert not (tmp_path / "motd").exists()  # of an earlier boot: nobody has to be told any more


def test_a_later_look_does_not_forestall_it(
    place: Places, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who hears that the unit is well hears what the machine went through as well."""
    monkeypatch.setattr("failhook.settle.up_s", lambda: 60.0)
    one = incident(1, boot_id=_OLD)
    _keep(place, one)
    _shows(programs, "active")
    store = Store(place)
    assert later.look(store, _CONFIGURATION, one) == one
    store.close()
    _tell(place)
    store = Store(place)
    found = store.find(one.id)
    assert found.state is State.RECOVERED
    assert later.look(store, _CONFIGURATION, found) == found
    store.close()
