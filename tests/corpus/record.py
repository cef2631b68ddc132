# SPDX-License-Identifier: MIT
"""Break a program in a machine of its own and keep the bundle that failhook makes of it."""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from tests.bed import BedError
from tests.corpus.failures import Failure
from tests.corpus.machines import Broken, machine_for

_WAIT_S = 60.0
_SLOW_WAIT_S = 240.0  # where the processor is emulated
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


def _record(failure: Failure) -> str:
    with machine_for(failure) as machine:
        machine.sh(failure.script, _START_S)
        machine.sh("systemctl daemon-reload", _START_S)
        if failure.hooked:
            machine.sh(f"failhook enable {failure.unit}", _START_S)
        command = failure.start or f"systemctl start {failure.unit}"
        machine.sh(f"{{\n{command}\n}} || :", _START_S)
        incident = _wait(machine, failure)
        bundle = machine.read(incident["bundle"]["path"])
    failure.bundle.write_bytes(bundle)
    return str(incident["verdict"]["summary"])


def _wait(machine: Broken, failure: Failure) -> dict[str, Any]:
    """The unit's first or last incident, once it is worked off and no further one comes."""
    calm_s = float(failure.calm.removesuffix("s"))
    wait_s = _SLOW_WAIT_S if failure.kernel else _WAIT_S
    until = time.monotonic() + wait_s
    known, since = -1, time.monotonic()
    while time.monotonic() < until:
        listed = machine.sh(f"failhook list --json --unit {failure.unit}", wait_s)
        found: list[dict[str, Any]] = json.loads(listed)["incidents"]
        if len(found) != known:
            known, since = len(found), time.monotonic()
        done = found and all(one["stage"] == "done" for one in found)
        if done and time.monotonic() - since > calm_s:
            with_bundle = [one for one in found if one["bundle"]]
            return with_bundle[-1 if failure.incident == "first" else 0]
        time.sleep(0.2)
    raise BedError(f"no finished incident of {failure.unit} within {wait_s:.0f} s")
