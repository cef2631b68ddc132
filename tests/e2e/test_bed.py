# SPDX-License-Identifier: MIT
"""The bed itself: it is a real systemd, and the machine does not notice it.

Memory limits cannot be proved here: where the memory controller is on cgroup v1 they are accepted
and ignored. `Machine.simulate_oom` stands in for the OOM killer.
"""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.bed import BedError, BootError, CommandError, Machine, Tree, cache, namespaces, trees
from tests.e2e.conftest import FreshMachine

_VERSIONS = {"bookworm": "252", "trixie": "257"}

# Writes the variables that systemd hands over, one unit each.
_RECORD = "ExecStopPost=/bin/sh -c 'env >/var/tmp/%n.env'\n"


def _stopped_with(machine: Machine, unit: str) -> dict[str, str]:
    """What ExecStopPost= of the unit was told, once the unit is down."""
    machine.wait_state(unit, "failed", "inactive")
    lines = machine.read(f"/var/tmp/{unit}.env").decode().splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _succeeds(machine: Machine, argv: list[str]) -> bool:
    return machine.run(argv, check=False).returncode == 0


def _host_state() -> list[str]:
    """What a bed could have changed on the machine."""
    settings = ("kernel/core_pattern", "kernel/hostname", "kernel/printk", "fs/nr_open")
    return [Path("/proc/sys", name).read_text() for name in (*settings, "fs/file-max")]


def _leftovers() -> list[str]:
    """Cgroups, mounts and processes of beds of this process."""
    prefix = f"{namespaces.CGROUP_PREFIX}{os.getpid()}-"
    cgroups = [str(path) for path in namespaces.cgroup_root().glob(f"{prefix}*")]
    scratch = str(cache.directory())
    mounts = [
        line
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
        if scratch in line or "failhook-bed" in line
    ]
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return cgroups + mounts + children


def test_pid_1_is_the_systemd_of_the_tree(machine: Machine, tree: Tree) -> None:
    assert machine.read("/proc/1/comm") == b"systemd\n"
    version = machine.systemctl("--version").text.split()[1]
    if tree.name in _VERSIONS:
        assert version == _VERSIONS[tree.name]


def test_nothing_fails_or_is_pending_after_boot(machine: Machine) -> None:
    assert machine.systemctl("is-system-running", check=False).text in ("running", "degraded")
    assert machine.systemctl("list-jobs", "--no-legend").text == ""
    assert machine.systemctl("list-units", "--failed", "--no-legend").text == ""


def test_a_command_runs_inside_and_tells_how_it_ended(machine: Machine) -> None:
    result = machine.shell("echo out; echo err >&2; exit 3", check=False)
    assert (result.returncode, result.stdout, result.stderr) == (3, b"out\n", b"err\n")
    assert machine.run(["cat"], input="in").text == "in"
    assert machine.shell("echo $A", env={"A": "b"}).text == "b"
    assert machine.shell("sed -n s/^0:://p /proc/self/cgroup").text == "/init.scope"
    with pytest.raises(CommandError, match="ended with 1"):
        machine.run(["false"])


def test_a_command_that_takes_too_long_is_killed_inside(machine: Machine) -> None:
    with pytest.raises(CommandError, match="longer than"):
        machine.run(["sleep", "123456"], timeout=0.2)
    machine.wait(
        lambda: machine.run(["pgrep", "-f", "sleep 123456"], check=False).returncode == 1,
        what="the command to be gone",
    )


def test_a_failing_unit_tells_its_result(machine: Machine) -> None:
    machine.units(
        {"bed-fails.service": "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 7'\n" + _RECORD}
    )
    machine.systemctl("start", "bed-fails.service", check=False)
    told = _stopped_with(machine, "bed-fails.service")
    assert (told["SERVICE_RESULT"], told["EXIT_CODE"], told["EXIT_STATUS"]) == (
        "exit-code",
        "exited",
        "7",
    )
    assert machine.show("bed-fails.service", "Result") == {"Result": "exit-code"}
    machine.systemctl("reset-failed")


