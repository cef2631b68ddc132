# SPDX-License-Identifier: MIT
"""Which rules speak, which rung of the ladder it is, what is done, what is left out, and why."""

from dataclasses import replace
from typing import Any

import pytest

from failhook.actions.table import Traits
from failhook.config.model import ActionTable, Configuration, Limits, Quiet, Rule, Step
from failhook.decide import BY_THE_UNIT, ahead, decide, look, ordinal, rung_of
from failhook.incident import Control, Incident, Phase, State, Verdict
from failhook.message import Event
from failhook.outcomes import Done
from failhook.plan import Circumstances, Decision, Memory, Told, planned_of
from failhook.values import Rate
from tests.unit import samples

NOW = 1_790_000_000.0
ACTIONS = {
    "tell": ActionTable("tell", "webhook"),
    "page": ActionTable("page", "mail", urgent=True),
    "clean": ActionTable("clean", "clean"),
    "gently": ActionTable("gently", "restart"),
    "stop": ActionTable("stop", "stop"),
}
LADDER = (
    Step(1, None, ("tell",)),
    Step(2, 3, ("clean", "gently")),
    Step(4, None, ("tell", "stop")),
)
RULE = Rule("acme", units=("a.*", "acme-*.service"), steps=LADDER)


def configuration(*rules: Rule, **changes: Any) -> Configuration:
    return replace(Configuration(rules=rules or (RULE,), actions=ACTIONS), **changes)


def failure(**changes: Any) -> Incident:
    return samples.incident(phase=changes.pop("phase", Phase.FAILED), **changes)


def plan(
    incident: Incident | None = None,
    config: Configuration | None = None,
    facts: Circumstances | None = None,
    **memory: Any,
) -> Decision:
    incident, config = incident or failure(), config or configuration()
    facts = facts or Circumstances(NOW)
    looked = look(config.rules, incident, facts)
    return decide(config, incident, looked, facts, Memory(**memory))


def done(decision: Decision) -> list[str]:
    """Names of what is to be done."""
    return [one.action for one in decision.steps if one.state is not Done.LEFT_OUT]


def left_out(decision: Decision) -> dict[str, str]:
    return {one.action: one.reason for one in decision.steps if one.state is Done.LEFT_OUT}


# -- rules --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "changes", "reason"),
    [
        ({"units": ("web-*",)}, {}, "unit a.service is not web-*"),
        ({"not_units": ("a.*",)}, {}, "unit a.service is excluded (not_unit)"),
        ({"results": ("signal", "oom-kill")}, {}, "result exit-code is not signal or oom-kill"),
        ({"exit_statuses": ("4", "KILL")}, {}, "exit status 3 is not 4 or KILL"),
        ({"phases": ("gave-up",)}, {}, "phase failed is not gave-up"),
        ({"causes": ("port-*",)}, {}, "cause unknown is not port-*"),
        ({"started": ("timer",)}, {}, "start unknown is not timer"),
        ({"host": (("name", "web*"),)}, {}, "host: name is unknown, not web*"),
        ({}, {"phase": Phase.STOPPED}, "phase stopped: it was asked for"),
        ({}, {"phase": Phase.SHUTDOWN}, "phase shutdown: it was asked for"),
    ],
)
def test_why_a_rule_does_not_match(
    rule: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    (one,) = look([Rule("r", **rule)], failure(**changes), Circumstances(NOW))
    assert not one.matched
    assert one.reason.startswith(reason)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ({}, {}),
        ({"units": ("b.*", "a.service")}, {}),
        ({"results": ("exit-code",)}, {}),
        ({"exit_statuses": ("3",)}, {}),
        ({"exit_statuses": ("EXEC",)}, {"exit_status": "203", "exit_status_name": "EXEC"}),
        (
            {"exit_statuses": ("9",)},
            {
                "exit_code": None,
                "exit_status": None,
                "control": Control("ExecStartPre", "exited", "9"),
            },
        ),
        ({"causes": ("port-*",)}, {"verdict": Verdict("x", cause="port-in-use")}),
        ({"phases": ("stopped",)}, {"phase": Phase.STOPPED}),
        ({"started": ("timer",), "host": (("name", "web*"),)}, {}),
    ],
)
def test_what_a_rule_matches(rule: dict[str, Any], changes: dict[str, Any]) -> None:
    facts = Circumstances(NOW, host={"name": "web1"}, started="timer")
    (one,) = look([Rule("r", **rule)], failure(**changes), facts)
    assert one.matched, one.reason


