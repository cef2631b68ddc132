# SPDX-License-Identifier: MIT
"""The verbs around rules and messages: why, pause, mute, ack, retry, forget, check --explain."""

import json
import os
import time
from dataclasses import replace
from typing import Any

import pytest

from failhook import outbox, places, testing
from failhook.cli import check_send
from failhook.deliver import destination
from failhook.deliver.destination import Destination
from failhook.incident import Incident, Phase
from failhook.outcomes import Done, Entry, with_entry
from failhook.plan import Told
from failhook.queue import Queue, name_of
from failhook.response.ledger import Ledger
from failhook.response.threads import Threads
from tests.unit.cli.conftest import CommandLine
from tests.unit.collect.bench import Programs

DECISION: dict[str, Any] = {
    "remark": "12 units failed within 60 s",
    "rules": [
        {"rule": "web", "file": "/etc/f.toml", "line": 3, "matched": False, "reason": "unit …"},
        {"rule": "all", "file": "/etc/f.toml", "line": 9, "matched": True, "reason": "matches"},
    ],
    "steps": [],
    "unit_problems": ["Wait= is not known"],
}
RULES = """
[action.tell]
type = "journal"
[action.gently]
type = "restart"
[action.free]
type = "clean"
paths = ["/var/cache/acme"]
[[rule]]
name = "acme"
unit = ["a.service"]
step = [{ on = "1", do = ["tell"] }, { on = "2", do = ["free"], before_restart = true }]
[[rule]]
name = "oom"
cause = ["memory-*"]
step = [{ on = "1", do = ["gently"] }]
"""


