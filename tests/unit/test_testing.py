# SPDX-License-Identifier: MIT
"""What the author of a plugin is given to test it with."""

from __future__ import annotations

import json
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from failhook import testing
from failhook.collector import Collector, Context, Sink, Skipped
from failhook.plugin import TEXT, Action, Event, Outcome, Request, done, failed, option
from failhook.store import codec


@dataclass(frozen=True)
class Options:
    """Where to."""

    url: str = option(TEXT, "where to")


def send(request: Request[Options]) -> Outcome:
    """Post the sentence."""
    assert request.message is not None
    body = json.dumps({"text": request.message.summary}).encode()
    asked = urllib.request.Request(request.options.url, body, {"X-Id": request.message.id})
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return done(f"{answer.status} {answer.read().decode()}")
    except OSError as error:
        return failed(str(error))


SEND = Action("send", "sends it", Options, send, delivers=True)


def test_the_incident_is_one_that_the_store_would_keep() -> None:
    incident = testing.incident(unit="a.service")
    assert codec.load(codec.dump(incident)) == incident
    assert incident.unit == "a.service"
    assert incident.verdict is not None
    assert incident.verdict.cause == "port-in-use"


def test_a_message_for_one_that_delivers() -> None:
    request = testing.request(SEND, {"url": "x"})
    assert request.message is not None
    assert request.message.event is Event.OPENED
    assert request.message.incident == request.incident
    assert testing.message(Event.RECOVERED).downtime_s == 42.0


def test_wrong_options_are_told_all_at_once() -> None:
    with pytest.raises(testing.OptionsWrong, match=r"ur is not known .*; url is missing"):
        testing.request(SEND, {"ur": "x"})


def test_a_receiver_keeps_what_it_gets() -> None:
    with testing.Receiver(status=202, body=b"thanks") as receiver:
        outcome = testing.run(SEND, {"url": f"{receiver.url}hook?x=1"})
        isolated = testing.run_isolated(SEND, {"url": receiver.url})
    assert outcome == done("202 thanks")
    assert isolated.outcome == outcome
    first, second = receiver.requests
    assert (first.method, first.path, second.path) == ("POST", "/hook?x=1", "/")
    assert first.headers["x-id"] == "msg_7f3a5c1e9b20_tell-ops_1"
    assert first.document["text"].startswith("gitea.service failed to start")


def test_a_receiver_that_refuses() -> None:
    with testing.Receiver(status=503) as receiver:
        assert "503" in testing.run(SEND, {"url": receiver.url}).detail
    assert not testing.run(SEND, {"url": receiver.url}).ok  # it is gone


# -- collectors -----------------------------------------------------------------------------------


def collect(context: Context, sink: Sink) -> None:
    """A bit of everything."""
    if context.user:
        raise Skipped("not for users")
    sink.put("lamps/unit.txt", f"{context.unit.get('FragmentPath')} of {context.incident.unit}")
    printed = sink.command("lamps/list.txt", ["lampctl", "list"], timeout_s=1.0, max_bytes=50)
    if not printed:
        sink.problem("no lamps")
    sink.file("lamps/status.txt", "/proc/self/status")


LAMPS = Collector("lamps", "all lamps", collect, max_bytes=100)


def test_what_was_put_where() -> None:
    found = testing.run_collector(
        LAMPS, properties={"FragmentPath": "/x"}, answers={"lampctl list": "red on\n"}
    )
    assert found.text("lamps/unit.txt") == "/x of gitea.service"
    assert found.text("lamps/list.txt") == "red on\n"
    assert found.commands == [("lampctl", "list")]
    assert found.problems == []
    assert found.items["lamps/status.txt"].truncated  # its limit holds here too
    assert sum(len(item.data) for item in found.items.values()) <= 100


def test_a_command_without_an_answer_could_not_be_started() -> None:
    found = testing.run_collector(LAMPS, answers={})
    assert found.problems == ["no lamps"]
    assert found.items["lamps/list.txt"].reason == (
        "lampctl could not be started: the test has no answer"
    )


def test_without_any_answers_commands_are_run() -> None:
    def look(_: Context, sink: Sink) -> None:
        sink.command("x/true.txt", ["echo", "hello"])

    assert testing.run_collector(Collector("x", "", look)).text("x/true.txt") == "hello\n"


def test_skipped_and_put_twice() -> None:
    assert testing.run_collector(LAMPS, user=True).skipped == "not for users"

    def twice(_: Context, sink: Sink) -> None:
        sink.put("a", "1")
        sink.put("a", "2")

    with pytest.raises(AssertionError, match="a was put twice"):
        testing.run_collector(Collector("x", "", twice))


# -- files ----------------------------------------------------------------------------------------


def test_what_a_file_offers(tmp_path: Path) -> None:
    path = tmp_path / "both.py"
    path.write_text(
        "from failhook.plugin import *\n"
        "from dataclasses import dataclass\n"
        "@dataclass(frozen=True)\n"
        "class Options: pass\n"
        "ACTIONS = [Action(n, 'x', Options, lambda _: done('ok')) for n in ('one', 'two')]\n"
        "COLLECTOR = Collector('three', 'x', lambda context, sink: sink.put('x', 'y'))\n"
    )
    assert testing.load_action(path).name == "one"
    assert testing.load_action(str(path), "two").name == "two"
    assert testing.run(testing.load_action(path), {}).ok
    assert testing.run_collector(testing.load_collector(path)).text("x") == "y"
    with pytest.raises(LookupError, match="offers no four"):
        testing.load_action(path, "four")
    with pytest.raises(FileNotFoundError):
        testing.load_action(tmp_path / "no")
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_python_script_is_an_executable(tmp_path: Path) -> None:
    path = tmp_path / "lamp.py"
    path.write_text("#!/usr/bin/env python3\nprint('from a program')\n")
    path.chmod(0o755)
    assert os.access(path, os.X_OK)
    assert testing.run(testing.load_action(path), {}).detail == "from a program"
    found = testing.run_collector(testing.load_collector(path))
    assert found.text("lamp/output.txt") == "from a program\n"