def test_the_first_that_matches_is_the_only_one() -> None:
    rules = [Rule("no", units=("x",)), Rule("first"), Rule("second")]
    found = look(rules, failure(), Circumstances(NOW))
    assert [one.matched for one in found] == [False, True, False]
    assert found[2].reason == "not looked at: first matched before"


def test_unless_it_says_continue() -> None:
    rules = [Rule("first", goes_on=True), Rule("second"), Rule("third")]
    found = look(rules, failure(), Circumstances(NOW))
    assert [one.matched for one in found] == [True, True, False]


def test_a_unit_names_a_rule_that_would_not_match() -> None:
    facts = Circumstances(NOW, unit_rules=("theirs",))
    (one,) = look([Rule("theirs", units=("x",))], failure(), facts)
    assert (one.matched, one.reason) == (True, "the unit names it (Rule=)")


def test_a_unit_that_speaks_for_itself_is_heard_first_and_alone() -> None:
    facts = Circumstances(NOW, unit_steps=(Step(1, None, ("clean",)),))
    decision = plan(facts=facts)
    assert [one.rule.name for one in decision.looked if one.matched] == [BY_THE_UNIT]
    assert done(decision) == ["clean"]


# -- the ladder ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "rung"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (1000, 2)])
def test_the_rung_of_each_failure(number: int, rung: int) -> None:
    assert rung_of(LADDER, number) == rung


def test_a_rung_that_says_where_it_ends_does() -> None:
    steps = (Step(2, 3, ("a",)), Step(6, None, ("b",)))
    assert [rung_of(steps, number) for number in range(1, 8)] == [None, 0, 0, None, None, 1, 1]


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd")]
)
def test_ordinals(number: int, text: str) -> None:
    assert ordinal(number) == text


def test_each_rung_asks_for_its_actions() -> None:
    told = {"tell": Told("incident.opened", "acme", 1, NOW)}
    plans = [
        plan(counts={"acme": number}, told=told if number > 1 else {}) for number in range(1, 6)
    ]
    assert [done(one) for one in plans] == [
        ["tell"],
        ["clean", "gently"],
        ["clean", "gently"],
        ["tell", "stop"],
        ["tell", "stop"],
    ]


def test_a_failure_that_no_step_is_meant_for_says_so() -> None:
    rule = Rule("late", steps=(Step(3, None, ("tell",)),))
    decision = plan(config=configuration(rule))
    assert decision.steps == ()
    assert "1st failure in 3600 s: no step is meant for it" in decision.looked[0].reason


def test_two_rules_that_ask_for_the_same_do_it_once() -> None:
    one = Rule("one", goes_on=True, steps=(Step(1, None, ("tell", "clean")),))
    two = Rule("two", steps=(Step(1, None, ("clean", "stop")),))
    assert done(plan(config=configuration(one, two))) == ["tell", "clean", "stop"]


# -- what is left out ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"paused": "moving"}, "paused: moving"),
        ({"upgrading": "dpkg"}, "a package upgrade is in progress (dpkg)"),
        ({"victim_of": "db.service (77b0)"}, "victim of db.service (77b0)"),
    ],
)
def test_nothing_at_all_is_done(facts: dict[str, Any], reason: str) -> None:
    rule = Rule("all", steps=(Step(1, None, ("tell", "page", "clean", "gently")),))
    decision = plan(config=configuration(rule), facts=Circumstances(NOW, **facts))
    assert done(decision) == []
    assert set(left_out(decision)) == {"tell", "page", "clean", "gently"}
    assert all(text.startswith(reason) for text in left_out(decision).values())
    assert decision.remark.startswith(reason)


