# SPDX-License-Identifier: MIT
"""Units that have to be active, and units that must not have failed.

The second is what systemd-boot-check-no-failures(8) does, with a list instead of all units. One
that is still starting is waited for; one that systemd gave up, or that nobody starts, is not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import partial

from failhook import proc
from failhook.boot.check.probe import Found, Probe, until_final
from failhook.config.model import BootChecks
from failhook.hook import BOOT_CHECK
from failhook.systemd import unit
from failhook.systemd.exit_status import status_text
from failhook.systemd.unit import UnitState

_PROPERTIES = (
    "ActiveState", "SubState", "LoadState", "Result", "ExecMainCode", "ExecMainStatus", "Job",
    "NRestarts", "ActiveEnterTimestampMonotonic",
)  # fmt: skip
_STARTING = ("activating", "reloading", "refreshing")
_GONE = {"not-found": "does not exist", "masked": "is masked", "bad-setting": "has a bad unit file"}
_CODES = {"1": "exited", "2": "killed", "3": "dumped"}  # CLD_* of waitid(2)
_ASK_S = 5.0
_STAYS_S = 5.0
_NAMED = 3
# They fail when an ordinary user wants them to, and what he can do is no reason for a red boot.
_OF_USERS = ("user@*.service", "session-*.scope")


def probes(checks: BootChecks) -> Iterator[Probe]:
    """The checks of one table."""
    for name in checks.active:
        look = partial(until_final, partial(_active, name))
        yield Probe(name, "active", f"{name} is active", look)
    if checks.not_failed:
        globs = ", ".join(checks.not_failed)
        but = f" but {', '.join(checks.may_fail)}" if checks.may_fail else ""
        look = partial(until_final, partial(_none_failed, checks))
        yield Probe("not_failed", "not-failed", f"none of {globs}{but} has failed", look)


def _active(name: str, left_s: float) -> Found:
    states = unit.show_many([name], _PROPERTIES, timeout_s=min(_ASK_S, left_s))
    state = states.get(name)
    active = state.get("ActiveState") if state is not None else None
    if state is None or active is None:
        return Found(False, f"{name}: systemd does not answer", final=False)
    if active in ("active", "reloading", "refreshing"):
        return _settled(name, state)
    gone = _GONE.get(state.get("LoadState") or "")
    if gone is not None:
        return Found(False, f"{name} {gone}")
    if active == "failed":
        return Found(False, f"{name} is failed{_how(state)}", final=not state.number("Job"))
    waiting = active == "activating" or bool(state.number("Job"))
    how = f"still starting ({state.get('SubState')})" if waiting else active
    return Found(False, f"{name} is {how}", final=not waiting)


def _settled(name: str, state: UnitState) -> Found:
    """It runs. If systemd had to start it again in this boot, it has to stay up for a while: a
    service that crashes at once is "active" in between."""
    again = state.number("NRestarts") or 0
    since_us = state.number("ActiveEnterTimestampMonotonic") or 0
    if not again or time.monotonic() - since_us / 1e6 >= _STAYS_S:
        return Found(True, f"{name} is active")
    times = "once" if again == 1 else f"{again} times"
    detail = f"{name} was restarted {times} and has not stayed up for {_STAYS_S:g} s"
    return Found(False, detail, final=False)


def _how(state: UnitState) -> str:
    """ " (exit status 1)", " (killed by KILL)", " (timeout)"; "" where systemd does not tell."""
    result = state.get("Result")
    code = _CODES.get(state.get("ExecMainCode") or "")
    status = state.number("ExecMainStatus")
    if result == "exit-code" and code == "exited" and status:
        return f" (exit status {status})"
    if result in ("signal", "core-dump") and code in ("killed", "dumped") and status:
        dumped = ", core dumped" if code == "dumped" else ""
        return f" (killed by {status_text(code, status)}{dumped})"
    return f" ({result})" if result not in (None, "success") else ""


def _none_failed(checks: BootChecks, left_s: float) -> Found:
    done = proc.run(
        [
            "systemctl", "list-units", "--all", "--full", "--plain", "--no-legend", "--no-pager",
            "--state=failed,activating",
        ],
        timeout_s=min(_ASK_S, left_s),
    )  # fmt: skip
    if not done.ok:
        return Found(False, f"systemd does not say what failed: {done.why()}", final=False)
    rows = [line.split(None, 4) for line in done.text.splitlines()]
    meant = [row for row in rows if len(row) > 3 and _is_meant(row[0], checks)]
    failed = [row[0] for row in meant if row[2] == "failed"]
    if failed:
        return Found(False, _some_failed(failed, left_s))
    starting = [row[0] for row in meant]
    if starting:
        # Not failed by the end of the time: nothing is wrong with a unit that takes longer.
        return Found(True, f"none has failed; still starting: {_list(starting)}", final=False)
    return Found(True, "none has failed")


def _is_meant(name: str, checks: BootChecks) -> bool:
    if name == BOOT_CHECK:
        return False  # it runs, or failed the last time it did
    if any(fnmatchcase(name, one) for one in _OF_USERS):
        return False
    meant = any(fnmatchcase(name, one) for one in checks.not_failed)
    return meant and not any(fnmatchcase(name, one) for one in checks.may_fail)


def _some_failed(names: list[str], left_s: float) -> str:
    """The first in words, the others by name."""
    first = names[0]
    states = unit.show_many([first], _PROPERTIES, timeout_s=min(_ASK_S, left_s))
    state = states.get(first)
    how = _how(state) if state is not None else ""
    more = f" (and {_list(names[1:])})" if names[1:] else ""
    return f"{first} is failed{how}{more}"


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
