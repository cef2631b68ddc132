# SPDX-License-Identifier: MIT
"""What is in the bundle, what is not, and what a hostile service can do to it."""

import json
import time

import pytest

from tests.e2e.hooked import Hooked, service

CANARIES = {
    "environment": "env-canary-7Kq2x9LmPz",
    "environment-file": "file-canary-4Hs8w1QvRt",
    "credential": "cred-canary-9Zx3c5VbNm",
    "argument": "argv-canary-2Gf6d8SaQw",
    "journal": "log-canary-5Tr1e7YuIo",
    "url": "url-canary-8Pl4k6JhGf",
}


def test_evidence_of_a_plain_failure(hooked: Hooked) -> None:
    bed = hooked.machine
    unit = "plain-evidence.service"
    script = "echo first line; logger -t helper from a helper; echo dying >&2; exit 3"
    bed.units({unit: service("both", f"ExecStart=sh -c '{script}'\n")})
    bed.write(f"/etc/systemd/system/{unit}.d/10-more.conf", "[Service]\nNice=3\n")
    bed.systemctl("daemon-reload")
    bed.systemctl("start", unit)
    (incident,) = hooked.wait_done(unit)
    files = hooked.bundle_files(incident)
    journal = files["journal/journal.txt"].decode()
    assert "first line" in journal
    assert "dying" in journal
    assert "Main process exited, code=exited, status=3" in journal
    entries = [json.loads(line) for line in files["journal/journal.json"].splitlines()]
    assert any(entry["MESSAGE"] == "dying" for entry in entries)
    assert {entry["_BOOT_ID"] for entry in entries} == {incident["boot_id"]}
    assert b"Nice=3" in files["unit/cat.txt"]
    assert b"Result=exit-code" in files["unit/show.txt"]
    assert b"sysinit.target" in files["unit/dependencies.txt"]
    assert b"usage_usec" in files["cgroup/cpu.stat"]
    assert b"failhook-bed" in files["system/summary.txt"]
    assert b"MOUNT" in files["system/mounts.txt"]
    verdict = files["verdict.txt"].decode()
    assert verdict.startswith(f"{unit} failed to start: sh ended with status 3/NOTIMPLEMENTED")
    manifest = json.loads(files["manifest.json"])
    assert {item["path"] for item in manifest["items"]} == set(files) - {"manifest.json"}
    assert manifest["id"] == incident["id"]


def test_what_is_found_out_once_in_a_boot(hooked: Hooked) -> None:
    """The second failure has it as well, and asks nobody: the answer was put into its place."""
    bed, told = hooked.machine, []
    for number in (1, 2):
        unit = f"once-{number}.service"
        bed.units({unit: service("both", "ExecStart=false\n")})
        bed.systemctl("start", unit, check=False)
        (incident,) = hooked.wait_done(unit)
        system = json.loads(hooked.bundle_files(incident)["system/system.json"])
        told.append(system["systemd"])
        if number == 1:
            assert told == [bed.run(["systemctl", "--version"]).text.splitlines()[0]]
            bed.shell("sed -i 's/^systemd .*/systemd as kept/' /run/failhook/known-systemd")
    assert told[1] == "systemd as kept"
    assert bed.shell("stat -c %a-%u /run/failhook/known-systemd").text.strip() == "600-0"
    bed.shell("rm /run/failhook/known-systemd")


def test_only_the_failed_run_is_in_its_journal(hooked: Hooked) -> None:
    bed = hooked.machine
    unit = "second-run.service"
    script = "echo run-$(cat /run/which); exit $(cat /run/which)"
    bed.units({unit: service("stop-post", f"Type=oneshot\nExecStart=sh -c '{script}'\n")})
    for number in ("0", "5"):
        bed.write("/run/which", number)
        bed.systemctl("start", unit, check=False)
    (incident,) = hooked.wait_done(unit)
    files = hooked.bundle_files(incident)
    assert b"run-5" in files["journal/journal.txt"]
    assert b"run-0" not in files["journal/journal.txt"]
    assert b"run-0" in files["journal/before.txt"]