def test_what_systemd_restarts_itself_is_left_to_it() -> None:
    decision = plan(failure(phase=Phase.RESTARTING, attempt=2), counts={"acme": 2})
    assert done(decision) == ["clean"]
    assert left_out(decision) == {"gently": "systemd restarts it itself (start 2)"}


def test_what_is_well_again_is_not_restarted() -> None:
    decision = plan(failure(state=State.RECOVERED), counts={"acme": 2})
    assert left_out(decision) == {"gently": "it is well again already"}


@pytest.mark.parametrize("kind", ["system", "boot-bad", "start"])
def test_what_is_well_again_takes_nothing_down(kind: str) -> None:
    actions = {**ACTIONS, "big": ActionTable("big", kind)}
    config = configuration(Rule("all", steps=(Step(1, None, ("big",)),)), actions=actions)
    assert done(plan(config=config)) == ["big"]
    decision = plan(failure(state=State.RECOVERED), config=config)
    assert left_out(decision) == {"big": "it is well again already"}


def test_what_never_helped_is_left_out() -> None:
    decision = plan(counts={"acme": 2}, useless={"gently": 3, "clean": 2})
    assert done(decision) == ["clean"]
    assert left_out(decision) == {"gently": "it did not help 3 times in a row"}


def test_a_limit_that_is_used_up() -> None:
    decision = plan(counts={"acme": 2}, room={"restarts": 0})
    assert left_out(decision) == {"gently": "restarts are used up (20 per 3600 s)"}


def test_one_decision_does_not_use_up_more_than_there_is() -> None:
    actions = {**ACTIONS, "again": ActionTable("again", "start")}
    rule = Rule("two", steps=(Step(1, None, ("gently", "again")),))
    config = configuration(rule, actions=actions, limits=Limits(restarts=Rate(5, 60.0)))
    decision = plan(config=config, room={"restarts": 1})
    assert done(decision) == ["gently"]
    assert left_out(decision) == {"again": "restarts are used up (5 per 60 s)"}


def test_a_cascade_is_recorded_and_told_as_one() -> None:
    facts = Circumstances(NOW, cascade="12 units failed within 60 s")
    rule = Rule("all", steps=(Step(1, None, ("tell", "page", "clean", "gently")),))
    decision = plan(config=configuration(rule), facts=facts)
    assert left_out(decision) == dict.fromkeys(
        ("clean", "gently"), "brake: 12 units failed within 60 s"
    )
    tell, page = (one for one in decision.steps if one.event is not None)
    assert (tell.state, tell.group, tell.not_before) == (Done.WAITING, "cascade", NOW + 10)
    assert (page.state, page.group) == (Done.DUE, None)  # urgent


def test_a_cascade_is_counted_all_the_same() -> None:
    actions = {**ACTIONS, "count": ActionTable("count", "metrics")}
    rule = Rule("all", steps=(Step(1, None, ("count", "clean")),))
    facts = Circumstances(NOW, cascade="12 units failed within 60 s")
    assert done(plan(config=configuration(rule, actions=actions), facts=facts)) == ["count"]


def test_an_action_that_is_not_there_harms_no_other() -> None:
    facts = Circumstances(NOW, unit_steps=(Step(1, None, ("nowhere", "clean")),))
    decision = plan(facts=facts)
    assert done(decision) == ["clean"]
    assert left_out(decision) == {"nowhere": "there is no [action.nowhere]"}


# -- messages -----------------------------------------------------------------------------------


def _event(decision: Decision, name: str = "tell") -> Event | None:
    return next(one.event for one in decision.steps if one.action == name)


def test_a_trouble_is_opened_once_and_then_counted() -> None:
    assert _event(plan()) is Event.OPENED
    rule = Rule("acme", steps=(Step(1, None, ("tell",)),))
    told = {"tell": Told("incident.opened", "acme", 1, NOW)}
    again = plan(config=configuration(rule), counts={"acme": 2}, told=told)
    assert left_out(again) == {"tell": "counted, not repeated: it was told of this trouble before"}


