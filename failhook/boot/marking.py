# SPDX-License-Identifier: MIT
"""New or proven? What to do with the running boot entry when something critical fails. Pure.

After the table of SUSE's health-checker ("What happens if a check fails?"): a snapshot that is new
is left for the last good one; one that was good before is rebooted once; where that did not help,
services are stopped and the machine keeps running, so that somebody can log in. Here with what the
boot loader says, so that no machine is sent in a circle: an entry is left only for another one that
was not given up itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from failhook.boot.model import Entry, Mark, Standing


class Do(StrEnum):
    """What is to be done."""

    MARK_BAD = "mark-bad"  # new: mark it bad, and reboot into another one
    REBOOT_ONCE = "reboot-once"  # proven, or there is nothing to leave it for: once
    LEAVE = "leave"  # that did not help: keep running, without some services
    REFUSE = "refuse"  # it cannot be told what would come of it


@dataclass(frozen=True, slots=True)
class History:
    """What is known of the running entry from before.

    ``proven_for_s``: since when it is known to be good, in seconds; None: it never was, as far as
    is known. ``keeps_records``: entries that proved themselves are written down on this machine, so
    that one without a record is a new one. ``rebooted_before``: the same failure was the reason for
    a reboot of this entry already. ``given_up``: entries that failhook itself marked bad.
    """

    proven_for_s: float | None = None
    keeps_records: bool = False
    rebooted_before: bool = False
    given_up: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decision:
    """``reason`` is one sentence; ``expects`` the entry that should come up, where it is known."""

    do: Do
    reason: str
    expects: str | None = None


def fallbacks(standing: Standing, given_up: frozenset[str]) -> tuple[Entry, ...]:
    """What could be booted instead: neither bad nor given up before, unless it is on trial anew."""
    return tuple(
        one for one in standing.others if one.id not in given_up or one.left not in (None, 0)
    )


def is_new(standing: Standing, history: History, probation_s: float) -> bool:
    """The running entry has not proven itself yet.

    On trial it is new whatever is written down: somebody put it on trial (again). One that was
    blessed is new until its probation is over; without any record, one that was blessed in this
    very boot, or that is the only one without a record.
    """
    if standing.mark is Mark.INDETERMINATE:
        return True
    if history.proven_for_s is not None:
        return history.proven_for_s < probation_s
    counted_now = standing.mark is Mark.GOOD and standing.loader == "systemd-boot"
    return counted_now or history.keeps_records


def decide(  # noqa: PLR0911 - a table
    standing: Standing, history: History, probation_s: float
) -> Decision:
    """One of `Do`, with its reason."""
    current = standing.current
    if standing.mark is Mark.UNKNOWN:
        return Decision(Do.REFUSE, standing.reason)
    if current is None:
        reason = f"it is not known which entry runs, so none is marked: {standing.reason}"
        return Decision(Do.REFUSE, reason)
    if standing.mark is Mark.DIRTY:
        return Decision(Do.LEAVE, f"a reboot would bring it up again: {standing.reason}")
    others = fallbacks(standing, history.given_up)
    # The loader chooses: only where there is one other is it certain which.
    expects = others[0].id if others else None
    if standing.mark is Mark.BAD:
        if others:
            return Decision(Do.MARK_BAD, f"{current.id} is marked bad already", expects)
        return Decision(Do.LEAVE, standing.reason)
    new = is_new(standing, history, probation_s)
    if new and standing.can_mark and others:
        return Decision(Do.MARK_BAD, f"{current.id} is new, {_why_new(standing, history)}", expects)
    if new:
        why = "has not proven itself, but cannot be left"
        why += f": {standing.reason}" if not standing.can_mark else ": all others were given up"
    else:
        why = f"has proven itself{_since(history)}"
    if history.rebooted_before:
        reason = f"{current.id} {why}; it was rebooted for this failure before, without help"
        return Decision(Do.LEAVE, reason)
    return Decision(Do.REBOOT_ONCE, f"{current.id} {why}; it is rebooted once", current.id)


def _why_new(standing: Standing, history: History) -> str:
    if standing.mark is Mark.INDETERMINATE:
        return "and still on trial"
    if history.proven_for_s is not None:
        return f"good only since {_span(history.proven_for_s)}"
    return "and was never known to be good in an earlier boot"


def _since(history: History) -> str:
    known = history.proven_for_s
    return f", good for {_span(known)}" if known is not None and known < 1e9 else ""


def _span(seconds: float) -> str:
    """ "3 d", "5 h", "12 min"."""
    for unit, size in (("d", 86400), ("h", 3600)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 60:.0f} min"
