# SPDX-License-Identifier: MIT
"""From triggers to steps that are done: planned once, done once, whatever is killed in between."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from failhook.boot import endings
from failhook.boot.endings import Ending
from failhook.incident import Incident, State
from failhook.outbox import message_from_json
from failhook.outcomes import Done
from failhook.queue import Queue
from failhook.response.ledger import Ledger
from failhook.response.threads import Threads
from failhook.store.incidents import Store
from failhook.systemd import upgrade
from tests.integration.acting import act, kill, marks, start_actor
from tests.integration.machine import Machine, wait_for

RULES = """
[action.tell]
type = "webhook"
url = "http://127.0.0.1:9/"
[action.mark]
type = "mark"
log = "{log}"
{more}
[[rule]]
name = "all"
within = "1h"
step = [
  {{ on = "1", do = ["tell", "mark"] }},
  {{ on = "2..3", do = ["mark"] }},
  {{ on = "4", do = ["tell", "mark"] }},
]
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    one = Machine(tmp_path)
    yield one
    one.end()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "marks"


def rules(machine: Machine, log: Path, more: str = "", text: str = RULES) -> None:
    (machine.where.configuration[0] / "conf.d").mkdir(exist_ok=True)
    path = machine.where.configuration[0] / "conf.d/rules.toml"
    path.write_text(text.format(log=log, more=more))


def entries(incident: Incident, name: str) -> list[dict[str, object]]:
    return [dict(one) for one in incident.actions if one["name"] == name]


def states(incidents: list[Incident], name: str) -> list[object]:
    return [one["state"] for incident in incidents for one in entries(incident, name)]


def sent(machine: Machine) -> list[tuple[str, str]]:
    """(event, id) of what is in the outbox."""
    queue = Queue(machine.where.outbox)
    found = []
    for path in queue.waiting():
        item = queue.read(path)
        assert item is not None
        message = message_from_json(item.payload)
        found.append((str(message.event), message.id))
    return found


def test_a_failure_is_decided_done_and_told(machine: Machine, log: Path) -> None:
    rules(machine, log)
    machine.trigger()
    machine.run()
    (one,) = machine.check()
    assert one.decision is not None
    assert states([one], "mark") == [Done.DUE]
    act(machine)
    (one,) = machine.check()
    (entry,) = entries(one, "mark")
    assert (entry["state"], entry["detail"], entry["step"]) == (Done.DONE, "marked", 1)
    assert isinstance(entry["took_ms"], int)
    assert marks(log) == {f"{one.id}-mark": ["begin", "end"]}
    assert [event for event, _ in sent(machine)] == ["incident.opened"]
    assert Queue(machine.where.due).waiting() == []


def test_without_a_rule_nothing_of_it_exists(machine: Machine) -> None:
    machine.trigger()
    machine.run()
    (one,) = machine.check()
    assert one.decision is None
    assert one.actions == ()
    assert not machine.where.ledger.exists()
    assert not machine.where.due.exists()
    assert not machine.where.outbox.exists()


def test_the_ladder_counts_and_a_trouble_is_told_once(machine: Machine, log: Path) -> None:
    rules(machine, log)
    for number in range(1, 6):
        machine.trigger(number=number)
        machine.run()
        act(machine)
    incidents = machine.check()
    numbers = [one.decision["steps"][0]["number"] for one in incidents if one.decision]  # type: ignore[index,call-overload]
    assert numbers == [1, 2, 3, 4, 5]
    assert states(incidents, "mark") == [Done.DONE] * 5
    assert [event for event, _ in sent(machine)] == ["incident.opened", "incident.escalated"]
    last = entries(incidents[4], "tell")[0]
    assert last["state"] == Done.LEFT_OUT
    assert "counted, not repeated" in str(last["detail"])


