# SPDX-License-Identifier: MIT
"""What a program needs of its surroundings and a service does not have: a screen, a terminal, a bus."""

from __future__ import annotations

import re
from collections.abc import Iterator

from failhook.diagnose.case import Case
from failhook.diagnose.finding import SAID, Cause, Finding, each, from_message, quote
from failhook.diagnose.text import Message

_DISPLAY = re.compile(
    r"(?:cannot|can't|could not|couldn't|unable to|failed to) (?:open|connect to) (?:\w{1,20} )?(?:the )?display\b|missing X server|\bno (?:X server|display)\b.{0,40}(?:specified|found|set|name|\$DISPLAY)"
    r"|\$?DISPLAY(?: environment)?(?: variable)? (?:is )?(?:not set|unset|empty|missing)|no \$?DISPLAY\b|could not load the Qt platform plugin|wl_display_connect|(?:connect to|open) (?:the )?(?:X|Wayland) (?:server|display|compositor)",
    re.IGNORECASE,
)
_TERMINAL = re.compile(
    r"not a (?:tty|terminal)\b|inappropriate ioctl for device|no tty present|must be run (?:from|in) a terminal|(?:cannot|can't|could not|unable to) open /dev/tty\b|requires? an? (?:interactive )?(?:tty|terminal)",
    re.IGNORECASE,
)
_BUS = re.compile(
    r"(?:autolaunch D-?Bus|DBUS_SESSION_BUS_ADDRESS|session bus).{0,60}(?:without|not set|unset|fail|unable|cannot|not)|(?:fail\w*|cannot|unable|could not).{0,60}(?:session bus|autolaunch D-?Bus)",
    re.IGNORECASE,
)
_NEEDS = (
    (_DISPLAY, "display", "it found no screen (X server or Wayland)", "set DISPLAY= or WAYLAND_DISPLAY=, and start it after the graphical session", 0.05),
    (_TERMINAL, "terminal", "it asks for a terminal, and a service has none", "run it without questions (--batch, --yes …), or StandardInput=tty with TTYPath=", -0.08),
    (_BUS, "session-bus", "it found no D-Bus session", "make it a user unit, or set DBUS_SESSION_BUS_ADDRESS=", -0.15),
)  # fmt: skip


def _missing(case: Case, message: Message) -> Finding | None:
    for pattern, cause, what, advice, more in _NEEDS:
        if pattern.search(message.text[:1000]):
            return from_message(
                case, message, cause, what=f"{what}: “{quote(message.text, 200)}”", advice=advice,
                confidence=SAID + more,
            )  # fmt: skip
    return None


def _look(case: Case) -> Iterator[Finding]:
    yield from each(case, _missing)


CAUSES = (Cause("needs", "a screen, a terminal or a bus that a service does not have", _look),)
