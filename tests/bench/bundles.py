# SPDX-License-Identifier: MIT
"""(c) From the failure to the finished bundle, and (d) the same with a large journal."""

import contextlib
import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from tests.bed import BedError, Machine
from tests.bench import journals
from tests.bench.beds import (
    STATE,
    Scale,
    bundle_path,
    failed_at,
    inside,
    published_at,
    quiet,
    quoted,
    say,
    wait_for,
)
from tests.bench.table import Row, limit, milliseconds, ratio

_SCRIPT = "/usr/local/bin/bench-collect"
_OURS = "bench@{}.service"
_SHELL = "bench-shell@{}.service"
_DIES = """\
[Service]
Type=exec
ExecStart=/bin/sh -c 'seq 20; echo "cannot open /srv/data: no such file" >&2; exit 3'
"""
_UNITS = {
    "bench@.service": f"{_DIES}ExecStopPost=-failhook %n\n",
    "bench-shell@.service": f"{_DIES}ExecStopPost=-{_SCRIPT} %n\n",
}
_SOS = "sos report --batch --quiet --tmp-dir /var/tmp"
_SOS += " -o systemd,logs,process,memory,filesys,networking"
# Before the real ones in the search path of failhook.proc: notes a call, then makes it.
_NOTE = """\
#!/bin/sh
grep -q failhook.service /proc/self/cgroup && printf '%s\\0' "${0##*/}" "$@" >/run/failhook/calls/$$
exec /usr/bin/"${0##*/}" "$@"
"""
_NOTED = ("systemctl", "journalctl", "coredumpctl")


def against_others(machine: Machine, scale: Scale) -> Iterator[Row]:
    """(c) Runner cold and warm, a shell script that makes the same calls, and sos."""
    machine.units(_UNITS)
    calls = _calls_of_one_bundle(machine)
    say(f"the shell script makes {len(calls)} calls, as failhook did")
    machine.write(_SCRIPT, _script(calls), mode=0o755)
    cold, warm, shell = [], [], []
    for number in range(scale.bundles):
        _end_the_runner(machine)
        cold.append(_time_ours(machine, f"c{number}"))
        warm.append(_time_ours(machine, f"w{number}"))
        shell.append(_time_shell(machine, f"s{number}"))
    script = ("shell script", statistics.median(shell))
    yield ratio("c", "bundle, runner warm", statistics.median(warm), script, 1.2)
    yield ratio("c", "bundle, runner cold", statistics.median(cold), script, 2.5)
    if scale.sos:
        sos = ("sos report", statistics.median(_time_sos(machine) for _ in range(scale.sos)))
        yield ratio("c", "bundle, runner warm", statistics.median(warm), sos, 1 / 20)
        yield ratio("c", "bundle, runner cold", statistics.median(cold), sos, 1 / 20)
    size = wait_for(lambda: bundle_path(machine, _OURS.format("w0")), "w0").stat().st_size
    yield limit("c", "bundle, size", f"{size / 1024:.0f} KiB", "< 1 MiB", met=size < 1 << 20)


def _end_the_runner(machine: Machine) -> None:
    """As if it had left by itself: one that is stopped leaves a mark, for which failhook.path
    starts the next one at once, and that would be half warm when the unit fails."""
    machine.systemctl("stop", "failhook.path", "failhook.service")
    inside(machine, f"{STATE}/unfinished").unlink(missing_ok=True)
    machine.systemctl(
        "reset-failed", "failhook.path", check=False
    )  # nobody else starts it so often
    machine.systemctl("start", "failhook.path")
    state = machine.show("failhook.service", "ActiveState")["ActiveState"]
    if state != "inactive":
        raise BedError(f"failhook.service is {state} where it should have left")


def _time_ours(machine: Machine, instance: str) -> float:
    unit = _OURS.format(instance)
    machine.systemctl("start", unit, check=False)
    path = wait_for(lambda: bundle_path(machine, unit), unit)
    took = (published_at(path) - failed_at(machine, unit)) * 1000
    _pause()
    return took