def test_what_helped_ends_the_trouble_and_is_told(machine: Machine, log: Path) -> None:
    rules(machine, log, "helps = true")
    machine.trigger()
    machine.run()
    act(machine)
    (one,) = machine.check()
    assert one.state is State.RECOVERED
    assert entries(one, "mark")[0]["helped"] is True
    opened, recovered = sent(machine)
    assert (opened[0], recovered[0]) == ("incident.opened", "incident.recovered")
    queue = Queue(machine.where.outbox)
    item = queue.read(queue.waiting()[1])
    assert item is not None
    message = message_from_json(item.payload)
    assert message.helped == "mark"
    assert message.downtime_s is not None
    thread = Threads(machine.where).find("a.service", "system")
    assert thread is not None
    assert not thread.is_open
    # the next failure is a trouble of its own, and the ladder goes on
    machine.trigger(number=2)
    machine.run()
    assert [event for event, _ in sent(machine)][2:] == []
    second = machine.check()[1]
    assert second.decision is not None
    assert second.decision["steps"][0]["number"] == 2  # type: ignore[index,call-overload]


def test_a_step_that_fails_is_tried_again_later(machine: Machine, log: Path) -> None:
    rules(machine, log, "fails = 1")
    machine.trigger()
    machine.run()
    act(machine)
    (one,) = machine.incidents()
    assert states([one], "mark") == [Done.WAITING]
    queue = Queue(machine.where.due)
    (path,) = [path for path in queue.later() if "-mark@" in path.name]
    queue.postpone(path, 0.0)
    act(machine)
    (entry,) = entries(machine.incidents()[0], "mark")
    assert (entry["state"], entry["attempts"]) == (Done.DONE, 2)
    assert marks(log)[f"{one.id}-mark"] == ["begin", "end", "begin", "end"]


def test_a_step_that_goes_on_failing_is_given_up(machine: Machine, log: Path) -> None:
    rules(machine, log, "fails = 9\nretries = 0")
    machine.trigger()
    machine.run()
    act(machine)
    (entry,) = entries(machine.incidents()[0], "mark")
    assert (entry["state"], entry["detail"]) == (Done.FAILED, "not at try 1")


def test_what_was_interrupted_is_said_and_not_begun_again(machine: Machine, log: Path) -> None:
    rules(machine, log, 'takes = "5s"')
    machine.trigger()
    machine.run()
    actor = start_actor(machine)
    until = time.monotonic() + 10
    while not marks(log) and time.monotonic() < until:
        time.sleep(0.01)
    kill(actor)
    rules(machine, log)
    act(machine)
    (entry,) = entries(machine.incidents()[0], "mark")
    assert entry["state"] == Done.INTERRUPTED
    assert [*marks(log).values()] == [["begin"]]


def test_a_step_that_its_own_reboot_interrupted_is_done(machine: Machine, log: Path) -> None:
    """The machine went down before anybody wrote down that the step had asked for it."""
    rules(machine, log, 'takes = "5s"')
    machine.trigger()
    machine.run()
    actor = start_actor(machine)
    until = time.monotonic() + 10
    while not marks(log) and time.monotonic() < until:
        time.sleep(0.01)
    kill(actor)
    (entry,) = entries(machine.incidents()[0], "mark")
    ending = Ending(time.time(), "b" * 32, 9.0, "reboot", "why", step=str(entry["id"]))
    endings.remember(machine.where, ending)
    act(machine)
    (entry,) = entries(machine.incidents()[0], "mark")
    assert (entry["state"], entry["detail"]) == (
        Done.DONE,
        "asked systemd for reboot; this is the boot after it",
    )
    assert [*marks(log).values()] == [["begin"]]


def test_what_may_be_done_twice_is_begun_again(machine: Machine, log: Path) -> None:
    text = RULES.replace('type = "mark"', 'type = "again"')
    rules(machine, log, 'takes = "5s"', text)
    machine.trigger()
    machine.run()
    actor = start_actor(machine)
    until = time.monotonic() + 10
    while not marks(log) and time.monotonic() < until:
        time.sleep(0.01)
    kill(actor)
    rules(machine, log, "", text)
    act(machine)
    assert states(machine.incidents(), "mark") == [Done.DONE]
    assert [*marks(log).values()] == [["begin", "begin", "end"]]


def test_a_pause_stops_what_is_planned_already(machine: Machine, log: Path) -> None:
    rules(machine, log)
    machine.trigger()
    machine.run()
    Ledger(machine.where).pause("moving", None, time.time())
    act(machine)
    (entry,) = entries(machine.incidents()[0], "mark")
    assert (entry["state"], entry["detail"]) == (Done.LEFT_OUT, "paused: moving")
    assert marks(log) == {}