def test_burst_before_the_end_is_complete(hooked: Hooked) -> None:
    """journald is asynchronous: without a sync the last lines are missing one time in three."""
    bed = hooked.machine
    for round_ in range(5):
        unit = f"burst-{round_}.service"
        bed.units({unit: service("stop-post", "ExecStart=sh -c 'seq 1 3000; exit 1'\n")})
        bed.systemctl("start", unit)
        (incident,) = hooked.wait_done(unit)
        assert incident["dying_words"][-1] == "3000"
        assert hooked.bundle_files(incident)["journal/journal.txt"].count(b"\n") >= 3000


def test_secrets_of_the_unit_are_nowhere(hooked: Hooked) -> None:
    bed = hooked.machine
    unit = "secretive.service"
    canary = CANARIES
    bed.write("/etc/secretive.env", f"DB_PASS='{canary['environment-file']}'\n", mode=0o600)
    bed.write("/etc/secretive.cred", canary["credential"], mode=0o600)
    bed.write(
        "/usr/local/bin/secretive",
        "#!/bin/sh\n"
        'echo "starting with $GREETING and $DB_PASS"\n'
        'cat "$CREDENTIALS_DIRECTORY/token"; echo\n'
        f'echo "password={canary["journal"]}"\n'
        f'echo "connecting to postgres://app:{canary["url"]}@db/prod"\n'
        'printf "%s" "$DB_PASS" | base64\n'
        "exit 1\n",
        mode=0o755,
    )
    bed.units(
        {
            unit: service(
                "both",
                f"Environment=GREETING={canary['environment']}\n"
                "EnvironmentFile=/etc/secretive.env\nLoadCredential=token:/etc/secretive.cred\n"
                f"ExecStart=/usr/local/bin/secretive --password {canary['argument']}\n",
            )
        }
    )
    bed.systemctl("start", unit)
    (incident,) = hooked.wait_done(unit)
    files = hooked.bundle_files(incident)
    for name, secret in canary.items():
        found = [path for path, data in files.items() if secret.encode() in data]
        assert found == [], name
        kept = bed.run(
            ["grep", "-rlaF", secret, "/var/lib/failhook", "/run/failhook"], check=False
        ).text
        assert kept == "", name
        assert secret not in json.dumps(incident), name
        ours = [str(line) for line in bed.journal("_SYSTEMD_UNIT=failhook.service")]
        assert not any(secret in line for line in ours), name
    manifest = json.loads(files["manifest.json"])
    assert sum(manifest["masked"].values()) >= 5
    journal = files["journal/journal.txt"].decode()
    assert "connecting to postgres://app:" in journal
    assert "@db/prod" in journal


def test_hostile_output_is_kept_and_harmless(hooked: Hooked) -> None:
    bed = hooked.machine
    unit = "hostile.service"
    script = (
        "import sys,os\n"
        "w=sys.stdout.buffer.write\n"
        "w(b'\\x1b]0;owned\\x07\\x1b[2J\\x1b[31mred\\n'); w('\\u202egnp.exe\\n'.encode())\n"
        "w(b'nul\\x00byte\\n'); w(b'\\xff\\xfe bad utf8\\n'); w(b'x'*200000+b'\\n')\n"
        "w(b'<script>alert(1)</script>\\n'); sys.stdout.flush(); os._exit(2)\n"
    )
    bed.write("/usr/local/lib/hostile.py", script)
    bed.units({unit: service("stop-post", "ExecStart=python3 /usr/local/lib/hostile.py\n")})
    bed.systemctl("start", unit)
    (incident,) = hooked.wait_done(unit)
    for argv in (["show", unit], ["list"], ["status"], ["show", unit, "--json"]):
        raw = bed.run(["failhook", *argv]).stdout
        assert b"\x1b" not in raw
        assert b"\x00" not in raw
        assert "\u202e".encode() not in raw
    files = hooked.bundle_files(incident)
    assert b"\x1b" not in files["journal/journal.txt"]
    assert b"script" in files["journal/journal.txt"]


