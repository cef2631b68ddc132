# SPDX-License-Identifier: MIT
"""Rules on a real systemd: what `check --explain` printed is what happens, no more and no less."""

import json
import time
from typing import Any

import pytest

from tests.e2e.hooked import Hooked, service

LADDER = """
[action."{name}.say"]
type = "journal"
[action."{name}.free"]
type = "clean"
paths = ["/var/cache/{name}"]
[action."{name}.gently"]
type = "restart"
healthy_after = "1s"
[action."{name}.hands-off"]
type = "stop"
[[rule]]
name = "{name}"
unit = ["{name}.service"]
within = "1h"
step = [
  {{ on = "1", do = ["{name}.say"] }},
  {{ on = "2..3", do = ["{name}.free", "{name}.gently"] }},
  {{ on = "4", do = ["{name}.say", "{name}.hands-off"] }},
]
"""
_OVER = ("done", "failed", "left-out", "interrupted", "dry-run")


def rules(hooked: Hooked, name: str, text: str) -> None:
    """A configuration file of its own for each test: they share a machine."""
    hooked.machine.shell("mkdir -p /etc/failhook/conf.d")
    # other tests' units fail on this machine as well, many in a minute
    hooked.machine.write("/etc/failhook/conf.d/00.toml", '[limits]\nbrake = "1000 per 1min"\n')
    hooked.machine.write(f"/etc/failhook/conf.d/{name}.toml", text)
    checked = hooked.machine.run(["failhook", "check"], check=False)
    assert checked.returncode == 0, checked.text
    # what runs has read the configuration when it started
    hooked.machine.systemctl("stop", "failhook.service", "failhook-act.service", check=False)


def wait_acted(
    hooked: Hooked, unit: str, count: int, timeout: float = 60.0
) -> list[dict[str, Any]]:
    """All incidents of ``unit``, oldest first, once there are so many and nothing is under way."""

    def over() -> bool:
        known = hooked.incidents(unit)
        return len(known) >= count and all(
            one["stage"] == "done" and all(step["state"] in _OVER for step in one["actions"])
            for one in known
        )

    hooked.machine.wait(over, timeout=timeout, what=f"{count} incidents of {unit} acted upon")
    return [hooked.show(one["id"]) for one in hooked.incidents(unit)]


def essence(steps: list[dict[str, Any]], name: str) -> list[tuple[str, str]]:
    """(action, whether it was done) of planned steps or of what was done."""
    return [
        (one[name].rpartition(".")[2], "left out" if one["state"] == "left-out" else "done")
        for one in steps
    ]


def test_a_crash_loop_goes_up_the_ladder_as_it_was_explained(hooked: Hooked) -> None:
    bed, name = hooked.machine, "ladder"
    unit = f"{name}.service"
    bed.units({unit: service("both", "ExecStart=sh -c 'sleep 0.2; exit 7'\n")})
    bed.shell(f"mkdir -p /var/cache/{name} && touch /var/cache/{name}/old")
    rules(hooked, name, LADDER.format(name=name))
    explained = bed.run(["failhook", "check", "--explain", unit, "--times", "4", "--json"])
    plan = json.loads(explained.stdout)["explain"]["failures"]
    bed.systemctl("start", unit)
    (first,) = wait_acted(hooked, unit, 1)
    bed.systemctl("start", unit)  # the rest is the ladder's: restart, failure, restart, failure
    incidents = wait_acted(hooked, unit, 4)
    assert len(incidents) == 4
    assert incidents[0]["id"] == first["id"]
    for failure, incident in zip(plan, incidents, strict=True):
        assert essence(incident["actions"], "name") == essence(failure["steps"], "action")
    assert bed.exists(f"/var/cache/{name}")
    assert not bed.exists(f"/var/cache/{name}/old")
    tried = [one for incident in incidents for one in incident["actions"]]
    helped = [one["helped"] for one in tried if one["name"] == f"{name}.gently"]
    assert helped == [False, False]
    why = bed.run(["failhook", "why", unit]).text
    assert "4th failure" in why
    assert "hands-off" in why


def test_a_restart_that_helps_ends_the_trouble(hooked: Hooked) -> None:
    bed, name = hooked.machine, "helped"
    unit = f"{name}.service"
    start = f"if mkdir /run/{name}; then exit 5; fi; exec sleep 600"
    bed.units({unit: service("both", f"ExecStart=sh -c '{start}'\n")})
    text = LADDER.format(name=name).replace('do = ["helped.say"]', 'do = ["helped.gently"]')
    rules(hooked, name, text)
    bed.systemctl("start", unit)
    (incident,) = wait_acted(hooked, unit, 1)
    assert incident["state"] == "recovered"
    (step,) = incident["actions"]
    assert (step["name"], step["state"], step["helped"]) == ("helped.gently", "done", True)
    assert bed.show(unit, "ActiveState")["ActiveState"] == "active"
    shown = bed.run(["failhook", "show", unit]).text
    assert "recovered" in shown
    assert "gently" in shown


