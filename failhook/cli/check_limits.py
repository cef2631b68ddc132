# SPDX-License-Identifier: MIT
"""``failhook check``: does what an action waits for fit into its time limit?

A restart waits for its delay, for ``healthy_after`` and for its check, and is ended at its
``timeout``: one that cannot be through by then says nothing of whether it helped. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from failhook.action import Action
from failhook.actions import bring_up
from failhook.actions.table import Mistake
from failhook.config.model import ActionTable


@dataclass(frozen=True, slots=True)
class Tight:
    """Too little time. ``always``: it would never do anything; else only where things go slowly."""

    mistake: Mistake
    always: bool


def tight(table: ActionTable, action: Action[Any], options: object) -> Iterator[Tight]:
    """What does not fit into the time limit of ``table``; nothing for types that do not wait."""
    if not isinstance(options, bring_up.Options):
        return
    limit_s = table.timeout_s if table.timeout_s is not None else action.timeout_s
    with_jitter = 1 + options.jitter / 100
    stays_s = options.healthy_after + bring_up.SPARE_S
    answer_s = options.check.timeout_s if options.check is not None else 0.0
    least_s = options.delay + stays_s
    first_s = options.delay * with_jitter + stays_s + answer_s
    most_s = bring_up.longest_delay(options) * with_jitter + stays_s + answer_s
    hint = f'timeout = "{int(most_s) + 1}s" is enough'
    if least_s > limit_s:
        text = (
            f"is {limit_s:g} s, and {least_s:g} s are needed (delay, healthy_after, and a little "
            "to look and to report): it would do nothing"
        )
        yield Tight(Mistake("timeout", text, hint), always=True)
    elif first_s > limit_s:
        answer = ", an answer of its check that takes all of its time" if answer_s else ""
        text = (
            f"is {limit_s:g} s, and up to {first_s:g} s are needed (delay with its jitter, "
            f"healthy_after{answer}): it may be ended before it can say whether it helped"
        )
        yield Tight(Mistake("timeout", text, hint), always=False)
    elif most_s > limit_s:
        text = (
            f"is {limit_s:g} s: backoff lets the delay grow until {most_s:g} s are needed, and "
            "then it would do nothing"
        )
        left_s = _left(options, limit_s - stays_s - answer_s)
        yield Tight(Mistake("timeout", text, f'{hint}, or max_delay = "{left_s}s"'), always=False)


def _left(options: bring_up.Options, rest_s: float) -> int:
    """The longest delay that fits into ``rest_s`` with its jitter, in whole seconds."""
    return int(rest_s / (1 + options.jitter / 100))