def test_journal_line_of_64_mb(hooked: Hooked) -> None:
    bed = hooked.machine
    unit = "huge-line.service"
    script = (
        "import socket,os,array\n"
        "fd=os.memfd_create('m',os.MFD_ALLOW_SEALING)\n"
        "os.write(fd,b'PRIORITY=3\\nMESSAGE=HEAD'+b'y'*(64<<20)+b'TAIL\\n')\n"
        "import fcntl; fcntl.fcntl(fd,1033,15)\n"
        "s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\n"
        "s.connect('/run/systemd/journal/socket')\n"
        "s.sendmsg([b''],[(socket.SOL_SOCKET,socket.SCM_RIGHTS,array.array('i',[fd]))])\n"
        "import time; time.sleep(0.5)\n"
        "print('after the huge line',flush=True); os._exit(2)\n"
    )
    bed.write("/usr/local/lib/huge.py", script)
    bed.units({unit: service("stop-post", "ExecStart=python3 /usr/local/lib/huge.py\n")})
    bed.systemctl("start", unit)
    (incident,) = hooked.wait_done(unit, timeout=60)
    assert incident["dying_words"][-1] == "after the huge line"
    assert incident["bundle"]["bytes"] < 4 << 20
    peak = bed.shell(
        "cat /proc/$(systemctl show -p MainPID --value failhook.service)/status | grep VmHWM"
    ).text
    assert int(peak.split()[1]) < 150 * 1024


def test_hung_collectors_are_abandoned_and_said(hooked: Hooked) -> None:
    bed = hooked.machine
    unit = "hung.service"
    bed.shell("mkfifo -m 0600 /srv/pipe")
    bed.write("/srv/good.log", "one\ntwo\n")
    bed.write(
        "/etc/failhook/conf.d/hung.toml",
        '[collect]\ndeadline = "6s"\n'
        '[collector.pipe]\ntype = "files"\npaths = ["/srv/pipe", "/srv/*.log"]\nunit = ["hung.*"]\n'
        '[collector.sleeper]\ntype = "command"\n'
        'argv = ["sh", "-c", "sleep 98765"]\n'
        'timeout = "1s"\nunit = ["hung.*"]\n'
        '[collector.endless]\ntype = "command"\nargv = ["yes"]\ntimeout = "2s"\n'
        'unit = ["hung.*"]\n'
        '[collector.patient]\ntype = "command"\nargv = ["sleep", "4"]\ntimeout = "5s"\n'
        'unit = ["hung.*"]\n',
    )
    bed.run(["failhook", "check"])
    bed.systemctl("stop", "failhook.service", check=False)
    bed.units({unit: service("stop-post", "ExecStart=false\n")})
    bed.systemctl("start", unit)
    (incident,) = hooked.wait_done(unit, timeout=30)
    evidence = {item["name"]: item for item in incident["evidence"]}
    order = [item["name"] for item in incident["evidence"]]
    assert order.index("journal") < order.index("diagnose") < order.index("patient")
    assert evidence["sleeper"]["status"] == "failed"
    assert "did not finish within" in evidence["sleeper"]["reason"]
    assert evidence["sleeper"]["took_ms"] < 4000
    assert evidence["endless"]["truncated"]
    assert evidence["journal"]["status"] == "ok"
    files = hooked.bundle_files(incident)
    assert b"one\ntwo\n" in files.values()
    assert "sleeper" in bed.run(["failhook", "show", unit]).text
    assert bed.shell("pgrep -fx 'sleep 98765' || true").text == ""
    bed.shell("rm /etc/failhook/conf.d/hung.toml")
    bed.systemctl("stop", "failhook.service", check=False)


