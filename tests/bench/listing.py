# SPDX-License-Identifier: MIT
"""(f) `failhook list` with a long history."""

import time
from collections.abc import Iterator

from tests.bed import Machine
from tests.bench.beds import Scale, say, stopwatch
from tests.bench.table import Row, limit, milliseconds

_PYTHON = "/opt/failhook/bin/python"
# As the store names and writes them, without waiting for the disk a hundred thousand times.
_WRITER = """
import sys, time
from failhook import places
from failhook.incident import Incident, Stage, State, Verdict, Phase, incident_id
from failhook.store import codec
from failhook.store.incidents import Store
count, now = int(sys.argv[1]), time.time()
store = Store(places.find(user=False))
for number in range(count):
    unit = f"acme-{number % 500}.service"
    at = now - (count - number) * 60
    sentence = f"{unit} failed: exit status {number % 7 + 1}: cannot open /srv/data/{number % 5000}"
    incident = Incident(
        id=incident_id("b" * 32, unit, str(number)), host="bed", boot_id="b" * 32, unit=unit,
        first_seen=at, last_seen=at, invocation_id=f"{number:032x}", result="exit-code",
        exit_code="exited", exit_status=str(number % 7 + 1), phase=Phase.FAILED,
        state=State.CLOSED, stage=Stage.DONE, signature=f"{number % 5000:016x}",
        dying_words=("cannot open a file", "giving up"), verdict=Verdict(sentence),
    )
    directory = store.directory(incident)
    directory.mkdir(mode=0o700)
    (directory / "incident.json").write_bytes(codec.dump(incident))
"""
_LIST = ("/usr/local/bin/failhook", "list")


def long_history(machine: Machine, scale: Scale) -> Iterator[Row]:
    """The first look makes the index; those after it are what counts."""
    machine.systemctl("stop", "failhook.path", "failhook.socket", "failhook.service")
    number = f"{scale.incidents:,} incidents"
    say(f"writing {number}")
    machine.run([_PYTHON, "-I", "-c", _WRITER, str(scale.incidents)], timeout=1800)
    start = time.monotonic()
    machine.run(_LIST, timeout=1800)
    yield Row("f", f"the first list makes the index of {number}", _since(start))
    times = stopwatch(
        machine,
        {
            "list": (_LIST, {}),
            "one unit": ((*_LIST, "--unit", "acme-7"), {}),
            "a day": ((*_LIST, "--since", "1d"), {}),
        },
        rounds=max(1, scale.rounds // 20),
    )
    for name, took in times.items():
        wall = took["wall"]
        yield limit("f", f"{name}, {number}", milliseconds(wall), "< 200 ms", met=wall < 200)


def _since(start: float) -> str:
    return milliseconds((time.monotonic() - start) * 1000)
