# SPDX-License-Identifier: MIT
"""What a person means by the end of something: "2h", "07:00", a date."""

from __future__ import annotations

import argparse
import datetime
import re

from failhook.cli.errors import UsageError
from failhook.values import Wrong, duration

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
HELP = 'until when: "2h", "07:00" (the next one), or an ISO date and time'


def add(parser: argparse.ArgumentParser) -> None:
    """The option ``--until``."""
    parser.add_argument("--until", metavar="TIME", help=HELP)


def moment(text: str | None, now: float) -> float | None:
    """Unix seconds, after ``now``; None for no end. Raises UsageError."""
    if text is None:
        return None
    match = _CLOCK.fullmatch(text.strip())
    if match:
        return _next(int(match[1]), int(match[2]), now)
    try:
        return now + duration(text)
    except Wrong:
        pass
    try:
        at = datetime.datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except ValueError:
        raise UsageError(f"{text!r} is no time; write {HELP}") from None
    if at <= now:
        raise UsageError(f"{text} is over already")
    return at


def _next(hour: int, minute: int, now: float) -> float:
    local = datetime.datetime.fromtimestamp(now).astimezone()
    today = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    day = today if today.timestamp() > now else today + datetime.timedelta(days=1)
    # through the naive time, so that a day of 23 or 25 hours ends at the hour that was meant
    return day.replace(tzinfo=None).astimezone().timestamp()
