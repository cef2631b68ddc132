# SPDX-License-Identifier: MIT
"""(a) What a clean stop costs, and (b) what a failing one costs the unit that fails."""

from collections.abc import Iterator

from tests.bed import Machine
from tests.bench.beds import PYTHON, Scale, Times, quiet, stopwatch
from tests.bench.table import Row, ratio

_GATE = "/usr/local/bin/failhook"
_SH = ("/bin/sh", "-c", ":")
_PYTHON = (PYTHON, "-I", "-c", "pass")
_FAILED = {"SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": "1"}
_RUNNER = ("failhook.path", "failhook.socket", "failhook.service")


def clean(machine: Machine, scale: Scale) -> Iterator[Row]:
    """(a) The gate with SERVICE_RESULT=success, against an empty shell and an empty Python."""
    times = stopwatch(
        machine,
        {
            "sh": (_SH, {}),
            "python": (_PYTHON, {}),
            "gate": ((_GATE, "bench.service"), {"SERVICE_RESULT": "success"}),
        },
        rounds=scale.rounds,
    )
    for kind in ("cpu", "wall"):
        gate = times["gate"][kind]
        yield ratio("a", f"clean stop, {kind}", gate, ("sh -c :", times["sh"][kind]), 1.5)
        bare = ("python3 -I -c pass", times["python"][kind])
        yield ratio("a", f"clean stop, {kind}", gate, bare, 0.15)


def failing(machine: Machine, scale: Scale) -> Iterator[Row]:
    """(b) The hook as root, and as a user through the socket, against bare Python."""
    environment = _FAILED | {"INVOCATION_ID": "b" * 32}
    commands = {"python": (_PYTHON, {}), "hook": ((_GATE, "bench-stopwatch.service"), environment)}
    machine.systemctl("stop", *_RUNNER)
    times = stopwatch(machine, commands, rounds=scale.rounds, clear=["/run/failhook/spool"])
    yield from _against_bare("failing stop, root, spool", times)
    machine.systemctl("start", "failhook.path", "failhook.socket")
    times = stopwatch(machine, commands, rounds=scale.rounds, user="nobody")
    yield from _against_bare("failing stop, user, socket", times)
    quiet(machine)


def _against_bare(what: str, times: Times) -> Iterator[Row]:
    for kind in ("cpu", "wall"):
        bare = ("python3 -I -c pass", times["python"][kind])
        yield ratio("b", f"{what}, {kind}", times["hook"][kind], bare, 1.3)
