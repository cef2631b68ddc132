# SPDX-License-Identifier: MIT
"""The schedule of Standard Webhooks, its jitter, and what a receiver may ask for."""

import pytest

from failhook.deliver.schedule import (
    LONGEST_S,
    SCHEDULE_S,
    TRIES,
    WHOLE_S,
    delay_s,
    is_over,
)


def test_it_is_the_one_of_the_specification() -> None:
    assert list(SCHEDULE_S) == [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert pytest.approx(3.15 * 86400, rel=0.01) == WHOLE_S


@pytest.mark.parametrize("failures", range(1, TRIES))
def test_each_failure_waits_for_the_next_time(failures: int) -> None:
    assert delay_s(failures, None, 0.0) == SCHEDULE_S[failures]
    assert delay_s(failures, None, 1.0) == pytest.approx(1.1 * SCHEDULE_S[failures])


@pytest.mark.parametrize("failures", [0, TRIES, 500])
def test_beyond_its_ends_it_stays(failures: int) -> None:
    expected = SCHEDULE_S[1] if failures == 0 else SCHEDULE_S[-1]
    assert delay_s(failures, None, 0.0) == expected


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(0.0, 5.0), (4.0, 5.0), (60.0, 60.0), (1e12, LONGEST_S), (-5.0, 5.0), (None, 5.0)],
)
def test_a_receiver_can_ask_for_more_time_and_for_a_day_at_most(
    asked: float | None, waited: float
) -> None:
    assert delay_s(1, asked, 0.0) == waited


@pytest.mark.parametrize(
    ("retries", "failures", "age_s", "over"),
    [
        (0, 1, 0.0, True),
        (2, 2, 9999.0, False),
        (2, 3, 305.0, True),
        (2, 3, 304.0, False),
        (99, TRIES, WHOLE_S, True),
        (99, TRIES - 1, WHOLE_S, False),
    ],
)
def test_fewer_tries_where_that_is_said(
    retries: int, failures: int, age_s: float, over: bool
) -> None:
    assert is_over(failures, age_s, retries) is over


@pytest.mark.parametrize(
    ("failures", "age_s", "over"),
    [
        (TRIES, WHOLE_S, True),
        (TRIES + 9, WHOLE_S * 2, True),
        (TRIES - 1, WHOLE_S * 9, False),  # the machine was off: it was not tried often enough
        (TRIES, WHOLE_S - 1, False),  # it came later than the destination's trouble
    ],
)
def test_given_up_are_those_that_were_tried_and_waited(
    failures: int, age_s: float, over: bool
) -> None:
    assert is_over(failures, age_s) is over
