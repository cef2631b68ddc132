# SPDX-License-Identifier: MIT
"""One incident per failed run, whichever and however many triggers came."""

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest

from failhook.incident import Bundle, Incident, Phase, Stage, State
from failhook.record import is_plain, record, recovered
from failhook.store.incidents import Store
from failhook.trigger import Kind, Trigger, parse
from tests.unit.samples import AT, incident, run_id, spooled


def _trigger(trigger_id: str = "1", number: int = 1, **changes: Any) -> Trigger:
    return replace(parse(trigger_id, spooled(number=number)), **changes)


def _on_failure(trigger_id: str = "2", number: int = 1, **changes: Any) -> Trigger:
    return _trigger(trigger_id, number, kind=Kind.ON_FAILURE, **changes)


def _all(store: Store) -> list[Incident]:
    return [one for row in store.rows() if (one := store.load(row.name)) is not None]


def test_a_trigger_becomes_an_incident(store: Store) -> None:
    one = record(store, _trigger())
    assert store.by_id(one.id) == one
    assert (one.unit, one.invocation_id) == ("a.service", run_id(1))
    assert (one.result, one.exit_code, one.exit_status) == ("exit-code", "exited", "3")
    assert (one.first_seen, one.last_seen) == (AT + 1, AT + 1)
    assert [(note.id, note.kind, note.result) for note in one.triggers] == [
        ("1", "stop-post", "exit-code")
    ]
    assert (one.state, one.stage, one.phase) == (State.OPEN, Stage.RECORDED, Phase.UNKNOWN)


def test_two_triggers_of_one_run_are_one_incident(store: Store) -> None:
    record(store, _trigger())
    one = record(store, _on_failure(realtime=AT + 5))
    assert _all(store) == [one]
    assert [note.kind for note in one.triggers] == ["stop-post", "on-failure"]
    assert (one.first_seen, one.last_seen) == (AT + 1, AT + 5)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_in_which_they_come_does_not_matter(store: Store, order: list[int]) -> None:
    triggers = [
        _trigger("1"),
        _on_failure("2", exit_code=None, exit_status=None),
        _on_failure("3", realtime=AT + 1.5),
    ]
    for number in order:
        record(store, triggers[number])
    (one,) = _all(store)
    assert {note.id for note in one.triggers} == {"1", "2", "3"}
    assert (one.result, one.exit_code, one.exit_status) == ("exit-code", "exited", "3")


def test_a_trigger_that_is_read_again_changes_nothing(store: Store) -> None:
    first = record(store, _trigger())
    path = store.directory(first) / "incident.json"
    before = path.stat()
    assert record(store, _trigger()) == first
    assert path.stat().st_ino == before.st_ino


def test_runs_units_and_boots_are_told_apart(store: Store) -> None:
    triggers = [
        _trigger("1"),
        _trigger("2", 2),
        _trigger("3", unit="b.service"),
        _trigger("4", boot_id="f" * 32),
        _trigger("5", invocation_id=None),
        _trigger("6", invocation_id=None),
    ]
    assert len({record(store, trigger).id for trigger in triggers}) == 6
    assert len(_all(store)) == 6


def test_what_was_worked_off_stays_so_when_a_late_trigger_comes(store: Store) -> None:
    one = record(store, _trigger())
    done = replace(one, stage=Stage.DONE, phase=Phase.FAILED, bundle=Bundle("/x", 1, "0" * 64))
    store.save(done)
    late = record(store, _on_failure(result="signal", exit_code="killed", exit_status="KILL"))
    assert late == replace(done, triggers=late.triggers, last_seen=late.last_seen)
    assert late.result == "exit-code"


def test_success_in_a_handler_means_not_known_from_here(store: Store) -> None:
    one = record(store, _on_failure("1", result="success"))
    assert one.result is None
    assert record(store, _trigger("2")).result == "exit-code"


def test_by_hand_is_never_mixed_with_a_failure(store: Store) -> None:
    failed = record(store, _trigger())
    by_hand = record(store, _trigger("m", kind=Kind.MANUAL))
    assert by_hand.id != failed.id
    assert by_hand.state is State.CLOSED


def test_what_failed_while_the_machine_went_down(store: Store) -> None:
    assert record(store, _trigger(during_shutdown=True)).phase is Phase.SHUTDOWN


def test_what_the_hook_saw_is_kept_until_it_is_packed(store: Store) -> None:
    raw = spooled(cgroup_path="/system.slice/a.service", cgroup={"memory.peak": "7"})
    one = record(store, parse("1", raw), raw)
    hook = store.directory(one) / "hook.json"
    assert json.loads(hook.read_bytes())["cgroup"] == {"memory.peak": "7"}
    plain = record(store, _trigger("2", 2), spooled(number=2))
    assert not (store.directory(plain) / "hook.json").exists()
    record(store, _on_failure("3", 2), spooled(number=2))
    record(store, replace(parse("4", raw), invocation_id=run_id(2)), raw)
    assert (store.directory(plain) / "hook.json").exists()


def test_a_storm_of_triggers_of_one_run_stays_bounded(store: Store) -> None:
    for number in range(40):
        record(store, _on_failure(str(number), realtime=AT + number))
    (one,) = _all(store)
    assert len(one.triggers) == 32
    assert one.last_seen == AT + 39


@pytest.mark.parametrize(
    ("changes", "plain"),
    [
        ({}, True),
        ({"result": "success"}, False),
        ({"result": None}, False),
        ({"invocation_id": None}, False),
    ],
)
def test_is_any_question_open(changes: dict[str, Any], plain: bool) -> None:
    assert is_plain(_trigger(**changes)) == plain


def test_a_clean_run_ends_what_was_open_before_it(store: Store) -> None:
    older, newer = incident(1), incident(2)
    other, closed = incident(3, unit="b.service"), incident(4, state=State.CLOSED)
    later = incident(9)
    for one in (older, newer, other, closed, later):
        store.create(one)
    at = incident(5).first_seen
    done = recovered(store, "a.service", at)
    assert {one.id for one in done} == {older.id, newer.id}
    for one in _all(store):
        assert (one.state is State.RECOVERED) == (one.id in (older.id, newer.id))
        assert one.recovered_at == (at if one.state is State.RECOVERED else None)
    assert recovered(store, "a.service", at) == []
