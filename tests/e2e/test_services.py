# SPDX-License-Identifier: MIT
"""Real services of the distribution, broken on purpose: the evidence holds what an expert needs."""

from collections.abc import Iterator

import pytest

from tests.bed import Machine, Tree, failhook_tree, trees
from tests.e2e.hooked import Hooked


@pytest.fixture(scope="module")
def served(tree: Tree) -> Iterator[Hooked]:
    """A bed with a web server, a database and a cache installed and failhook enabled for all."""
    packages = trees.install(tree, "nginx-light", "postgresql", "redis-server")
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
