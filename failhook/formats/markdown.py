# SPDX-License-Identifier: MIT
"""Text for an issue on GitHub or GitLab: all that comes from a machine stands in a code block.

There neither @names call anybody, nor #1 refers to anything, nor does a line that begins with a
slash command anything (GitLab's quick actions).
"""

from __future__ import annotations

import re

from failhook.formats import words
from failhook.message import Event, Message

_BACKTICKS = re.compile("`+")


def fenced(text: str) -> str:
    """A code block that ``text`` cannot end."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def marker(message: Message) -> str:
    """How an issue of ours is found again; not to be seen on the page."""
    safe = re.sub(r"[^A-Za-z0-9_.-]", "_", message.thread)[:200]
    return f"<!-- failhook:{safe} -->"


def title(message: Message, limit: int) -> str:
    """The sentence; what would call somebody does not in a title."""
    return words.cut(words.headline(message, limit), limit)


def body(message: Message, limit: int = 60_000) -> str:
    """Of an issue or of what is added to it."""
    return f"{fenced(words.cut(words.plain(message), limit))}\n\n{marker(message)}\n"


def is_new(message: Message) -> bool:
    """Whether an issue is opened for it where there is none."""
    return message.event is not Event.RECOVERED
