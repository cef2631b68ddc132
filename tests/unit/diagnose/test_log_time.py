# SPDX-License-Identifier: MIT
"""When a line of a log file was written, and which lines are of a run."""

from datetime import UTC, datetime

import pytest

from failhook.diagnose.log_time import of_this_run, time_of
from failhook.incident import Process
from tests.unit.diagnose.cases import case, judge

AT = datetime(2026, 11, 28, 10, 40, 39, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-28 10:40:39,123 ERROR x",
        "2026-11-28T10:40:39.123456Z x",
        "[2026/11/28 10:40:39] [error] x",
        "ERROR     2026.11.28 10:40:39   144 x",
        "20261128 10:40:39 x",
        "20261128T104039 x",
        '127.0.0.1 - - [28/Nov/2026:10:40:39 +0000] "GET /"',
        "28-Nov-2026 10:40:39 [---] x",
        "28 Nov 2026 10:40:39.123 # x",
        "[Sat Nov 28 10:40:39 2026] [error] x",
        "[Sat Nov 28 10:40:39.123456 2026] x",
        "Nov 28, 2026 10:40:39 x",
        "Nov 28 10:40:39 host a[1]: x",
        f"{AT:.0f} x",
        f"[{AT:.3f}] x",
    ],
)
def test_forms(line: str) -> None:
    assert time_of(line, AT + 60) == AT


@pytest.mark.parametrize(
    "line",
    ["", "10:40:39 x", "version 2026.11", "2026-13-40 10:40:39", "2026-11-28 99:40:39 x",
     f"{'x' * 90}2026-11-28 10:40:39", "Feb 30 10:40:39 x", "12345678901 x"],
)  # fmt: skip
def test_what_says_no_time(line: str) -> None:
    assert time_of(line, AT) is None


def test_without_a_year_it_was_the_last_one() -> None:
    new_year = datetime(2027, 1, 1, 0, 0, 5, tzinfo=UTC).timestamp()
    before = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    assert time_of("Dec 31 23:59:59 h a[1]: x", new_year) == before
    assert time_of("Feb 29 10:00:00 h a[1]: x", new_year) is None  # 2027 has no such day


OLD = ["2026-11-21 03:00:01 ERROR cannot open /srv/old", "Traceback of last week"]


@pytest.mark.parametrize("hours", [0, 2, -5, 5.75])
def test_old_lines_are_left_out_whatever_zone_they_are_in(hours: float) -> None:
    def at(seconds: float) -> str:
        when = datetime.fromtimestamp(AT + hours * 3600 + seconds, UTC)
        return when.strftime("%Y-%m-%d %H:%M:%S")

    new = [f"{at(0)} INFO starting", "  with a second line", f"{at(1)} INFO ready"]
    earlier = [f"{at(-60)} ERROR no /srv/a minute ago", "and its reason"]
    assert of_this_run([*OLD, *earlier, *new], AT, AT + 1.2) == new
    assert of_this_run(new, AT, AT + 1.2) == new
    whole = [f"{at(-1)} ERROR of the second in which it began"]
    assert of_this_run([*OLD, *whole], AT - 0.1, AT + 1.2) == whole


def test_what_was_written_without_a_time_is_kept() -> None:
    now = ["ImportError: no module named shop"]
    assert of_this_run([OLD[0], *now], AT, AT + 1) == now
    assert of_this_run(now, AT, AT + 1) == now
    assert of_this_run([OLD[0]], AT, AT + 1) == [OLD[0]]  # its clock is no clock
    assert of_this_run([], AT, AT + 1) == []


@pytest.mark.parametrize("item", ["logs/a/a.log", "output/StandardOutput.txt"])
def test_the_verdict_is_not_about_last_week(item: str) -> None:
    log = "2026-11-21 03:00:01 ERROR cannot open /srv/old: no such file\n2026-11-28 10:40:39 up\n"
    items = {item: log.encode()}
    main = Process(100, AT - 0.5, AT + 0.5)
    assert "/srv/old" not in judge(case(items=items, main=main)).summary
    assert "/srv/old" in judge(case(items={item: log.splitlines()[0].encode()}, main=main)).summary
