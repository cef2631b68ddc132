# SPDX-License-Identifier: MIT
"""The sentence, under a real systemd: what it names, what it proves, and who may add to it."""

import json

import pytest

from tests.bed import Machine, Tree, failhook_tree, trees
from tests.e2e.conftest import FreshMachine
from tests.e2e.hooked import Hooked, Incident, service


def _verdict(hooked: Hooked, unit: str) -> Incident:
    (incident, *_) = hooked.wait_done(unit, timeout=40)
    verdict: Incident = incident["verdict"]
    return verdict


def _fail(bed: Machine, unit: str, text: str) -> None:
    bed.units({unit: text})
    bed.systemctl("start", unit, check=False, timeout=60)


def test_the_port_and_who_holds_it(hooked: Hooked) -> None:
    bed = hooked.machine
    listen = "ExecStart=python3 -m http.server --bind 127.0.0.1 8470\n"
    bed.units({"v-holder.service": f"[Service]\n{listen}"})
    bed.systemctl("start", "v-holder.service")
    bed.wait(lambda: b":8470" in bed.run(["ss", "-ltn"]).stdout, what="the holder")
    _fail(bed, "v-second.service", service("both", listen))
    verdict = _verdict(hooked, "v-second.service")
    assert verdict["cause"] == "port-taken"
    assert verdict["summary"].startswith("v-second.service failed to start: port 8470 (127.0.0.1)")
    assert "python3" in verdict["summary"] and "v-holder.service" in verdict["summary"]
    assert verdict["confidence"] >= 0.9
    refs = {proof["ref"] for proof in verdict["evidence"]}
    assert "system/listening.txt" in refs
    assert any(ref.startswith("journal/journal.txt:") for ref in refs)
    shown = bed.run(["failhook", "show", "v-second"]).text
    assert shown.splitlines()[0] == verdict["summary"]
    assert "  Do  " in shown and "  Proof  " in shown
    listed = bed.run(["failhook", "list", "--unit", "v-second.service"]).text
    assert "port 8470 (127.0.0.1) is already held by python3" in listed
    said = [line["MESSAGE"] for line in bed.journal("_SYSTEMD_UNIT=failhook.service")]
    assert any(text.startswith(verdict["summary"]) for text in said)
    bed.systemctl("stop", "v-holder.service")


def test_a_machine_that_does_not_speak_english(tree: Tree, fresh_machine: FreshMachine) -> None:
    """The errors of the system come in the language that was chosen at its installation."""
    hooked = Hooked(fresh_machine(failhook_tree(trees.install(tree, "locales"))))
    bed = hooked.machine
    bed.shell("localedef -i de_DE -f UTF-8 de_DE.UTF-8", timeout=60)
    german = "Environment=LANG=de_DE.UTF-8\n"
    missing = service("both", f"{german}ExecStart=cat /srv/kundendaten/liste\n")
    closed = service("both", f"{german}User=nobody\nExecStart=cat /etc/shadow\n")
    bed.write("/srv/laden/preise.txt", "1\n")
    beside = 'ExecStart=sh -c "exec cat preise.txt" /srv/laden/los\n'
    beside = service("both", f"{german}{beside}")
    bed.units({"v-fehlt.service": missing, "v-zu.service": closed, "v-neben.service": beside})
    bed.shell("systemctl start v-fehlt.service v-zu.service v-neben.service", check=False)
    said = _verdict(hooked, "v-fehlt.service")
    assert said["cause"] == "file-missing"
    assert "the directory /srv/kundendaten does not exist" in said["summary"]
    assert "Datei oder Verzeichnis nicht gefunden”" in said["summary"]
    said = _verdict(hooked, "v-zu.service")
    assert said["cause"] == "permission"
    assert "/etc/shadow" in said["summary"] and "Keine Berechtigung" in said["summary"]
    said = _verdict(hooked, "v-neben.service")  # what is looked at is asked for in its language too
    assert "preise.txt is in /srv/laden, and the service runs in /" in said["summary"]


