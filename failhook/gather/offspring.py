# SPDX-License-Identifier: MIT
"""Ending a process together with everything that it started.

A process group ends with one signal, but a program that calls setsid(2) leaves it. A collector's
process is therefore a subreaper (prctl(2)): whatever its descendants leave behind becomes its own
child, and can be found as long as it lives itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37
_ROUNDS = 5
_DYING_S = 5.0
_STRAYS_S = 5.0  # on a busy machine thirty that fork on take more than two
# Left behind in D state; looked at again later, so that they do not stay zombies.
_left_behind: set[int] = set()


def keep_in_reach(*, on: bool = True) -> None:
    """Make the calling process the parent of all that its descendants leave behind, or not."""
    prctl = _prctl()
    if prctl is not None:
        prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)


def keeps_in_reach() -> bool:
    """Whether `keep_in_reach` holds for the calling process."""
    prctl = _prctl()
    if prctl is None:
        return False
    import ctypes

    answer = ctypes.c_int(0)
    prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(answer), 0, 0, 0)
    return answer.value != 0


def die_with(parent: int) -> None:
    """End the calling process, a child of ``parent``, when that ends; now, if it has already."""
    prctl = _prctl()
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def close_all_but(*kept: int) -> None:
    """Close what was inherited; closerange() may have no limit to go by in a sandbox."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))


def prepare() -> None:
    """Do before a fork what the functions above would otherwise do after every one of them."""
    _prctl()


@cache
def _prctl() -> Callable[..., int] | None:
    try:
        import ctypes  # here: 2 ms that only this stage needs, and not to be had in every sandbox

        function: Callable[..., int] = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError, MemoryError):
        return None
    return function


def have_any() -> bool:
    """Whether the calling process has a child that still runs; reaps those that do not."""
    try:
        while True:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return True
    except ChildProcessError:
        return False


def kill_descendants(pid: int) -> None:
    """SIGKILL everything below ``pid``, which must still be there, and spare ``pid`` itself."""
    for number in range(_ROUNDS):  # again: one of them may have forked while we looked
        below = descendants(pid)
        if not below:
            return
        for each in below:
            _kill(each)
        time.sleep(0.001 * 2**number)  # on a busy machine a killed process still stands there


def own_children() -> set[int]:
    """The children of the calling process, zombies as well."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    try:
        tasks = os.listdir("/proc/self/task")
        texts = [Path(f"/proc/self/task/{task}/children").read_bytes() for task in tasks]
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        return {pid for pid, _ in _by_parent().get(os.getpid(), ())}
    return {int(pid) for text in texts for pid in text.split()}


def _by_parent() -> dict[int, list[tuple[int, str]]]:
    children: dict[int, list[tuple[int, str]]] = {}
    with os.scandir("/proc") as entries:
        pids = [int(entry.name) for entry in entries if entry.name.isdigit()]
    for each in pids:
        parent, state = _parent_and_state(each)
        children.setdefault(parent, []).append((each, state))
    return children


def descendants(pid: int) -> list[int]:
    """Everything below ``pid`` that is not a zombie, from one look at /proc."""
    children = _by_parent()
    found: list[int] = []
    todo = [pid]
    while todo:
        for child, state in children.pop(todo.pop(), ()):
            todo.append(child)
            if state != "Z":
                found.append(child)
    return found


def kill(pid: int) -> None:
    """SIGKILL the process group of our child ``pid``."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    _kill(pid)  # where the group could not be made


def end(pid: int, pidfd: int | None, wait_s: float) -> int | None:
    """SIGKILL the process group of our child ``pid`` and reap it; its wait status.

    None where it is still in D state after ``wait_s``: it is left behind. On a busy machine the
    end of a killed process can take longer than that, and is waited for.
    """
    kill(pid)
    if pidfd is not None:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(wait_s * 1000)
    started = time.monotonic()
    patient_until = started + (wait_s if pidfd is None else 0.0)
    while True:
        try:
            reaped, status = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # somebody else reaped it
            return 0
        if reaped:
            return status
        now = time.monotonic()
        if now >= patient_until and (_parent_and_state(pid)[1] == "D" or now > started + _DYING_S):
            _left_behind.add(pid)
            return None
        time.sleep(0.002)


def reap_left_behind() -> None:
    """Reap those that `end` left behind and that have ended since."""
    for pid in list(_left_behind):
        if _reaped(pid):
            _left_behind.discard(pid)


@contextlib.contextmanager
def adopting() -> Iterator[set[int]]:
    """While this lasts orphans of our descendants come to us; gives the children there are now."""
    before = keeps_in_reach()
    known = own_children()
    keep_in_reach()
    try:
        yield known
    finally:
        keep_in_reach(on=before)


def end_strays(known: set[int], wait_s: float) -> list[int]:
    """End what came to us since ``known`` were our children; those that could not be ended.

    Children of one that is ended come to us as well and are seen in the next round.
    """
    until = time.monotonic() + _STRAYS_S
    ours = os.getpgrp()
    spared = {ours, *(_group_of(pid) for pid in known)}
    while strays := sorted(own_children() - known):
        for pid in strays:
            group = _group_of(pid)
            if group is not None and group not in spared:
                # One signal for all of them: nobody in the group can fork past it.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, signal.SIGKILL)
            pidfd = pidfd_of(pid)
            if end(pid, pidfd, wait_s) is None:
                known = known | {pid}
            if pidfd is not None:
                os.close(pidfd)
        if time.monotonic() > until:
            return [pid for pid in sorted(own_children() - known) if not _reaped(pid)]
    return []


def _reaped(pid: int) -> bool:
    """Whether it has ended; one that has not is looked at again later."""
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG)[0] == 0:
            _left_behind.add(pid)
            return False
    return True


def _group_of(pid: int) -> int | None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        return os.getpgid(pid)
    return None


def pidfd_of(pid: int) -> int | None:
    """A descriptor that becomes readable when ``pid`` ends; None where the kernel has none."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _parent_and_state(pid: int) -> tuple[int, str]:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0, "Z"
    fields = stat[stat.rfind(b")") + 2 :].split(None, 2)
    return int(fields[1]), fields[0].decode()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