def test_a_stop_by_hand_is_recorded_and_not_acted_upon(hooked: Hooked) -> None:
    bed, name = hooked.machine, "byhand"
    unit = f"{name}.service"
    bed.units({unit: service("both", "ExecStart=sh -c 'trap \"exit 9\" TERM; sleep 600 & wait'\n")})
    rules(hooked, name, LADDER.format(name=name))
    bed.systemctl("start", unit)
    bed.wait_state(unit, "active")
    time.sleep(0.5)  # until the shell has its trap
    bed.systemctl("stop", unit)
    (incident,) = wait_acted(hooked, unit, 1)
    assert incident["phase"] == "stopped"
    assert incident["actions"] == []
    why = json.loads(bed.run(["failhook", "why", unit, "--json"]).stdout)["why"]
    (rule,) = [one for one in why["rules"] if one["rule"] == name]
    assert not rule["matched"]
    assert "asked for" in rule["reason"]


def test_a_pause_is_said_and_kept(hooked: Hooked) -> None:
    bed, name = hooked.machine, "paused"
    unit = f"{name}.service"
    bed.units({unit: service("both", "ExecStart=false\n")})
    rules(hooked, name, LADDER.format(name=name))
    bed.run(["failhook", "pause", "moving the database", "--until", "1h"])
    try:
        bed.systemctl("start", unit)
        (incident,) = wait_acted(hooked, unit, 1)
        (step,) = incident["actions"]
        assert step["state"] == "left-out"
        assert "moving the database" in step["detail"]
        for words in (["status"], ["list"], ["show", unit], ["why", unit]):
            said = bed.run(["failhook", *words])
            assert "moving the database" in said.text + said.stderr.decode(), words
    finally:
        bed.run(["failhook", "resume"])
    bed.systemctl("start", unit)
    assert wait_acted(hooked, unit, 2)[1]["actions"][0]["state"] == "done"


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_what_is_to_be_done_before_a_restart_is_done_before_it(hooked: Hooked, user: str) -> None:
    """The unit cannot start while its cache is broken; systemd restarts it at once."""
    bed, name = hooked.machine, f"before-{user}"
    unit, cache = f"{name}.service", f"/var/cache/{name}"
    bed.shell(f"mkdir -p {cache} && touch {cache}/broken && chmod 777 {cache}")
    start = f"if test -e {cache}/broken; then echo the cache is broken; exit 3; fi; exec sleep 600"
    body = f"User={user}\nExecStart=sh -c '{start}'\nRestart=on-failure\nRestartSec=0\n"
    bed.units({unit: f"[Service]\n{body}ExecStopPost=failhook --wait\n"})
    text = LADDER.format(name=name).replace(
        f'do = ["{name}.say"]', f'do = ["{name}.free"], before_restart = true'
    )
    rules(hooked, name, text)
    bed.systemctl("start", unit, check=False)
    # Type=simple is active for a moment before its program has looked at the cache.
    bed.wait(lambda: bed.show(unit, "NRestarts")["NRestarts"] == "1", 20, "a restart")
    (incident,) = wait_acted(hooked, unit, 1)
    assert essence(incident["actions"], "name") == [("free", "done")]
    shown = bed.show(unit, "ActiveState", "NRestarts")
    assert shown == {"ActiveState": "active", "NRestarts": "1"}  # the first one found it clean


def test_a_unit_speaks_for_itself(hooked: Hooked) -> None:
    bed, name = hooked.machine, "itself"
    unit = f"{name}.service"
    own = "[X-Failhook]\nDo=1 itself.say\nDo=2 nowhere\n"
    bed.units({unit: service("both", "ExecStart=false\n") + own})
    rules(hooked, name, '[action."itself.say"]\ntype = "journal"\n')
    bed.systemctl("start", unit)
    (first,) = wait_acted(hooked, unit, 1)
    assert essence(first["actions"], "name") == [("say", "done")]
    bed.systemctl("start", unit)
    second = wait_acted(hooked, unit, 2)[1]
    assert essence(second["actions"], "name") == [("nowhere", "left out")]


def test_a_dependency_that_failed_is_acted_upon_and_its_victim_is_not(hooked: Hooked) -> None:
    bed = hooked.machine
    root, victim = "root-cause.service", "victim.service"
    bed.units(
        {
            root: service("both", "Type=oneshot\nExecStart=false\n"),
            victim: f"[Unit]\nRequires={root}\nAfter={root}\nOnFailure=failhook@%n.service\n"
            "[Service]\nExecStart=sleep 600\n",
        }
    )
    text = LADDER.format(name="root-cause").replace(
        '["root-cause.service"]', '["root-cause.service", "victim.service"]'
    )
    rules(hooked, "cascade", text)
    bed.systemctl("start", victim, check=False)
    (ours,) = wait_acted(hooked, root, 1)
    (theirs,) = wait_acted(hooked, victim, 1)
    assert essence(ours["actions"], "name") == [("say", "done")]
    assert essence(theirs["actions"], "name") == [("say", "left out")]
    assert f"victim of {root}" in theirs["actions"][0]["detail"]