def test_an_old_error_in_a_log_that_is_appended_to_is_not_the_reason(hooked: Hooked) -> None:
    """The run wrote to the file, so its end is kept; what stands above is of another day."""
    bed = hooked.machine
    old = "2025-03-01 03:00:01 ERROR cannot open /srv/old/ledger: No such file or directory\n"
    bed.write("/var/log/v-appends/main.log", old)
    script = "TZ=Asia/Tokyo date '+%%F %%T INFO starting' >>/var/log/v-appends/main.log; exit 3"
    _fail(bed, "v-appends.service", service("both", f'ExecStart=/bin/sh -c "{script}"\n'))
    (incident,) = hooked.wait_done("v-appends.service")
    assert "/srv/old" not in incident["verdict"]["summary"]
    kept = hooked.bundle_files(incident)["logs/v-appends/main.log"]
    assert b"/srv/old/ledger" in kept and b"INFO starting" in kept


def test_a_package_manager_at_work_makes_no_other_failure(hooked: Hooked) -> None:
    """The sentence says that one was, and the next failure still counts as the same."""
    bed = hooked.machine
    text = service("both", "ExecStart=/bin/sh -c 'echo cannot open /srv/pm: damaged >&2; exit 3'\n")
    bed.shell("cp /usr/bin/sleep /usr/local/bin/dpkg")
    bed.units(
        {"v-pm.service": text, "v-dpkg.service": "[Service]\nExecStart=/usr/local/bin/dpkg 99\n"}
    )
    bed.systemctl("start", "v-pm.service", check=False)
    hooked.wait_done("v-pm.service")
    bed.systemctl("start", "v-dpkg.service")
    bed.systemctl("start", "v-pm.service", check=False)
    quiet, beside = hooked.wait_done("v-pm.service", count=2)
    bed.systemctl("stop", "v-dpkg.service")
    bed.shell("rm /usr/local/bin/dpkg")
    assert "dpkg" not in quiet["verdict"]["summary"]
    assert "dpkg" in beside["verdict"]["summary"]
    assert (beside["signature"], beside["count"]) == (quiet["signature"], 2)


def test_what_systemd_makes_of_a_command_line(hooked: Hooked) -> None:
    """The program tells what it was given: that the words fall away, or reach it, is systemd's."""
    bed = hooked.machine
    bed.write("/srv/args.sh", '#!/bin/sh\nfor one; do echo "<$one>"; done; exit 3\n', mode=0o755)
    words = "one $HOME/x ${HOME}/y '$value = 3' > /srv/out"
    text = f"Environment=HOME=/root\nExecStart=/srv/args.sh {words}\n"
    _fail(bed, "v-words.service", service("both", text))
    verdict = _verdict(hooked, "v-words.service")
    given = [line["MESSAGE"] for line in bed.journal("SYSLOG_IDENTIFIER=args.sh")]
    assert given == ["<one>", "</root/y>", "<>>", "</srv/out>"]
    assert "“>” to /srv/args.sh as an argument: systemd runs no shell" in verdict["summary"]
    others = " ".join(one["summary"] for one in verdict["others"])
    assert (
        "systemd takes “$HOME/x” and “$value = 3” of ExecStart= as a whole for variables" in others
    )


def test_a_silent_program_and_its_manual(hooked: Hooked) -> None:
    _fail(hooked.machine, "v-silent.service", service("both", "ExecStart=timeout 0.2 sleep 60\n"))
    summary = _verdict(hooked, "v-silent.service")["summary"]
    assert "timeout ended with status 124" in summary
    assert "what it ran took longer than its time limit" in summary
    assert summary.endswith("it was to do: timeout 0.2 sleep 60")


