# SPDX-License-Identifier: MIT
"""The actions that touch the machine, against a real systemd with real units."""

import io
import json
import re
import tarfile
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from failhook.actions import journal
from tests.bed import Machine, Tree, trees
from tests.e2e.action_driver import LISTENS
from tests.e2e.hooked import Hooked
from tests.unit.actions.test_metrics import parse

_CHECKOUT = Path(__file__).parents[2]
_DRIVER = Path(__file__).with_name("action_driver.py")
_PLACE = "/opt/actions"
# Fails until /run/good-NAME exists.
_MOODY = "ExecStart=/bin/sh -c '[ -e /run/good-%p ] || exit 3; exec sleep 1000'\n"


class Acting:
    """A bed in which actions are done."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(_CHECKOUT / "failhook", "failhook", filter=_sources_only)
            tar.add(_DRIVER, "action_driver.py")
        machine.run(["mkdir", "-p", _PLACE])
        machine.run(["tar", "-x", "-C", _PLACE], input=packed.getvalue())

    def act(
        self, action: str, unit: str, options: dict[str, Any] | None = None, **order: Any
    ) -> dict[str, Any]:
        """The outcome of one action."""
        user = order.pop("as_user", "root")
        order |= {"action": action, "unit": unit, "options": options or {}}
        done = self.machine.run(
            ["/usr/bin/python3", f"{_PLACE}/action_driver.py"],
            env={"PYTHONPATH": _PLACE},
            input=json.dumps(order),
            timeout=90,
            user=user,
        )
        outcome: dict[str, Any] = json.loads(done.stdout)
        return outcome

    def fail(self, name: str, service: str = _MOODY, unit: str = "") -> str:
        """Write a service and let it fail; its name."""
        self.machine.units({name: f"[Unit]\n{unit}[Service]\n{service}"})
        self.machine.systemctl("start", "--", name, check=False)
        self.machine.wait_state(name, "failed")
        return name

    def good(self, name: str) -> None:
        """From now on it does not fail."""
        self.machine.write(f"/run/good-{name.partition('.')[0]}", "")

    def state(self, name: str) -> str:
        """Its ActiveState."""
        return self.machine.show(name, "ActiveState")["ActiveState"]


def _sources_only(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in info.name else info


@pytest.fixture
def bed(machine: Machine) -> Iterator[Acting]:
    """The shared bed with this checkout in it; others find nothing failed there."""
    yield Acting(machine)
    machine.systemctl("reset-failed")


@pytest.fixture(scope="module")
def more(tree: Tree) -> Iterator[Acting]:
    """A bed with the node exporter of Debian, and a bus for ordinary users."""
    with Machine(trees.install(tree, "prometheus-node-exporter", "dbus-user-session")) as machine:
        yield Acting(machine)


# -- restart and its relatives --------------------------------------------------------------------


def test_a_unit_that_is_well_after_a_restart(bed: Acting) -> None:
    name = bed.fail("well.service", _MOODY + "Type=simple\n")
    outcome = bed.act("restart", name, {"healthy_after": "1s"})
    assert (outcome["ok"], outcome["helped"]) == (False, False)
    assert "exit status 3" in outcome["detail"]
    bed.good(name)
    assert bed.act("restart", name, request={"dry_run": True})["ok"]
    assert bed.state(name) == "failed"
    outcome = bed.act("restart", name, {"healthy_after": "1s"})
    assert (outcome["ok"], outcome["helped"]) == (True, True)
    assert outcome["data"]["healthy_after_s"] < 5
    assert bed.state(name) == "active"


def test_the_start_limit_is_cleared(bed: Acting) -> None:
    limits = "StartLimitBurst=2\nStartLimitIntervalSec=1h\n"
    name = bed.fail("limited.service", unit=limits)
    for _ in range(4):
        bed.machine.systemctl("start", name, check=False)
    bed.good(name)
    kept = bed.act("restart", name, {"healthy_after": 0, "reset_failed": False})
    assert kept["helped"] is False
    assert bed.state(name) == "failed"
    assert bed.act("restart", name, {"healthy_after": 0})["helped"]


def test_its_own_readiness_counts(bed: Acting) -> None:
    """Type=notify: well is who said READY=1, not who was started."""
    script = "sleep 1; systemd-notify --ready; exec sleep 1000"
    body = f"Type=notify\nNotifyAccess=all\nExecStart=/bin/sh -c '[ -e /run/good-%p ]; {script}'\n"
    name = bed.fail("ready.service", body.replace("];", "] || exit 3;"))
    bed.good(name)
    outcome = bed.act("restart", name, {"healthy_after": 0})
    assert outcome["helped"]
    assert outcome["data"]["healthy_after_s"] >= 1


def test_a_unit_that_dies_soon_is_not_well(bed: Acting) -> None:
    body = "ExecStart=/bin/sh -c '[ -e /run/good-%p ] || exit 3; sleep 0.7; exit 5'\n"
    name = bed.fail(
        "soon.service", body + "Restart=on-failure\nRestartSec=100ms\nStartLimitBurst=1\n"
    )
    bed.good(name)
    outcome = bed.act("restart", name, {"healthy_after": "3s"})
    assert outcome["helped"] is False


def test_a_oneshot(bed: Acting) -> None:
    body = "Type=oneshot\nExecStart=/bin/sh -c '[ -e /run/good-%p ] || exit 3'\n"
    name = bed.fail("once.service", body)
    bed.good(name)
    outcome = bed.act("restart", name, {"healthy_after": "20s"})
    assert outcome["helped"]
    assert "it ended with success" in outcome["detail"]


def test_checks(bed: Acting) -> None:
    """Over HTTP, TCP and by a command, of a server that takes a moment."""
    body = "[ -e /run/good-%p ] || exit 3; sleep 1; cd /usr; exec python3 -m http.server 8123"
    name = bed.fail("server.service", f"ExecStart=/bin/sh -c '{body}'\n")
    bed.good(name)
    check = {"http": "http://127.0.0.1:8123/lib/", "expect": "os-release", "interval": "200ms"}
    outcome = bed.act("restart", name, {"healthy_after": 0, "check": check})
    assert outcome["helped"]
    assert outcome["data"]["healthy_after_s"] >= 0.9
    assert "answers 200 as expected" in outcome["detail"]
    again = {"unit": name, "healthy_after": 0}
    others: tuple[dict[str, Any], ...] = (
        {"tcp": "127.0.0.1:8123"},
        {"command": ["grep", "-q", ":1FBB ", "/proc/net/tcp"]},
        {"http": "http://127.0.0.1:8123/none", "expect": 404},
    )
    for other in others:
        assert bed.act("restart", "any.service", again | {"check": other})["helped"], other
    wrong = {"http": "http://127.0.0.1:8123/none"}
    outcome = bed.act(
        "restart", "any.service", again | {"check": wrong}, request={"deadline_s": 6.0}
    )
    assert outcome["helped"] is False
    assert "answers 404" in outcome["detail"]
    bed.machine.systemctl("stop", name)


def test_what_is_bound_to_it_comes_up_again_in_order(bed: Acting) -> None:
    bed.good("base.service")
    bound = (
        "[Unit]\nBindsTo=base.service\nAfter=base.service {after}\n"
        "[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n"
    )
    bed.machine.units(
        {
            "base.service": f"[Service]\n{_MOODY}",
            "first.service": bound.format(after=""),
            "second.service": bound.format(after="first.service"),
            "idle.service": bound.format(after=""),
        }
    )
    bed.machine.systemctl("enable", "-q", "first.service", "second.service", "idle.service")
    bed.machine.systemctl("start", "base.service", "first.service", "second.service")
    bed.machine.systemctl("kill", "--signal=KILL", "base.service")
    for name, state in (("base", "failed"), ("first", "inactive"), ("second", "inactive")):
        bed.machine.wait_state(f"{name}.service", state)
    outcome = bed.act("restart", "base.service", {"healthy_after": 0, "dependents": True})
    assert outcome["helped"]
    assert sorted(outcome["data"]["dependents"]) == ["first.service", "second.service"]
    assert [bed.state(f"{name}.service") for name in ("first", "second", "idle")] == [
        "active",
        "active",
        "inactive",
    ]
    times = [
        int(bed.machine.show(f"{name}.service", "ActiveEnterTimestampMonotonic").popitem()[1])
        for name in ("base", "first", "second")
    ]
    assert times == sorted(times)


def test_left_overs_are_killed_before(bed: Acting) -> None:
    leaves = "[ -e /run/good-%p ] && exec sleep 1000; setsid sleep 4711 & exit 3"
    name = bed.fail("leaves.service", f"KillMode=process\nExecStart=/bin/sh -c '{leaves}'\n")
    assert bed.machine.run(["pgrep", "-f", "^sleep 4711"]).text
    bed.good(name)
    outcome = bed.act("restart", name, {"healthy_after": 0, "kill_leftovers": True})
    assert outcome["helped"]
    assert "1 left-over processes killed" in outcome["detail"]
    assert bed.machine.run(["pgrep", "-f", "^sleep 4711"], check=False).returncode == 1


# -- never against a person, nor against systemd --------------------------------------------------


def test_a_persons_stop_in_the_delay_wins(bed: Acting) -> None:
    """Also of a unit that has failed, where nothing but the end of the job tells of it."""
    name = bed.fail("person.service")
    bed.good(name)
    bed.machine.run(["rm", "-f", str(LISTENS)])
    found: list[dict[str, Any]] = []
    options = {"delay": "30s", "jitter": "0%", "healthy_after": 0}
    acting = threading.Thread(target=lambda: found.append(bed.act("restart", name, options)))
    acting.start()
    bed.machine.wait(lambda: bed.machine.exists(str(LISTENS)), what="the action to listen")
    bed.machine.systemctl("stop", name)
    acting.join()
    (outcome,) = found
    assert (outcome["ok"], outcome["data"]) == (True, {"left_out": True})
    # It may have looked while the job was still there.
    assert re.search(r"stopped by somebody|somebody stops \S+: a stop job", outcome["detail"])
    assert bed.state(name) == "failed"


def test_what_systemd_restarts_is_left_to_it_and_a_stop_of_that_counts(bed: Acting) -> None:
    unit = {"again.service": "[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=1h\n"}
    bed.machine.units(unit)
    began = time.time()
    bed.machine.systemctl("start", "again.service", check=False)

    def waits() -> bool:
        return bed.machine.show("again.service", "SubState")["SubState"] == "auto-restart"

    bed.machine.wait(waits, what="auto-restart")
    run = bed.machine.show("again.service", "InvocationID")["InvocationID"]
    assert "Restart=always" in bed.act("restart", "again.service")["detail"]
    bed.machine.systemctl("stop", "again.service")
    bed.machine.run(["journalctl", "--sync"])
    failed = {"invocation_id": run, "first_seen": began}
    outcome = bed.act("restart", "again.service", incident=failed)
    assert outcome["data"] == {"left_out": True}
    assert "stopped by somebody since at " in outcome["detail"]
    bed.machine.systemctl("start", "again.service", check=False)
    bed.machine.wait(waits, what="auto-restart")
    assert bed.act("stop", "again.service")["detail"] == "again.service is stopped"
    assert bed.state("again.service") == "inactive"


def test_masked_and_well_already(bed: Acting) -> None:
    name = bed.fail("masked.service")
    bed.machine.systemctl("mask", "--runtime", "-q", name)
    assert "masked" in bed.act("restart", name)["detail"]
    bed.machine.systemctl("unmask", "--runtime", "-q", name)
    bed.good(name)
    bed.machine.systemctl("start", name)
    outcome = bed.act("restart", name, incident={"invocation_id": "1" * 32})
    assert (outcome["helped"], outcome["data"]) == (True, {"already": True})


def test_clearing_the_failed_state(bed: Acting) -> None:
    name = bed.fail("cleared.service")
    assert bed.act("reset-failed", name)["ok"]
    assert bed.state(name) == "inactive"
    actions = [{"type": "reset-failed", "state": "done"}]
    bed.good(name)
    assert bed.act("restart", name, {"healthy_after": 0}, incident={"actions": actions})["helped"]


def test_without_the_bus(fresh_machine: Any) -> None:
    """Restart and clean as root need systemd alone; a command is run without its sandbox."""
    bed = Acting(fresh_machine())
    name = bed.fail("busless.service")
    bed.good(name)
    bed.machine.systemctl("stop", "dbus.socket", "dbus.service", check=False)
    assert bed.act("restart", name, {"healthy_after": 0})["helped"]
    outcome = bed.act("command", name, {"argv": ["id", "-un"], "user": "nobody"})
    assert outcome["ok"]
    assert outcome["data"]["output"] == ["nobody"]
    assert "without a sandbox: Failed to connect" in outcome["detail"]


# -- clean ----------------------------------------------------------------------------------------


def test_the_directories_of_a_unit(bed: Acting) -> None:
    fills = "for d in $CACHE_DIRECTORY $STATE_DIRECTORY $LOGS_DIRECTORY; do touch $d/file; done"
    body = (
        "CacheDirectory=acme acme/sub\nStateDirectory=acme\nLogsDirectory=acme\nDynamicUser=yes\n"
    )
    name = bed.fail("acme.service", f"{body}ExecStart=/bin/sh -c '{fills}; exit 3'\n")
    bed.machine.shell("mkdir /var/cache/acme/more && ln -s /etc /var/cache/acme/more/etc")
    outcome = bed.act("clean", name, {"unit_directories": ["cache", "logs"]})
    assert outcome["ok"], outcome
    left = bed.machine.shell("find /var/cache/acme/ /var/log/acme/ -mindepth 1").text
    assert left == ""
    assert bed.machine.exists("/var/lib/acme/file")
    assert bed.machine.exists("/etc/passwd")
    assert bed.machine.exists("/var/cache/private/acme")  # with its owner and mode
    outcome = bed.act("clean", name, {"unit_directories": ["state"]})
    assert outcome["ok"], outcome
    assert not bed.machine.exists("/var/lib/acme/file")


def test_nothing_but_the_cache_is_cleaned_under_a_running_unit(bed: Acting) -> None:
    bed.good("runs.service")
    body = f"Type=exec\nCacheDirectory=runs\nStateDirectory=runs\n{_MOODY}"  # it has them then
    bed.machine.units({"runs.service": f"[Service]\n{body}"})
    bed.machine.systemctl("start", "runs.service")
    bed.machine.shell("touch /var/cache/runs/file /var/lib/runs/file")
    assert not bed.act("clean", "runs.service", {"unit_directories": ["state"]})["ok"]
    assert bed.act("clean", "runs.service", {"unit_directories": ["cache"]})["ok"]
    assert not bed.machine.exists("/var/cache/runs/file")
    assert bed.machine.exists("/var/lib/runs/file")
    assert bed.state("runs.service") == "active"


# -- command --------------------------------------------------------------------------------------


def test_a_command_as_another_user_with_the_bundle(bed: Acting) -> None:
    bed.machine.shell("id acting >/dev/null 2>&1 || useradd --system acting")
    bed.machine.write("/var/lib/x/bundle.tar.gz", b"evidence", 0o600)
    bed.machine.shell("chmod 700 /var/lib/x; rm -rf /srv/out; install -d -o acting /srv/out")
    script = """\
        #!/bin/sh
        set -u
        id -un
        cat "$FAILHOOK_BUNDLE" && ls -l "$1" | cut -c1-10
        python3 -c 'import json, sys; print(json.load(sys.stdin)["incident"]["unit"])'
        echo "$FAILHOOK_UNIT $TOKEN"
        touch /srv/out/made && echo written
        touch /srv/refused 2>/dev/null || echo read only
        grep NoNewPrivs /proc/self/status
        """
    bed.machine.write("/usr/local/bin/told", textwrap.dedent(script), 0o755)
    outcome = bed.act(
        "command",
        "told.service",
        {
            "argv": ["told", "{bundle}"],
            "user": "acting",
            "writable": ["/srv/out"],
            "environment": {"TOKEN": 'a "b" $HOME `x`'},
        },
        request={"bundle": "/var/lib/x/bundle.tar.gz", "state": "/var/lib/x/state"},
    )
    assert outcome["ok"], outcome
    assert outcome["data"]["output"] == [
        "acting",
        "evidence-r--------",
        "told.service",
        'told.service a "b" $HOME `x`',
        "written",
        "read only",
        "NoNewPrivs:\t1".replace("\t", " "),
    ]
    assert bed.machine.shell("ls /var/lib/x/state").text == ""
    units = bed.machine.systemctl("list-units", "--all", "--plain", "failhook-action-*").text
    assert "failhook-action-" not in units


@pytest.mark.parametrize(
    ("argv", "ok", "final", "said"),
    [
        (["sh", "-c", "echo because; exit 4"], False, True, "ended with status 4: because"),
        (["sh", "-c", "exit 75"], False, False, "ended with status 75"),
        (["sh", "-c", "kill -9 $$"], False, True, "ended by a signal"),
        (["nosuchprogram"], False, False, "nosuchprogram"),
        (["sh", "-c", "trap '' TERM; sleep 60 & wait; sleep 60"], False, True, "not end in time"),
    ],
)
def test_how_a_command_ends(bed: Acting, argv: list[str], ok: bool, final: bool, said: str) -> None:
    outcome = bed.act("command", "x.service", {"argv": argv}, request={"deadline_s": 9.0})
    assert (outcome["ok"], outcome["final"]) == (ok, final), outcome
    assert said in outcome["detail"]
    processes = bed.machine.run(["pgrep", "-f", "^sleep 60"], check=False)
    assert processes.returncode == 1  # all that it started has ended with it


def test_a_command_of_a_user(more: Acting) -> None:
    bed, machine = more, more.machine
    machine.shell("useradd -m ann; loginctl enable-linger ann")
    uid = machine.run(["id", "-u", "ann"]).text
    machine.wait(
        lambda: machine.exists(f"/run/user/{uid}/bus"), timeout=20, what="the manager of ann"
    )
    request = {"user": True, "state": "/home/ann/state"}
    options = {"argv": ["sh", "-c", 'echo "$FAILHOOK_MANAGER"; id -un; cat /proc/self/cgroup']}
    outcome = bed.act("command", "mine.service", options, request=request, as_user="ann")
    assert outcome["ok"], outcome
    assert outcome["data"]["output"][:2] == ["user", "ann"]
    assert "failhook-action-command-" in " ".join(outcome["data"]["output"])
    assert outcome["data"]["sandbox"]
    machine.write("/home/ann/.config/systemd/user/mine.service", f"[Service]\n{_MOODY}")
    machine.shell("chown -R ann: /home/ann/.config")
    machine.run(["systemctl", "--user", "daemon-reload"], user="ann")
    machine.run(["systemctl", "--user", "start", "mine.service"], user="ann", check=False)
    bed.good("mine.service")
    outcome = bed.act(
        "restart", "mine.service", {"healthy_after": 0}, request=request, as_user="ann"
    )
    assert outcome["helped"], outcome
    machine.run(["loginctl", "disable-linger", "ann"])


def test_a_command_that_fails_is_no_incident(fresh_hooked: Hooked) -> None:
    """With every unit of the machine hooked, and the transient one among them."""
    machine = fresh_hooked.machine
    machine.run(["failhook", "enable", "--all"], timeout=60)
    bed = Acting(machine)
    assert not bed.act("command", "x.service", {"argv": ["false"]})["ok"]
    bed.fail("other.service", "ExecStart=/bin/false\n")
    fresh_hooked.wait_done("other.service")  # later than the other, had there been one
    assert fresh_hooked.incidents("failhook-action-*") == []


# -- set-property, journal, wall, login notice, metrics -------------------------------------------


def test_another_limit_until_the_next_boot(bed: Acting) -> None:
    bed.good("limits.service")
    body = f"MemoryHigh=100M\nMemoryMax=300M\nCPUQuota=40%\n{_MOODY}"
    bed.machine.units({"limits.service": f"[Service]\n{body}"})
    bed.machine.systemctl("start", "limits.service")
    options = {
        "properties": {"MemoryHigh": "+50%", "CPUQuota": "+100%", "TasksMax": "55"},
        "max": {"MemoryHigh": "140M"},
    }
    request = {"state": "/var/lib/y/state"}
    outcome = bed.act("set-property", "limits.service", options, request=request)
    assert outcome["ok"], outcome
    shown = bed.machine.show("limits.service", "MemoryHigh", "CPUQuotaPerSecUSec", "TasksMax")
    assert shown == {
        "MemoryHigh": str(140 << 20),
        "CPUQuotaPerSecUSec": "800ms",
        "TasksMax": "55",
    }
    assert outcome["data"]["properties"]["CPUQuota"] == {"before": "40%", "after": "80%"}
    assert bed.machine.shell("ls /etc/systemd/system.control 2>/dev/null || true").text == ""
    again = bed.act("set-property", "limits.service", options, request=request)
    assert again["data"] == {"left_out": True}


def test_the_journal_explains_its_entry(bed: Acting) -> None:
    catalog = (_CHECKOUT / "units/failhook.catalog").read_text()
    bed.machine.write("/usr/local/lib/systemd/catalog/failhook.catalog", catalog)
    said = bed.machine.run(["journalctl", "--update-catalog"])
    assert said.stderr == b""
    assert bed.act("journal", "told-of.service")["ok"]
    (entry,) = bed.machine.journal(f"MESSAGE_ID={journal.GAVE_UP}", "UNIT=told-of.service")
    assert entry["FAILHOOK_UNIT"] == "told-of.service"
    assert entry["PRIORITY"] == "3"
    assert entry["_UID"] == "0"
    shown = bed.machine.run(["journalctl", "-x", "-u", "told-of.service", "--no-pager"]).text
    assert "Subject: Unit told-of.service failed, and systemd does not start it again" in shown
    assert "failhook show 7f3a5c1e9b20" in shown
    assert "already held by grafana" in shown


# A terminal with somebody on it, as utmp(5) has it: prints what appears there.
_TERMINAL = """
import os, pty, select, struct, subprocess, sys, time
master, slave = pty.openpty()
line = os.ttyname(slave).removeprefix("/dev/").encode()
who = (7, os.getpid(), line, b"1", b"root", b"", 0, 0, 0, int(time.time()), 0, 0, 0, 0, 0)
with open("/run/utmp", "ab") as utmp:
    utmp.write(struct.pack("=hxxi32s4s32s256shhiii4i20x", *who))
