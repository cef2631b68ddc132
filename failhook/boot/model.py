# SPDX-License-Identifier: MIT
"""What a boot loader tells of its entries, and what can be asked of it: the same for all of them.

The words are those of systemd's Automatic Boot Assessment (systemd-bless-boot(8), "Boot Counting"
in the Boot Loader Specification): an entry that is tried has so many tries left; it is good when
it is blessed, bad when none is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Mark(StrEnum):
    """How the running entry stands."""

    GOOD = "good"  # blessed in this boot
    BAD = "bad"  # marked bad in this boot: the next one does not choose it
    INDETERMINATE = "indeterminate"  # on trial: neither blessed nor marked yet
    CLEAN = "clean"  # no counting in effect: no trial, or blessed in an earlier boot
    DIRTY = "dirty"  # booted although it was bad already (systemd 258; known by us before)
    UNKNOWN = "unknown"  # it cannot be told; the reason says why


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that can be booted: an entry, a slot, a deployment."""

    id: str  # without the counter, as people and `bootctl` call it
    title: str = ""
    path: str = ""  # of the file that names it, "" where there is none
    left: int | None = None  # tries left; None: not counted
    tried: int | None = None
    is_current: bool = False
    is_bad: bool = False  # the loader does not choose it while there is another

    @property
    def is_on_trial(self) -> bool:
        """Its tries are counted."""
        return self.left is not None and not self.is_bad


@dataclass(frozen=True, slots=True)
class Chosen:
    """An entry that a setting starts, whatever marks say; ``by`` names it, ``remedy`` undoes it."""

    id: str
    by: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What a loader says of the running machine. ``reason`` is one sentence for a person."""

    loader: str
    mark: Mark
    reason: str
    entries: tuple[Entry, ...] = ()
    can_mark: bool = False  # `bad` has an effect now; else the reason says why not
    chosen: Chosen | None = None

    @property
    def current(self) -> Entry | None:
        """The entry that is running, where that is known."""
        return next((one for one in self.entries if one.is_current), None)

    @property
    def others(self) -> tuple[Entry, ...]:
        """What can be booted instead: not running, not bad, and not passed over by a setting."""
        return tuple(
            one
            for one in self.entries
            if not one.is_current
            and not one.is_bad
            and (self.chosen is None or self.chosen.id == one.id)
        )


@dataclass(frozen=True, slots=True)
class Marked:
    """How a mark went; ``detail`` is one line for a person."""

    ok: bool
    detail: str


class Loader(Protocol):
    """One boot loader. Methods raise nothing for what a machine can be like: they say it."""

    name: str

    def is_here(self) -> bool:
        """This machine was booted by it."""

    def standing(self) -> Standing:
        """The entries and how the running one is marked. Changes nothing."""

    def good(self) -> Marked:
        """Bless the running entry."""

    def bad(self) -> Marked:
        """Mark the running entry bad, so that the next boot takes another one. Boots nothing."""
