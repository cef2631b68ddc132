# SPDX-License-Identifier: MIT
"""Debian's Apprise itself, told by a failing unit: its json:// service is an HTTP server here."""

import json
from collections.abc import Iterator

import pytest

from tests.bed import Machine, Tree, failhook_tree, trees
from tests.e2e.hooked import service
from tests.e2e.receiving import PORT, Bed

_CONFIGURATION = f"""
[action.people]
type = "apprise"
url = ["json://127.0.0.1:{PORT}/people"]
[action.nobody]
type = "apprise"
url = ["json://127.0.0.1:9/"]
[[rule]]
name = "all"
unit = ["told.service"]
step = [{{ on = "1", do = ["people", "nobody"] }}]
"""


@pytest.fixture(scope="module")
def bed(tree: Tree) -> Iterator[Bed]:
    """With Apprise from the distribution, and a receiver."""
    with Machine(failhook_tree(trees.install(tree, "apprise"))) as machine:
        yield Bed(machine)


def test_a_failure_is_told_by_apprise(bed: Bed) -> None:
    bed.configure(_CONFIGURATION)
    body = "ExecStart=sh -c 'test -e /run/well || exit 3; sleep 600'\n"
    bed.machine.units({"told.service": service("both", body)})
    bed.machine.systemctl("start", "told.service", check=False)
    (heard,) = bed.wait_received("/people", 1, timeout=40)
    told = json.loads(heard["body"])
    assert told["type"] == "failure"
    assert "told.service" in told["title"]
    assert "failhook show" in told["message"]

    def states() -> dict[str, str]:
        shown = json.loads(bed.machine.run(["failhook", "show", "told.service", "--json"]).stdout)
        return {one["name"]: one["state"] for one in shown["incident"]["actions"]}

    expected = {"people": "done", "nobody": "waiting"}  # it says that it could not, and is retried
    bed.machine.wait(lambda: states() == expected, timeout=30, what=f"{expected}")

    bed.machine.write("/run/well", "")
    bed.machine.systemctl("start", "told.service")
    bed.machine.wait_state("told.service", "active")
    bed.machine.systemctl("stop", "told.service")  # a clean stop of a unit that was waited for
    heard = bed.wait_received("/people", 2, timeout=40)[1]
    assert json.loads(heard["body"])["type"] == "success"
