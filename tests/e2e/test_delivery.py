# SPDX-License-Identifier: MIT
"""Deliveries under a real systemd: woken by units, sandboxed, over reboots, to real servers."""

import base64
import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from tests.bed import CommandError, Machine, Tree, failhook_tree, trees
from tests.e2e.hooked import Hooked, service
from tests.e2e.receiving import PYTHON, SENDER, Bed, webhook

_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


@pytest.fixture(scope="module")
def bed(tree: Tree) -> Iterator[Bed]:
    """With a receiver, shared by the tests of this file."""
    with Machine(failhook_tree(tree)) as machine:
        yield Bed(machine)


def test_it_is_woken_by_a_file_and_leaves_when_all_is_delivered(bed: Bed) -> None:
    bed.configure(webhook("wake"), "wake")
    bed.machine.wait_state("failhook-deliver.service", "inactive")
    assert bed.machine.show("failhook-deliver.path", "ActiveState")["ActiveState"] == "active"
    begun = time.monotonic()
    bed.send("wake", count=3)
    heard = bed.wait_received("/wake", 3)
    assert time.monotonic() - begun < 8
    assert [one["headers"]["webhook-id"] for one in heard] == [f"wake-{n:04}" for n in range(3)]
    bed.machine.wait_state("failhook-deliver.service", "inactive", timeout=20)
    assert bed.left() == []
    done = json.loads(bed.machine.run(["failhook", "show", "wake1.service", "--json"]).stdout)
    (entry,) = done["incident"]["actions"]
    assert (entry["name"], entry["state"], entry["type"]) == ("wake", "done", "webhook")


def test_a_real_failure_is_told_and_signed(bed: Bed) -> None:
    bed.machine.write("/etc/credstore/hook-secret", _SECRET, 0o600)
    rule = '[[rule]]\nname = "real"\nunit = ["real.service"]\n'
    rule += 'step = [{ on = "1", do = ["real"] }]\n'
    bed.configure(webhook("real", 'secret = { credential = "hook-secret" }') + rule, "real")
    body = "ExecStart=sh -c 'echo no such luck; exit 3'\n"
    bed.machine.units({"real.service": service("both", body)})
    bed.machine.systemctl("start", "real.service", check=False)
    (heard,) = bed.wait_received("/real", 1, timeout=30)
    document = Webhook(_SECRET).verify(heard["body"], heard["headers"])
    assert document["type"] == "incident.opened"
    assert document["data"]["incident"]["unit"] == "real.service"
    assert "no such luck" not in json.dumps(document["data"]["excerpt"])
    assert _SECRET not in heard["listing"]
    everywhere = bed.machine.shell(
        f"grep -rl -e {_SECRET} /var/lib/failhook /run/failhook || true;"
        f"journalctl -o cat | grep -c -e {_SECRET} || true;"
        f"systemctl show failhook-deliver.service | grep -c -e {_SECRET} || true"
    )
    assert everywhere.text.split() == ["0", "0"]


def test_what_waits_for_its_time_is_moved_by_the_timer(bed: Bed) -> None:
    bed.configure(webhook("later"), "later")
    assert bed.machine.show("failhook-later.timer", "ActiveState")["ActiveState"] == "active"
    bed.send("later", count=2, wait_s=2)
    assert [name for name in bed.left() if name.startswith("later/")]
    heard = bed.wait_received("/later", 2, timeout=60)
    assert [one["headers"]["webhook-id"] for one in heard] == ["later-0000", "later-0001"]
    # It runs every half minute and says nothing.
    said = bed.machine.journal("UNIT=failhook-later.service", "PRIORITY=6")
    said += bed.machine.journal("UNIT=failhook-later.service", "PRIORITY=5")
    assert [one["MESSAGE"] for one in said] == []


