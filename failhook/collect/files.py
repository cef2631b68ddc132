# SPDX-License-Identifier: MIT
"""Files that the administrator named: log files, dumps, state that a program leaves behind.

Links, FIFOs, devices and sockets are refused (see `failhook.safe_open`). A pattern is matched by
name only; what a match really is, is looked at when it is opened. All of them share one limit, so
that one huge log does not crowd out the small files beside it.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from failhook.collector import Collector, Context, Sink, Skipped
from failhook.safe_open import open_regular

_MAX_FILES = 200
_MAX_MATCHES = 10_000


@dataclass(frozen=True, slots=True)
class FilesOptions:
    """``paths`` may be patterns (``*``, ``?``, ``[…]``, ``**``); ``tail``: keep the end of each."""

    paths: tuple[str, ...]
    max_bytes: int = 1 << 20
    timeout_s: float = 10.0
    tail: bool = True


def make(name: str, options: FilesOptions) -> Collector:
    """A collector called ``name``; the file /var/log/x becomes ``NAME/var/log/x``."""

    def collect(_: Context, sink: Sink) -> None:
        found = sorted(_matches(options.paths), key=_newest_first)
        if not found:
            raise Skipped(f"no file matches {' '.join(options.paths)}")
        if len(found) > _MAX_FILES:
            sink.problem(f"{len(found)} files match: the {_MAX_FILES} newest are kept")
        left = options.max_bytes
        chosen = sorted(found[:_MAX_FILES], key=_size)  # the small ones leave room to the large
        for number, path in enumerate(chosen):
            left -= _put(sink, name, path, left // (len(chosen) - number), tail=options.tail)

    summary = f"files: {' '.join(options.paths)}"
    return Collector(name, summary, collect, options.timeout_s, options.max_bytes)


def _put(sink: Sink, name: str, path: str, room: int, *, tail: bool) -> int:
    """Keep ``path`` in ``room`` bytes; how many it took."""
    item = f"{name}/{_item_name(path)}"
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if tail and size > room:
                stream.seek(size - room)
            content = stream.read(room + 1)
    except OSError as error:
        sink.put(item, b"", reason=f"{path}: {error.strerror or error}")
        return 0
    cut = size > room or len(content) > room
    content = content[:room]
    if cut and tail:  # not half a line: half a secret is a secret that no pattern knows
        content = content[content.find(b"\n", 0, 8192) + 1 :]
    reason = f"{size} bytes, the {'end' if tail else 'start'} of it" if cut else None
    sink.put(item, content, truncated=cut, reason=reason)
    return len(content)


def _matches(patterns: tuple[str, ...]) -> Iterator[str]:
    seen: set[str] = set()
    for pattern in patterns:
        for path in islice(_expanded(pattern), _MAX_MATCHES):
            if path not in seen and not _is_directory(path):
                seen.add(path)
                yield path


def _expanded(pattern: str) -> Iterable[str]:
    if not glob.has_magic(pattern):
        return [pattern]
    return glob.iglob(pattern, recursive=True)  # noqa: PTH207 - pathlib has no absolute patterns


def _state(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _is_directory(path: str) -> bool:
    state = _state(path)
    return state is not None and stat.S_ISDIR(state.st_mode)


def _newest_first(path: str) -> float:
    state = _state(path)
    return -state.st_mtime if state else 0.0


def _size(path: str) -> int:
    state = _state(path)
    return state.st_size if state else 0


def _item_name(path: str) -> str:
    """The path below the collector's directory; what could lead out of it is replaced."""
    parts = ["_" if part == ".." else part for part in path.split("/") if part not in ("", ".")]
    return "/".join(parts)[-180:].lstrip("/") or "_"
