# SPDX-License-Identifier: MIT
"""Which files of a directory go: by age, size, name, number, or until enough room is made.

All decisions are made on what was seen of a name just before; memory is bounded whatever there is:
the newest files are kept in a heap as long as their number, and how many bytes are how old stands
in at most `_BUCKETS` numbers, which become coarser when there are more.
"""

from __future__ import annotations

import fnmatch
import heapq
import os
import re
import stat
from dataclasses import dataclass, field

_BUCKETS = 1 << 16


@dataclass(frozen=True, slots=True)
class Filters:
    """What the options say; None where they say nothing. Seconds and bytes."""

    older_than: float | None = None
    larger_than: int | None = None
    keep_newest: int | None = None
    below: int | None = None
    patterns: tuple[str, ...] = ()
    empty_directories: bool = False

    @property
    def limited(self) -> bool:
        """An age or a pattern narrows it down."""
        return self.older_than is not None or bool(self.patterns)

    @property
    def needs_survey(self) -> bool:
        """What goes depends on all the others."""
        return self.keep_newest is not None or self.below is not None


class Everything:
    """All that lies beneath, as ``systemctl clean`` does it."""

    def file(self, name: str, state: os.stat_result) -> bool:
        """Whatever it is."""
        return True

    def directory(self, state: os.stat_result) -> bool:
        """Also those."""
        return True


class Chosen:
    """Files and links that pass the filters; sockets, FIFOs and devices stay."""

    def __init__(self, filters: Filters, now: float, survey: Survey | None = None) -> None:
        self._filters = filters
        self._oldest_kept = None if filters.older_than is None else now - filters.older_than
        self._name = _names(filters.patterns)
        self._newest = survey.threshold() if survey else None
        self._room = survey.excess() if survey else None
        self._up_to = survey.age_for(self._room) if survey and self._room is not None else None

    def file(self, name: str, state: os.stat_result) -> bool:
        """As the filters say; with ``below`` only as long as there is too much."""
        if not self.is_candidate(name, state) or not self.is_old(state):
            return False
        if self._newest is not None and state.st_mtime_ns >= self._newest:
            return False
        if self._room is None:
            return True
        if self._room <= 0 or (self._up_to is not None and state.st_mtime >= self._up_to):
            return False
        if state.st_nlink == 1:
            self._room -= state.st_blocks * 512
        return True

    def directory(self, state: os.stat_result) -> bool:
        """An empty one, if that is wanted and it was not made just now."""
        return self._filters.empty_directories and self.is_old(state)

    def is_candidate(self, name: str, state: os.stat_result) -> bool:
        """Apart from its age."""
        if not (stat.S_ISREG(state.st_mode) or stat.S_ISLNK(state.st_mode)):
            return False
        if self._name is not None and not self._name.match(name):
            return False
        larger = self._filters.larger_than
        return larger is None or state.st_size > larger

    def is_old(self, state: os.stat_result) -> bool:
        """Last changed before the time that counts; one from the future is young."""
        return self._oldest_kept is None or state.st_mtime < self._oldest_kept


def _names(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    return re.compile("|".join(f"(?:{fnmatch.translate(one)})" for one in patterns))


@dataclass(slots=True)
class Survey:
    """The first of two passes: looks at everything and removes nothing."""

    filters: Filters
    chosen: Chosen
    total: int = 0
    _heap: list[int] = field(default_factory=list)
    _ages: dict[int, int] = field(default_factory=dict)
    _width: int = 1  # seconds of one bucket

    def file(self, name: str, state: os.stat_result) -> bool:
        """Take note."""
        size = state.st_blocks * 512
        self.total += size
        if self.chosen.is_candidate(name, state):
            self._note_newest(state.st_mtime_ns)
            if self.chosen.is_old(state) and state.st_nlink == 1:
                self._note_age(int(state.st_mtime) // self._width, size)
        return False

    def directory(self, state: os.stat_result) -> bool:
        """Nothing goes."""
        return False

    def _note_newest(self, changed: int) -> None:
        most = self.filters.keep_newest
        if most is None:
            return
        if len(self._heap) < most:
            heapq.heappush(self._heap, changed)
        elif changed > self._heap[0]:
            heapq.heapreplace(self._heap, changed)

    def _note_age(self, bucket: int, size: int) -> None:
        if self.filters.below is None:
            return
        self._ages[bucket] = self._ages.get(bucket, 0) + size
        if len(self._ages) > _BUCKETS:
            wider: dict[int, int] = {}
            for key, value in self._ages.items():
                wider[key // 2] = wider.get(key // 2, 0) + value
            self._ages, self._width = wider, self._width * 2

    def threshold(self) -> int | None:
        """The time (ns) of the oldest of the newest: those from then on stay."""
        return self._heap[0] if self._heap else None

    def excess(self) -> int | None:
        """The bytes that are too many."""
        return None if self.filters.below is None else max(0, self.total - self.filters.below)

    def age_for(self, excess: int) -> float | None:
        """Files from before this time (Unix seconds) are enough; None: all of them are needed."""
        freed = 0
        for bucket in sorted(self._ages):
            freed += self._ages[bucket]
            if freed >= excess:
                return float((bucket + 1) * self._width)
        return None