def test_what_is_written_while_all_of_them_wait_counts(bed: Bed) -> None:
    """A rule and its destination, written right after a failure and a delivery."""
    bed.machine.units(
        {
            f"news-{name}.service": service("both", "ExecStart=sh -c 'exit 3'\n")
            for name in ("before", "after")
        }
    )
    bed.send("later", first=2)
    bed.wait_received("/later", 3)
    bed.machine.systemctl("start", "news-before.service", check=False)
    bed.machine.wait(lambda: "news-before" in bed.machine.run(["failhook", "list"]).text)
    rule = '[[rule]]\nname = "news"\nunit = ["news-after.service"]\n'
    rule += 'step = [{ on = "1", do = ["news"] }]\n'
    bed.configure(webhook("news") + rule, "news")
    bed.machine.systemctl("start", "news-after.service", check=False)
    (heard,) = bed.wait_received("/news", 1)
    assert heard["status"] == 204


def test_the_timer_leaves_what_is_not_due(bed: Bed) -> None:
    bed.configure(webhook("not-due"), "not-due")
    bed.send("not-due", wait_s=3600)
    bed.machine.systemctl("start", "failhook-later.service")
    assert len([name for name in bed.left() if "not-due" in name]) == 1
    assert bed.received("/not-due") == []


def test_a_receiver_that_was_away_over_a_reboot(tree: Tree, fresh_machine: Any) -> None:
    bed = Bed(fresh_machine(failhook_tree(tree)))
    bed.configure(webhook("away"))
    bed.machine.write("/run/answer", "503")
    bed.send("away", count=20)
    bed.wait_received("/away", 2)  # at once, and after five seconds
    bed.machine.wait(lambda: len([n for n in bed.left() if n.startswith("later/")]) == 20)
    bed.machine.reboot(power_cut=True)  # /run is gone with it, and so is the trouble
    bed.machine.run(["failhook", "retry", "away"])
    heard = bed.wait_received("/away", 22, timeout=40)
    taken = [one["headers"]["webhook-id"] for one in heard if one["status"] == 204]
    assert taken == [f"away-{number:04}" for number in range(20)]
    bed.machine.wait(lambda: bed.left() == [], what="an empty outbox")


def test_it_has_no_power_over_the_machine(bed: Bed) -> None:
    """Root without a capability, and neither the manager nor the bus in reach."""
    show = bed.machine.show(
        "failhook-deliver.service", "CapabilityBoundingSet", "NoNewPrivileges", "ProtectSystem"
    )
    assert show == {
        "CapabilityBoundingSet": "",
        "NoNewPrivileges": "no",
        "ProtectSystem": "strict",
    }
    properties = bed.machine.read("/usr/local/lib/systemd/system/failhook-deliver.service").decode()
    kept = [
        line
        for line in properties.splitlines()
        if re.match(r"[A-Z]\w+=", line)
        and not line.startswith(("Exec", "Type", "Restart", "Syslog", "Desc", "Doc", "Kill"))
        and not line.startswith(("Requires", "After", "Before", "Conflicts", "Default", "StartL"))
    ]
    tried = {
        "systemctl": "systemctl stop receiver.service",
        "busctl": "busctl list",
        "write": "touch /etc/x",
        "home": "touch /root/x",
        "mount": "mount -t tmpfs x /mnt",
        "chown": "touch /var/lib/failhook/x && chown nobody /var/lib/failhook/x",
        "others": "cat /proc/1/environ",
        "read": "su nobody -s /bin/sh -c id",
    }
    script = "\n".join(f"({what}) >/dev/null 2>&1 && echo {name}" for name, what in tried.items())
    unit = "[Service]\nType=oneshot\n" + "\n".join(kept)
    unit += "\nExecStart=/bin/sh /run/try.sh\nStandardOutput=file:/run/tried\n"
    bed.machine.write("/run/try.sh", script + "\ntrue\n")
    bed.machine.units({"try.service": unit})
    bed.machine.systemctl("start", "try.service")
    assert bed.machine.read("/run/tried").decode().split() == []
    assert bed.machine.show("receiver.service", "ActiveState")["ActiveState"] == "active"


