# SPDX-License-Identifier: MIT
"""Appends a line about the failure to a file, once.

[action.log-it]
type = "logbook"
file = "/var/log/failures.txt"
style = "long"                    # with what to do about it
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from failhook.plugin import (
    PATH,
    SIZE,
    Action,
    Incident,
    Outcome,
    Request,
    Wrong,
    choice,
    done,
    failed,
    option,
)

_WORTH_A_SECOND_TRY = (errno.ENOSPC, errno.EROFS, errno.EIO)


@dataclass(frozen=True)
class Options:
    """What stands in the table of the configuration."""

    file: str = option(PATH, "the file that gets a line")
    style: str = option(choice("short", "long"), "long: with what to do about it", default="short")
    limit: int = option(SIZE, "the file does not grow beyond this", default=1 << 20)

    def __post_init__(self) -> None:
        """What no option can know alone."""
        if self.file.endswith("/"):
            raise Wrong(f"{self.file} is a directory")


def run(request: Request[Options]) -> Outcome:
    """Append the line, unless it is there from an earlier try."""
    path = Path(request.options.file)
    line = _line(request.incident, request.options.style)
    mark = f" [{request.id}]"  # the same at every try of the same step
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if mark in before:
            return done(f"it stands in {path} already")
        if len(before) + len(line) > request.options.limit:
            return failed(f"{path} is full: move it away, or raise the limit", final=True)
        if request.dry_run:
            return done(f"would append to {path}: {line}")
        with path.open("a", encoding="utf-8") as stream:
            stream.write(f"{line}{mark}\n")
    except OSError as error:
        again = error.errno in _WORTH_A_SECOND_TRY
        return failed(f"{path}: {error.strerror}", final=not again)
    return done(f"appended to {path}", bytes=len(line))


def _line(incident: Incident, style: str) -> str:
    when = datetime.fromtimestamp(incident.last_seen, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    verdict = incident.verdict
    what = verdict.summary if verdict else f"{incident.unit} failed"
    if style == "long" and verdict and verdict.advice:
        what += f" ({verdict.advice})"
    return f"{when} {what}"


ACTION = Action(
    "logbook",
    "appends a line about the failure to a file",
    Options,
    run,
    repeatable=True,  # it looks whether the line is there
    timeout_s=10.0,
    retries=2,
)