def test_a_sandboxed_unit_starts(machine: Machine) -> None:
    machine.shell("id bed-service 2>/dev/null || useradd --system bed-service")
    box = "ProtectSystem=strict\nPrivateTmp=yes\nPrivateDevices=yes\nProtectKernelTunables=yes\n"
    box += "ProtectHome=yes\nPrivateNetwork=yes\nNoNewPrivileges=yes\nStateDirectory=%p\n"
    check = "ExecStart=/bin/sh -ec 'id -un; test ! -w /usr; touch /tmp/a $STATE_DIRECTORY/b'\n"
    head = "[Service]\nType=oneshot\n"
    machine.units(
        {
            "bed-user.service": f"{head}User=bed-service\n{box}{check}",
            "bed-dynamic.service": f"{head}DynamicUser=yes\n{box}{check}",
        }
    )
    for name, user in (("bed-user", "bed-service"), ("bed-dynamic", "bed-dynamic")):
        machine.systemctl("start", f"{name}.service")
        entries = machine.journal(f"_SYSTEMD_UNIT={name}.service")
        assert user in [entry["MESSAGE"] for entry in entries]
    assert not machine.exists("/tmp/a")


def test_journald_answers(machine: Machine) -> None:
    machine.units({"bed-says.service": "[Service]\nType=oneshot\nExecStart=/bin/echo hello bed\n"})
    machine.systemctl("start", "bed-says.service")
    entries = machine.journal("SYSLOG_IDENTIFIER=echo", "_SYSTEMD_UNIT=bed-says.service")
    assert [entry["MESSAGE"] for entry in entries] == ["hello bed"]
    assert machine.journal("_SYSTEMD_UNIT=no-such.service") == []
    assert machine.shell("ls /var/log/journal/*/system.journal").text


@pytest.mark.parametrize("restart", ["no", "on-failure"])
def test_a_simulated_oom_kill_is_one_for_systemd(machine: Machine, restart: str) -> None:
    unit = f"bed-oom-{restart}.service"
    service = f"[Service]\nExecStart=/bin/sleep inf\nRestart={restart}\nRestartSec=1h\n"
    machine.units({unit: service + _RECORD})
    machine.systemctl("start", unit)
    machine.simulate_oom(unit)
    machine.wait(lambda: machine.exists(f"/var/tmp/{unit}.env"), what="ExecStopPost=")
    told = machine.read(f"/var/tmp/{unit}.env").decode()
    assert "SERVICE_RESULT=oom-kill\n" in told
    assert machine.show(unit, "Result") == {"Result": "oom-kill"}
    machine.systemctl("stop", unit)
    machine.systemctl("reset-failed")


def test_a_core_dump_is_one_for_systemd(machine: Machine) -> None:
    """Needs LimitCORE= and a core_pattern that works inside; the pattern is the machine's.

    A relative one writes to the working directory and an absolute one to a directory made here. A
    pipe runs on the machine itself, and whether it takes the core is its business.
    """
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if pattern.startswith("/"):
        machine.run(["mkdir", "-p", "--", str(Path(pattern).parent)])
    service = "[Service]\nType=oneshot\nWorkingDirectory=/var/tmp\nLimitCORE=infinity\n"
    service += "ExecStart=/bin/sh -c 'kill -SEGV $$$$'\n"
    machine.units({"bed-dumps.service": service + _RECORD})
    machine.systemctl("start", "bed-dumps.service", check=False)
    told = _stopped_with(machine, "bed-dumps.service")
    told_of = (told["SERVICE_RESULT"], told["EXIT_CODE"], told["EXIT_STATUS"])
    expected = {("core-dump", "dumped", "SEGV")}
    if pattern.startswith("|"):
        expected.add(("signal", "killed", "SEGV"))
    assert told_of in expected
    machine.systemctl("reset-failed")


def test_an_ordinary_user_has_a_manager(machine: Machine) -> None:
    machine.shell("id bed-person 2>/dev/null || useradd --create-home bed-person")
    machine.run(["loginctl", "enable-linger", "bed-person"])
    uid = machine.run(["id", "-u", "bed-person"]).text
    machine.wait(lambda: machine.exists(f"/run/user/{uid}/systemd/private"), what="user manager")
    unit = "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'id -un >%h/told; exit 5'\n"
    machine.write("/home/bed-person/.config/systemd/user/bed-own.service", unit)

    def own(*arguments: str) -> str:
        return machine.systemctl("--user", *arguments, user="bed-person", check=False).text

    assert own("is-system-running", "--wait") == "running"
    own("daemon-reload")
    own("start", "bed-own.service")
    assert own("show", "-P", "Result", "bed-own.service") == "exit-code"
    assert machine.read("/home/bed-person/told") == b"bed-person\n"
    machine.run(["loginctl", "disable-linger", "bed-person"])