_PLUGIN = """
import os, signal, time
from dataclasses import dataclass
from failhook.plugin import *

@dataclass(frozen=True)
class Options:
    hang: bool = option(FLAG, "does not end", default=False)

def run(request):
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (request.state / "new").write_text(str(os.getpid()))
        (request.state / "new").rename(request.state / "pid")
        time.sleep(1000)
    while not (request.state / "pid").exists():
        time.sleep(0.01)
    os.write(1, b"noise\\n" * 100000)
    if request.options.hang:
        time.sleep(1000)
    return done(f"told {request.message.event}")

ACTION = Action("plug", "for a test", Options, run, delivers=True)
"""


def test_a_plugin_that_delivers_changes_nothing_but_its_own_outcome(bed: Bed) -> None:
    """Also within the sandbox of the unit."""
    bed.machine.write("/etc/failhook/plugins/plug.py", _PLUGIN)
    table = '[action.{0}]\ntype = "plug"\ntimeout = "1s"\nhang = {1}\n'
    bed.configure(table.format("plug-good", "false") + table.format("plug-hangs", "true"), "plug")
    for name in ("plug-hangs", "plug-good"):
        bed.send(name)
    show = Hooked(bed.machine).show
    for name, state in (("plug-good", "done"), ("plug-hangs", "waiting")):

        def is_so(name: str = name, state: str = state) -> bool:
            with suppress(CommandError):  # not recorded yet
                found = show(f"{name}0.service")["actions"]
                return [one["state"] for one in found] == [state]
            return False

        bed.machine.wait(is_so, 30, f"{name} to be {state}")
        pid = bed.machine.read(f"/var/lib/failhook/actions/{name}/pid").decode()
        assert not bed.machine.exists(f"/proc/{pid}")
    details = [
        show(f"{name}0.service")["actions"][0]["detail"] for name in ("plug-good", "plug-hangs")
    ]
    assert details[0] == "told incident.opened"
    assert details[1].startswith("did not finish within 1 s and was ended")
    assert bed.machine.journal("SYSLOG_IDENTIFIER=failhook", "MESSAGE=noise") == []
    bed.machine.shell("failhook forget --deliveries plug-hangs; rm /etc/failhook/plugins/plug.py")
    bed.machine.shell("rm /etc/failhook/conf.d/plug.toml")


def test_for_a_user(bed: Bed) -> None:
    """Ann's own manager delivers at once, and later what has to wait."""
    machine = bed.machine
    machine.shell("useradd -m -s /bin/sh ann && loginctl enable-linger ann")
    machine.wait(
        lambda: machine.exists("/run/user/1000/systemd/private"), timeout=20, what="her manager"
    )
    machine.run(["/opt/failhook/bin/failhook", "install", "--user"], user="ann", timeout=60)
    machine.run(["mkdir", "-p", "/home/ann/.config/failhook"], user="ann")
    machine.write("/home/ann/.config/failhook/failhook.toml", webhook("ann"))
    sender = [PYTHON, "/usr/local/bin/sender.py", "ann"]
    for first, wait_s in (("0", "0"), ("1", "2")):
        environment = {"SENDER": "user"}
        machine.run([*sender, first, "1", wait_s], user="ann", env=environment)
    heard = bed.wait_received("/ann", 2, timeout=60)
    assert [one["headers"]["webhook-id"] for one in heard] == ["ann-0000", "ann-0001"]
    assert bed.left() == [name for name in bed.left() if "ann" not in name]


@pytest.fixture(scope="module")
def alerting(tree: Tree) -> Iterator[Machine]:
    """A machine with Debian's Alertmanager."""
    base = trees.install(tree, "prometheus-alertmanager", "curl")
    with Machine(failhook_tree(base)) as machine:
        machine.systemctl("stop", "prometheus-alertmanager.service", check=False)
        machine.write("/etc/am.yml", "route: {receiver: none}\nreceivers: [{name: none}]\n")
        arguments = "--config.file=/etc/am.yml --storage.path=/run/am --cluster.listen-address="
        arguments += " --web.listen-address=127.0.0.1:9093"
        run = f"[Service]\nExecStart=/usr/bin/prometheus-alertmanager {arguments}\n"
        machine.units({"am.service": run})
        machine.systemctl("start", "am.service")
        machine.wait(lambda: _alerts(machine) is not None, 20, "Alertmanager")
        yield machine


