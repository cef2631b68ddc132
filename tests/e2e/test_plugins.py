# SPDX-License-Identifier: MIT
"""Plugins where they live: installed, found, refused, at work for a failed unit, and astray."""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed import Machine, Tree, failhook_tree, trees
from tests.bed.namespaces import run_on_host
from tests.e2e.hooked import Hooked, service

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "contrib" / "plugin-example"
_INSTALL = "/opt/failhook/bin/pip install --no-index --no-deps /root/failhook_example-*.whl"


@pytest.fixture(scope="module")
def plugged(tree: Tree) -> Iterator[Hooked]:
    """A bed with failhook and the example package in one environment, as its README says."""
    with tempfile.TemporaryDirectory(prefix="failhook-bed-") as made:
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps"]
        run_on_host([*pip, "--wheel-dir", made, str(EXAMPLE)], "building the example")
        (wheel,) = Path(made).glob("failhook_example-*.whl")
        files = {f"/root/{wheel.name}": wheel}
        whole = trees.extend(
            failhook_tree(tree), "plugin-example", _INSTALL, files=files, keep_enabled=True
        )
    with Machine(whole) as bed:
        yield Hooked(bed)


def plugins(bed: Machine, *words: str, user: str = "root", code: int = 0) -> dict[str, Any]:
    """What ``failhook plugins`` says as JSON."""
    done = bed.run(["failhook", "plugins", *words, "--json"], check=False, user=user, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def left(bed: Machine, word: str) -> str:
    """Processes whose command line has ``word``."""
    return bed.run(["pgrep", "-fa", word], check=False).text


# -- found --------------------------------------------------------------------------------------


def test_the_package_is_found_and_works(plugged: Hooked) -> None:
    bed = plugged.machine
    document = plugins(bed)
    actions = {one["name"]: one for one in document["actions"]}
    assert actions["logbook"]["origin"] == "package"
    assert actions["logbook"]["source"] == "failhook_example-0.1"
    assert [one["name"] for one in actions["logbook"]["options"]] == ["file", "style", "limit"]
    collectors = {one["name"]: one["origin"] for one in document["collectors"]}
    assert collectors["reboot-required"] == "package"
    option = "file=/root/logbook.txt"
    dry = plugins(bed, "test", "logbook", "--option", option)["test"]
    assert dry["detail"].startswith("would append to /root/logbook.txt: ")
    assert not bed.exists("/root/logbook.txt")
    done = plugins(bed, "test", "logbook", "--option", option, "--for-real")["test"]
    assert done["detail"] == "appended to /root/logbook.txt"
    assert b"gitea.service failed to start" in bed.read("/root/logbook.txt")
    bed.shell("echo libc6 >/run/reboot-required.pkgs; touch /run/reboot-required")
    found = plugins(bed, "test", "reboot-required")["test"]
    assert [one["text"] for one in found["items"]][:1] == ["libc6\n"]
    bed.shell("rm /run/reboot-required*")


def test_what_others_may_write_is_refused(plugged: Hooked) -> None:
    bed = plugged.machine
    for name, change in {
        "mine": ":",
        "his": "chown nobody /etc/failhook/actions/his",
        "open": "chmod o+w /etc/failhook/actions/open",
        "linked": "cd /etc/failhook/actions; mv linked /tmp/x; ln -s /tmp/x linked",
    }.items():
        bed.write(f"/etc/failhook/actions/{name}", "#!/bin/sh\necho ran\n", 0o755)
        bed.shell(change)
    document = plugins(bed)
    names = {one["name"] for one in document["actions"]}
    assert "mine" in names
    assert not {"his", "open", "linked"} & names
    refused = {Path(one["file"]).name: one["message"] for one in document["problems"]}
    assert "belongs to uid 65534" in refused["his"]
    assert "may be written by others: chmod go-w" in refused["open"]
    assert "/tmp may be written by others" in refused["linked"]
    assert plugins_code(bed, "test", "his") == 3
    assert bed.run(["failhook", "check"], check=False).returncode == 2
    bed.shell("rm -r /etc/failhook/actions")


def plugins_code(bed: Machine, *words: str) -> int:
    """How a call ends."""
    return bed.run(["failhook", "plugins", *words], check=False).returncode


def test_a_users_own(plugged: Hooked) -> None:
    bed = plugged.machine
    bed.shell("id tester >/dev/null 2>&1 || useradd -m -s /bin/sh tester")
    home = "/home/tester/.config/failhook/actions"
    bed.shell(
        f"mkdir -p {home}; printf '#!/bin/sh\\n: $FAILHOOK_DRY_RUN; id -un\\n' >{home}/who;"
        f"chmod -R go-w,+x {home}; chown -R tester /home/tester",
    )
    done = plugins(bed, "test", "who", "--user", user="tester")["test"]
    assert done["detail"] == "tester"
    bed.shell(f"chmod g+w {home}/who")
    words = ["failhook", "plugins", "test", "who", "--user"]
    refused = bed.run(words, check=False, user="tester")
    assert refused.returncode == 3
    assert b"may be written by others" in refused.stderr


def test_a_new_one_is_written_tested_and_installed(plugged: Hooked) -> None:
    bed = plugged.machine
    bed.shell("rm -rf /root/page-me; cd /root; failhook plugins new page-me --way executable")
    bed.shell("cd /root; install -D -o root -m 0755 -t /etc/failhook/actions page-me/page-me")
    done = plugins(bed, "test", "page-me", "--option", "file=/root/pages", "--for-real")["test"]
    assert done["detail"] == "appended to /root/pages"
    bed.shell("rm -r /etc/failhook/actions")


# -- astray -------------------------------------------------------------------------------------

HOSTILE = {
    "hang": "sleep 987654",
    "deaf": "trap '' TERM INT HUP; while :; do sleep 987654; done",
    "away": "setsid sh -c 'trap \"\" TERM; sleep 987654' & echo gone; exit 0",
    "twice": "(setsid setsid sleep 987654 &) ; (sleep 987654 &) ; exit 1",
    "flood": "yes and on",
    "gigabyte": "yes | head -c 1000000000; echo; echo all of it; exit 4",
    "crash": "kill -SEGV $$",
    "bomb": "for n in $(seq 40); do (setsid sleep 987654 &) ; done; exit 0",
    "closed": "exec <&- >&- 2>&-; sleep 987654",
}
PYTHON = """
import ctypes, os, signal, sys, time
from dataclasses import dataclass
from failhook.plugin import *

@dataclass(frozen=True)
class Options:
    how: str = option(TEXT, "how")

def run(request):
    how = request.options.how
    if how == "hang":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.system("setsid sleep 987654 &")
        time.sleep(10 ** 6)
    if how == "segv":
        ctypes.string_at(0)
    if how == "exit":
        os._exit(0)
    if how == "close":
        os.closerange(0, 1024)
    if how == "flood":
        while True:
            os.write(1, b"x" * 65536)
    return {"not": "an outcome"}

ACTION = Action("astray", "does no good", Options, run)
"""


def test_astray_on_the_command_line(plugged: Hooked) -> None:
    bed = plugged.machine
    bed.write("/etc/failhook/plugins/astray.py", PYTHON)
    for how in ("segv", "exit", "close", "rubbish"):
        began = time.monotonic()
        option = f"how={how}"
        test = plugins(bed, "test", "astray", "--option", option, "--for-real", code=1)["test"]
        assert not test["ok"]
        assert test["detail"]
        assert time.monotonic() - began < 20
    bed.shell("rm /etc/failhook/plugins/astray.py")


ASTRAY = ("hang", "segv", "exit", "close", "flood", "rubbish")


def _configuration() -> str:
    tables = ['[action.good]\ntype = "good"', '[action.log]\ntype = "logbook"\nfile = "/root/log"']
    for name in HOSTILE:
        limit = "60s" if name == "gigabyte" else "2s"
        tables.append(f'[action.{name}]\ntype = "{name}"\ntimeout = "{limit}"\nretries = 0')
    tables += [
        f'[action.py-{how}]\ntype = "astray"\nhow = "{how}"\ntimeout = "2s"' for how in ASTRAY
    ]
    do = json.dumps([*HOSTILE, *(f"py-{how}" for how in ASTRAY), "good", "log"])
    tables.append(
        f'[[rule]]\nname = "all"\nunit = ["astray-*.service"]\nstep = [{{ on = "1", do = {do} }}]'
    )
    return "\n".join(tables) + "\n"


def test_astray_at_work_for_a_unit(plugged: Hooked) -> None:
    """Each hostile one is its own outcome; those after it are done; nothing is left running."""
    bed = plugged.machine
    bed.write("/etc/failhook/plugins/astray.py", PYTHON)
    bed.write("/etc/failhook/actions/good", '#!/bin/sh\necho "saw $FAILHOOK_UNIT"\n', 0o755)
    bed.write("/etc/failhook/collectors/seen", '#!/bin/sh\necho "$FAILHOOK_RESULT"\n', 0o755)
    bed.write("/etc/failhook/collectors/stuck", "#!/bin/sh\nsetsid sleep 987654 &\nexit 0\n", 0o755)
    for name, body in HOSTILE.items():
        bed.write(f"/etc/failhook/actions/{name}", f"#!/bin/sh\n{body}\n", 0o755)
    bed.write("/etc/failhook/failhook.toml", _configuration())
    said = bed.run(["failhook", "check"], check=False)
    assert said.returncode == 0, said.stdout
    bed.units({"astray-1.service": service("both", "ExecStart=sh -c 'exit 3'\n")})
    bed.systemctl("start", "astray-1.service", check=False)
    began = time.monotonic()
    (incident,) = plugged.wait_done("astray-1.service")
    assert time.monotonic() - began < 8  # the stuck collector is not waited for
    evidence = {one["name"]: one["status"] for one in incident["evidence"]}
    assert evidence["seen"] == "ok"
    assert evidence["reboot-required"] == "skipped"
    assert plugged.bundle_files(incident)["seen/output.txt"] == b"exit-code\n"

    def over() -> bool:
        actions = plugged.show(incident["id"])["actions"]
        return len(actions) == len(HOSTILE) + len(ASTRAY) + 2 and all(
            one["state"] not in ("due", "running", "waiting") for one in actions
        )

    bed.wait(over, timeout=120, what="all actions to be over")
    actions = {one["name"]: one for one in plugged.show(incident["id"])["actions"]}
    assert actions["good"]["state"] == "done"
    assert actions["good"]["detail"] == "saw astray-1.service"
    assert actions["log"]["state"] == "done"
    assert b"astray-1.service" in bed.read("/root/log")
    for name in ("away", "bomb"):  # they did what they did, and what they left is gone
        assert actions[name]["state"] == "done"
    for name, one in actions.items():
        if name not in ("good", "log", "away", "bomb"):
            assert one["state"] == "failed", (name, one)
            assert one["detail"] and "\n" not in one["detail"] and len(one["detail"]) <= 1000
            assert one["took_ms"] < (60_000 if name == "gigabyte" else 8000)
    assert "did not finish within 2 s" in actions["deaf"]["detail"]
    assert actions["gigabyte"]["detail"] == "all of it"
    assert "SIGSEGV" in actions["crash"]["detail"]
    assert "SIGSEGV" in actions["py-segv"]["detail"]
    assert "returned dict, not an Outcome" in actions["py-rubbish"]["detail"]
    assert left(bed, "sleep 987654") == ""
    # And the next failure is seen as ever.
    bed.units({"after.service": service("both", "ExecStart=sh -c 'exit 4'\n")})
    bed.systemctl("start", "after.service", check=False)
    plugged.wait_done("after.service")
    bed.shell("rm -r /etc/failhook/actions /etc/failhook/plugins /etc/failhook/collectors")
    bed.shell("rm /etc/failhook/failhook.toml")