def test_log_namespace(hooked: Hooked) -> None:
    bed = hooked.machine
    unit = "namespaced.service"
    body = "LogNamespace=apart\nExecStart=sh -c 'echo said apart; sleep 0.2; exit 1'\n"
    bed.units({unit: service("stop-post", body)})
    bed.systemctl("start", unit, check=False)
    (incident,) = hooked.wait_done(unit)
    assert b"said apart" in hooked.bundle_files(incident)["journal/journal.txt"]
    assert "said apart" in incident["dying_words"]


def test_last_words_in_a_log_file(hooked: Hooked) -> None:
    """The journal has none of them; a secret among them is masked there as well."""
    bed = hooked.machine
    unit = "ledger.service"
    script = (
        "echo 2026-11-28 10:00:00 INFO opening the books >>/var/log/ledger/ledger.log; "
        "echo 2026-11-28 10:00:01 DEBUG password=tales-of-7-Brave >>/var/log/ledger/ledger.log; "
        "echo 2026-11-28 10:00:01 ERROR no such branch: north >>/var/log/ledger/ledger.log; exit 3"
    )
    bed.units({unit: service("stop-post", f"LogsDirectory=ledger\nExecStart=sh -c '{script}'\n")})
    bed.systemctl("start", unit, check=False)
    (incident,) = hooked.wait_done(unit)
    files = hooked.bundle_files(incident)
    assert b"north" not in files["journal/journal.txt"]
    assert b"no such branch: north" in files["logs/ledger/ledger.log"]
    assert incident["dying_words"][-1].endswith("ERROR no such branch: north")
    assert "no such branch: north" in incident["verdict"]["summary"]
    shown = bed.run(["failhook", "show", unit]).text
    assert "Last words" in shown
    assert "tales-of-7-Brave" not in shown + json.dumps(incident)


def test_last_words_in_the_file_of_its_output(hooked: Hooked) -> None:
    """StandardError=inherit goes there as well; and nobody empties it, after a good run either."""
    bed = hooked.machine
    body = "Type=oneshot\nExecStart=sh -c 'echo sku,price; cat /srv/%p.csv'\n"
    units = {
        f"prices-{kind}.service": f"[Service]\n{body}StandardOutput={kind}:/srv/out-{kind}.csv\n"
        for kind in ("append", "file", "truncate")
    }
    bed.units(units)
    for unit in units:
        kind = unit.removeprefix("prices-").removesuffix(".service")
        said = bed.run(["failhook", "enable", unit]).text
        assert ("a hook would empty that file" in said) == (kind == "truncate")
        bed.write(f"/srv/prices-{kind}.csv", "17,19.90\n")
        bed.systemctl("start", unit)
        assert bed.read(f"/srv/out-{kind}.csv") == b"sku,price\n17,19.90\n"
        bed.shell(f"rm /srv/prices-{kind}.csv")
        bed.systemctl("start", unit, check=False)
        (incident,) = hooked.wait_done(unit)
        missing = f"cat: /srv/prices-{kind}.csv: No such file or directory"
        assert incident["dying_words"][-1] == missing
        assert f"/srv/prices-{kind}.csv does not exist" in incident["verdict"]["summary"]
        proof = incident["verdict"]["evidence"][0]
        assert proof["source"] == f"/srv/out-{kind}.csv said"
        assert proof["ref"] == "output/StandardOutput.txt"
        assert missing.encode() in bed.read(f"/srv/out-{kind}.csv")
        bed.run(["failhook", "disable", unit])


