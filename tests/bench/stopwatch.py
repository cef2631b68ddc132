# SPDX-License-Identifier: MIT
"""Times commands in interleaved rounds. Stands alone: it is sent into a bed on standard input.

argv[1] is a JSON object: `rounds`; `commands`, a name for each argv and environment; `clear`, the
directories that are emptied after every command. Prints the medians of each, in milliseconds.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path

_WARM_UP = 3


def _once(argv: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU milliseconds of one process and all it waited for."""
    start = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, environment, file_actions=_SILENT)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"{argv} ended with {os.waitstatus_to_exitcode(status)}")
    return wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000


_SILENT = [
    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
]


def main() -> None:
    """Take the times and print them."""
    task = json.loads(sys.argv[1])
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in task["commands"]}
    for number in range(-_WARM_UP, task["rounds"]):
        for name, (argv, more) in task["commands"].items():
            once = _once(argv, {**os.environ, **more})
            if number >= 0:
                taken[name].append(once)
            for directory in task["clear"]:
                for path in Path(directory).iterdir():
                    path.unlink()
    medians = {
        name: {
            "wall": statistics.median(wall for wall, _ in times),
            "cpu": statistics.median(cpu for _, cpu in times),
        }
        for name, times in taken.items()
    }
    print(json.dumps(medians))


main()
