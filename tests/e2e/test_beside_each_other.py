# SPDX-License-Identifier: MIT
"""Many units that fail in the same seconds: each one's verdict is about itself.

Where one fails alone, every line of those seconds is its own; a real machine is not so kind.
"""

import json

from tests.bed import Machine
from tests.bench.beds import busy
from tests.corpus.failures import Failure, load
from tests.e2e.hooked import Hooked, Incident

# What systemd of that release does not tell, so that nobody can.
UNTOLD = {"trixie": ("systemd-notify-from-a-child",)}


def _chosen() -> list[Failure]:
    """Of the known failures that need no packages every third one, of a unit of its own."""
    plain = [
        one
        for one in load("known")
        if not one.packages and not one.kernel and one.hooked and not one.start
    ]
    return list({one.unit: one for one in plain[::3]}.values())


def _all_at_once(bed: Machine, failures: list[Failure]) -> None:
    scripts = "\n".join(f"(set -eu\n{one.script}\n)" for one in failures)
    bed.shell(f"set -eu\n{scripts}\nsystemctl daemon-reload", timeout=120)
    bed.run(["failhook", "enable", *(one.unit for one in failures)])
    starts = "\n".join(f"systemctl start {one.unit} >/dev/null 2>&1 &" for one in failures)
    bed.shell(f"{starts}\nwait", check=False, timeout=150)


def _recorded(bed: Machine) -> list[Incident]:
    """Newest first."""
    asked = bed.run(["failhook", "list", "--json", "--unit", "*"])
    found: list[Incident] = json.loads(asked.stdout)["incidents"]
    return found


def test_each_verdict_is_about_its_own_unit(fresh_hooked: Hooked) -> None:
    hooked, bed = fresh_hooked, fresh_hooked.machine
    failures = _chosen()
    assert len(failures) > 25
    _all_at_once(bed, failures)
    units = {one.unit for one in failures}
    bed.wait(lambda: units <= {one["unit"] for one in _recorded(bed)}, 60, "an incident of each")
    bed.wait(lambda: not busy(bed), timeout=120, what="the runner")
    found = _recorded(bed)
    wrong = {}
    for one in failures:
        mine = [each for each in found if each["unit"] == one.unit]
        which = mine[0] if one.incident == "last" else mine[-1]
        sentence = hooked.show(which["id"])["verdict"]["summary"]
        if not one.named_by(sentence):
            wrong[one.name] = sentence
    untold = [name for tree, names in UNTOLD.items() if tree in bed.tree.name for name in names]
    assert set(wrong) <= set(untold), wrong