print("ready", flush=True)
said = b""
until = time.monotonic() + 20
while b"failhook show" not in said and time.monotonic() < until:
    if select.select([master], [], [], 1)[0]:
        said += os.read(master, 4096)
sys.stdout.buffer.write(said)
"""
_LOGIN = """
import os, pty, select, signal, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp("login", ["login", "-f", "root"])
said = b""
until = time.monotonic() + 20
while b"/x" not in said and time.monotonic() < until:
    if select.select([fd], [], [], 1)[0]:
        try:
            said += os.read(fd, 4096)
        except OSError:  # login hangs up and opens the terminal anew
            time.sleep(0.02)
os.kill(pid, signal.SIGKILL)
sys.stdout.buffer.write(said)
"""


def test_terminals(bed: Acting) -> None:
    shown: list[str] = []
    watching = threading.Thread(
        target=lambda: shown.append(bed.machine.run(["python3", "-c", _TERMINAL]).text)
    )

    def size() -> str:
        return bed.machine.shell("stat -c %s /run/utmp 2>/dev/null || echo 0").text

    before = size()
    watching.start()
    bed.machine.wait(lambda: size() != before, what="somebody to be logged in")
    assert bed.act("wall", "walled.service")["ok"]
    watching.join()
    assert "failhook: gitea.service failed to start: port 3000 (::) is already" in shown[0]
    assert "see: failhook show 7f3a5c1e9b20" in shown[0]


def test_the_login_notice(bed: Acting) -> None:
    code = (
        "import time; from failhook.actions import notice; "
        "notice.show([notice.Open('etl.service', 'no such file: /x', time.time())])"
    )
    bed.machine.run(["python3", "-c", code], env={"PYTHONPATH": _PLACE})
    shown = bed.machine.run(["python3", "-c", _LOGIN], timeout=40).text
    assert "1 unit has failed and not recovered (failhook list):" in shown
    assert "etl.service: no such file: /x" in shown
    profile = (_CHECKOUT / "contrib/profile/failhook.sh").read_text()
    bed.machine.write("/root/failhook.sh", profile)
    assert "etl.service" in bed.machine.run(["sh", "-ic", ". /root/failhook.sh"]).text
    assert bed.machine.run(["sh", "-c", ". /root/failhook.sh"]).text == ""
    code = "from failhook.actions import notice; notice.show([])"
    bed.machine.run(["python3", "-c", code], env={"PYTHONPATH": _PLACE})
    assert not bed.machine.exists("/run/motd.d/50-failhook")


def test_a_real_exporter_reads_the_counts(more: Acting) -> None:
    machine = more.machine
    directory = "/var/lib/prometheus/node-exporter"
    machine.shell(f"mkdir -p {directory}")
    arguments = "--collector.disable-defaults --web.disable-exporter-metrics --collector.textfile"
    program = "/usr/bin/prometheus-node-exporter"
    machine.units(
        {
            "exporter.service": f"[Service]\nUser=nobody\nExecStart={program} {arguments} "
            f"--collector.textfile.directory={directory} --web.listen-address=127.0.0.1:9101\n"
        }
    )
    machine.systemctl("start", "exporter.service")
    request = {"state": "/var/lib/z/state"}
    odd = "odd\\x2dname@a:b.service"
    for number, unit in enumerate((odd, odd, "plain.service")):
        outcome = more.act("metrics", unit, incident={"id": str(number)}, request=request)
        assert outcome["ok"], outcome
    code = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9101/metrics').read().decode())"
    machine.wait(
        lambda: machine.run(["python3", "-c", code], check=False).returncode == 0, what="exporter"
    )
    text = machine.run(["python3", "-c", code]).text
    assert "node_textfile_scrape_error 0" in text
    assert 'failhook_failures_total{unit="odd\\\\x2dname@a:b.service"} 2' in text
    assert 'failhook_open{unit="plain.service"} 1' in text
    assert "# TYPE failhook_time_to_recover_seconds summary" in text
    ours = machine.read(f"{directory}/failhook.prom").decode()
    assert parse(ours)[("failhook_failures_total", (("unit", odd),))] == 2