@pytest.fixture(autouse=True)
def systemd(failhook: CommandLine, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Units that are loaded; and a configuration that need not be root's where we are not root."""
    programs.add("systemctl", "echo LoadState=loaded")
    ordinary = os.geteuid() != 0
    find = lambda *, user: replace(failhook.where, user=user or ordinary)  # noqa: E731
    monkeypatch.setattr(places, "find", find)
    return programs


def _thread(failhook: CommandLine, one: Incident) -> None:
    threads = Threads(failhook.where)
    told = {"tell": Told("incident.opened", "acme", 1, one.first_seen)}
    threads.save(replace(threads.joined(one), told=told))


# -- why ----------------------------------------------------------------------------------------


def test_why_shows_rules_steps_and_reasons(failhook: CommandLine) -> None:
    one = failhook.add(1, decision=DECISION)
    entries = [
        Entry(
            "1", "tell", "webhook", Done.DONE, 1, one.first_seen, 120, "200 OK", event="x.opened"
        ),
        Entry("2", "gently", "restart", Done.LEFT_OUT, detail="paused: \x1b[31mred"),
    ]
    for entry in entries:
        one = with_entry(one, entry)
    failhook.save(one)
    out = failhook("why", one.id).out
    assert "12 units failed within 60 s" in out
    assert "no   web: unit … (/etc/f.toml:3)" in out
    assert "yes  all: matches (/etc/f.toml:9)" in out
    assert "tell    done        opened: 200 OK (0.1 s)" in out
    assert "left-out    paused: \\x1b[31mred" in out
    assert "Wait= is not known" in out
    assert "tell    done" in failhook("show", one.id).out
    document = failhook("why", one.id, "--json").document["why"]
    assert document["rules"] == DECISION["rules"]
    assert [action["state"] for action in document["actions"]] == ["done", "left-out"]


def test_why_where_there_was_no_rule(failhook: CommandLine) -> None:
    one = failhook.add()
    assert "there was no rule" in failhook("why", one.id).out
    assert failhook("why", one.id, "--json").document["why"]["rules"] == []
    assert failhook("why", "nothing").code == 3


# -- pause, mute, ack ---------------------------------------------------------------------------


def test_a_pause_is_said_wherever_one_looks(failhook: CommandLine) -> None:
    one = failhook.add()
    said = failhook("pause", "moving", "the", "database", "--until", "2h")
    assert said.out.startswith("all actions are paused until ")
    for words in (("list",), ("show", one.id), ("why", one.id)):
        assert "Actions are paused: moving the database, until " in failhook(*words).err
    assert "Paused     all actions: moving the database" in failhook("status").out
    status = failhook("status", "--json").document["status"]
    assert status["paused"].startswith("moving the database, until ")
    assert failhook("resume").out == "rules are acted upon again\n"
    assert failhook("resume").out == "actions were not paused\n"
    assert failhook("list").err == ""


@pytest.mark.parametrize("text", ["2h", "07:00", "2199-01-01T00:00:00"])
def test_the_end_of_a_pause(failhook: CommandLine, text: str) -> None:
    document = failhook("pause", "--until", text, "--json").document["pause"]
    assert document["reason"] == "by hand"
    assert document["until"] > "2026"


@pytest.mark.parametrize("text", ["soon", "25:00", "2001-01-01T00:00:00", "-2h"])
def test_an_end_that_is_none(failhook: CommandLine, text: str) -> None:
    assert failhook("pause", f"--until={text}").code == 2
    assert Ledger(failhook.where).paused(time.time()) is None


def test_muting_a_unit_a_glob_and_one_kind_of_failure(failhook: CommandLine) -> None:
    one = failhook.add()
    assert failhook("mute").out == "nothing is muted\n"
    failhook("mute", "web-*.service", "--until", "1d", "--reason", "ticket 4711")
    out = failhook("mute", one.id[:6]).out
    assert "web-*.service  until " in out
    assert "(ticket 4711)" in out
    assert f"{one.signature}  until: failhook unmute" in out
    assert len(failhook("mute", "--json").document["mutes"]) == 2
    assert "Muted      web-*.service until" in failhook("status").out
    assert failhook("unmute", one.id[:6]).code == 0
    assert failhook("unmute", "web-*.service").code == 0
    assert failhook("unmute", "web-*.service").code == 3
    assert failhook("mute", "nonsense").code == 2


def test_acknowledging_ends_with_the_trouble(failhook: CommandLine) -> None:
    one = failhook.add()
    assert failhook("ack", one.id).code == 2  # nobody was told
    _thread(failhook, one)
    said = failhook("ack", one.id, "looking", "at", "it")
    assert "no further message until it recovers" in said.out
    thread = Threads(failhook.where).find(one.unit, "system")
    assert thread is not None
    assert str(thread.acked).endswith(": looking at it")
    assert "Ack        a.service: " in failhook("status").out
    assert "messages are sent again" in failhook("ack", one.id, "--undo").out
    Threads(failhook.where).save(replace(thread, recovered_at=time.time()))
    assert failhook("ack", one.id).code == 2


# -- deliveries ---------------------------------------------------------------------------------


def _delivery(failhook: CommandLine, action: str, number: int) -> None:
    one = failhook.add(number)
    message = testing.message(incident=one, id=f"{one.id}-opened-{action}", destination=action)
    outbox.enqueue(failhook.where, message, action=action, not_before=time.time() + 3600)


def test_what_waits_is_shown_tried_and_forgotten(failhook: CommandLine) -> None:
    for number, action in enumerate(("tell", "tell", "page"), 1):
        _delivery(failhook, action, number)
    later = time.time() + 3600
    destination.save(
        failhook.where, Destination("tell", failures=2, until=later, reason="connection refused")
    )
    out = failhook("status").out
    assert "Deliveries tell: 2 pending, connection refused, next try " in out
    assert "Deliveries page: 1 pending" in out
    status = failhook("status", "--json").document["status"]["deliveries"]
    assert (status["tell"]["pending"], status["tell"]["failures"]) == (2, 2)
    queue = Queue(failhook.where.outbox)
    assert len(failhook("retry", "tell", "--json").document["retried"]) == 2
    assert len(queue.waiting()) == 2
    assert destination.load(failhook.where, "tell").failures == 0
    assert len(failhook("forget", "--deliveries", "page", "--dry-run").out.splitlines()) == 1
    assert len(queue.later()) == 1
    assert failhook("forget", "--deliveries", "page").out.startswith("removed: ")
    assert queue.later() == []
    assert failhook("forget", "--deliveries", "page").code == 3
    assert failhook("retry", "page").code == 3


def test_what_was_given_up_comes_back(failhook: CommandLine) -> None:
    _delivery(failhook, "tell", 1)
    queue = Queue(failhook.where.outbox)
    (path,) = queue.later()
    item = queue.read(path)
    assert item is not None
    queue.bury(path, item)
    assert "1 of them given up" in failhook("status").out
    assert failhook("retry", item.incident[-12:]).code == 0
    (path,) = queue.waiting()
    found = name_of(path)
    assert found is not None
    assert found.id == item.id


def test_retry_where_nothing_waits(failhook: CommandLine) -> None:
    assert failhook("retry").out == "nothing waits\n"


# -- check --------------------------------------------------------------------------------------


def test_explaining_what_each_failure_brings(failhook: CommandLine) -> None:
    failhook.configure(RULES)
    out = failhook("check", "--explain", "a.service", "--times", "3").out
    assert "yes  rule acme: matches unit a.service" in out
    assert "no   rule oom: not looked at: acme matched before" in out
    first, second, third = out.split(" failure\n")[1:]
    assert "do        tell (journal)" in first
    assert "do        free (clean, before the restart)" in second
    assert "free" in third
    document = failhook("check", "--explain", "a.service", "--json").document["explain"]
    assert [one["number"] for one in document["failures"]] == [1, 2, 3, 4, 5, 6]


def test_explaining_another_kind_of_failure(failhook: CommandLine) -> None:
    failhook.configure(RULES)
    words = ("check", "--explain", "b.service", "--times", "1")
    assert "nothing" in failhook(*words).out
    assert "gently" in failhook(*words, "--cause", "memory-limit").out
    restarting = failhook(*words, "--cause", "memory-limit", "--phase", "restarting").out
    assert "left out  gently (restart): systemd restarts it itself" in restarting
    assert failhook("check", "--explain", "b").code == 2
    assert failhook("check", "--explain", "b.service", "--times", "0").code == 2


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('[action.a]\ntype = "restrat"\n', 2, "there is no type 'restrat'"),
        ('[action.a]\ntype = "restart"\ndelya = "5s"\n', 3, "did you mean 'delay'?"),
        ('[action.a]\ntype = "restart"\ndelay = "soon"\n', 3, "is no duration"),
        ('[action.a]\ntype = "command"\n', 1, "argv: is missing"),
        ('[limits]\nrestarts = "many"\n', 2, 'write "20 per 1h"'),
        ('[quiet]\nhours = "late"\n', 2, "are no hours"),
        ('[[rule]]\nname = "r"\nresults = ["signal"]\n', 3, "did you mean 'result'?"),
        ("[[rule]]\nstep = []\n", 1, "has to be a name"),
    ],
)
def test_mistakes_in_rules_and_actions(
    failhook: CommandLine, text: str, line: int, says: str
) -> None:
    path = failhook.configure(text)
    said = failhook("check")
    assert said.code == 2
    assert f"{path}:{line}: " in said.out
    assert says in said.out


