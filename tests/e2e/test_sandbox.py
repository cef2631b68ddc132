# SPDX-License-Identifier: MIT
"""A plain ``ExecStopPost=failhook`` in every usual sandbox, and nobody speaks for others."""

import json
import time

import pytest

from tests.e2e.hooked import Hooked

SANDBOXES = {
    "root": "",
    "user": "User=nobody\n",
    "dynamic": "DynamicUser=yes\n",
    "strict-root": "ProtectSystem=strict\n",
    "strict-user": "User=nobody\nProtectSystem=strict\nPrivateTmp=yes\nNoNewPrivileges=yes\n",
    "filtered": "User=nobody\nNoNewPrivileges=yes\nSystemCallFilter=@system-service\n"
    "SystemCallArchitectures=native\nMemoryDenyWriteExecute=yes\nLockPersonality=yes\n",
    "isolated": "DynamicUser=yes\nPrivateNetwork=yes\nPrivateDevices=yes\nProtectHome=yes\n"
    "ProtectProc=invisible\nProtectKernelTunables=yes\nProtectControlGroups=yes\n"
    "RestrictNamespaces=yes\nRestrictAddressFamilies=AF_UNIX\nCapabilityBoundingSet=\n",
    "private-users": "User=nobody\nPrivateUsers=yes\n",
    "runtime-directory": "User=nobody\nRuntimeDirectory=sandboxed\nStateDirectory=sandboxed\n",
    "delegate": "Delegate=yes\nUser=nobody\n",
    "slice": "Slice=a-b.slice\nUser=nobody\n",
    "exotic-environment": "Environment=PATH=/nowhere PYTHONPATH=/tmp PYTHONHOME=/tmp LC_ALL=xx\n"
    "Environment=PYTHONSTARTUP=/tmp/x IFS=/ ENV=/tmp/x TMPDIR=/nowhere HOME=/nowhere\n",
    "null-output": "User=nobody\nStandardOutput=null\nStandardError=null\n",
}
PREFIXES = ("failhook", "-failhook", "+failhook", "failhook %n", "-failhook %n")


@pytest.mark.parametrize("name", SANDBOXES)
def test_plain_hook_reports_from_the_sandbox(hooked: Hooked, name: str) -> None:
    unit = f"box-{name}.service"
    body = f"[Service]\n{SANDBOXES[name]}ExecStart=/bin/sh -c 'echo from inside; exit 9'\n"
    hooked.machine.units({unit: f"{body}ExecStopPost=failhook\n"})
    hooked.machine.systemctl("start", unit)
    (incident,) = hooked.wait_done(unit)
    assert (incident["result"], incident["exit_status"]) == ("exit-code", "9")
    assert [trigger["kind"] for trigger in incident["triggers"]] == ["stop-post"]
    evidence = {item["name"]: item["status"] for item in incident["evidence"]}
    assert evidence["cgroup"] == "ok"
    assert hooked.machine.show(unit, "ExecStopPost")["ExecStopPost"].find("status=0") > 0


@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_spelling_of_the_hook(hooked: Hooked, prefix: str) -> None:
    unit = f"spelling-{PREFIXES.index(prefix)}.service"
    body = f"[Service]\nUser=nobody\nExecStart=false\nExecStopPost={prefix}\n"
    hooked.machine.units({unit: body})
    hooked.machine.systemctl("start", unit)
    assert hooked.wait_done(unit)[0]["exit_status"] == "1"


@pytest.mark.parametrize(
    "unit",
    [
        r"odd\x20name-with\x2ddash.service",
        "at@inst:ance-1.2.service",
        "under_score.dotted.service",
        f"{'l' * 200}.service",
        f"{'x' * 242}.service",
    ],
)
def test_odd_unit_names(hooked: Hooked, unit: str) -> None:
    body = "[Service]\nExecStart=false\nExecStopPost=failhook\n"
    if "@" in unit:
        hooked.machine.units({"at@.service": body})
    else:
        hooked.machine.units({unit: body})
    hooked.machine.systemctl("start", "--", unit)
    (incident,) = hooked.wait_done(unit)
    assert incident["unit"] == unit
    assert hooked.bundle_files(incident)["manifest.json"]