def test_a_further_step_escalates() -> None:
    told = {"tell": Told("incident.opened", "acme", 1, NOW)}
    assert _event(plan(counts={"acme": 4}, told=told)) is Event.ESCALATED


def test_giving_up_is_news_once() -> None:
    rule = Rule("acme", steps=(Step(1, None, ("tell",)),))
    gave_up, config = failure(phase=Phase.GAVE_UP), configuration(rule)
    told = {"tell": Told("incident.opened", "acme", 1, NOW)}
    assert _event(plan(gave_up, config, told=told)) is Event.GAVE_UP
    told = {"tell": Told("incident.gave-up", "acme", 1, NOW)}
    assert done(plan(gave_up, config, told=told)) == []


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"acked": "ann: looking"}, "acknowledged: ann: looking"),
        ({"muted": "a.*"}, "muted: a.*"),
    ],
)
def test_who_wants_to_hear_nothing(facts: dict[str, Any], reason: str) -> None:
    decision = plan(facts=Circumstances(NOW, **facts))
    assert left_out(decision) == {"tell": reason}


def test_an_urgent_message_breaks_a_mute_but_no_acknowledgement() -> None:
    rule = Rule("all", steps=(Step(1, None, ("page",)),))
    config = configuration(rule)
    assert done(plan(config=config, facts=Circumstances(NOW, muted="*"))) == ["page"]
    assert done(plan(config=config, facts=Circumstances(NOW, acked="ann"))) == []


def test_quiet_hours_hold_back_what_is_not_urgent() -> None:
    rule = Rule("all", steps=(Step(1, None, ("tell", "page")),))
    decision = plan(config=configuration(rule), facts=Circumstances(NOW, quiet_until=NOW + 60))
    tell, page = decision.steps
    assert (tell.state, tell.group, tell.not_before) == (Done.WAITING, "quiet", NOW + 60)
    assert page.state is Done.DUE


def test_a_digest_waits_for_the_end_of_its_interval() -> None:
    actions = {**ACTIONS, "tell": replace(ACTIONS["tell"], digest_s=3600.0)}
    first = plan(config=configuration(actions=actions), facts=Circumstances(NOW)).steps[0]
    second = plan(config=configuration(actions=actions), facts=Circumstances(NOW + 5)).steps[0]
    assert first.group == second.group == "digest"
    assert first.not_before == second.not_before
    assert 0 < first.not_before - NOW <= 3600
    assert first.not_before % 3600 == 0


def test_a_plugin_delivers_where_it_says_so() -> None:
    actions = {**ACTIONS, "own": ActionTable("own", "pigeon")}
    rule = Rule("all", steps=(Step(1, None, ("own",)),))
    facts = Circumstances(NOW, traits={"pigeon": Traits(delivers=True)})
    decision = plan(config=configuration(rule, actions=actions), facts=facts)
    assert _event(decision, "own") is Event.OPENED


# -- looking ahead, and keeping -----------------------------------------------------------------


def test_looking_ahead_says_what_each_failure_will_bring() -> None:
    memory = Memory(room={"restarts": 1, "reboots": 2})
    plans = list(ahead(configuration(), failure(), Circumstances(NOW), memory, 5))
    assert [done(one) for one in plans] == [
        ["tell"],
        ["clean", "gently"],
        ["clean"],
        ["tell", "stop"],
        ["stop"],
    ]
    assert _event(plans[3]) is Event.ESCALATED
    assert left_out(plans[2]) == {"gently": "restarts are used up (20 per 3600 s)"}


def test_the_steps_come_back_from_json() -> None:
    decision = plan(facts=Circumstances(NOW, cascade="many"), counts={"acme": 4})
    back = planned_of(decision.to_json())
    assert list(decision.steps) == back
    assert planned_of({"steps": [{"action": "x"}, 7, None]}) == []
    assert planned_of({}) == []


def test_quiet_is_off_by_default() -> None:
    assert Quiet().spans == ()
