# SPDX-License-Identifier: MIT
"""CPU time and file sizes that a limit ended (setrlimit(2), systemd.exec(5)).

The kernel sends a signal, and neither it nor the program says why.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator

from failhook.diagnose.case import Case
from failhook.diagnose.finding import SAID, SEEN, Cause, Finding, each, from_message, quote
from failhook.diagnose.manager import of_manager, program_of
from failhook.diagnose.text import Message

_TOO_LARGE = re.compile(r"\bfile too large\b|\bEFBIG\b|errno[ =:]*27\b", re.IGNORECASE)
_CPU, _SIZE = "LimitCPU", "LimitFSIZE"
_SIGNALS = {"XCPU": _CPU, "XFSZ": _SIZE}
# The kernel counts ticks for the limit of one process, and nanoseconds for the control group: who used
# much more has several processes, of which none need have reached it.
_ABOUT_IT = 0.8, 1.5


def _signal_of(case: Case) -> str:
    """The signal that ended the program, or a command of a shell (128 + its number)."""
    incident = case.incident
    status = incident.exit_status or ""
    if incident.exit_code in ("killed", "dumped"):
        return status
    by_shell = {str(128 + signal.Signals[f"SIG{name}"]): name for name in _SIGNALS}
    return by_shell.get(status, "") if incident.exit_code == "exited" else ""


def _by_signal(case: Case) -> Iterator[Finding]:
    """SIGXCPU at the soft limit, SIGKILL at the hard one; SIGXFSZ for a write beyond the limit."""
    sent = _signal_of(case)
    setting = _SIGNALS.get(sent) or (_CPU if sent == "KILL" and _used_up(case) else None)
    if setting is None or case.incident.control is not None:
        return
    limit = case.unit.number(f"{setting}Soft") or case.unit.number(setting)
    if limit is None and case.incident.exit_code == "exited":
        return  # the number alone is a status like any other
    shown = f"{setting}={limit}" if limit is not None else f"its limit ({setting}= is not set)"
    program = program_of(case)
    what = f"{program} used up the CPU time that {shown} allows (seconds)"
    if setting == _SIZE:
        what = f"{program} wrote a larger file than {shown} allows (bytes)"
    what += f", and the kernel ended it with SIG{sent}"
    what += ", as it seems" if sent == "KILL" else ""
    line = case.said("rocess exited")
    sure = SEEN if limit is not None and sent != "KILL" else SAID
    yield of_manager(
        case, "limit", what, f"raise {setting}=, or see why it needs so much", line, sure
    )


def _used_up(case: Case) -> bool:
    """The hard limit, by all that is known: SIGKILL has no sender's name."""
    limit, used = case.unit.number(_CPU), case.unit.number("CPUUsageNSec")
    least, most = _ABOUT_IT
    return limit is not None and used is not None and least * limit <= used / 1e9 <= most * limit


def _said(case: Case) -> Iterator[Finding]:
    yield from each(case, _too_large)


def _too_large(case: Case, message: Message) -> Finding | None:
    limit = case.unit.number(_SIZE)
    if limit is None or not _TOO_LARGE.search(message.text):
        return None
    shown = f"{_SIZE}={limit}"
    return from_message(
        case, message, "limit",
        what=f"it may write no larger file than {shown} allows (bytes): “{quote(message.text, 170)}”",
        advice=f"raise {_SIZE}=, or see why it needs so much", confidence=SEEN,
        more=[case.checked(shown, "unit/show.txt")],
    )  # fmt: skip


CAUSES = (
    Cause("limit-by-signal", "a limit of CPU time or file size, by the signal", _by_signal),
    Cause("limit", "a limit of file size, by the program's words", _said),
)
