# SPDX-License-Identifier: MIT
"""When a delivery that failed is tried again: the schedule that Standard Webhooks recommends.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
(deliverability and reliability): ten tries in about three days, with jitter, and what the receiver
asks for in ``Retry-After``. Pure.
"""

from __future__ import annotations

MINUTE_S, HOUR_S = 60.0, 3600.0
# before the first try, the second, …: seconds
SCHEDULE_S = (
    0.0,
    5.0,
    5 * MINUTE_S,
    30 * MINUTE_S,
    2 * HOUR_S,
    5 * HOUR_S,
    10 * HOUR_S,
    14 * HOUR_S,
    20 * HOUR_S,
    24 * HOUR_S,
)
TRIES = len(SCHEDULE_S)
WHOLE_S = sum(SCHEDULE_S)
LONGEST_S = 24 * HOUR_S  # whatever somebody else asks for
IN_PROCESS_S = 10.0  # a process waits for a try so long; for a later one it would have to stay
EARLY_S = 60.0  # a new item makes a waiting destination be tried at once, but not more often
_JITTER = 0.1


def delay_s(failures: int, retry_after_s: float | None, chance: float) -> float:
    """Seconds until the next try after ``failures`` (from 1) of them. ``chance`` is 0 … 1.

    The jitter only ever lengthens: many machines lost the same receiver in the same second.
    """
    plain = SCHEDULE_S[min(max(failures, 1), TRIES - 1)] * (1 + _JITTER * chance)
    if retry_after_s is None:
        return plain
    asked = min(max(retry_after_s, 0.0), LONGEST_S) * (1 + _JITTER * chance)
    return min(max(plain, asked), LONGEST_S * (1 + _JITTER))


def tries(retries: int | None) -> int:
    """How many there are at most, where the configuration has ``retries`` of its own."""
    return TRIES if retries is None else min(retries + 1, TRIES)


def is_over(failures: int, age_s: float, retries: int | None = None) -> bool:
    """Whether an item that waits since ``age_s`` for a destination is given up.

    Both, so that a machine that was switched off for a week does not give up at its first try.
    """
    return failures >= tries(retries) and age_s >= whole_s(retries)


def whole_s(retries: int | None = None) -> float:
    """From the first try to the last one, in seconds."""
    return WHOLE_S if retries is None else sum(SCHEDULE_S[: tries(retries)])