def test_the_interpreter_that_is_not_there(hooked: Hooked) -> None:
    bed = hooked.machine
    bed.write("/srv/run.rb", "#!/usr/bin/ruby2.5\nputs 1\n", mode=0o755)
    _fail(bed, "v-ruby.service", service("both", "ExecStart=/srv/run.rb\n"))
    summary = _verdict(hooked, "v-ruby.service")["summary"]
    assert summary == (
        "v-ruby.service failed to start: ExecStart=/srv/run.rb asks for the interpreter "
        "/usr/bin/ruby2.5, which does not exist"
    )


def test_a_victim_and_the_root_of_its_chain(hooked: Hooked) -> None:
    bed = hooked.machine
    bed.units(
        {
            "v-root.service": "[Service]\nType=oneshot\n"
            "ExecStart=sh -c 'echo no table orders in /srv/db >&2; exit 4'\n",
            "v-middle.service": "[Unit]\nRequires=v-root.service\nAfter=v-root.service\n"
            "[Service]\nExecStart=sleep 100\n",
        }
    )
    _fail(
        bed,
        "v-victim.service",
        service(
            "on-failure",
            "ExecStart=sleep 1\n",
            "Requires=v-middle.service\nAfter=v-middle.service\n",
        ),
    )
    verdict = _verdict(hooked, "v-victim.service")
    assert verdict["cause"] == "dependency"
    assert (
        "is a victim: it requires v-root.service (by way of v-middle.service)"
        in (verdict["summary"])
    )
    assert "no table orders in /srv/db" in verdict["summary"]


def test_who_may_not_read_what(hooked: Hooked) -> None:
    bed = hooked.machine
    bed.shell("mkdir -p /srv/closed; echo x >/srv/closed/key; chmod 700 /srv/closed")
    body = "User=nobody\nExecStart=sh -c 'exec cat /srv/closed/key'\n"
    _fail(bed, "v-closed.service", service("both", body))
    summary = _verdict(hooked, "v-closed.service")["summary"]
    assert "nobody may not enter /srv/closed (mode 0700, owner root)" in summary


SANDBOXES = {
    "temporary": ("TemporaryFileSystem=/srv", "cat /srv/box/data", "{} hides it"),
    "proc": ("ProcSubset=pid", "cat /proc/meminfo", "/proc/meminfo: {} hides it"),
    "noexec": ("NoExecPaths=/srv", "sh -c /srv/box/run", "{} lets the unit not execute it"),
    "users": ("PrivateUsers=yes", "chown daemon /srv/box/data", "{} has no other users"),
    "calls": (
        "SystemCallErrorNumber=EPERM\nSystemCallFilter=~unshare",
        "unshare --uts true",
        "SystemCallFilter= forbids that system call",
    ),
}


@pytest.mark.parametrize("name", SANDBOXES)
def test_which_setting_of_the_sandbox_stands_in_the_way(hooked: Hooked, name: str) -> None:
    """The program only knows that it was refused, or that there is nothing."""
    bed, (settings, command, said) = hooked.machine, SANDBOXES[name]
    bed.write("/srv/box/data", "x\n")
    bed.write("/srv/box/run", "#!/bin/sh\n", mode=0o755)
    unit = f"v-box-{name}.service"
    _fail(bed, unit, service("stop-post", f"Type=oneshot\n{settings}\nExecStart={command}\n"))
    verdict = _verdict(hooked, unit)
    assert said.format(settings) in verdict["summary"], verdict
    assert verdict["cause"] == "sandbox"


def test_a_line_of_a_configuration_is_quoted(hooked: Hooked) -> None:
    bed = hooked.machine
    bed.write("/etc/acme.conf", "[main]\nworkers = many\n")
    body = "ExecStart=sh -c 'echo \"/etc/acme.conf:2: invalid value\" >&2; exit 1'\n"
    _fail(bed, "v-config.service", service("both", body))
    summary = _verdict(hooked, "v-config.service")["summary"]
    assert "a mistake in /etc/acme.conf line 2" in summary
    assert "workers = many" in summary