def _time_shell(machine: Machine, instance: str) -> float:
    unit = _SHELL.format(instance)
    machine.systemctl("start", unit, check=False)
    path = inside(machine, f"/var/tmp/{unit}.tar.gz")
    wait_for(lambda: path if path.exists() else None, unit)
    took = (published_at(path) - failed_at(machine, unit)) * 1000
    _pause()
    return took


def _time_sos(machine: Machine) -> float:
    start = time.monotonic()
    machine.shell(_SOS, timeout=300)
    return (time.monotonic() - start) * 1000


def _pause() -> None:
    """What still runs after the bundle (journald, the runner's own line) is not the next one's."""
    time.sleep(0.5)


# -- the shell script ---------------------------------------------------------------------------


def _calls_of_one_bundle(machine: Machine) -> list[list[str]]:
    """Every systemctl and journalctl call that failhook makes for the first incident of a boot; two
    of them it does not make again (`failhook.collect.known`), as a script would have to."""
    quiet(machine)
    machine.systemctl("stop", "failhook.service")
    machine.run(["mkdir", "-p", "/run/failhook/calls"])
    for name in _NOTED:
        if machine.exists(f"/usr/bin/{name}"):
            machine.write(f"/usr/local/sbin/{name}", _NOTE, mode=0o755)
    unit = _OURS.format("noted")
    machine.systemctl("start", unit, check=False)
    wait_for(lambda: bundle_path(machine, unit), unit)
    invocation = machine.show(unit, "InvocationID")["InvocationID"]
    found = sorted(inside(machine, "/run/failhook/calls").iterdir(), key=_mtime)
    calls = [path.read_text().split("\0")[:-1] for path in found]
    machine.shell(f"rm -r /run/failhook/calls; cd /usr/local/sbin; rm -f {quoted(_NOTED)}")
    return [
        [word.replace(invocation, "$INVOCATION_ID").replace(unit, "$1") for word in call]
        for call in calls
    ]


def _mtime(path: Path) -> int:
    return path.stat().st_mtime_ns


def _script(calls: list[list[str]]) -> str:
    """The same calls one after the other, and a tar of what they print."""
    lines = ["#!/bin/sh", "d=$(mktemp -d) && cd $d || exit"]
    for number, call in enumerate(calls):
        words = " ".join(_shell_word(word) for word in call)
        lines.append(f"{words} >{number}.txt 2>&1")
    lines += ["tar czf /var/tmp/.$1.new .", "mv /var/tmp/.$1.new /var/tmp/$1.tar.gz", "rm -r $d"]
    return "\n".join(lines) + "\n"


def _shell_word(word: str) -> str:
    """Quoted, but with the two variables of the script open."""
    return '"' + re.sub(r'(["`\\]|\$(?!1|INVOCATION_ID))', r"\\\1", word) + '"'


# -- large journals -----------------------------------------------------------------------------


def with_large_journal(small: Machine, large: Machine, scale: Scale) -> Iterator[Row]:
    """(d) Two beds that differ in their journals alone; cold and warm runner in both."""
    counts = (scale.small_journal, scale.journal)
    for machine, count in zip((small, large), counts, strict=True):
        machine.units(_UNITS)
        start = time.monotonic()
        journals.fill(machine, count)
        say(f"{count} journal entries after {time.monotonic() - start:.0f} s")
    taken: dict[tuple[str, str], list[float]] = {}
    for number in range(scale.bundles):
        for size, machine in (("small", small), ("large", large)):
            _end_the_runner(machine)
            for runner in ("cold", "warm"):
                took = _time_ours(machine, f"{runner}{number}")
                taken.setdefault((size, runner), []).append(took)
    for runner in ("warm", "cold"):
        few = statistics.median(taken["small", runner])
        many = statistics.median(taken["large", runner])
        against = (f"{counts[0]:,} entries", few)
        yield ratio("d", f"bundle, {counts[1]:,} entries, {runner}", many, against, 1.5)
    with contextlib.suppress(ValueError):
        slowest = max(taken["large", "warm"])
        yield Row("d", "the slowest of them, warm", milliseconds(slowest))
