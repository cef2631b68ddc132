# SPDX-License-Identifier: MIT
"""What a run said elsewhere than under its unit in the journal, and what good runs said before it.

Lines that lost their unit because their process was gone when journald looked, the program's own log
files, and the files of its output.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from failhook.ascii import without_escapes
from failhook.diagnose.log_time import of_this_run
from failhook.diagnose.text import MAX_LINE, Message, peel
from failhook.incident import Process, unix_time

LOGS, OUTPUT = "logs/", "output/"  # below /var/log; of StandardOutput= and StandardError=
_MOST, _OF_A_FILE = 600, 60  # lines
_MAX_FILES = 8
_LINE = re.compile(r"^(?P<at>\S+) (?P<name>[^\s\[]{1,60})(?:\[(?P<pid>\d+)\])?: (?P<text>.*)$")
_STRANGERS = ("systemd", "failhook", "kernel", "systemd-logind", "dbus-daemon", "CRON", "sudo")
_SLACK_S = 0.01  # between the clocks of journald and of who said it


def lost(text: str, names: frozenset[str], known: Sequence[Message], since: float) -> list[Message]:
    """Lines of those seconds that lost their unit: they may be the run's, and stand after its own.

    Only what calls itself by a name of the program counts where the program said anything; where it
    did not, also what somebody else said since the run began.
    """
    found: list[Message] = []
    said = {message.raw for message in known}
    for line in text.splitlines()[-_MOST:]:
        match = _LINE.match(line)
        if match is None or match["name"] in _STRANGERS or match["text"] in said:
            continue
        if not is_of(names, match["name"]) and (known or not _is_since(match["at"], since)):
            continue
        raw = without_escapes(match["text"][:MAX_LINE])
        peeled, level = peel(raw, names)
        place = len(known) + len(found)
        found.append(
            Message(raw, peeled, level, 0.0, match["name"], match["pid"] or "", number=place)
        )
    return found


def is_of(names: frozenset[str], identifier: str) -> bool:
    """Does who calls itself so seem to be the program of these names?"""
    name = identifier.lower()
    return any(name.startswith(one) or one.startswith(name) for one in names)


def _is_since(text: str, since: float) -> bool:
    """The time of a line, as far as it can be read."""
    try:
        return unix_time(text) >= since - _SLACK_S
    except (ValueError, OverflowError):
        return False


def own_logs(
    items: Mapping[str, bytes], names: frozenset[str], number: int, process: Process, ended: float
) -> list[Message]:
    """The last lines of the program's own log files that are of this run: they stand after the
    journal's, the newest file last, which the collector gives first."""
    found: list[Message] = []
    files = [item for item in items if item.startswith((LOGS, OUTPUT))]
    for item in reversed(files[:_MAX_FILES]):
        text = items[item].decode("utf-8", "replace")
        lines: Sequence[str] = text.splitlines()[-_OF_A_FILE:]
        if process.started is not None:
            lines = of_this_run(lines, process.started, process.exited or ended)
        for line in lines:
            raw = without_escapes(line[:MAX_LINE])
            said, level = peel(raw, names)
            if said:
                place = number + len(found)
                found.append(Message(raw, said, level, identifier=item, number=place))
    return found


def said_before(text: str) -> Iterable[str]:
    """What earlier runs said, if they went well: what a failing one repeats is no old news."""
    if "Failed with result" in text:
        return
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is not None:
            yield match["text"]
