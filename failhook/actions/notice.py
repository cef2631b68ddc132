# SPDX-License-Identifier: MIT
"""What somebody who logs in is told: which units failed and have not recovered.

A file in /run/motd.d, which pam_motd(8) shows on Debian 12 and 13 for logins on a terminal and by
ssh; it is gone with the machine and removed when the last unit recovered. ``contrib/profile`` shows
it where no pam_motd does. Everybody who can log in reads it: it holds the sentence of the verdict
and no evidence. The user manager has none.
"""

from __future__ import annotations

import contextlib
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from failhook import files
from failhook.ascii import printable

PATH = Path("/run/motd.d/50-failhook")
_MOST = 8
_MOST_PAST = 3
_MOST_LINES = 6  # of one sentence
_LINE = 78


@dataclass(frozen=True, slots=True)
class Open:
    """One open incident. ``at`` is Unix seconds; ``summary`` is the verdict's sentence."""

    unit: str
    summary: str
    at: float


def text(incidents: Sequence[Open], now: float, past: Sequence[str] = ()) -> str:
    """The notice, newest first, at most `_MOST` lines of units; empty where all is well. Pure.

    ``past`` is what the machine went through before this boot, a sentence each.
    """
    before = [line for one in past[:_MOST_PAST] for line in _paragraph(f"failhook: {one}")]
    if not incidents:
        return "".join(f"{line}\n" for line in before)
    newest = sorted(incidents, key=lambda one: -one.at)
    count = len(newest)
    head = "1 unit has failed" if count == 1 else f"{count} units have failed"
    lines = [f"{head} and not recovered (failhook list):"]
    for one in newest[:_MOST]:
        said = one.summary if one.summary.startswith(one.unit) else f"{one.unit}: {one.summary}"
        lines.append(_fitted(f"  {_since(one.at, now)}  {printable(said)}"))
    if count > _MOST:
        lines.append(f"  and {count - _MOST} more")
    return "\n".join([*before, *lines]) + "\n"


def _paragraph(sentence: str) -> list[str]:
    return textwrap.wrap(printable(sentence), _LINE, subsequent_indent="  ")[:_MOST_LINES]


def _fitted(line: str) -> str:
    return line if len(line) <= _LINE else line[: _LINE - 3] + "..."


def _since(at: float, now: float) -> str:
    """Local time of today, else the date: five characters both."""
    moment, today = time.localtime(at), time.localtime(now)
    same_day = moment[:3] == today[:3]
    return time.strftime("%H:%M" if same_day else "%d.%m", moment)


def show(incidents: Sequence[Open], path: Path = PATH, past: Sequence[str] = ()) -> None:
    """Write the notice, or remove it where there is nothing to say. Raises OSError."""
    wanted = text(incidents, time.time(), past)
    if not wanted:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        return
    path.parent.mkdir(mode=0o755, exist_ok=True)
    with contextlib.suppress(OSError):
        if files.read_bounded(path, 64 << 10) == wanted.encode():
            return
    files.write(path, wanted, mode=0o644)