def test_a_broken_rule_harms_no_other(failhook: CommandLine) -> None:
    failhook.configure(RULES + '[[rule]]\nname = "broken"\nunit = 7\n')
    assert failhook("check").code == 2
    out = failhook("check", "--explain", "a.service").out
    assert "rule acme" in out
    assert "broken" not in out


def test_the_schema_knows_every_action(failhook: CommandLine) -> None:
    schema = json.loads(failhook("check", "--schema").out)
    kinds = schema["properties"]["action"]["additionalProperties"]["oneOf"]
    names = {one["properties"]["type"]["const"] for one in kinds}
    assert {"restart", "webhook", "mail", "clean"} <= names
    assert schema["properties"]["rule"]["items"]["required"] == ["name"]
    phases = schema["properties"]["rule"]["items"]["properties"]["phase"]["items"]["enum"]
    assert phases == [str(one) for one in Phase]


def test_a_test_message_where_nobody_delivers(
    failhook: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_send, "_WAIT_S", 0.2)
    failhook.configure(RULES + '[action.hook]\ntype = "webhook"\nurl = "http://127.0.0.1:9/"\n')
    said = failhook("check", "--send", "hook")
    assert said.code == 1
    assert "nobody took it within 0 s" in said.out
    (path,) = Queue(failhook.where.outbox).waiting()
    item = Queue(failhook.where.outbox).read(path)
    assert item is not None
    assert item.payload["event"] == "failhook.test"
    assert failhook("check", "--send", "tell").code == 2  # a journal entry tells nobody
    assert failhook("check", "--send", "nowhere").code == 2