def _forge(hooked: Hooked, unit: str, user: str) -> str:
    record = {
        "schema": 1,
        "kind": "stop-post",
        "unit": unit,
        "manager": "system",
        "boot_id": "0" * 32,
        "realtime": time.time(),
        "monotonic": 1.0,
        "uid": 0,
        "pid": 1,
        "env": {"SERVICE_RESULT": "exit-code"},
    }
    script = (
        "import socket,sys\n"
        "s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n"
        "s.settimeout(5)\n"
        "s.connect('/run/failhook/socket')\n"
        "s.send(sys.argv[1].encode())\n"
        "print(s.recv(500).decode())\n"
    )
    argv = ["python3", "-c", script, json.dumps(record)]
    return hooked.machine.run(argv, user=user).text.strip()


def test_nobody_reports_a_unit_that_he_has_no_power_over(hooked: Hooked) -> None:
    bed = hooked.machine
    bed.units(
        {
            "theirs.service": "[Service]\nExecStart=sleep 60\n",
            "nobodys.service": "[Service]\nUser=nobody\nExecStart=sleep 60\n",
        }
    )
    bed.systemctl("start", "theirs.service", "nobodys.service")
    assert "no power over theirs.service" in _forge(hooked, "theirs.service", "nobody")
    assert "no power over unknown.service" in _forge(hooked, "unknown.service", "nobody")
    assert _forge(hooked, "nobodys.service", "nobody") == "ok"
    assert hooked.incidents("theirs.service") == []
    hooked.wait_done("nobodys.service")


def test_rubbish_at_the_socket_is_refused_and_the_runner_lives(hooked: Hooked) -> None:
    script = (
        "import socket,sys\n"
        "for data in (b'', b'{', b'[]', b'x'*60000, b'{\"schema\":1}', b'\\xff'*100):\n"
        "  s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET); s.settimeout(5)\n"
        "  s.connect('/run/failhook/socket'); s.send(data) if data else s.close()\n"
        "  print(s.recv(500).decode()) if data else None\n"
    )
    said = hooked.machine.run(["python3", "-c", script], user="nobody").text.splitlines()
    assert len(said) == 5
    assert all(line.startswith("refused: ") for line in said)
    test_every_spelling_of_the_hook(hooked, "failhook")


def test_environment_of_the_unit_chooses_no_code(hooked: Hooked) -> None:
    """A service whose environment and directory are hostile runs only our code."""
    bed = hooked.machine
    for name in ("json", "os", "failhook", "_socket", "time", "sitecustomize", "usercustomize"):
        bed.write(f"/srv/evil/{name}.py", "open('/srv/evil/ran', 'w').write(__name__)\n")
    bed.run(["chmod", "-R", "a+rwX", "/srv/evil"])
    bed.write("/srv/evil/sh", "#!/bin/sh\ntouch /srv/evil/ran\n", mode=0o755)
    bed.write("/srv/evil/readlink", "#!/bin/sh\ntouch /srv/evil/ran\n", mode=0o755)
    unit = "evil-environment.service"
    bed.units(
        {
            unit: "[Service]\nWorkingDirectory=/srv/evil\nExecStart=/bin/false\n"
            "Environment=PYTHONPATH=/srv/evil PYTHONHOME=/srv/evil PATH=/srv/evil\n"
            "Environment=ENV=/srv/evil/sh HOME=/srv/evil\n"
            "Environment=BASH_ENV=/srv/evil/sh PYTHONINSPECT=1 PYTHONUSERBASE=/srv/evil\n"
            "Environment='BASH_FUNC_[%%=() { touch /srv/evil/ran; }' PYTHONWARNINGS=error\n"
            "ExecStopPost=failhook\n"
        }
    )
    bed.systemctl("start", unit)
    assert hooked.wait_done(unit)[0]["exit_status"] == "1"
    assert not bed.exists("/srv/evil/ran")


def test_hook_says_in_the_journal_when_it_cannot_report(hooked: Hooked) -> None:
    unit = "no-way-out.service"
    hooked.machine.units(
        {
            unit: "[Service]\nUser=nobody\nRestrictAddressFamilies=AF_INET\n"
            "SystemCallArchitectures=native\nExecStart=false\nExecStopPost=failhook\n"
        }
    )
    hooked.machine.systemctl("start", unit)
    hooked.machine.wait_state(unit, "failed")
    lines = hooked.machine.journal(f"_SYSTEMD_UNIT={unit}")
    said = [line for line in lines if "cannot report" in str(line["MESSAGE"])]
    assert [line["PRIORITY"] for line in said] == ["3"]
    assert "let RestrictAddressFamilies= have AF_UNIX" in said[0]["MESSAGE"]
    assert hooked.machine.show(unit, "Result")["Result"] == "exit-code"
    assert hooked.machine.show(unit, "ExecStopPost")["ExecStopPost"].find("status=0") > 0


