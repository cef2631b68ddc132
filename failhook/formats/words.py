# SPDX-License-Identifier: MIT
"""What a message says, in words that every channel shares. Pure.

The sentence of the verdict comes first everywhere. All texts are cleaned here: what a unit or a log
put into them is shown, and neither moves the cursor, nor turns the direction of writing, nor ends a
line that it did not begin (anchors T15). Each channel escapes what means something to it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from failhook.message import Entry, Event, Message

# Marks that turn the direction of writing, or join and hide: a reader would not see what is there.
_UNSEEN = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_HALF = re.compile("[\ud800-\udfff]")  # half a character: a byte that was no UTF-8
_SPACES = re.compile(r"\s+")
_EVENT_WORDS = {
    Event.OPENED: "failed",
    Event.ESCALATED: "still failing",
    Event.GAVE_UP: "given up",
    Event.REBOOTED: "machine rebooted",
    Event.RECOVERED: "recovered",
    Event.DIGEST: "several failures",
    Event.TEST: "test",
}
MOST_LINES = 20  # of an excerpt
MOST_ENTRIES = 25  # of a digest, where a person reads it


def clean(text: str, limit: int = 1000) -> str:
    """One line, visible, no longer than ``limit`` characters."""
    # Far more than can be shown is not looked at: a log line may have megabytes.
    return cut(_SPACES.sub(" ", _visible(text[: limit * 4])).strip(), limit)


def clean_lines(lines: tuple[str, ...] | list[str], limit: int = 500) -> list[str]:
    """Each a line of its own, its spaces kept."""
    found = [_visible(line[: limit * 4].replace("\t", "    ")) for line in lines]
    return [cut(line.replace("\n", " ").rstrip(), limit) for line in found]


def _visible(text: str) -> str:
    text = _UNSEEN.sub("", text.replace("\r\n", "\n"))
    return _HALF.sub("\ufffd", _CONTROL.sub(" ", text))


def cut(text: str, limit: int) -> str:
    """``text`` within ``limit`` characters; what is cut is said by its last one."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def cut_bytes(text: str, limit: int) -> str:
    """``text`` within ``limit`` bytes of UTF-8."""
    data = text.encode()
    return text if len(data) <= limit else data[: limit - 3].decode("utf-8", "ignore") + "…"


def headline(message: Message, limit: int = 300) -> str:
    """The whole message in one sentence."""
    unit = clean(message.incident.unit, 120)
    if message.event is Event.TEST:
        return cut(f"test message of failhook on {host(message)}: this channel works", limit)
    if message.event is Event.DIGEST:
        return cut(_digest_line(message), limit)
    if message.event is Event.RECOVERED:
        after = f" after {duration(message.downtime_s)}" if message.downtime_s is not None else ""
        by = f", {clean(message.helped, 64)} helped" if message.helped else ""
        return cut(f"{unit} recovered{after}{by}", limit)
    aftermath = message.incident.aftermath
    if message.event is Event.REBOOTED and aftermath is not None:
        return cut(f"{host(message)} {clean(aftermath.summary, limit)}", limit)
    if message.event is Event.GAVE_UP:
        return cut(clean(message.summary, limit - 24) + "; nobody tries again", limit)
    times = f" ({message.count} times)" if message.count > 1 else ""
    return cut(clean(message.summary, max(40, limit - len(times))) + times, limit)


def _digest_line(message: Message) -> str:
    failed = [one for one in message.entries if one.event != Event.RECOVERED]
    units = list(dict.fromkeys(clean(one.unit, 80) for one in failed or message.entries))
    what = "failed" if failed else "recovered"
    some = ", ".join(units[:3]) + (f" and {len(units) - 3} more" if len(units) > 3 else "")
    number = f"{len(units)} units" if len(units) != 1 else "1 unit"
    return f"{number} {what} on {host(message)}: {some}"


def host(message: Message) -> str:
    """The machine's name."""
    return clean(message.incident.host, 100)


def event_words(message: Message) -> str:
    """What happened, in two words."""
    return _EVENT_WORDS[message.event]


def facts(message: Message) -> list[tuple[str, str]]:
    """Name and value of what a person wants to know next, in that order."""
    incident = message.incident
    found: list[tuple[str, str | None]] = [("Host", host(message))]
    if message.event is Event.TEST:
        return [("Host", host(message))]
    if message.event is not Event.DIGEST:
        found += [("Unit", clean(incident.unit, 200)), ("Result", _result(message))]
    if message.event is Event.RECOVERED:
        found.append(("It was", clean(message.summary, 500)))
    if incident.aftermath is not None and message.event is not Event.REBOOTED:
        found.append(("Machine", clean(incident.aftermath.summary, 500)))
    verdict = incident.verdict
    if verdict is not None and verdict.advice and message.event not in _QUIET:
        found.append(("Do", clean(verdict.advice, 500)))
    if message.event not in _QUIET:
        changes = [
            clean(f"{one.what}: {one.before} -> {one.after}", 160) for one in incident.changes[:3]
        ]
        found.append(("Changed", "; ".join(changes) or None))
    found.append(("Since", moment(message.opened)))
    found.append(("Why now", clean(message.reason, 300) or None))
    if message.event is not Event.DIGEST:
        found.append(("More", f"failhook show {incident.id}"))
    return [(name, value) for name, value in found if value]


_QUIET = (Event.RECOVERED, Event.DIGEST)


def _result(message: Message) -> str | None:
    incident = message.incident
    if message.event is Event.RECOVERED or incident.result is None:
        return None
    status = incident.exit_status_name or incident.exit_status
    return clean(f"{incident.result} ({status})" if status else incident.result, 100)


def lines(message: Message) -> list[str]:
    """What comes below the facts: the entries of a digest, or the excerpt where that is allowed."""
    if message.event is Event.DIGEST:
        shown = [entry_line(one) for one in message.entries[:MOST_ENTRIES]]
        rest = len(message.entries) - len(shown)
        return [*shown, f"and {rest} more: failhook list"] if rest else shown
    return clean_lines(message.excerpt[-MOST_LINES:])


def entry_line(entry: Entry) -> str:
    """One incident of a digest."""
    at = datetime.fromtimestamp(entry.at, UTC).strftime("%H:%M")
    times = f" ({entry.count} times)" if entry.count > 1 else ""
    what = "recovered: " if entry.event == Event.RECOVERED else ""
    return f"{at} UTC  {clean(entry.unit, 80)}: {what}{clean(entry.summary, 200)}{times}"


def plain(message: Message, *, title: bool = True) -> str:
    """The whole message as plain text."""
    top = [headline(message), ""] if title else []
    below = lines(message)
    body = [f"{name}: {value}" for name, value in facts(message)]
    return "\n".join([*top, *body, *(["", *below] if below else [])])


def moment(at: float) -> str:
    """A time for people who may be in another zone than the machine."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def duration(seconds: float | None) -> str:
    """Two units at most."""
    if seconds is None:
        return "an unknown time"
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