def test_what_was_interrupted_by_a_reboot_is_not_done_twice(fresh_hooked: Hooked) -> None:
    bed, name = fresh_hooked.machine, "cut"
    unit = f"{name}.service"
    bed.units({unit: service("both", "ExecStart=false\n")})
    text = f"""
[action.slow]
type = "command"
argv = ["sh", "-c", "echo x >> /var/lib/marks; sleep 300"]
timeout = "10min"
sandbox = false
[action.after]
type = "command"
argv = ["sh", "-c", "echo y >> /var/lib/marks"]
sandbox = false
[[rule]]
name = "{name}"
unit = ["{unit}"]
step = [{{ on = "1", do = ["slow", "after"] }}]
"""
    rules(fresh_hooked, name, text)
    bed.systemctl("start", unit)
    bed.wait(lambda: bed.exists("/var/lib/marks"), timeout=30, what="the first step")
    bed.reboot(power_cut=True)
    (incident,) = wait_acted(fresh_hooked, unit, 1)
    states = {one["name"]: one["state"] for one in incident["actions"]}
    assert states == {"slow": "interrupted", "after": "done"}
    assert bed.read("/var/lib/marks").split() == [b"x", b"y"]


def test_when_systemd_gives_up_the_rules_are_asked_again(hooked: Hooked) -> None:
    """While systemd restarts it a restart of ours is left out; a rule may wait for the end."""
    bed, name = hooked.machine, "gaveup"
    unit = f"{name}.service"
    start = f"test -e /run/{name} && exec sleep 600; sleep 0.3; exit 6"
    body = f"ExecStart=sh -c '{start}'\nRestart=on-failure\nRestartSec=200ms\n"
    limits = "StartLimitIntervalSec=1min\nStartLimitBurst=3\n"
    bed.units({unit: service("both", body, limits)})
    text = f"""
[action."{name}.mend"]
type = "command"
argv = ["touch", "/run/{name}"]
sandbox = false
[action."{name}.gently"]
type = "restart"
healthy_after = "1s"
[[rule]]
name = "{name}"
unit = ["{unit}"]
phase = ["gave-up"]
step = [{{ on = "1", do = ["{name}.mend", "{name}.gently"] }}]
[[rule]]
name = "{name}-before"
unit = ["{unit}"]
step = [{{ on = "1", do = ["{name}.gently"] }}]
"""
    rules(hooked, name, text)
    bed.systemctl("start", unit)
    bed.wait(
        lambda: any(
            [one["state"] for one in incident["actions"]].count("done") == 2
            for incident in hooked.incidents(unit)
        ),
        timeout=60,
        what="the steps after systemd gave up",
    )
    incidents = wait_acted(hooked, unit, 3)
    assert len(incidents) == 3
    done = [essence(one["actions"], "name") for one in incidents]
    assert done[:2] == [[("gently", "left out")]] * 2
    assert sorted(done[2]) == [("gently", "done"), ("mend", "done")]
    assert incidents[2]["state"] == "recovered"
    assert bed.show(unit, "ActiveState")["ActiveState"] == "active"


def test_the_end_of_a_trouble_is_counted_and_shown_no_more(hooked: Hooked) -> None:
    """A metric and the notice at login speak of open incidents: they have to hear of the end."""
    bed, name = hooked.machine, "ended"
    unit = f"{name}.service"
    bed.shell(f"mkdir -p /var/lib/{name}")
    bed.units(
        {unit: service("both", f"ExecStart=sh -c 'test -e /run/{name} || exit 8; sleep 600'\n")}
    )
    text = f"""
[action."{name}.count"]
type = "metrics"
directory = "/var/lib/{name}"
[action."{name}.shout"]
type = "wall"
[[rule]]
name = "{name}"
unit = ["{unit}"]
step = [{{ on = "1", do = ["{name}.count", "{name}.shout"] }}]
"""
    rules(hooked, name, text)
    bed.systemctl("start", unit)
    wait_acted(hooked, unit, 1)
    counted = bed.read(f"/var/lib/{name}/failhook.prom").decode()
    assert f'failhook_open{{unit="{unit}"}} 1' in counted
    assert unit in bed.read("/run/motd.d/50-failhook").decode()
    bed.shell(f"touch /run/{name}")
    bed.systemctl("start", unit)
    bed.wait_state(unit, "active")
    bed.systemctl("stop", unit)
    bed.wait(
        lambda: (
            f'failhook_open{{unit="{unit}"}} 0'
            in bed.read(f"/var/lib/{name}/failhook.prom").decode()
        ),
        timeout=30,
        what="the end to be counted",
    )
    bed.wait(
        lambda: (
            not bed.exists("/run/motd.d/50-failhook")
            or unit not in bed.read("/run/motd.d/50-failhook").decode()
        ),
        what="the notice to go",
    )
