# SPDX-License-Identifier: MIT
"""Break a program in a bed of its own and keep the bundle that failhook makes of it."""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from tests.bed import BedError, Machine, Tree, failhook_tree, trees
from tests.corpus.failures import Failure

_WAIT_S = 60.0
_START_S = 120.0


def record(failures: Sequence[Failure]) -> list[str]:
    """Record each; returns what went wrong, a line each."""
    problems = []
    for number, failure in enumerate(failures, 1):
        start = time.monotonic()
        try:
            verdict = _record(failure)
        except (BedError, OSError, ValueError) as error:
            problems.append(f"{failure.name}: {error}")
            verdict = "NOT RECORDED"
        took = time.monotonic() - start
        print(f"{number}/{len(failures)} {failure.name} ({took:.1f} s): {verdict}", file=sys.stderr)
    return problems


def _tree(failure: Failure) -> Tree:
    base = trees.ensure(failure.tree)
    return failhook_tree(trees.install(base, *failure.packages) if failure.packages else base)


def _record(failure: Failure) -> str:
    with Machine(_tree(failure)) as bed:
        bed.shell(failure.script, timeout=_START_S)
        bed.systemctl("daemon-reload")
        bed.run(["failhook", "enable", failure.unit], timeout=60)
        command = failure.start or f"systemctl start {failure.unit}"
        bed.shell(f"{command} || :", timeout=_START_S)
        incident = _wait(bed, failure)
        bundle = bed.read(incident["bundle"]["path"])
    failure.bundle.write_bytes(bundle)
    return str(incident["verdict"]["summary"])


def _wait(bed: Machine, failure: Failure) -> dict[str, Any]:
    """The unit's first or last incident, once it is worked off and no further one comes."""
    calm_s = float(failure.calm.removesuffix("s"))
    until = time.monotonic() + _WAIT_S
    known, since = -1, time.monotonic()
    while time.monotonic() < until:
        listed = bed.run(["failhook", "list", "--json", "--unit", failure.unit]).stdout
        found: list[dict[str, Any]] = json.loads(listed)["incidents"]
        if len(found) != known:
            known, since = len(found), time.monotonic()
        done = found and all(one["stage"] == "done" for one in found)
        if done and time.monotonic() - since > calm_s:
            with_bundle = [one for one in found if one["bundle"]]
            return with_bundle[-1 if failure.incident == "first" else 0]
        time.sleep(0.2)
    raise BedError(f"no finished incident of {failure.unit} within {_WAIT_S:.0f} s")
