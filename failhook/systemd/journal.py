# SPDX-License-Identifier: MIT
"""Reading the journal through journalctl, newest first, with bounds on everything.

`journalctl -o export` is the one output that is never cut (``-o json`` drops fields over 4 KiB) and
says what is binary. It is read in reverse, so that what a bound cuts off is the oldest, never the
dying words. A process per question costs as much as all else together, since journalctl opens every
file: ask once for several things (``+`` between matches) and sort them out afterwards.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from failhook import proc
from failhook.stream import stream
from failhook.systemd.export import Entry, ExportParser, Value, seconds

DROPPED = "a596d6fe7bfa4994828e72309e95d61e"  # journald suppressed messages of a unit
COREDUMP = "fc2e22bc6ee647b6b90729ab34a250b1"
JOURNAL_STOPPED = "d93fb3c9c24d451a97cea615ce59c00b"
SHUTDOWN = "98268866d1d54a499c4e98921d93bc40"
_STORED = (Path("/var/log/journal"), Path("/run/log/journal"))
# Control characters, and those that change the direction of text or hide it.
_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\udc80-\udcff]"
)


@dataclass(frozen=True, slots=True)
class Query:
    """What to ask journalctl. ``matches`` as on its command line, ``+`` between alternatives."""

    matches: tuple[str, ...]
    since: float | None = None
    until: float | None = None
    namespace: str | None = None
    boot: str | None = None  # as for --boot=; a match on _BOOT_ID is cheaper
    max_entries: int | None = None

    def argv(self) -> list[str]:
        """The command."""
        argv = ["journalctl", "--no-pager", "--quiet", "--all", "--output=export", "--reverse"]
        if self.since is not None:
            argv.append(f"--since=@{max(self.since, 0.0):.6f}")
        if self.until is not None:
            argv.append(f"--until=@{max(self.until, 0.0):.6f}")
        if self.namespace is not None:
            argv.append(f"--namespace=+{self.namespace}")  # with the default one: PID 1 logs there
        if self.boot is not None:
            argv.append(f"--boot={self.boot}")
        if self.max_entries is not None:
            argv.append(f"--lines={self.max_entries}")
        return [*argv, "--", *self.matches]


@dataclass(frozen=True, slots=True)
class Reading:
    """Entries, oldest first. ``cut`` says that older ones were left out by a bound."""

    entries: tuple[Entry, ...]
    cut: bool = False
    problem: str | None = None


def walk(query: Query, take: Callable[[Entry], bool], *, timeout_s: float) -> proc.Completed:
    """Give ``take`` every entry, newest first, until it returns False. Never raises."""
    parser = ExportParser()

    def feed(chunk: bytes) -> bool:
        return all(take(entry) for entry in parser.feed(chunk))

    return stream(query.argv(), feed, timeout_s=timeout_s)


def ask(query: Query, *, max_bytes: int = 4 << 20, timeout_s: float = 5.0) -> Reading:
    """The newest entries that match, at most ``max_bytes`` of them."""
    entries: list[Entry] = []
    size = 0

    def take(entry: Entry) -> bool:
        nonlocal size
        size += sum(len(value) + len(name) for name, value in entry.fields.items())
        if size > max_bytes:
            return False
        entries.append(entry)
        return True

    done = walk(query, take, timeout_s=timeout_s)
    return Reading(tuple(reversed(entries)), done.truncated or done.timed_out, complaint(done))


def read(
    matches: Sequence[str],
    *,
    since: float | None = None,
    until: float | None = None,
    max_entries: int = 1000,
    timeout_s: float = 5.0,
) -> list[Entry]:
    """The newest entries that match, oldest first; none where the journal cannot be read."""
    query = Query(tuple(matches), since, until, max_entries=max_entries)
    return list(ask(query, timeout_s=timeout_s).entries)


def complaint(done: proc.Completed) -> str | None:
    """What is wrong with an answer of journalctl; None where it is complete or cut by us."""
    if done.timed_out:
        return f"{done.why()}: older lines are missing"
    # Status 1 without a word is how some versions say that nothing matches.
    if done.ok or done.truncated or (done.returncode == 1 and not done.stderr.strip()):
        return None
    return done.why()


def sync(namespace: str | None = None, *, timeout_s: float = 1.0) -> str | None:
    """Wait until journald has written what it was sent; what went wrong, or None.

    Before systemd 258 this waits until journald is idle, which can be long on a busy machine, and
    is root's alone.
    """
    return start_sync(namespace, timeout_s=timeout_s, own_group=False)()


def start_sync(
    namespace: str | None = None, *, timeout_s: float = 1.0, own_group: bool = True
) -> Callable[[], str | None]:
    """As `sync`, but does not wait: call what it returns for the answer."""
    scope = [] if namespace is None else [f"--namespace={namespace}"]
    argv = ["journalctl", *scope, "--sync"]
    answer = proc.start(argv, timeout_s=timeout_s, own_group=own_group)

    def problem() -> str | None:
        done = answer()
        return None if done.ok else f"the last lines may be missing: {done.why()}"

    return problem


def storage_problem(stored: Sequence[Path] = _STORED) -> str | None:
    """Why the journal may be incomplete or gone soon, from where it is kept; None for no reason.

    The last of ``stored`` is the volatile place.
    """
    machine_id = _machine_id()
    places = [place / machine_id for place in stored if (place / machine_id).is_dir()]
    if not places:
        return "this machine keeps no journal (nothing in /var/log/journal or /run/log/journal)"
    readable = [place for place in places if _readable(place)]
    if not readable:
        return "the journal is not readable for us (group systemd-journal)"
    if all(place.parent == stored[-1] for place in readable):
        return "the journal is volatile: it ends with this boot (no /var/log/journal)"
    return None


def _machine_id() -> str:
    try:
        return Path("/etc/machine-id").read_text("ascii", "replace").strip() or "?"
    except OSError:
        return "?"


def _readable(place: Path) -> bool:
    try:
        with os.scandir(place) as entries:
            return any(
                entry.name.endswith(".journal") and os.access(entry.path, os.R_OK)
                for entry in entries
            )
    except OSError:
        return False


def visible(text: str) -> str:
    """``text`` with everything that could steer a terminal or deceive the eye spelled out."""
    return _UNSAFE.sub(_spell, text) if not text.isascii() or not text.isprintable() else text


def _spell(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8 (surrogateescape)
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _shown(value: Value) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def to_text(entry: Entry) -> str:
    """One entry for people: time, identifier[pid]: message; further lines are indented."""
    fields = entry.fields
    name = fields.get("SYSLOG_IDENTIFIER") or fields.get("_COMM") or "?"
    pid = fields.get("_PID") or fields.get("SYSLOG_PID")
    who = f"{_shown(name)}[{_shown(pid)}]" if pid else _shown(name)
    lines = _shown(fields.get("MESSAGE", "")).rstrip("\n").split("\n")
    message = "\n        ".join(visible(line) for line in lines)
    return f"{stamp(_shown_time(entry))} {visible(who)}: {message}\n"


def _shown_time(entry: Entry) -> float:
    """When it was sent rather than when it was stored, as journalctl shows it."""
    return seconds(entry.fields.get("_SOURCE_REALTIME_TIMESTAMP")) or entry.realtime


def stamp(at: float) -> str:
    """Local time with microseconds and offset, as ``journalctl -o short-iso-precise`` has it."""
    whole = int(at)
    date, offset = _second(whole)
    return f"{date}.{round((at - whole) * 1_000_000) % 1_000_000:06d}{offset}"


@lru_cache(maxsize=64)
def _second(whole: int) -> tuple[str, str]:
    try:
        local = time.localtime(whole)
    except (OverflowError, OSError, ValueError):  # a clock far off
        return f"@{whole}", ""
    offset = time.strftime("%z", local)
    return time.strftime("%Y-%m-%dT%H:%M:%S", local), f"{offset[:3]}:{offset[3:]}"


_as_line = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def to_json(entry: Entry) -> str:
    """One entry as a line of ``journalctl -o json``: binary values are arrays of bytes."""
    shown: dict[str, object] = {name: _plain(value) for name, value in entry.fields.items()}
    for name, value in entry.more:
        before = shown[name]
        several = before if isinstance(before, _Several) else _Several([before])
        shown[name] = _Several([*several, _plain(value)])
    return _as_line(shown) + "\n"


class _Several(list[object]):
    """The values of a name that repeats, as against one binary value."""


def _plain(value: Value) -> object:
    return value if isinstance(value, str) else list(value)