@pytest.mark.parametrize("prefix", ["", "-+"])
def test_who_hooks_a_unit_that_empties_its_output_is_told(hooked: Hooked, prefix: str) -> None:
    """What systemd does then, privileged or not, and that `check` says so."""
    bed, unit = hooked.machine, f"emptied{len(prefix)}.service"
    body = "Type=oneshot\nExecStart=echo result\nStandardOutput=truncate:/srv/result\n"
    bed.units({unit: f"[Service]\n{body}ExecStopPost={prefix}failhook\nRemainAfterExit=yes\n"})
    bed.systemctl("start", unit)
    assert bed.read("/srv/result") == b"result\n"
    checked = bed.run(["failhook", "check"], check=False).text
    assert f"note: {unit}: ExecStopPost=failhook empties the file of StandardOutput=" in checked
    bed.systemctl("stop", unit)
    assert bed.read("/srv/result") == b""


def test_the_hook_says_nothing_into_the_output_of_a_service(hooked: Hooked) -> None:
    """Its own words go to the unit's journal: a file: is written from its start on."""
    bed, unit = hooked.machine, "says.service"
    body = "Type=oneshot\nExecStart=sh -c 'echo result; exit 1'\nStandardOutput=file:/srv/said\n"
    bed.units({unit: f"[Service]\n{body}ExecStopPost=failhook --wait=soon %n\n"})
    bed.write("/srv/said", "")
    start = time.monotonic()
    bed.systemctl("start", unit, check=False)
    assert time.monotonic() - start < 15  # there are no rules to wait for, for 30 s
    hooked.wait_done(unit)
    assert bed.read("/srv/said") == b"result\n"
    said = bed.journal(f"_SYSTEMD_UNIT={unit}", "SYSLOG_IDENTIFIER=failhook")
    assert [line["PRIORITY"] for line in said] == ["3"]
    assert said[0]["MESSAGE"].startswith("--wait=soon: no number of seconds")


def test_an_instance_of_a_template_keeps_its_output(hooked: Hooked) -> None:
    """Of a template systemd shows nothing: an instance is asked about."""
    bed, unit = hooked.machine, "prices@north.service"
    body = "Type=oneshot\nExecStart=echo result\nStandardOutput=truncate:/srv/%i.csv\n"
    bed.units({"prices@.service": f"[Service]\n{body}"})
    said = bed.run(["failhook", "enable", "prices@.service"]).text
    assert "a hook would empty that file once more" in said
    bed.systemctl("start", unit)
    assert bed.read("/srv/north.csv") == b"result\n"
    bed.run(["failhook", "disable", "prices@.service"])


def test_collecting_by_hand_needs_no_failure(hooked: Hooked) -> None:
    bed = hooked.machine
    bed.units({"healthy.service": "[Service]\nExecStart=sleep 99\n"})
    bed.systemctl("start", "healthy.service")
    incident = json.loads(bed.run(["failhook", "run", "healthy", "--json"]).stdout)["incident"]
    assert incident["verdict"]["summary"].startswith("healthy.service is active/running")
    assert incident["state"] == "closed"
    assert b"sleep 99" in hooked.bundle_files(incident)["unit/show.txt"]
    assert bed.run(["failhook", "run", "no-such"], check=False).returncode == 3


def test_uninstalled_checkout_works_in_process(hooked: Hooked) -> None:
    """No runner on the machine: the hook does the work itself, and still exits 0."""
    bed = hooked.machine
    unit = "bare.service"
    script = "mv /run/failhook /run/failhook.away; exec /opt/failhook/bin/failhook bare.service"
    bed.write("/usr/local/bin/bare-hook", f"#!/bin/sh\n{script}\n", mode=0o755)
    bed.units({unit: "[Service]\nExecStart=false\nExecStopPost=/usr/local/bin/bare-hook\n"})
    try:
        bed.systemctl("start", unit)
        (incident,) = hooked.wait_done(unit)
    finally:
        bed.shell("rm -rf /run/failhook; mv /run/failhook.away /run/failhook")
    assert incident["result"] == "exit-code"
    assert incident["bundle"]
    assert bed.show(unit, "ExecStopPost")["ExecStopPost"].find("status=0") > 0
