# SPDX-License-Identifier: MIT
"""Real services of the distribution, broken on purpose: the evidence holds what an expert needs."""

from collections.abc import Iterator

import pytest

from tests.bed import Machine, Tree, failhook_tree, trees
from tests.e2e.hooked import Hooked


@pytest.fixture(scope="module")
def served(tree: Tree) -> Iterator[Hooked]:
    """A bed with a web server, a database and a cache installed and failhook enabled for all."""
    packages = trees.install(tree, "nginx-light", "postgresql", "redis-server", "rsyslog")
    with Machine(failhook_tree(packages)) as bed:
        bed.run(["failhook", "enable", "--all"], timeout=60)
        yield Hooked(bed)


def test_web_server_with_its_port_taken(served: Hooked) -> None:
    bed = served.machine
    bed.run(["failhook", "enable", "nginx.service"])
    bed.units(
        {"squatter.service": "[Service]\nExecStart=python3 -m http.server --bind 0.0.0.0 80\n"}
    )
    bed.systemctl("start", "squatter.service")
    bed.wait(lambda: b":80 " in bed.run(["ss", "-ltn"]).stdout, what="the squatter")
    bed.systemctl("start", "nginx.service", check=False, timeout=60)
    (incident,) = served.wait_done("nginx.service", timeout=30)
    files = served.bundle_files(incident)
    assert b"Address already in use" in files["journal/journal.txt"]
    listening = files["system/listening.txt"].decode()
    assert any(" 80 " in line and "squatter.service" in line for line in listening.splitlines())
    bed.systemctl("stop", "squatter.service")


def test_database_with_a_damaged_control_file(served: Hooked) -> None:
    bed = served.machine
    version = bed.shell("ls /etc/postgresql").text.strip()
    unit = f"postgresql@{version}-main.service"
    bed.run(["failhook", "enable", unit])
    control = f"/var/lib/postgresql/{version}/main/global/pg_control"
    bed.shell(f"dd if=/dev/zero of={control} bs=100 count=1 conv=notrunc 2>/dev/null")
    bed.systemctl("start", unit, check=False, timeout=90)
    (incident,) = served.wait_done(unit, timeout=30)
    assert incident["result"] in ("exit-code", "protocol")
    words = " ".join(incident["dying_words"])
    assert "PG_CONTROL_VERSION" in words or "control file" in words
    journal = served.bundle_files(incident)["journal/journal.txt"].decode()
    assert "FATAL:" in journal or "PANIC:" in journal


def test_cache_with_its_user_gone(served: Hooked) -> None:
    bed = served.machine
    bed.run(["failhook", "enable", "redis-server.service"])
    bed.shell("userdel redis")
    bed.systemctl("start", "redis-server.service", check=False, timeout=60)
    incidents = served.wait_done("redis-server.service", timeout=40)
    newest = incidents[-1]
    assert (newest["exit_status"], newest["exit_status_name"]) in (
        ("217", "USER"),
        ("216", "GROUP"),
    )
    assert "failed to start" in newest["verdict"]["summary"]


def _advised(served: Hooked, unit: str) -> str:
    """The command of the advice, as somebody would copy it."""
    incident = served.wait_done(unit, timeout=40)[-1]
    return str(incident["verdict"]["advice"]).partition("check it")[2].partition(": ")[2]


def test_the_command_of_an_advice_says_it_before_the_next_start(served: Hooked) -> None:
    bed = served.machine
    bed.write("/etc/nginx/conf.d/shop.conf", "keepalive_requests 99;\nworker_conections 9;\n")
    bed.run(["failhook", "enable", "nginx.service"])
    bed.systemctl("start", "nginx.service", check=False, timeout=60)
    command = _advised(served, "nginx.service")
    assert command == "nginx -t"
    said = bed.shell(f"{command} 2>&1", check=False).text
    assert "worker_conections" in said and "shop.conf:2" in said
    bed.shell("rm /etc/nginx/conf.d/shop.conf")
    assert bed.shell(f"{command} 2>&1").returncode == 0


def test_the_command_of_an_advice_breaks_the_silence(served: Hooked) -> None:
    """rsyslogd ends with status 2 and does not write a word."""
    bed = served.machine
    bed.shell("sed -i '1i global(abortOnUncleanConfig=\"on\")' /etc/rsyslog.conf")
    action = 'action(type="omfile" file="/var/log/app.log" fileMode="0640")\n'
    bed.write("/etc/rsyslog.d/30-app.conf", action)
    bed.systemctl("restart", "rsyslog.service", check=False, timeout=60)
    incident = served.wait_done("rsyslog.service", timeout=60)[-1]
    advice = str(incident["verdict"]["advice"])
    command = advice.removeprefix("check its configuration: ").partition(";")[0]
    assert command == "rsyslogd -N1"
    assert "fileMode" in bed.shell(f"{command} 2>&1", check=False).text
