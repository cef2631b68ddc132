# SPDX-License-Identifier: MIT
"""Who said a line: the main process, one that went on beside it, or one that came after it?

What the main process died of is said by itself, or by one that it waited for; what others say while
it lives on, or after it has ended, is mostly beside the point.
"""

from __future__ import annotations

from failhook.diagnose.case import Case
from failhook.diagnose.level import Level
from failhook.diagnose.text import Message
from failhook.diagnose.wording import (
    FAILURE,
    NAMES_A_THING,
    OF_A_CHILD,
    is_consequence,
    says_nothing,
)

_NEAR = 6  # lines


def went_on_beside(case: Case, message: Message) -> bool:
    """Of another process than the main one, that still spoke after the main one's last complaint:
    it was not what that one died of."""
    if case.is_of_main(message):
        return False
    last, ends = case.once("who spoke last", lambda: _last_words(case))
    return message.number < last < ends.get(message.pid, 0)


def main_process_went_on(case: Case, message: Message) -> bool:
    """A process beside the main one said it, and that one had an error of its own afterwards, which
    says something and is no word on how a process of its own ended."""
    if case.is_of_main(message):
        return False
    return message.number < case.once("the main process's own last error", lambda: _last_own(case))


def came_after_main(case: Case, message: Message) -> bool:
    """Of a process that had not said a word until the main one, which complained of something, had
    ended: it cleans up (ExecStopPost=), mostly."""
    main = case.incident.main
    if case.is_of_main(message) or main.exited is None or case.incident.control is not None:
        return False
    last, _ = case.once("who spoke last", lambda: _last_words(case))
    return last >= 0 and message.pid in case.once("who came after", lambda: _late(case))


def a_child_told(case: Case, message: Message) -> bool:
    """It tells only that another one failed, and just above that one says what."""
    if not OF_A_CHILD.search(message.text[:600]):
        return False
    return any(
        FAILURE.search(one.text[:600])
        and NAMES_A_THING.search(one.text[:600])
        and not is_consequence(one.text)
        for one in case.messages[max(0, message.number - _NEAR) : message.number]
    )


def _last_words(case: Case) -> tuple[int, dict[str, int]]:
    """The number of the main process's last complaint, and of each process's last line."""
    main = str(case.incident.main.pid)
    complaints = [m.number for m in case.messages if m.pid == main and FAILURE.search(m.text[:600])]
    return max(complaints, default=-1), {one.pid: one.number for one in case.messages}


def _last_own(case: Case) -> int:
    """The number of that line; -1 where there is none."""
    main = str(case.incident.main.pid)
    own = (
        one.number
        for one in case.messages
        if one.pid == main
        and one.level >= Level.ERROR
        and not is_consequence(one.text)
        and not says_nothing(one.text)
        and not OF_A_CHILD.search(one.text[:600])
        and not _passes_on(case, one)
    )
    return max(own, default=-1)


def _passes_on(case: Case, message: Message) -> bool:
    """``ssh: connect to host a: Connection refused``, and right below it the main process's ``failed to
    establish the session``, which names nothing: of what the other one has said."""
    if not message.number or NAMES_A_THING.search(message.text[:600]):
        return False
    above = case.messages[message.number - 1]
    text = above.text[:600]
    told = FAILURE.search(text) and NAMES_A_THING.search(text)
    return bool(told) and above.pid != message.pid


def _late(case: Case) -> frozenset[str]:
    """The processes whose first line stands below the main one's last, and is younger than its end:
    journald may get the lines of one that ended a little late."""
    main = str(case.incident.main.pid)
    exited = case.incident.main.exited or 0.0
    last = max((one.number for one in case.messages if one.pid == main), default=-1)
    first: dict[str, Message] = {}
    for one in case.messages:
        first.setdefault(one.pid, one)
    return frozenset(
        pid for pid, one in first.items() if pid and one.number > last >= 0 and one.at > exited
    )