def test_files_arrive_as_they_were_sent(machine: Machine) -> None:
    machine.write("/var/lib/bed dir/it's", b"\0\xff\n", mode=0o600)
    assert machine.read("/var/lib/bed dir/it's") == b"\0\xff\n"
    assert machine.run(["stat", "-c", "%a %u", "/var/lib/bed dir/it's"]).text == "600 0"
    assert not machine.exists("/var/lib/bed dir/other")


def test_waiting_has_a_limit(machine: Machine) -> None:
    with pytest.raises(BedError, match="for the impossible"):
        machine.wait(lambda: False, timeout=0.05, what="the impossible")


@pytest.mark.parametrize("power_cut", [False, True])
def test_a_reboot_is_one(fresh_machine: FreshMachine, power_cut: bool) -> None:
    machine = fresh_machine()
    before = machine.read("/proc/sys/kernel/random/boot_id"), machine.read("/etc/machine-id")
    machine.shell("echo kept >/var/lib/kept; echo lost >/run/lost")
    machine.shell("logger before; journalctl --sync")
    machine.reboot(power_cut=power_cut)
    after = machine.read("/proc/sys/kernel/random/boot_id"), machine.read("/etc/machine-id")
    assert before[0] != after[0]
    assert before[1] == after[1]
    assert machine.read("/var/lib/kept") == b"kept\n"
    assert not machine.exists("/run/lost")
    assert "before" in [entry["MESSAGE"] for entry in machine.journal("-b", "-1")]


@pytest.mark.parametrize(
    ("action", "status", "end"),
    [
        ("reboot", "", "reboot"),
        ("reboot-force", "", "reboot"),
        ("reboot-immediate", "", "reboot"),
        ("poweroff", "", "poweroff"),
        ("exit", "FailureActionExitStatus=42", "exit 42"),
    ],
)
def test_failure_actions_end_the_bed(
    fresh_machine: FreshMachine, action: str, status: str, end: str
) -> None:
    machine = fresh_machine()
    unit = f"[Unit]\nFailureAction={action}\n{status}\n[Service]\nExecStart=/bin/false\n"
    machine.units({"bed-ends.service": unit})
    machine.systemctl("start", "bed-ends.service", check=False)
    assert machine.wait_ended() == end
    with pytest.raises(BedError, match="not running"):
        machine.run(["true"])


def test_a_bed_that_does_not_boot_shows_its_console(tree: Tree) -> None:
    broken = trees.extend(tree, "broken", "ln -sf /bin/false /usr/lib/systemd/systemd")
    machine = Machine(broken)
    with pytest.raises(BootError, match="PID 1 ended"):
        machine.__enter__()
    assert not machine.cgroup.exists()


def test_a_bed_does_not_outlive_its_supervisor(tree: Tree) -> None:
    with pytest.raises(BedError, match="supervisor ended with -9"), Machine(tree) as machine:
        os.kill(_parent(_parent(machine.pid)), signal.SIGKILL)
        with pytest.raises(BedError, match="supervisor is gone"):
            machine.wait_ended()
    assert not machine.cgroup.exists()


def test_a_layer_holds_what_its_script_did(
    fresh_machine: FreshMachine, tree: Tree, tmp_path: Path
) -> None:
    capability = "0100000200200000000000000000000000000000"  # cap_net_raw=ep
    script = f"""
    cp /srv/sent /srv/copy
    python3 -c "import os
    os.setxattr('/srv/copy', 'security.capability', bytes.fromhex('{capability}'))"
    rm /etc/debian_version
    rm -r /etc/alternatives; mkdir /etc/alternatives
    """.replace("\n    ", "\n")
    sent = tmp_path / "sent"
    sent.write_text("hello")
    made = trees.extend(tree, "test-layer", script, files={"/srv/sent": sent})
    assert trees.extend(tree, "test-layer", script, files={"/srv/sent": sent}) == made
    machine = fresh_machine(made)
    assert machine.read("/srv/copy") == b"hello"
    read = "import os; print(os.getxattr('/srv/copy', 'security.capability').hex())"
    assert machine.run(["python3", "-c", read]).text == capability
    assert not machine.exists("/etc/debian_version")
    assert machine.run(["ls", "/etc/alternatives"]).text == ""
    sent.write_text("changed")
    assert trees.extend(tree, "test-layer", script, files={"/srv/sent": sent}) != made


