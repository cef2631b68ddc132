# SPDX-License-Identifier: MIT
"""Makes the checks, one after the other, within the deadline of all: green or red.

One after the other, because scripts of greenboot's kind may count on their order, and because what
is waited for comes up meanwhile. All of them are made, also after a required one failed: the more
is known of a bad boot the better. A check that raises has failed itself; the others go on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from failhook import answer
from failhook.boot.check import scripts
from failhook.boot.check.probe import Found, Probe
from failhook.boot.check.report import Check, Report
from failhook.boot.check.scripts import Scripts
from failhook.config.model import BootChecks, Configuration, Problem
from failhook.places import Places
from failhook.systemd.boot import boot_id

logger = logging.getLogger(__name__)
BELOW = "boot"  # /etc/failhook/boot/required.d and the others
_MAX_OUTPUT = 16 << 10


@dataclass(frozen=True, slots=True)
class Machine:
    """What is checked: the one that runs. ``owners`` (uids) may have written the scripts."""

    root: Path = Path("/")
    owners: frozenset[int] = frozenset({0})


@dataclass(frozen=True, slots=True)
class Plan:
    """The checks that would be made, in their order, and what is odd about them."""

    probes: tuple[Probe, ...]
    notes: tuple[str, ...] = ()


def plan(places: Places, configuration: Configuration, machine: Machine | None = None) -> Plan:
    """What `run` would check. Looks at directories, runs nothing."""
    machine = machine or Machine()
    found = _scripts(places, machine)
    boot = configuration.boot
    probes = [*_of(boot.required, machine)]
    probes += [replace(one, required=False) for one in _of(boot.wanted, machine)]
    probes += found.probes()
    probes.sort(key=lambda one: not one.required)  # within the deadline, what counts comes first
    names = {one.name for one in probes}
    notes = [
        f"[boot] timeouts names {name!r}, and there is no such check"
        for name, _ in boot.timeouts
        if name not in names
    ]
    own = dict(boot.timeouts)
    timed = [replace(one, timeout_s=own.get(one.name, boot.timeout_s)) for one in probes]
    return Plan(tuple(timed), (*found.notes, *notes))


def run(
    places: Places,
    configuration: Configuration,
    machine: Machine | None = None,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Make all checks; never raises for what they find. ``progress`` is told each one's name.

    Must be called from a process with no children that it needs: what a script leaves behind is
    ended (`failhook.gather.offspring`). Changes nothing itself.
    """
    planned = plan(places, configuration, machine)
    began, at = time.monotonic(), time.time()
    until = began + configuration.boot.deadline_s
    checks = list(_of_configuration(configuration))
    for probe in planned.probes:
        progress(probe.name)
        checks.append(_made(probe, until, configuration.boot.deadline_s))
    took_ms = round(1000 * (time.monotonic() - began))
    return Report(at, boot_id(), tuple(checks), took_ms, planned.notes)


def follow(
    report: Report,
    places: Places,
    configuration: Configuration,
    machine: Machine | None = None,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run the scripts of green.d or red.d, as the report is; the report with how they went."""
    found = _scripts(places, machine or Machine())
    limits = dict(configuration.boot.timeouts)
    made = []
    for one in found.found(scripts.GREEN if report.green else scripts.RED):
        name = one.path.name
        progress(name)
        probe = Probe(name, "script", name, partial(scripts.run, one))
        made.append(_look(probe, limits.get(name, configuration.boot.timeout_s)))
    return replace(report, procedures=tuple(made), notes=(*report.notes, *found.notes))


def _scripts(places: Places, machine: Machine) -> Scripts:
    own = tuple(directory / BELOW for directory in places.configuration)
    return Scripts(own, machine.root, machine.owners)


def _of(checks: BootChecks, machine: Machine) -> Iterator[Probe]:
    """The checks of one table; what nobody asks for is not imported."""
    if checks.active or checks.not_failed:
        from failhook.boot.check import units

        yield from units.probes(checks)
    if checks.disk:
        from failhook.boot.check import disk

        yield from disk.probes(checks)
    network = checks.network
    if network.route or network.address or network.resolve:
        from failhook.boot.check import network as net

        yield from net.probes(checks, machine.root)
    if checks.http:
        from failhook.boot.check import http

        yield from http.probes(checks)


def _of_configuration(configuration: Configuration) -> Iterator[Check]:
    """A check that cannot be read is not made: said, as a wanted one. A slip of the pen in a new
    configuration must not roll a machine back; `failhook check` is strict about it."""
    for problem in configuration.problems:
        if _is_of_boot(problem):
            yield Check(
                "configuration", "configuration", False, False, answer.cleaned(str(problem))
            )


def _is_of_boot(problem: Problem) -> bool:
    """Of [boot], or of a file that could not be read at all."""
    is_of_ours = problem.file.name == "failhook.toml" or problem.file.parent.name == "conf.d"
    return is_of_ours and problem.key.partition(".")[0] in ("", "boot")


def _made(probe: Probe, until: float, deadline_s: float) -> Check:
    left_s = until - time.monotonic()
    if left_s <= 0:
        detail = f"{probe.name} was not looked at: all checks together took {deadline_s:g} s"
        return Check(probe.name, probe.kind, probe.required, False, answer.cleaned(detail))
    limit_s = probe.timeout_s if probe.timeout_s is not None else left_s
    return _look(probe, min(limit_s, left_s))


def _look(probe: Probe, limit_s: float) -> Check:
    began = time.monotonic()
    try:
        found = probe.look(limit_s)
    except Exception as error:  # one check must not cost the others
        logger.exception("the check %s failed itself", probe.name)
        found = Found(False, f"{probe.name} could not be checked: {type(error).__name__}: {error}")
    took_ms = round(1000 * (time.monotonic() - began))
    name = answer.cleaned(probe.name, 200)
    if found.ok:
        return Check(name, probe.kind, probe.required, True, answer.cleaned(found.detail), took_ms)
    detail = answer.cleaned(answer.masked(found.detail))
    output = _shown(found.output) if found.output else ""
    return Check(name, probe.kind, probe.required, False, detail, took_ms, output)


def _shown(output: str) -> str:
    """Lines without secrets, and without what steers a terminal or a log."""
    lines = answer.masked(output, most=_MAX_OUTPUT).splitlines()
    return "\n".join(answer.escaped(line) for line in lines).strip("\n")
