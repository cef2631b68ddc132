# SPDX-License-Identifier: MIT
"""Where a collector's evidence goes: cut to its limit, masked, then sent on.

A `CollectorSink` lives in the collector's own process. What it sends on is complete and masked, so
that the other side never sees a byte that was not masked. A cut is made at the end of a line where
one is near: half a secret is a secret that no pattern recognises.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from failhook import proc
from failhook.item import Item
from failhook.safe_open import open_regular

Mask: TypeAlias = Callable[[bytes, str], tuple[bytes, dict[str, int]]]
MAX_PATH = 240
MAX_REASON = 500
# What is left of the time when a command is stopped, so that its output still gets out.
_RESERVE_S = 0.3
_LINE_SEARCH = 8192
_BYTE_ARRAY = re.compile(rb"\[(\d{1,3}(?:,\d{1,3}){5,})\]")


def one_line(text: str) -> str:
    """``text`` as one bounded line: what a reason looks like."""
    return " ".join(text.split())[:MAX_REASON]


def sound_path(path: object) -> bool:
    """Whether ``path`` may name an item: relative, never upwards, one spelling."""
    if not isinstance(path, str) or not 0 < len(path) <= MAX_PATH or "\0" in path:
        return False
    return all(part not in ("", ".", "..") for part in path.split("/"))


def cut(content: bytes, max_bytes: int, keep: str = "head") -> bytes:
    """``content`` without what is too much, and without the line that the cut broke."""
    if len(content) <= max_bytes:
        return content
    if max_bytes <= 0:
        return b""
    if keep == "tail":
        kept = content[-max_bytes:]
        return _without_first_line(kept)
    kept = content[:max_bytes]
    return _without_last_line(kept)


def _without_first_line(kept: bytes) -> bytes:
    return kept[kept.find(b"\n", 0, _LINE_SEARCH) + 1 :]


def _without_last_line(kept: bytes) -> bytes:
    end = kept.rfind(b"\n", max(0, len(kept) - _LINE_SEARCH))
    return kept if end < 0 else kept[: end + 1]


def _add(counts: dict[str, int], more: Mapping[str, int]) -> dict[str, int]:
    for rule, count in more.items():
        counts[rule] = counts.get(rule, 0) + count
    return counts


class CollectorSink:
    """The `failhook.plugin.Sink` of one run of one collector.

    ``send`` takes each item when it is done; ``complain`` takes what is missing.
    """

    def __init__(
        self,
        collector: str,
        max_bytes: int,
        mask: Mask,
        send: Callable[[Item], None],
        complain: Callable[[str], None],
        *,
        left_s: float = 3600.0,
    ) -> None:
        self._collector = collector
        self._left_bytes = max_bytes
        self._mask = mask
        self._send = send
        self._complain = complain
        self._since = time.monotonic()
        self._expires = self._since + left_s

    @property
    def left_bytes(self) -> int:
        """How much may still be kept."""
        return self._left_bytes

    @property
    def left_s(self) -> float:
        """How long a command may still run."""
        return max(0.1, self._expires - time.monotonic() - _RESERVE_S)

    def put(
        self, name: str, content: bytes | str, *, truncated: bool = False, reason: str | None = None
    ) -> None:
        """Keep ``content``; ``truncated`` says that it is not all there was."""
        raw = content.encode("utf-8", "replace") if isinstance(content, str) else bytes(content)
        self._keep(name, raw, truncated, reason, "head")

    def command(
        self,
        name: str,
        argv: Sequence[str],
        *,
        timeout_s: float | None = None,
        max_bytes: int | None = None,
        keep: str = "head",
    ) -> bytes:
        """Run ``argv`` (no shell), keep what it prints, and return it (empty where it failed)."""
        room = self._left_bytes if max_bytes is None else min(max_bytes, self._left_bytes)
        limit = self.left_s if timeout_s is None else min(timeout_s, self.left_s)
        done = proc.run(argv, timeout_s=limit, max_bytes=max(room, 1), keep=keep, own_group=False)
        # Stopped at its limit is no failure: returncode is None then, and why() would blame it.
        failed = not done.ok and not (done.truncated and not done.timed_out)
        cut_short = done.truncated or done.timed_out
        output = done.stdout
        if cut_short:
            output = (_without_first_line if keep == "tail" else _without_last_line)(output)
        self._keep(name, output, cut_short, done.why() if failed else None, keep)
        return b"" if failed else done.stdout

    def file(self, name: str, path: str, *, keep: str = "tail") -> None:
        """Keep a regular file, bounded; links, FIFOs, devices and sockets are refused."""
        try:
            with open_regular(path) as stream:
                # Files in /proc say that they are empty, and are read from their start.
                size, room = os.fstat(stream.fileno()).st_size, self._left_bytes
                if keep == "tail" and size > room:
                    stream.seek(size - room - 1)
                content = stream.read(room + 1)
        except OSError as error:
            self._keep(name, b"", False, f"{path}: {error.strerror or error}", keep)
            return
        self._keep(name, content, False, None, keep)

    def problem(self, reason: str) -> None:
        """Say that something is missing from this collector's evidence, and why."""
        self._complain(self.masked_reason(reason))

    def _keep(
        self, name: str, content: bytes, truncated: bool, reason: str | None, keep: str
    ) -> None:
        if not sound_path(name):
            self.problem(f"refused an item with the name {name!r}")
            return
        kept = cut(content, self._left_bytes, keep)
        truncated = truncated or len(kept) < len(content)
        try:
            data, counts = self._masked(kept, name)
        except Exception as error:  # noqa: BLE001 - a mask that breaks must not let anything through
            data, counts = b"", {}
            reason, truncated = f"left out: masking it failed ({type(error).__name__})", True
        if len(data) > self._left_bytes:  # a mask may be longer than what it hides
            data, truncated = cut(data, self._left_bytes, keep), True
        self._left_bytes -= len(data)
        now = time.monotonic()
        took_ms, self._since = round((now - self._since) * 1000), now
        said = None if reason is None else self.masked_reason(reason)
        self._send(Item(name, data, self._collector, took_ms, truncated, said, counts))

    def _masked(self, data: bytes, name: str) -> tuple[bytes, dict[str, int]]:
        """Mask ``data``; in JSON also what is written as numbers (binary fields of the journal)."""
        counts: dict[str, int] = {}

        def mask_array(match: re.Match[bytes]) -> bytes:
            numbers = [int(number) for number in match.group(1).split(b",")]
            if max(numbers) > 255:
                return match.group()
            hidden, found = self._mask(bytes(numbers), name)
            _add(counts, found)
            return b"[%s]" % b",".join(b"%d" % number for number in hidden)

        if name.endswith(".json"):
            data = _BYTE_ARRAY.sub(mask_array, data)
        data, found = self._mask(data, name)
        return data, _add(counts, found)

    def pass_on(self, item: Item) -> None:
        """Send an item that is masked already and costs nothing of the limit."""
        self._send(item)

    def masked_reason(self, reason: str) -> str:
        """Reasons quote commands and errors: they are masked like everything else."""
        try:
            data, _ = self._mask(reason.encode("utf-8", "replace"), "reason")
        except Exception as error:  # noqa: BLE001 - as above
            return f"(masking failed: {type(error).__name__})"
        return one_line(data.decode("utf-8", "replace"))
