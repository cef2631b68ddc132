# SPDX-License-Identifier: MIT
"""Check scripts, in the convention of greenboot, whose existing scripts run unchanged.

``boot/required.d``, ``wanted.d``, ``green.d`` and ``red.d`` beside the configuration, a file of the
administrator's in place of a vendor's of the same name and a link to /dev/null to take it away;
then greenboot's own directories, each by itself, as greenboot reads them: ``*.sh`` is given to
bash, executable or not, and what ``DISABLED_HEALTHCHECKS`` names is left out.

A script that hangs, leaves its session, ignores SIGTERM or prints without end changes nothing but
its own outcome: its process group and whatever it leaves behind is killed, and of its output only
the end is kept. A required one that others than root may write is not run, and has failed.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from failhook import files, proc, trust
from failhook.boot.check.probe import Found, Probe
from failhook.gather import offspring

REQUIRED, WANTED, GREEN, RED = "required.d", "wanted.d", "green.d", "red.d"
KINDS = (REQUIRED, WANTED, GREEN, RED)
GREENBOOT = ("usr/lib/greenboot", "etc/greenboot")
_CHECKS_BELOW = "check"  # greenboot has required.d and wanted.d below it, green.d and red.d not
_CONFIGURATION = "etc/greenboot/greenboot.conf"
_DISABLED = re.compile(r"^\s*DISABLED_HEALTHCHECKS=\(([^()]*)\)", re.MULTILINE)
# What an editor or a package manager left beside a script, and what explains the directory.
_PASSED_OVER = re.compile(r"\..*|.*~|.*\.(?:dpkg-.*|rpm(?:new|save|orig)|bak|swp)|README.*|.*\.md")
_MAX_OUTPUT = 16 << 10
_LINES = 40
_MAX_CONFIGURATION = 64 << 10
_LINGER_S = 0.3  # what it leaves running may hold its output
_KILL_WAIT_S = 0.2


@dataclass(frozen=True, slots=True)
class Script:
    """One file to run. ``problem`` says why it is not run."""

    path: Path
    argv: tuple[str, ...]
    problem: str | None = None


@dataclass(slots=True)
class Scripts:
    """Where scripts are looked for. ``owners`` (uids) may have written them."""

    own: tuple[Path, ...]  # directories with required.d and the others, vendor first
    root: Path = Path("/")
    owners: frozenset[int] = frozenset({0})
    notes: list[str] = field(default_factory=list)

    def probes(self) -> Iterator[Probe]:
        """A check for each script of required.d, then of wanted.d."""
        disabled = self._disabled()
        for kind in (REQUIRED, WANTED):
            for one in self.found(kind, disabled):
                what = " ".join(one.argv)
                look = partial(run, one)
                yield Probe(one.path.name, "script", what, look, required=kind == REQUIRED)

    def found(self, kind: str, disabled: frozenset[str] = frozenset()) -> list[Script]:
        """The scripts of one kind in the order in which they run."""
        own: dict[str, Script] = {}
        for directory in self.own:
            own |= {one.path.name: one for one in self._in(directory / kind, greenboot=False)}
        found = [one for _, one in sorted(own.items())]
        for place in GREENBOOT:
            below = f"{_CHECKS_BELOW}/{kind}" if kind in (REQUIRED, WANTED) else kind
            theirs = self._in(self.root / place / below, greenboot=True)
            found += [one for one in theirs if one.path.name not in disabled]
        return [one for one in found if not _is_taken_away(one.path)]

    def _in(self, directory: Path, *, greenboot: bool) -> Iterator[Script]:
        try:
            names = sorted(os.listdir(directory))
        except OSError:
            return
        for name in names:
            path = directory / name
            if _PASSED_OVER.fullmatch(name) or path.is_dir():
                continue
            argv: tuple[str, ...] = (str(path),)
            if greenboot and name.endswith(".sh"):
                argv = ("bash", str(path))
            elif not _is_taken_away(path) and not os.access(path, os.X_OK):
                self.notes.append(f"{path} is not executable and was not run: chmod +x {path}")
                continue
            yield Script(path, argv, self._refusal(path))

    def _refusal(self, path: Path) -> str | None:
        return None if _is_taken_away(path) else trust.refusal_by(path, set(self.owners))

    def _disabled(self) -> frozenset[str]:
        """The names of greenboot's DISABLED_HEALTHCHECKS: an array of bash in its configuration."""
        path = self.root / _CONFIGURATION
        try:
            text = files.read_bounded(path, _MAX_CONFIGURATION).decode("utf-8", "replace")
        except OSError:
            return frozenset()
        refused = trust.refusal_by(path, set(self.owners))
        if refused is not None:
            self.notes.append(f"{refused}; what it disables was run")
            return frozenset()
        found = _DISABLED.findall(text)
        try:
            return frozenset(shlex.split(found[-1], comments=True)) if found else frozenset()
        except ValueError:
            self.notes.append(f"{path}: DISABLED_HEALTHCHECKS cannot be read; all were run")
            return frozenset()


def _is_taken_away(path: Path) -> bool:
    """A link to /dev/null: as a masked unit."""
    return path.is_symlink() and os.path.realpath(path) == os.devnull


def run(script: Script, limit_s: float) -> Found:
    """Run it to its end or to its limit (seconds), and end all that it started. Raises nothing."""
    if script.problem is not None:
        return Found(False, f"{script.path.name} was not run: {script.problem}")
    offspring.reap_left_behind()
    with offspring.adopting() as known:
        try:
            done = proc.run(
                script.argv,
                timeout_s=limit_s,
                max_bytes=_MAX_OUTPUT,
                keep="tail",
                linger_s=_LINGER_S,
            )
        finally:  # also where a person interrupts it
            offspring.end_strays(known, _KILL_WAIT_S)
    output = _end_of(done.stdout, done.stderr)
    name = script.path.name
    if done.ok:
        return Found(True, f"{name} ended with status 0", output)
    if done.timed_out:
        return Found(False, f"{name} did not finish within {limit_s:g} s", output)
    if done.returncode is None:
        return Found(False, f"{name} could not be started: {_reason(done)}")
    words = _said(output)
    if done.returncode < 0:
        return Found(False, f"{name} was killed by {_signal(-done.returncode)}{words}", output)
    return Found(False, f"{name} ended with status {done.returncode}{words}", output)


def _reason(done: proc.Completed) -> str:
    return done.stderr.decode("utf-8", "replace").strip()[:200] or "for an unknown reason"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _said(output: str) -> str:
    """Its last line, which tells most often why."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f": {lines[-1][:200]}" if lines else ""


def _end_of(*streams: bytes) -> str:
    """The last lines of both, without what steers a terminal; whole lines where it was cut."""
    lines: list[str] = []
    for data in streams:
        end = data[data.find(b"\n") + 1 :] if len(data) >= _MAX_OUTPUT else data
        lines += end.decode("utf-8", "replace").splitlines()[-_LINES:]
    return "\n".join(lines)
