# SPDX-License-Identifier: MIT
"""What the decision knows of the machine, of other units, and of people."""

import datetime
import os
import time
from dataclasses import replace

import pytest

from failhook.config.model import Configuration, Limits, Quiet, Rule
from failhook.incident import Incident, Phase, Process
from failhook.places import Places
from failhook.response.circumstances import (
    gather,
    host_facts,
    quiet_until,
    started_by,
    traits_of,
)
from failhook.response.threads import Thread
from failhook.response.unit_words import UnitWords
from failhook.store.incidents import Store
from failhook.systemd.unit import UnitState
from failhook.values import Rate
from tests.unit.collect.bench import Programs
from tests.unit.samples import AT, incident

THREAD = Thread("t", "a.service", "system", AT, "t")


def _at(text: str) -> float:
    return datetime.datetime.fromisoformat(text).astimezone().timestamp()


# -- quiet hours --------------------------------------------------------------------------------

NIGHT = Quiet(spans=((22 * 60, 7 * 60),))
LUNCH = Quiet(spans=((12 * 60, 13 * 60),), days=(0, 1, 2, 3, 4))


@pytest.mark.parametrize(
    ("quiet", "now", "until"),
    [
        (NIGHT, "2026-11-24T21:59", None),
        (NIGHT, "2026-11-24T22:00", "2026-11-25T07:00"),
        (NIGHT, "2026-11-25T03:00", "2026-11-25T07:00"),
        (NIGHT, "2026-11-25T07:00", None),
        (LUNCH, "2026-11-25T12:30", "2026-11-25T13:00"),  # a Wednesday
        (LUNCH, "2026-11-28T12:30", None),  # a Saturday
        (replace(NIGHT, days=(4,)), "2026-11-28T03:00", "2026-11-28T07:00"),  # Friday's night
        (replace(NIGHT, days=(5,)), "2026-11-28T03:00", None),
        (Quiet(), "2026-11-25T03:00", None),
        (Quiet(spans=((0, 1440),)), "2026-11-25T03:00", "2026-11-26T00:00"),
    ],
)
def test_quiet_hours(quiet: Quiet, now: str, until: str | None) -> None:
    assert quiet_until(quiet, _at(now)) == (None if until is None else _at(until))


def test_quiet_hours_end_when_the_clock_says_so_also_when_it_is_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        end = quiet_until(NIGHT, _at("2026-10-24T23:00"))  # the night has 25 hours
        assert end == _at("2026-10-25T07:00")
        assert end - _at("2026-10-24T23:00") == 9 * 3600
    finally:
        monkeypatch.undo()
        time.tzset()


# -- other units --------------------------------------------------------------------------------


def _gather(store: Store, one: Incident, state: UnitState, **changes: object) -> object:
    config = Configuration(limits=Limits(brake=Rate(3, 60.0)), **changes)  # type: ignore[arg-type]
    return gather(store, config, one, state, THREAD, UnitWords())


def _failed(store: Store, number: int, unit: str, seconds: float) -> Incident:
    one = incident(number, unit=unit)
    one = replace(one, first_seen=AT + seconds, last_seen=AT + seconds)
    store.create(one)
    return one


def test_a_victim_has_a_root_with_an_incident_of_its_own(store: Store) -> None:
    root = _failed(store, 1, "db.service", 0)
    victim = replace(_failed(store, 2, "a.service", 5), phase=Phase.DEPENDENCY)
    state = UnitState("a.service", {"Requires": "system.slice db.service", "LoadState": "loaded"})
    facts = _gather(store, victim, state)
    assert facts.victim_of == f"db.service ({root.id})"  # type: ignore[attr-defined]
    other = UnitState("a.service", {"Requires": "web.service", "LoadState": "loaded"})
    assert _gather(store, victim, other).victim_of is None  # type: ignore[attr-defined]
    ran = replace(victim, phase=Phase.FAILED)
    assert _gather(store, ran, state).victim_of is None  # type: ignore[attr-defined]


def test_a_root_that_failed_long_ago_is_none(store: Store) -> None:
    _failed(store, 1, "db.service", 0)
    victim = replace(_failed(store, 2, "a.service", 500), phase=Phase.DEPENDENCY)
    state = UnitState("a.service", {"Requires": "db.service", "LoadState": "loaded"})
    assert _gather(store, victim, state).victim_of is None  # type: ignore[attr-defined]


def test_many_units_at_once_are_a_cascade_but_for_their_root(store: Store) -> None:
    units = ["a.service", "b.service", "c.service", "d.service"]
    failed = [_failed(store, n, unit, n) for n, unit in enumerate(units)]
    plain = UnitState("d.service", {"LoadState": "loaded"})
    facts = _gather(store, failed[3], plain)
    assert facts.cascade == "4 units failed within 60 s"  # type: ignore[attr-defined]
    root = UnitState("d.service", {"LoadState": "loaded", "RequiredBy": "b.service x.service"})
    assert _gather(store, failed[3], root).cascade is None  # type: ignore[attr-defined]
    assert _gather(store, failed[2], plain).cascade is None  # type: ignore[attr-defined]


# -- the machine --------------------------------------------------------------------------------


def test_host_facts_are_asked_only_where_a_rule_wants_them(programs: Programs) -> None:
    programs.add("systemd-detect-virt", "echo kvm; exit 0")
    assert host_facts(set()) == {}
    assert programs.calls == []
    facts = host_facts({"name", "os", "virtualization"})
    assert facts["name"] == os.uname().nodename
    assert facts["virtualization"] == "kvm"
    assert facts["kernel"] == os.uname().release
    assert facts["os"].islower()


@pytest.mark.parametrize(
    ("changes", "how"),
    [
        ({"trigger_unit": "a.timer"}, "timer"),
        ({"trigger_unit": "a.path"}, "path"),
        ({"attempt": 2}, "restart"),
        ({}, None),
        ({"main": Process(1, 1_700_000_100.0, None)}, "hand"),
        ({"main": Process(1, 1_699_999_990.0, None)}, "boot"),
        ({"main": Process(1, 1_700_000_501.0, None)}, "timer"),
    ],
)
def test_how_a_run_was_started(programs: Programs, changes: dict[str, object], how: str) -> None:
    stamp = "Tue 2023-11-14 22:13:20.000000 UTC"  # 1700000000
    elapsed = "Tue 2023-11-14 22:21:40.000000 UTC"  # 500 s later
    programs.add(
        "systemctl",
        f'case "$*" in *FinishTimestamp*) echo "{stamp}";; *) printf "Id=a.timer\\n'
        f'LastTriggerUSec={elapsed}\\n";; esac',
    )
    state = UnitState("a.service", {"TriggeredBy": "a.timer"})
    assert started_by(replace(incident(), **changes), state) == how  # type: ignore[arg-type]


def test_plugins_are_not_asked_where_none_is_used(places: Places) -> None:
    from failhook.actions.table import BUILT_IN

    assert traits_of(places, Configuration(rules=(Rule("r"),))) is BUILT_IN
