# SPDX-License-Identifier: MIT
"""The boot check was red: what it found is the cause, in its own words.

It says so in its last line. Only what the check's own process printed in that very run counts:
root's, with the id of the unit's main process where systemd still knows that; journald adds both.
What a script prints stands behind a bar (`failhook.boot.check.report`). Anybody can write such a
line to the journal, and is not believed.
"""

from __future__ import annotations

from collections.abc import Iterator

from failhook.diagnose.case import Case
from failhook.diagnose.finding import Cause, Finding
from failhook.diagnose.text import Message
from failhook.hook import BOOT_CHECK
from failhook.journal_lines import RED, REQUIRED_FAILED

_IDENTIFIER = BOOT_CHECK.removesuffix(".service")  # SyslogIdentifier= of the unit
_MAX_PROOFS = 5
# It looked at the machine itself. Above what its words alone would be taken for: they hold what a
# failed unit or script said, which many causes know.
_SURE = 0.99


def _red(case: Case) -> Iterator[Finding]:
    incident = case.incident
    if incident.unit != BOOT_CHECK or incident.manager != "system":
        return
    own = [message for message in case.messages if _is_own(case, message)]
    verdicts = [message for message in own if message.raw.startswith(RED)]
    if not verdicts:
        return
    reasons = [message for message in own if message.raw.startswith(REQUIRED_FAILED)]
    proof = tuple(case.proof(one) for one in (*reasons[:_MAX_PROOFS], verdicts[-1]))
    yield Finding("boot-check", verdicts[-1].raw, _advice(verdicts[-1].raw), _SURE, proof)


def _is_own(case: Case, message: Message) -> bool:
    if message.uid != 0 or message.identifier != _IDENTIFIER:
        return False
    pid = case.incident.main.pid  # not known where the unit was started again meanwhile
    return pid is None or message.pid == str(pid)


def _advice(verdict: str) -> str:
    """By what failed first: a unit has incidents of its own."""
    unit, is_failed, _ = verdict.removeprefix(RED).partition(" is failed")
    if is_failed and " " not in unit:
        return f"mend {unit} first: failhook show {unit}; then: failhook boot check"
    return "see what each check found: failhook boot check --last; look again: failhook boot check"


CAUSES = (Cause("boot-check", "the boot check was red", _red),)
