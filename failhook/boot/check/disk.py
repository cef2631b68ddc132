# SPDX-License-Identifier: MIT
"""Is enough free? Asked of stat(1) in a process of its own: a dead mount must not hang us."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from failhook import proc
from failhook.boot.check.probe import Found, Probe
from failhook.config.model import Amount, BootChecks, DiskCheck

# Block size; blocks: all, free, free for who is not root; inodes: all, free (stat(1)).
_FORMAT = "%S %b %f %a %c %d"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def probes(checks: BootChecks) -> Iterator[Probe]:
    """The checks of one table."""
    for one in checks.disk:
        wanted = [f"{_shown(one.free)} free"] if one.free else []
        wanted += [f"{one.inodes} of the inodes free"] if one.inodes else []
        yield Probe(one.path, "disk", f"{one.path} has {' and '.join(wanted)}", partial(_look, one))


def _look(check: DiskCheck, limit_s: float) -> Found:
    argv = ["stat", "--file-system", "--format", _FORMAT, "--", check.path]
    done = proc.run(argv, timeout_s=limit_s, max_bytes=4096)
    if done.timed_out:
        return Found(False, f"{check.path}: its file system did not answer within {limit_s:g} s")
    fields = done.text.split()
    if not done.ok or len(fields) != 6 or not all(one.isdecimal() for one in fields):
        return Found(False, f"{check.path} cannot be looked at: {done.why()}")
    size, blocks, free, usable, inodes, free_inodes = map(int, fields)
    of_users = blocks - free + usable  # as df(1) counts: what root keeps for itself is nobody's
    problem = _lacks(check.free, usable * size, of_users * size)
    if problem is not None:
        return Found(False, f"{check.path} has {problem} free, less than {_shown(check.free)}")
    if inodes and _lacks(check.inodes, free_inodes, inodes) is not None:
        share = f"{free_inodes} inodes ({_percent(free_inodes, inodes):.1f}%)"
        return Found(False, f"{check.path} has {share} free, less than {check.inodes}")
    return Found(True, f"{check.path} has {_bytes(usable * size)} free")


def _lacks(wanted: Amount | None, free: int, of: int) -> str | None:
    """How much is free, where that is too little."""
    if wanted is None:
        return None
    percent = _percent(free, of)
    if wanted.percent is not None:
        return f"{percent:.1f}% ({_bytes(free)})" if percent < wanted.percent else None
    return _bytes(free) if wanted.count is not None and free < wanted.count else None


def _percent(part: int, whole: int) -> float:
    return 100.0 * part / whole if whole else 100.0


def _shown(wanted: Amount | None) -> str:
    if wanted is None:
        return ""
    return str(wanted) if wanted.count is None else _bytes(wanted.count)


def _bytes(count: float) -> str:
    for unit in _UNITS:
        if count < 1024 or unit == _UNITS[-1]:
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" or count >= 10 else f"{count:.1f} {unit}"