def _alerts(machine: Machine, filters: str = "") -> list[dict[str, Any]] | None:
    done = machine.run(
        ["curl", "-sf", f"http://127.0.0.1:9093/api/v2/alerts{filters}"], check=False
    )
    found: list[dict[str, Any]] | None = json.loads(done.stdout) if done.stdout else None
    return found


def test_an_alert_fires_and_resolves(alerting: Machine) -> None:
    alerting.write(
        "/etc/failhook/failhook.toml",
        '[action.am]\ntype = "webhook"\nformat = "alertmanager"\nurl = "http://127.0.0.1:9093"\n'
        '[[rule]]\nname = "all"\nunit = ["web.service"]\nstep = [{ on = "1", do = ["am"] }]\n',
    )
    alerting.run(["failhook", "check"])
    body = "ExecStart=sh -c 'test -e /run/well || exit 3; sleep 600'\n"
    alerting.units({"web.service": service("both", body)})
    alerting.systemctl("start", "web.service", check=False)
    alerting.wait(lambda: _alerts(alerting), 30, "the alert")
    (alert,) = _alerts(alerting) or []
    assert alert["status"]["state"] == "active"
    assert {name: alert["labels"][name] for name in ("alertname", "unit", "result")} == {
        "alertname": "UnitFailed",
        "unit": "web.service",
        "result": "exit-code",
    }
    assert "web.service" in alert["annotations"]["summary"]
    alerting.write("/run/well", "")
    alerting.systemctl("start", "web.service")
    alerting.wait_state("web.service", "active")
    alerting.systemctl("stop", "web.service")  # a clean stop of a unit that was waited for
    alerting.wait(lambda: _alerts(alerting) == [], 60, "the end of the alert")


@pytest.fixture(scope="module")
def mailing(tree: Tree) -> Iterator[Machine]:
    """A machine with Postfix, whose sendmail is setgid."""
    base = trees.install(tree, "postfix", "swaks")
    with Machine(failhook_tree(base)) as machine:
        machine.shell(
            "postconf -e inet_interfaces=loopback-only mydestination=localhost "
            "home_mailbox=Maildir/ myhostname=localhost alias_maps= "
            "smtputf8_enable=no maillog_file=/var/log/postfix.log;"
            "useradd -m ops; newaliases || true; systemctl restart postfix"
        )
        yield machine


def _mails(machine: Machine, user: str = "ops") -> list[bytes]:
    names = machine.shell(f"ls /home/{user}/Maildir/new/* 2>/dev/null || true").text.split()
    return [machine.read(name) for name in names]


def test_mail_by_sendmail_and_by_smtp(mailing: Machine) -> None:
    """Postfix takes both; swaks shows that it is the server that one would talk to."""
    mailing.run(
        ["swaks", "--server", "127.0.0.1", "--to", "ops@localhost", "--from", "x@localhost"],
        timeout=60,
    )
    mailing.wait(lambda: len(_mails(mailing)) == 1, 30, "the mail of swaks")
    mailing.write(
        "/etc/failhook/failhook.toml",
        '[action.queue]\ntype = "mail"\nto = ["ops@localhost"]\n'
        '[action.direct]\ntype = "mail"\nto = "ops@localhost"\n'
        'smtp = { host = "127.0.0.1", tls = "none" }\n',
    )
    mailing.run(["failhook", "check"])
    mailing.write("/usr/local/bin/sender.py", SENDER)
    for name in ("queue", "direct"):
        mailing.run([PYTHON, "/usr/local/bin/sender.py", name, "0", "1", "0"])
    mailing.wait(lambda: len(_mails(mailing)) == 3, 60, "both mails")
    read = [message_from_bytes(one, policy=default) for one in _mails(mailing)]
    ours = [one for one in read if one["Auto-Submitted"]]
    assert len(ours) == 2
    for one in ours:
        assert str(one["Subject"]).startswith("gitea.service failed to start: port 3000")
        assert one["X-Failhook-Event"] == "incident.opened"
    assert len({str(one["References"]) for one in ours}) == 2
    done = Hooked(mailing).show("queue0.service")
    assert done["actions"][0]["detail"] == "given to sendmail"