def test_a_unit_without_unix_sockets_is_seen_by_its_failure_alone(hooked: Hooked) -> None:
    """As many a hardened unit has it: its hook could only say that it cannot report."""
    bed, unit = hooked.machine, "hardened.service"
    closed = "DynamicUser=yes\nRestrictAddressFamilies=AF_INET AF_INET6\n"
    bed.units({unit: f"[Service]\n{closed}ExecStart=/bin/sh -c 'echo dying; exit 3'\n"})
    said = bed.run(["failhook", "enable", unit]).text
    assert "without AF_UNIX no hook can report from in there" in said
    assert "RestrictAddressFamilies=AF_INET AF_INET6" in said
    bed.systemctl("start", unit, check=False)
    (incident,) = hooked.wait_done(unit)
    assert incident["dying_words"] == ["dying"]
    assert not bed.journal(f"_SYSTEMD_UNIT={unit}", "SYSLOG_IDENTIFIER=failhook")
    bed.run(["failhook", "disable", unit])
    strict = "ProtectSystem=strict\nRestrictAddressFamilies=none\n"
    bed.units({"no-sockets.service": f"[Service]\n{strict}ExecStart=/bin/false\n"})
    said = bed.run(["failhook", "enable", "no-sockets.service"]).text
    assert "RestrictAddressFamilies=none, without AF_UNIX" in said  # systemctl shows nothing at all
    bed.run(["failhook", "disable", "no-sockets.service"])


def test_where_the_unit_lives_in_a_directory_of_its_own(hooked: Hooked) -> None:
    """RootDirectory=: there is no failhook in it, nor a way to report."""
    bed, unit = hooked.machine, "jailed.service"
    bed.shell(
        "cd /srv; for d in usr proc sys dev run tmp etc; do mkdir -p jail/$d; done; "
        "for l in bin lib lib64; do ln -sf usr/$l jail/$l; done"
    )
    jail = "RootDirectory=/srv/jail\nBindReadOnlyPaths=/usr\nMountAPIVFS=yes\n"
    body = f"[Service]\nType=oneshot\n{jail}ExecStart=/bin/sh -c 'echo dying; exit 3'\n"
    bed.units({unit: body})
    assert "no hook can run in there" in bed.run(["failhook", "enable", unit]).text
    bed.systemctl("start", unit, check=False)
    (incident,) = hooked.wait_done(unit)
    assert incident["dying_words"] == ["dying"]
    assert incident["exit_status"] == "3"
    assert [one["kind"] for one in incident["triggers"]] == ["on-failure"]
    bed.run(["failhook", "disable", unit])


def test_where_no_hook_can_be_executed(hooked: Hooked) -> None:
    """As valkey's own unit in Debian 13: `enable` leaves the hook out and says so."""
    bed, unit = hooked.machine, "noexec.service"
    box = "NoExecPaths=/\nExecPaths=/usr/bin /bin /usr/lib /lib /lib64\n"
    bed.units({unit: f"[Service]\nType=oneshot\n{box}ExecStart=/bin/sh -c 'echo dying; exit 3'\n"})
    said = bed.run(["failhook", "enable", unit]).text
    assert f"{unit}: NoExecPaths=/, no hook can run in there; hooked by OnFailure= alone" in said
    bed.systemctl("start", unit, check=False)
    (incident,) = hooked.wait_done(unit)
    assert incident["dying_words"] == ["dying"]
    assert [one["kind"] for one in incident["triggers"]] == ["on-failure"]
    journal = bed.run(["journalctl", "-o", "cat", "-u", unit]).text
    assert "failhook" not in journal.replace("failhook@", "")
    assert "OnFailure= alone" not in bed.run(["failhook", "enable", "--privileged", unit]).text
    bed.systemctl("reset-failed", unit)
    bed.systemctl("start", unit, check=False)
    second = hooked.wait_done(unit, count=2)[-1]
    assert {one["kind"] for one in second["triggers"]} == {"stop-post", "on-failure"}
    bed.run(["failhook", "disable", unit])
