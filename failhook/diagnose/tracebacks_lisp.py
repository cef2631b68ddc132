# SPDX-License-Identifier: MIT
"""How programs in Common Lisp die: a condition that nobody handled (SBCL Manual, "Debugger")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

from failhook.diagnose.crash import Crash, make_crash
from failhook.diagnose.text import Message

_UNHANDLED = re.compile(
    r"(?:Unhandled|debugger invoked on an?) (?P<kind>[\w/:.+*-]{1,120}) in thread\b"
)
_THREAD = re.compile(r"(?:#<[^>]{1,120}|\{[0-9A-F]{1,20}\}>:?|[^>]{0,80}RUNNING\b.{0,40})$")
_STEP = re.compile(r"\s{0,8}\d{1,4}: \(")
_FILE = re.compile(r'(?:#P"|"file )(?P<file>/[^"\n]{1,300})"')
_MOST_LINES, _MOST_STEPS = 8, 80


def lisp(messages: Sequence[Message]) -> Iterator[Crash]:
    """The first condition that was not handled, with the text that follows it."""
    for index, message in enumerate(messages):
        head = _UNHANDLED.match(message.raw.strip())
        if head is None:
            continue
        below = messages[index + 1 : index + 1 + _MOST_LINES]
        said = [*takewhile(lambda one: one.raw.startswith("  "), below)]
        words = [one.raw.strip() for one in said if not _THREAD.match(one.raw.strip())]
        rest = messages[index + 1 + len(said) : index + 1 + len(said) + _MOST_STEPS]
        steps = [one for one in rest if _STEP.match(one.raw)]
        file = next((match["file"] for one in steps if (match := _FILE.search(one.raw))), None)
        text = " ".join(words) + (f", in {file}" if file is not None else "")
        kind = head["kind"].rpartition(":")[2]
        yield make_crash("lisp", kind, text, [], [message, *said, *steps], message)
        return