def test_a_script_that_fails_makes_no_layer(tree: Tree) -> None:
    with pytest.raises(BedError, match=r"(?s)layer bad.*a reason"):
        trees.extend(tree, "bad", "echo a reason; exit 9")


def test_packages_do_not_start_by_themselves(fresh_machine: FreshMachine, tree: Tree) -> None:
    state = _host_state()
    # The second one writes kernel.core_pattern when it is installed.
    machine = fresh_machine(trees.install(tree, "nginx-light", "systemd-coredump"))
    assert _host_state() == state
    assert machine.show("nginx.service", "ActiveState")["ActiveState"] == "inactive"
    machine.systemctl("start", "nginx.service")
    assert machine.show("nginx.service", "ActiveState")["ActiveState"] == "active"
    for path in ("usr/sbin/policy-rc.d", "etc/resolv.conf"):
        assert not (machine.tree.layers[0] / path).exists(), path


def test_two_beds_do_not_see_each_other(machine: Machine, fresh_machine: FreshMachine) -> None:
    other = fresh_machine()
    serve = "[Service]\nExecStart=/usr/bin/python3 -m http.server -b 127.0.0.1 8000\n"
    for bed in (machine, other):
        bed.units({"bed-port.service": serve})
        bed.systemctl("start", "bed-port.service")
        assert bed.shell("ip -br link").text.split()[0] == "lo"
    ask = ["python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 8000))"]
    for bed in (machine, other):
        bed.wait(partial(_succeeds, bed, ask), what="the port")
        assert bed.show("bed-port.service", "ActiveState")["ActiveState"] == "active"
    machine.systemctl("stop", "bed-port.service")


def test_the_cache_makes_a_directory_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAILHOOK_BED_CACHE", str(tmp_path))
    made: list[Path] = []

    def build(to: Path) -> None:
        made.append(to)
        time.sleep(0.2)
        (to / "content").touch()

    def broken(to: Path) -> None:
        (to / "content").touch()
        raise BedError("no")

    with pytest.raises(BedError):
        cache.cached("thing", "0" * 12, "thing", broken)
    with ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(cache.cached, "thing", "0" * 12, "making a thing", build) for _ in range(4)
        ]
    assert {future.result() for future in asked} == {tmp_path / f"thing-{'0' * 12}"}
    assert len(made) == 1
    assert capsys.readouterr().err.count("making a thing") == 1


def test_the_machine_is_as_it_was(tree: Tree) -> None:
    state, left = _host_state(), _leftovers()
    with Machine(tree) as machine:
        machine.shell("hostname changed; echo 1 >/proc/sys/vm/drop_caches || :")
        machine.shell("sysctl -w kernel.core_pattern=broken || :")
        machine.shell("setsid sleep inf >/dev/null 2>&1 &")
        assert len(_leftovers()) > len(left)
    assert _host_state() == state
    assert _leftovers() == left
    assert not Path(f"/proc/{machine.pid}").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_a_killed_test_process(tree: Tree, number: signal.Signals) -> None:
    code = (
        "import sys, time; from tests.bed import Machine, trees\n"
        f"tree = trees.Tree(*{(tree.name, tree.key)!r}, "
        "tuple(__import__('pathlib').Path(path) for path in sys.argv[1:]))\n"
        "with Machine(tree) as m: print(m.pid, m.cgroup, flush=True); time.sleep(600)\n"
    )
    root = Path(__file__).parents[2]
    argv = [sys.executable, "-c", code, *map(str, tree.layers)]
    with subprocess.Popen(argv, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid, cgroup = process.stdout.readline().split()
        process.send_signal(number)
    deadline = time.monotonic() + 10
    while Path("/proc", pid).exists() or Path(cgroup).exists():
        assert time.monotonic() < deadline, "the bed is still there"
        time.sleep(0.02)
