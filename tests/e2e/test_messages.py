# SPDX-License-Identifier: MIT
"""One trouble is one conversation: what a receiver hears, from first failure to recovery."""

import json
from typing import Any

import pytest

from tests.e2e.hooked import Hooked, service

_RECEIVER = """\
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/run/received" + self.path.replace("/", "."), "ab") as stream:
            stream.write(body.replace(b"\\n", b" ") + b"\\n")
        self.send_response(204)
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", 8098), Handler).serve_forever()
"""
_RULES = """
[action."{name}.tell"]
type = "webhook"
url = "http://127.0.0.1:8098/{name}"
[action."{name}.page"]
type = "webhook"
url = "http://127.0.0.1:8098/{name}-page"
urgent = true
[[rule]]
name = "{name}"
unit = ["{name}*.service"]
step = [
  {{ on = "1", do = ["{name}.tell"] }},
  {{ on = "3", do = ["{name}.tell", "{name}.page"] }},
]
"""


@pytest.fixture
def listening(hooked: Hooked) -> Hooked:
    """A machine with a receiver on loopback."""
    bed = hooked.machine
    bed.write("/usr/local/bin/receiver.py", _RECEIVER)
    bed.units({"receiver.service": "[Service]\nExecStart=python3 /usr/local/bin/receiver.py\n"})
    bed.systemctl("start", "receiver.service")
    return hooked


def _rules(hooked: Hooked, name: str, more: str = "") -> None:
    hooked.machine.shell("mkdir -p /etc/failhook/conf.d")
    # other tests' units fail on this machine as well, many in a minute
    hooked.machine.write("/etc/failhook/conf.d/00.toml", '[limits]\nbrake = "1000 per 1min"\n')
    hooked.machine.write(f"/etc/failhook/conf.d/{name}.toml", more + _RULES.format(name=name))
    assert hooked.machine.run(["failhook", "check"]).returncode == 0
    workers = ("failhook.service", "failhook-act.service", "failhook-deliver.service")
    hooked.machine.systemctl("stop", *workers, check=False)


def _heard(hooked: Hooked, name: str) -> list[dict[str, Any]]:
    done = hooked.machine.shell(f"cat /run/received.{name} || true")
    return [json.loads(line) for line in done.text.splitlines()]


def _wait_heard(hooked: Hooked, name: str, count: int) -> list[dict[str, Any]]:
    hooked.machine.wait(
        lambda: len(_heard(hooked, name)) >= count,
        timeout=60,
        what=f"{count} messages to {name}",
    )
    return _heard(hooked, name)


def test_from_the_first_failure_to_the_recovery(listening: Hooked) -> None:
    bed, name = listening.machine, "talk"
    unit = f"{name}.service"
    bed.units(
        {unit: service("both", f"ExecStart=sh -c 'test -e /run/{name} || exit 8; sleep 600'\n")}
    )
    _rules(listening, name)
    for number in (1, 2, 3):
        bed.systemctl("start", unit)
        listening.wait_done(unit, number)
    _wait_heard(listening, name, 2)
    _wait_heard(listening, f"{name}-page", 1)
    bed.shell(f"touch /run/{name}")
    bed.systemctl("start", unit)
    bed.wait(lambda: bed.show(unit, "ActiveState")["ActiveState"] == "active", what="it runs")
    bed.systemctl("stop", unit)  # a clean stop of a unit that somebody waits for is news
    heard = _wait_heard(listening, name, 3)
    assert [one["type"] for one in heard] == [
        "incident.opened",
        "incident.escalated",
        "incident.recovered",
    ]
    opened, escalated, recovered = (one["data"] for one in heard)
    assert opened["thread"] == escalated["thread"] == recovered["thread"]
    assert len({opened["id"], escalated["id"], recovered["id"]}) == 3
    assert (opened["count"], escalated["count"], recovered["count"]) == (1, 3, 3)
    assert recovered["downtime_s"] > 0
    assert opened["excerpt"] == []
    page = _wait_heard(listening, f"{name}-page", 2)
    assert [one["type"] for one in page] == ["incident.opened", "incident.recovered"]
    shown = bed.run(["failhook", "show", unit]).text
    assert "recovered" in shown


def test_what_is_acknowledged_or_muted_is_not_told(listening: Hooked) -> None:
    bed, name = listening.machine, "hush"
    unit = f"{name}.service"
    bed.units({unit: service("both", "ExecStart=sh -c 'exit 8'\n")})
    _rules(listening, name)
    bed.systemctl("start", unit)
    listening.wait_done(unit, 1)
    _wait_heard(listening, name, 1)
    bed.run(["failhook", "ack", unit, "looking"])
    for number in (2, 3):
        bed.systemctl("start", unit)
        listening.wait_done(unit, number)
    third = listening.incidents(unit)[2]
    details = {one["name"]: one["detail"] for one in third["actions"]}
    assert details[f"{name}.page"].startswith("acknowledged: root: looking")
    other = f"{name}-other.service"
    bed.units({other: service("both", "ExecStart=sh -c 'exit 8'\n")})
    bed.run(["failhook", "mute", other, "--reason", "known"])
    bed.systemctl("start", other)
    (muted,) = listening.wait_done(other)
    assert muted["actions"][0]["detail"] == f"muted: {other}, known"
    assert len(_heard(listening, name)) == 1


def test_a_cascade_is_one_message_and_no_action(listening: Hooked) -> None:
    bed, name = listening.machine, "many"
    names = [f"{name}{number}.service" for number in range(8)]
    bed.units({unit: service("both", "ExecStart=false\n") for unit in names})
    _rules(listening, name, '[limits]\nbrake = "3 per 1min"\n')
    try:
        bed.systemctl("start", *names, timeout=60)
        for unit in names:
            listening.wait_done(unit, timeout=60)

        def units() -> set[str]:
            heard = [one["data"] for one in _heard(listening, name)]
            told = {one["incident"]["unit"] for one in heard}
            return told | {entry["unit"] for one in heard for entry in one["entries"]}

        bed.wait(lambda: units() >= set(names), timeout=90, what="all units in messages")
        heard = _heard(listening, name)
        digests = [one for one in heard if one["type"] == "incident.digest"]
        assert len(heard) <= 3 + len(digests)
        assert 1 <= len(digests) <= 2  # the last one may have been just too late for the first
        assert sum(len(one["data"]["entries"]) for one in digests) >= len(names) - 4
    finally:
        bed.shell(f"rm /etc/failhook/conf.d/{name}.toml")


def test_a_test_message_tells_whether_a_channel_works(listening: Hooked) -> None:
    bed, name = listening.machine, "probe"
    dead = f'[action."{name}.dead"]\ntype = "webhook"\nurl = "http://127.0.0.1:9/"\n'
    _rules(listening, name, dead)
    said = bed.run(["failhook", "check", "--send", f"{name}.tell"], timeout=90)
    assert said.text.strip() == f"{name}.tell: delivered"
    (heard,) = _wait_heard(listening, name, 1)
    assert heard["type"] == "failhook.test"
    said = bed.run(["failhook", "check", "--send", f"{name}.dead"], check=False, timeout=90)
    assert said.returncode == 1
    assert "refused" in said.text
    bed.run(["failhook", "forget", "--deliveries", f"{name}.dead"])
