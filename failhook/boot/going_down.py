# SPDX-License-Identifier: MIT
"""Taking the machine down for a failure, after the evidence: every value of FailureAction=.

In this order: what speaks against it (`failhook.boot.guards`), the journal synced, the history on
the disk, the messages out or safe in the outbox, the record for the next boot, a word to those who
are logged in; then systemd is asked. A kill or a power cut in between costs nothing: the record
says how far it came.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass, replace
from typing import Any

from failhook import places as layout
from failhook import proc
from failhook.ascii import printable
from failhook.boot import endings, guards, running
from failhook.boot.endings import Ending
from failhook.boot.guards import Guards
from failhook.places import Places
from failhook.plugin import Incident, Outcome, Request, done, failed
from failhook.queue import Queue
from failhook.systemd import journal
from failhook.systemd.boot import boot_id, up_s

logger = logging.getLogger(__name__)
_VERBS = ("reboot", "poweroff", "halt", "kexec", "soft-reboot", "exit")
_SINCE_254 = ("halt", "kexec", "soft-reboot")
_NEVER = ("exit-immediate", "soft-reboot-immediate", "kexec-immediate")
# All values of FailureAction= (systemd.unit(5), 258).
VALUES = (
    "none",
    *(
        value
        for verb in _VERBS
        for value in (verb, f"{verb}-force", f"{verb}-immediate")
        if value not in _NEVER
    ),
)
_SYNC_S = 10.0
_MESSAGES_S = 20.0
_MAX_REASON = 400


class NotHere(ValueError):
    """The running systemd has no such value of FailureAction=."""


@dataclass(frozen=True, slots=True)
class How:
    """One value of FailureAction=, taken apart."""

    verb: str  # of systemctl(1)
    force: int = 0  # 1: without stopping units; 2: at once, not even file systems are unmounted

    @property
    def spelled(self) -> str:
        """As FailureAction= has it."""
        return f"{self.verb}{('', '-force', '-immediate')[self.force]}"


def parse(text: str) -> How | None:
    """A value of FailureAction= (systemd.unit(5)); None for none of them, or for "none"."""
    if text not in VALUES or text == "none":
        return None
    for force, end in ((2, "-immediate"), (1, "-force")):
        if text.endswith(end):
            return How(text.removesuffix(end), force)
    return How(text)


def supported(how: How, version: int | None) -> bool:
    """Does systemd of that version know it (emergency-action.c)? Unknown versions may."""
    return version is None or version >= 254 or how.verb not in _SINCE_254


def go_down(
    request: Request[Any],
    how: str,
    reason: str,
    *,
    expects: str | None = None,
    entry: str | None = None,
    careful: Guards | None = None,
) -> Outcome:
    """Take the machine down for the incident of ``request``: ``how`` is a value of FailureAction=.

    ``entry`` is the boot entry that runs, ``expects`` the one that should come up next, where
    that is known. A refusal is an outcome with its reason; what may pass puts the step off.
    """
    wanted = how_of(how)
    if isinstance(wanted, Outcome):
        return wanted
    no = guards.objection(request, careful)
    if no is not None:
        return no
    if request.dry_run:
        return done(f"would ask systemd for {how}: {reason}")
    ending = replace(_ending(request, how, reason), entry=entry, expects=expects)
    return _carry_out(request, wanted, ending)


def how_of(how: str) -> How | Outcome:
    """What is asked for, or why there is nothing to do."""
    if how == "none":
        return done("nothing is done: the value is none")
    wanted = parse(how)
    if wanted is None:
        return failed(f"{how!r} is no value of FailureAction=", final=True)
    if not supported(wanted, version()):
        return failed(f"{how} needs systemd 254; this is {version()}", final=True)
    return wanted


def _carry_out(request: Request[Any], wanted: How, ending: Ending) -> Outcome:
    where = layout.find(user=False)
    left = make_safe(where, request.incident)
    try:
        running.remember(where)
        endings.remember(where, ending)
    except OSError as error:
        return failed(f"not without a record of it: {error}")
    tell_users(ending)
    asked = ask(wanted, ending)
    if not asked.ok:
        endings.remember(where, replace(ending, failed=True))
        return failed(f"systemd refused {ending.how}: {asked.why()}")
    more = f"; {left} messages wait in the outbox" if left else ""
    return done(f"asked systemd for {ending.how}{more}", how=ending.how)


def _ending(request: Request[Any], how: str, reason: str) -> Ending:
    return Ending(
        at=time.time(),
        boot_id=boot_id(),
        up_s=up_s(),
        how=how,
        reason=reason[:_MAX_REASON],
        step=request.id,
        unit=request.incident.unit,
        incident=request.incident.id,
        kernel=os.uname().release,
    )


def version() -> int | None:
    """Which systemd runs: 252; None where it does not say."""
    said = proc.run(["systemctl", "show", "--property=Version", "--value"], timeout_s=3.0).text
    number = said.split(" ")[0].split(".")[0].split("~")[0].strip()
    return int(number) if number.isdecimal() and len(number) < 5 else None


# -- before ---------------------------------------------------------------------------------------


def make_safe(where: Places, incident: Incident) -> int:
    """The evidence on the disk and the messages out, as far as that is quick; how many wait."""
    problem = journal.sync(timeout_s=_SYNC_S)
    if problem is not None:
        logger.warning("the journal was not synced before the end of this boot: %s", problem)
    synced = proc.run(["sync", "--file-system", str(where.state)], timeout_s=_SYNC_S)
    if not synced.ok:
        logger.warning("%s was not synced: %s", where.state, synced.why())
    return _wait_for_messages(where, incident)


def _wait_for_messages(where: Places, incident: Incident) -> int:
    """Those that are due now and speak of this incident; a dead receiver is not waited for."""
    outbox = Queue(where.outbox)
    until = time.monotonic() + _MESSAGES_S
    while True:
        waiting = sum(1 for path in outbox.waiting() if f"-{incident.id}-" in path.name)
        if not waiting or time.monotonic() > until:
            return waiting
        time.sleep(0.1)


def tell_users(ending: Ending) -> None:
    """On the terminals of those who are logged in; best effort."""
    text = f"failhook: the machine goes down now ({ending.how}): {printable(ending.reason)}\n"
    proc.run(["wall", "--timeout", "2"], timeout_s=5.0, stdin=text.encode("ascii"))


def ask(how: How, ending: Ending) -> proc.Completed:
    """Ask systemd. What is immediate is done by a service of its own: we have no power for it."""
    options = ["--force"] * how.force
    if how.force == 2:
        argv = [
            *(
                "systemd-run",
                "--quiet",
                "--no-block",
                "--collect",
                "--unit=failhook-action-going-down",
            ),
            *("--", "systemctl", *options, how.verb),
        ]
        return proc.run(argv, timeout_s=10.0)
    message = [f"--message=failhook: {ending.reason}"] if how.verb in _WITH_MESSAGE else []
    return proc.run(
        ["systemctl", "--no-block", "--no-wall", *message, *options, how.verb], timeout_s=30.0
    )


_WITH_MESSAGE = ("reboot", "poweroff", "halt", "kexec")
