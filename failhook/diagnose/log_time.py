# SPDX-License-Identifier: MIT
"""When a line of a log file was written, as far as it says so itself.

Files are appended to, and what their end tells may be of last week's failure. Programs write local
time, UTC, or the time of whoever installed them: what counts is how far a line lies before the
file's last one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME = r"(?P<name>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_CLOCK = r"(?P<h>\d\d):?(?P<min>\d\d):?(?P<s>\d\d)"
_FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?<!\d)(?P<y>\d{{4}})[-/.](?P<m>\d\d)[-/.](?P<d>\d\d)[T _-]{{1,3}}{_CLOCK}",
        rf"(?<!\d)(?P<y>\d{{4}})(?P<m>\d\d)(?P<d>\d\d)[T _-]{_CLOCK}(?!\d)",
        rf"(?<!\d)(?P<d>\d{{1,2}})[-/ ]{_NAME}[-/ ](?P<y>\d{{4}})[: ]{_CLOCK}",
        rf"\b{_NAME} {{1,2}}(?P<d>\d{{1,2}}),? (?P<y>\d{{4}}),? {_CLOCK}",
        rf"\b{_NAME} {{1,2}}(?P<d>\d{{1,2}}) {_CLOCK}(?:\.\d{{1,9}})?(?: (?P<y>\d{{4}}))?",
        r"^\W?(?P<epoch>1\d{9})(?:\.\d{1,9})?\b",
    )
)
_HEAD = 80  # characters
_ZONE_S = 900  # time zones differ by quarters of an hour (tz database)
_FARTHEST_ZONE_S = 14 * 3600
_SLACK_S = 2.0  # most logs know whole seconds
_DAY_S = 86400


def time_of(line: str, now: float) -> float | None:
    """In Unix seconds, as if its clock were UTC; None where the line does not say. What names no
    year is of the last one before ``now``."""
    for form in _FORMS:
        match = form.search(line[:_HEAD])
        if match is not None:
            return _seconds(match.groupdict(), now)
    return None


def _seconds(found: dict[str, str | None], now: float) -> float | None:
    if found.get("epoch"):
        return float(found["epoch"] or 0)
    name = found.get("name")
    month = _MONTHS.index(name.lower()) + 1 if name else int(found["m"] or 0)
    year = int(found["y"] or datetime.fromtimestamp(now, UTC).year)
    day, hour, minute, second = (int(found[key] or 0) for key in ("d", "h", "min", "s"))
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        if not found["y"] and at.timestamp() > now + _DAY_S:
            at = at.replace(year=year - 1)
    except (ValueError, OverflowError):
        return None
    return at.timestamp()


def of_this_run(lines: Sequence[str], started: float, ended: float) -> Sequence[str]:
    """The last of ``lines``, of a file that was written to until ``ended``, from the first one on
    that a run can have written which began at ``started``; all where they do not tell."""
    times = [time_of(line, ended) for line in lines]
    last = next((at for at in reversed(times) if at is not None), ended)
    zone = float(round((last - ended) / _ZONE_S) * _ZONE_S)
    if abs(zone) > _FARTHEST_ZONE_S:
        zone = 0.0  # it is no clock that is off: what was written at the end has no time
    before = [
        number
        for number, at in enumerate(times)
        if at is not None and at - zone < started - _SLACK_S
    ]
    if not before:
        return lines
    after = range(before[-1] + 1, len(lines))
    return lines[next((n for n in after if times[n] is not None), after.start) :] or lines