def test_what_the_configuration_has_no_more_is_said(machine: Machine, log: Path) -> None:
    rules(machine, log)
    machine.trigger()
    machine.run()
    (machine.where.configuration[0] / "conf.d/rules.toml").unlink()
    act(machine)
    (entry,) = entries(machine.incidents()[0], "mark")
    assert entry["state"] == Done.FAILED
    assert "no [action.mark] any more" in str(entry["detail"])


def test_options_that_are_wrong_harm_no_other_step(machine: Machine, log: Path) -> None:
    text = RULES + '[action.odd]\ntype = "mark"\nlog = 7\n'
    text = text.replace(
        'do = ["tell", "mark"] }},\n  {{ on = "2', 'do = ["odd", "mark"] }},\n  {{ on = "2'
    )
    rules(machine, log, "", text)
    machine.trigger()
    machine.run()
    act(machine)
    (one,) = machine.incidents()
    assert states([one], "odd") == [Done.FAILED]
    assert states([one], "mark") == [Done.DONE]


def test_a_forgotten_incident_takes_its_steps_with_it(machine: Machine, log: Path) -> None:
    rules(machine, log)
    machine.trigger()
    machine.run()
    store = Store(machine.where)
    store.remove(store.directory(machine.incidents()[0]).name)
    store.close()
    act(machine)
    assert marks(log) == {}
    assert Queue(machine.where.due).waiting() == []


def test_an_action_that_never_helped_is_left_out(machine: Machine, log: Path) -> None:
    rules(machine, log, "useless = true")
    for number in range(1, 6):
        machine.trigger(number=number)
        machine.run()
        act(machine)
    incidents = machine.check()
    assert states(incidents, "mark") == [Done.FAILED] * 3 + [Done.LEFT_OUT] * 2
    (entry,) = entries(incidents[4], "mark")
    assert entry["detail"] == "it did not help 3 times in a row"