def test_forged_words_of_systemd_are_a_programs_words(hooked: Hooked) -> None:
    bed = hooked.machine
    script = (
        "logger -t systemd 'v-forged.service: Failed at step USER spawning x: No such process';"
        "logger -t '(x)' 'v-forged.service: Failed to locate executable /bin/x'; sleep 0.3;"
        "echo cannot open /srv/nothing-here: No such file or directory >&2; exit 1"
    )
    _fail(bed, "v-forged.service", service("both", f'ExecStart=sh -c "{script}"\n'))
    verdict = _verdict(hooked, "v-forged.service")
    assert verdict["cause"] == "file-missing"  # what it says of itself is weighed as such
    assert not any(proof["source"] == "systemd said" for proof in verdict["evidence"])
    assert "User=" not in verdict["summary"]


_CAUSE = """\
[[cause]]
name = "acme-licence"
pattern = 'licence (?P<file>/[^ ]{1,200}) expired'
sentence = "the licence {file} has expired"
runbook = "https://wiki.example/licence"
confidence = 0.99
example = ["licence /etc/key expired"]
"""
_PLUGIN = """\
from failhook.diagnose.finding import Cause, Finding, fails
def look(case):
    if any("quux" in message.text for message in case.messages):
        yield Finding("quux", fails(case, "the quux is loose"), "tighten it", 0.99)
CAUSES = (Cause("quux", "a loose quux", look),)
"""


def test_causes_of_ones_own(fresh_hooked: Hooked) -> None:
    bed = fresh_hooked.machine
    bed.write("/etc/failhook/causes.d/acme.toml", _CAUSE)
    bed.write("/etc/failhook/plugins/quux.py", _PLUGIN)
    assert bed.run(["failhook", "check"]).text.startswith("no mistake in 1 file")
    _fail(
        bed,
        "licence.service",
        service("both", "ExecStart=sh -c 'echo licence /etc/acme.key expired; exit 1'\n"),
    )
    verdict = _verdict(fresh_hooked, "licence.service")
    assert verdict["summary"].endswith("the licence /etc/acme.key has expired")
    assert verdict["advice"] == "https://wiki.example/licence"
    _fail(bed, "quux.service", service("both", "ExecStart=sh -c 'echo quux; exit 1'\n"))
    assert _verdict(fresh_hooked, "quux.service")["summary"].endswith("the quux is loose")


@pytest.mark.parametrize("end", ["import time; time.sleep(60)", "import os; os.abort()", "1/0"])
def test_a_plugin_costs_its_own_finding_and_no_more(fresh_hooked: Hooked, end: str) -> None:
    bed = fresh_hooked.machine
    bed.write("/etc/failhook/plugins/bad.py", f"{end}\n")
    _fail(bed, "sound.service", service("both", "ExecStart=/no/such/program\n"))
    verdict = _verdict(fresh_hooked, "sound.service")
    assert verdict["summary"].endswith(
        "ExecStart=/no/such/program does not exist (there is no /no at all)"
    )


def test_explaining_a_bundle_from_elsewhere(hooked: Hooked, fresh_hooked: Hooked) -> None:
    bed = hooked.machine
    _fail(bed, "v-away.service", service("both", "User=no-such-user\nExecStart=true\n"))
    (incident,) = hooked.wait_done("v-away.service")
    path = bed.run(["failhook", "bundle", incident["id"]]).text.strip()
    other = fresh_hooked.machine
    other.write("/root/away.tar.gz", bed.read(path))
    document = json.loads(other.run(["failhook", "explain", "/root/away.tar.gz", "--json"]).stdout)
    (explained,) = document["explained"]
    assert explained["verdict"]["summary"] == incident["verdict"]["summary"]
    assert "no-such-user" in explained["verdict"]["summary"]
    assert other.run(["failhook", "explain", "/etc/passwd"], check=False).returncode in (1, 2)
    assert other.run(["failhook", "explain", "/no/file"], check=False).returncode == 3
