# SPDX-License-Identifier: MIT
"""An actor as systemd would have it, with an action that leaves a mark for everything it does."""

import contextlib
import logging
import os
import signal
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from failhook import proc
from failhook.act.engine import Actor
from failhook.action import Action, Outcome, Request, done, failed, option
from failhook.actions import table
from failhook.config import load
from failhook.values import DURATION, FLAG, NUMBER, PATH
from tests.integration.machine import Machine, Running


@dataclass(frozen=True)
class Options:
    """What a mark takes."""

    log: str = option(PATH, "where the marks go")
    takes: float = option(DURATION, "how long it takes", default=0.02)
    fails: int = option(NUMBER, "how many tries fail first", default=0)
    helps: bool = option(FLAG, "whether the unit is well then", default=False)
    useless: bool = option(FLAG, "whether it is said that it did not help", default=False)


def _mark(request: Request[Options]) -> Outcome:
    options = request.options
    _write(options.log, f"begin {request.id} {request.attempt}\n")
    time.sleep(options.takes)
    _write(options.log, f"end {request.id} {request.attempt}\n")
    if request.attempt <= options.fails:
        return failed(f"not at try {request.attempt}", retry_after_s=1.0)
    if options.useless:
        return Outcome(False, "of no use", helped=False, final=True)
    return done("marked", helped=options.helps or None)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, text.encode())
    os.close(fd)


MARK = Action("mark", "leaves a mark", Options, _mark, timeout_s=10.0, retries=1)
AGAIN = Action("again", "a mark that may be made twice", Options, _mark, repeatable=True)


def find(name: str) -> Action[Any] | None:
    """The types that there are in these tests."""
    return {"mark": MARK, "again": AGAIN}.get(name) or (
        table.load(name) if name in table.BUILT_IN else None
    )


def start_actor(machine: Machine, idle_s: float = 0.15, clock: float | None = None) -> Running:
    """An actor in a session of its own; ``clock`` is what its wall clock says at first."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.setsid()
            log = os.open(machine.log, os.O_WRONLY | os.O_APPEND)
            for fd in (1, 2):
                os.dup2(log, fd)
            logging.basicConfig(stream=os.fdopen(2, "w", closefd=False), level=20, force=True)
            proc.SEARCH_PATH = machine.programs.path(proc.SEARCH_PATH)
            if clock is not None:
                ahead, real = clock - time.time(), time.time
                time.time = lambda: real() + ahead
            Actor(machine.where, load.load(machine.where), find, idle_s=idle_s).run()
            code = 0
        except BaseException:  # noqa: BLE001 - a fork must not go on as the test
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)
    machine.started.append(Running(pid))
    return machine.started[-1]


def act(machine: Machine, clock: float | None = None) -> None:
    """An actor that is left alone until nothing is due."""
    running = start_actor(machine, clock=clock)
    try:
        code = running.wait(60.0)
    finally:
        running.kill_all()
    assert code == 0, machine.log.read_text()[-4000:]


def marks(path: Path) -> dict[str, list[str]]:
    """What was begun and ended, by the id of the step."""
    found: dict[str, list[str]] = {}
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_text().splitlines():
            word, key, _ = line.split()
            found.setdefault(key, []).append(word)
    return found


def kill(running: Running) -> None:
    """As systemd does it: everything at once."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.kill_all()