def test_a_failure_during_an_upgrade_is_decided_when_that_is_over(
    machine: Machine, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "db.lck"
    lock.touch()
    monkeypatch.setattr(upgrade, "_PACMAN", str(lock))  # what is forked from here has it
    rules(machine, log)
    machine.trigger()
    machine.run()
    (one,) = machine.check()
    assert one.decision is not None
    assert "package upgrade is in progress (pacman)" in str(one.decision["remark"])
    assert one.actions == ()
    queue = Queue(machine.where.due)
    for is_over in (False, True):
        if is_over:
            lock.unlink()
        (path,) = queue.later()
        queue.postpone(path, 0.0)
        act(machine)
    (one,) = machine.check()
    assert states([one], "mark") == [Done.DONE]
    assert [event for event, _ in sent(machine)] == ["incident.opened"]


def test_limits_hold_over_all_rules_and_after_a_new_start(machine: Machine, log: Path) -> None:
    limit = '[limits]\nrestarts = "2 per 1h"\n[action.again]\ntype = "restart"\ndry_run = true\n'
    rules(machine, log, "", limit + RULES.replace('do = ["tell", "mark"]', 'do = ["again"]'))
    for number, unit in enumerate(("a.service", "b.service", "c.service"), 1):
        machine.trigger(unit, number)
        machine.run()  # a runner of its own each time: what counts is on disk
    found = [one["state"] for incident in machine.check() for one in incident.actions]
    assert sorted(found, key=str) == [Done.DUE, Done.DUE, Done.LEFT_OUT]
    last = [incident.actions[0]["detail"] for incident in machine.incidents()]
    assert "restarts are used up (2 per 3600 s)" in last


@pytest.mark.parametrize("seed", range(6))
def test_kills_at_any_point_lose_nothing_and_do_nothing_twice(
    machine: Machine, log: Path, seed: int
) -> None:
    chance = random.Random(seed)
    rules(machine, log)
    units = ("a.service", "b.service", "c.service")
    for number in range(1, 6):
        for position, unit in enumerate(units):
            machine.trigger(unit, number * 10 + position)
        for _ in range(2):
            runner, actor = machine.start(), start_actor(machine)
            time.sleep(chance.uniform(0.0, 0.35))
            for running in chance.sample([runner, actor], 2):
                kill(running)
                time.sleep(chance.uniform(0.0, 0.05))
    machine.run()
    act(machine)
    Queue(machine.where.outbox).tidy()  # as who delivers does at its start
    incidents = machine.check()
    assert len(incidents) == 15
    _check_counts(incidents, units)
    done = marks(log)
    for one in incidents:
        for entry in entries(one, "mark"):
            words = done.get(str(entry["id"]), [])
            assert words.count("begin") <= 1, f"{entry} was begun {words}"
            if entry["state"] == Done.DONE:
                assert words == ["begin", "end"]
            else:
                assert entry["state"] == Done.INTERRUPTED, entry
    told = sent(machine)
    assert len({key for _, key in told}) == len(told)
    events = sorted(event for event, _ in told)
    assert events == ["incident.escalated"] * 3 + ["incident.opened"] * 3, [
        (one.unit, one.id, one.stage, one.actions) for one in incidents
    ]
    assert Queue(machine.where.due).waiting() == []


def _check_counts(incidents: list[Incident], units: tuple[str, ...]) -> None:
    for unit in units:
        numbers = []
        for one in incidents:
            if one.unit == unit:
                assert one.decision is not None
                steps = one.decision["steps"]
                assert isinstance(steps, list)
                assert isinstance(steps[0], dict)
                numbers.append(steps[0]["number"])
        assert sorted(numbers, key=int) == [1, 2, 3, 4, 5], json.dumps(numbers)  # type: ignore[arg-type]


def test_a_later_look_finds_out_that_the_unit_is_well(machine: Machine, log: Path) -> None:
    rules(machine, log)
    machine.trigger()
    machine.run()
    act(machine)
    queue = Queue(machine.where.due)
    for number in range(2):  # not yet well: it is looked at again, later
        (path,) = queue.later()
        assert f"-look-{number}@look" in path.name
        queue.postpone(path, 0.0)
        act(machine)
    assert machine.incidents()[0].state is State.OPEN
    since = time.strftime("%a %Y-%m-%d %H:%M:%S.000000 UTC", time.gmtime(time.time() + 30))
    machine.programs.add(
        "systemctl",
        "printf 'Id=a.service\\nLoadState=loaded\\nActiveState=active\\nSubState=running\\n"
        f"InvocationID={'f' * 32}\\nActiveEnterTimestamp={since}\\n'",
    )
    (path,) = queue.later()
    queue.postpone(path, 0.0)
    clock = time.time() + 60
    act(machine, clock=clock)
    (one,) = machine.incidents()
    assert one.state is State.RECOVERED
    assert [event for event, _ in sent(machine)] == ["incident.opened", "incident.recovered"]
    assert queue.later() == []


OTHER = """
[action.other]
type = "mark"
log = "{log}"
{more}
[[rule]]
name = "other"
unit = ["c.service"]
step = [{{ on = "1..", do = ["other"] }}]
"""


def test_what_is_written_while_they_wait_for_work_counts(machine: Machine, log: Path) -> None:
    """Runner and actor leave as soon as there is work for another configuration than theirs."""
    runner = machine.start(idle_s=30.0)
    machine.trigger("a.service", 1)
    wait_for(lambda: [one.stage for one in machine.incidents()] == ["done"], what="the first")
    rules(machine, log)
    machine.trigger("b.service", 2)
    assert runner.wait(10.0) == 0
    assert [one.unit for one in machine.incidents()] == ["a.service"]

    machine.run()  # as its path unit starts it again
    actor = start_actor(machine, idle_s=30.0)
    wait_for(lambda: [*marks(log).values()] == [["begin", "end"]], what="the step of the second")
    rules(machine, log, text=OTHER)
    machine.trigger("c.service", 3)
    machine.run()
    assert actor.wait(10.0) == 0
    assert len(marks(log)) == 1

    act(machine)
    assert len(marks(log)) == 2
    by_unit = {one.unit: one for one in machine.check()}
    assert by_unit["a.service"].actions == ()
    assert [one["state"] for one in entries(by_unit["b.service"], "mark")] == ["done"]
    assert [one["state"] for one in entries(by_unit["c.service"], "other")] == ["done"]
