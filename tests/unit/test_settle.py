# SPDX-License-Identifier: MIT
"""A later look: did systemd give up, or is the unit well again?"""

import time
from dataclasses import replace
from typing import Any

import pytest

from failhook.boot import running
from failhook.incident import Phase, Stage, State
from failhook.open_list import publish
from failhook.settle import look, settle, untold_boots
from failhook.store.incidents import Store
from failhook.systemd.boot import boot_id
from failhook.systemd.unit import UnitState
from tests.unit.collect.bench import Programs
from tests.unit.samples import incident, run_id

BASE = incident(1, phase=Phase.RESTARTING)
NOW = BASE.first_seen + 1000


def _stamp(at: float) -> str:
    """As ``systemctl show --timestamp=us+utc`` prints it."""
    return time.strftime("%a %Y-%m-%d %H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1e6):06d} UTC"


def _state(**properties: str) -> UnitState:
    return UnitState("a.service", {"LoadState": "loaded", "InvocationID": run_id(1)} | properties)


@pytest.mark.parametrize(
    ("before", "properties", "after"),
    [
        (Phase.RESTARTING, {}, Phase.GAVE_UP),
        (Phase.UNKNOWN, {}, Phase.FAILED),
        (Phase.UNKNOWN, {"NRestarts": "2"}, Phase.GAVE_UP),
        (Phase.STOPPED, {}, Phase.STOPPED),
        (Phase.SHUTDOWN, {}, Phase.SHUTDOWN),
        (Phase.DEPENDENCY, {}, Phase.DEPENDENCY),
        (Phase.RESTARTING, {"InvocationID": run_id(2)}, Phase.RESTARTING),
        (Phase.RESTARTING, {"InvocationID": ""}, Phase.GAVE_UP),
        (Phase.RESTARTING, {"LoadState": "not-found"}, Phase.RESTARTING),
    ],
)
def test_a_unit_that_is_failed_now(before: Phase, properties: dict[str, str], after: Phase) -> None:
    state = _state(ActiveState="failed", **properties)
    found = look(incident(1, phase=before), state, NOW)
    assert found == incident(1, phase=after)


def test_a_failure_of_an_earlier_boot_is_not_this_ones() -> None:
    old = incident(1, phase=Phase.RESTARTING, boot_id="f" * 32)
    assert look(old, _state(ActiveState="failed"), NOW) == old


@pytest.mark.parametrize(
    ("active", "since", "recovered"),
    [
        ("active", 900.0, True),
        ("active", 994.0, True),
        ("active", 996.0, False),  # too young to be called healthy
        ("active", -10.0, False),  # as it was before the failure
        ("activating", 900.0, False),
        ("inactive", 900.0, False),
    ],
)
def test_a_unit_that_came_back(active: str, since: float, recovered: bool) -> None:
    entered = BASE.first_seen + since
    state = _state(ActiveState=active, InvocationID=run_id(2), ActiveEnterTimestamp=_stamp(entered))
    after = look(BASE, state, NOW)
    assert (after.state is State.RECOVERED) == recovered
    assert after.recovered_at == (entered if recovered else None)


@pytest.mark.parametrize("stamp", ["", "n/a", "yesterday"])
def test_nobody_knows_since_when(stamp: str) -> None:
    state = _state(ActiveState="active", ActiveEnterTimestamp=stamp)
    assert look(BASE, state, NOW) == BASE
    assert look(BASE, None, NOW) == BASE


def _answer(programs: Programs, *states: dict[str, Any]) -> None:
    """Blocks of ``systemctl show`` for several units, in the order of the call."""
    text = "\n".join(
        "".join(f"{name}={value}\n" for name, value in ({"LoadState": "loaded"} | state).items())
        for state in states
    )
    path = programs.directory / "show.txt"
    path.write_text(text)
    programs.add("systemctl", f"cat '{path}'")


def test_all_open_ones_in_one_call(store: Store, programs: Programs) -> None:
    back, failed, closed, busy = (
        incident(1, unit="a.service"),
        incident(1, unit="b.service", phase=Phase.RESTARTING),
        incident(1, unit="c.service", state=State.CLOSED),
        incident(1, unit="d.service", stage=Stage.RECORDED),
    )
    for one in (back, failed, closed, busy):
        store.create(one)
    states = {
        "a.service": {
            "Id": "a.service",
            "ActiveState": "active",
            "InvocationID": run_id(9),
            "ActiveEnterTimestamp": _stamp(back.first_seen + 1),
        },
        "b.service": {"Id": "b.service", "ActiveState": "failed", "InvocationID": run_id(1)},
    }
    order = programs.directory / "order"
    for name, state in states.items():
        lines = "".join(f"{key}={value}\n" for key, value in state.items())
        (programs.directory / name).write_text(f"LoadState=loaded\n{lines}\n")
    programs.add(
        "systemctl",
        f'for word; do case $word in *.service) echo "$word" >>{order}; '
        f'cat "{programs.directory}/$word";; esac; done',
    )
    # the fake does not know time; the incident's is in the future or the past, both are fine
    changed = len(settle(store))
    assert len(programs.calls) == 1
    assert sorted(order.read_text().split()) == ["a.service", "b.service"]
    after = store.by_id(failed.id)
    assert after is not None
    assert after.phase is Phase.GAVE_UP
    known = store.by_id(back.id)
    assert known is not None
    healthy = time.time() - known.first_seen > 10
    assert (known.state is State.RECOVERED) == healthy
    assert changed == 1 + healthy
    assert settle(store) == []


def test_nobody_waits_and_nobody_is_asked(store: Store, programs: Programs) -> None:
    store.create(incident(1, state=State.CLOSED))
    assert settle(store) == []
    assert programs.calls == []


def test_users_units_are_asked_of_their_manager(store: Store, programs: Programs) -> None:
    store.create(incident(1, manager="user"))
    settle(store)
    (call,) = programs.calls
    assert call.startswith("systemctl --user show ")


def test_no_answer_changes_nothing(store: Store, programs: Programs) -> None:
    store.create(incident(1, phase=Phase.RESTARTING))
    assert settle(store) == []
    _answer(programs)
    assert settle(store) == []


def test_a_unit_that_systemctl_refuses_does_not_hide_the_others(
    store: Store, programs: Programs
) -> None:
    """A name that is none any more fails the call, and what it printed of the others is right."""
    store.create(incident(1, phase=Phase.RESTARTING))
    _answer(programs, {"Id": "a.service", "ActiveState": "failed", "InvocationID": run_id(1)})
    programs.add(
        "systemctl", f"cat '{programs.directory}/show.txt'; echo 'Failed to get' >&2; exit 1"
    )
    assert len(settle(store)) == 1


def test_a_failure_of_a_boot_whose_story_is_not_told_stays_as_it_is(
    store: Store, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its receivers would hear of the end before anybody knows what the machine did."""
    old = incident(1, boot_id="f" * 32)
    store.create(old)
    shown = f"Id=a.service\\nLoadState=loaded\\nActiveState=active\\nInvocationID={run_id(2)}"
    since = _stamp(time.time() - 60)
    programs.add("systemctl", f"printf '{shown}\\nActiveEnterTimestamp={since}\\n'")
    store.places.waited_for.parent.mkdir(parents=True)
    note = '{"boots": [{"boot_id": "%s", "kernel": "6", "entry": null}]}'
    store.places.waited_for.write_text(note % ("f" * 32))
    monkeypatch.setattr("failhook.settle.up_s", lambda: 60.0)
    assert settle(store) == []
    store.places.waited_for.write_text(note % ("e" * 32))
    assert [one.state for one in settle(store)] == [State.RECOVERED]


def test_a_story_that_is_never_told_holds_nothing_up_for_long(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.places.waited_for.parent.mkdir(parents=True)
    store.places.waited_for.write_text(
        '{"boots": [{"boot_id": "x", "kernel": "6", "entry": null}]}'
    )
    monkeypatch.setattr("failhook.settle.up_s", lambda: 60.0)
    assert untold_boots(store) == {"x"}
    monkeypatch.setattr("failhook.settle.up_s", lambda: 3600.0)
    assert untold_boots(store) == set()


def test_who_is_waited_for_is_published_for_the_next_boot_too(store: Store) -> None:
    store.places.run.mkdir()
    store.create(incident(1))
    known = publish(store)
    assert known == ["a.service"]
    assert store.places.open_list.read_text() == "a.service\n"
    assert [one.boot_id for one in running.boots(store.places)] == [boot_id()]
    store.places.waited_for.unlink()
    publish(store, known)
    assert not store.places.waited_for.exists()  # nothing is new, nothing is written
    store.update(incident(1), lambda one: replace(one, state=State.CLOSED))
    assert publish(store, known) == []
    assert not store.places.open_list.exists()
