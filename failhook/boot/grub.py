# SPDX-License-Identifier: MIT
"""GRUB: the two variables of its environment block that greenboot made known.

``boot_counter``: tries that are left; GRUB counts it down at each boot; after 0 it becomes -1, and
then the fallback is booted. ``boot_success``: 1 where somebody called the boot good; GRUB sets it
back to 0. Somebody has to do that counting: Fedora's 08_fallback_counting or the script of ours in
contrib/grub, which also knows which entry the fallback is, and keeps to it until ``boot_counter``
is taken away. Without any of them no mark has an effect, so none is made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from failhook.boot import grub_menu, grubenv
from failhook.boot.grub_menu import Item, Menu
from failhook.boot.grubenv import Block, Damaged
from failhook.boot.host import Host
from failhook.boot.model import Entry, Mark, Marked, Standing

NAME = "grub"
COUNTER = "boot_counter"
SUCCESS = "boot_success"
GIVEN_UP = -1
_DEFAULT_FALLBACK = "1"  # of Fedora's 08_fallback_counting
_NO_BLOCK = "GRUB has no environment block here, so it cannot count (grub-editenv - create)"


@dataclass(frozen=True, slots=True)
class _Sight:
    """All that decides."""

    menu: Menu
    block: Block
    runs: Item | None
    default: Item | None
    fallback: Item | None

    @property
    def counter(self) -> int | None:
        """None: not counted."""
        return _number(self.block.variables.get(COUNTER))

    @property
    def is_success(self) -> bool:
        """Somebody called this boot good."""
        return self.block.variables.get(SUCCESS) == "1"

    @property
    def fell_back(self) -> bool:
        """This boot is the fallback, after the other entry was given up."""
        return self.counter == GIVEN_UP and grub_menu.same(self.runs, self.fallback)


class Grub:
    """This machine's GRUB."""

    name = NAME

    def __init__(self, host: Host | None = None) -> None:
        self._host = host or Host()

    def is_here(self) -> bool:
        """Its configuration is here, and no other loader says that it booted this machine."""
        host = self._host
        if host.is_container():
            return False
        told = host.efi_text("LoaderInfo") or ""
        if told and not told.casefold().startswith("grub"):
            return False
        return any(host.names(pattern) for pattern in grub_menu.CONFIGURATIONS)

    def standing(self) -> Standing:
        """From the environment block, the menu, and what the kernel was told."""
        host = self._host
        if host.is_container():
            reason = "this is a container: what boots its host is not its business"
            return Standing(NAME, Mark.UNKNOWN, reason)
        seen = self._look()
        if isinstance(seen, str):
            return Standing(NAME, Mark.UNKNOWN, seen)
        mark, reason = _mark(seen)
        base = Standing(NAME, mark, reason, tuple(_entries(seen)))
        stale = host.not_by_loader()
        if stale is not None:
            return replace(base, mark=Mark.UNKNOWN, reason=stale)
        if mark is Mark.BAD or seen.fell_back:
            return base
        no = self._why_not(seen)
        if no is not None:
            return replace(base, reason=f"{reason}; it cannot be marked bad: {no}")
        return replace(base, can_mark=True)

    def good(self) -> Marked:
        """boot_success=1, and the counter away: greenboot's grub2-set-success."""
        seen = self._look()
        if isinstance(seen, str):
            return Marked(False, seen)
        if seen.runs is None:
            return Marked(False, "it cannot be told which entry of GRUB's menu runs")
        if not seen.fell_back:
            return self.finish(f"{seen.runs.id} is good: GRUB does not count any more")
        given_up = seen.default.id if seen.default is not None else "the other entry"
        if not seen.menu.is_ours:
            why = f"this is the fallback: without {COUNTER} the next boot would take {given_up}"
            return Marked(False, f"{why}; make {seen.runs.id} the default first")
        problem = grubenv.write(self._host, seen.block.path, put={SUCCESS: "1"})
        if problem is not None:
            return Marked(False, problem)
        kept = f"{given_up} stays given up until {COUNTER} is unset"
        return Marked(True, f"{seen.runs.id}, the fallback, is good; {kept}")

    def bad(self) -> Marked:
        """boot_counter=-1: the next boot takes the fallback."""
        before = self.standing()
        if before.mark is Mark.BAD and before.others:
            return Marked(True, before.reason)
        if not before.can_mark:
            return Marked(False, before.reason)
        seen = self._look()
        if isinstance(seen, str):
            return Marked(False, seen)
        put = {COUNTER: str(GIVEN_UP), SUCCESS: "0"}
        problem = grubenv.write(self._host, seen.block.path, put=put)
        if problem is not None:
            return Marked(False, problem)
        after = self.standing()
        if after.mark is not Mark.BAD:
            return Marked(False, f"it was marked, and yet it is {after.mark}: {after.reason}")
        return Marked(True, after.reason)

    # -- for ostree, which has GRUB count for it --------------------------------------------------

    def is_counting(self) -> bool:
        """There is a counter in an environment block."""
        try:
            block = grubenv.find(self._host)
        except Damaged:
            return False
        return block is not None and COUNTER in block.variables

    def finish(self, detail: str) -> Marked:
        """End the counting as good."""
        try:
            block = grubenv.find(self._host)
        except Damaged as error:
            return Marked(False, str(error))
        if block is None:
            return Marked(False, _NO_BLOCK)
        problem = grubenv.write(self._host, block.path, put={SUCCESS: "1"}, remove=[COUNTER])
        return Marked(True, detail) if problem is None else Marked(False, problem)

    # -- what is there ----------------------------------------------------------------------------

    def _look(self) -> _Sight | str:
        """All of it, or why that is not to be had."""
        menu = grub_menu.read(self._host)
        if menu is None:
            return "GRUB's configuration cannot be read"
        try:
            block = grubenv.find(self._host)
        except Damaged as error:
            return str(error)
        if block is None:
            return _NO_BLOCK
        variables = block.variables
        default = menu.default
        if default == "${saved_entry}":
            default = variables.get("saved_entry") or "0"
        fallback = variables.get("failhook_fallback") or menu.fallback
        fallback = fallback or ("" if menu.is_ours else _DEFAULT_FALLBACK)
        runs = grub_menu.running(menu, self._host.text("/proc/cmdline") or "")
        return _Sight(menu, block, runs, menu.named(default), menu.named(fallback))

    def _why_not(self, seen: _Sight) -> str | None:  # noqa: PLR0911 - a list of reasons
        """What speaks against ``bad``."""
        if not seen.menu.counts:
            return f"{seen.menu.path} does not look at {COUNTER} (contrib/grub in failhook)"
        if seen.runs is None:
            return "it cannot be told which entry of the menu runs"
        if seen.fallback is None:
            return "there is no other entry to fall back to"
        if grub_menu.same(seen.runs, seen.fallback):
            return f"it is the fallback itself, {seen.fallback.id}"
        if once := seen.block.variables.get("next_entry"):
            return f"the next boot is chosen already, next_entry={once[:100]}"
        if self._host.is_read_only(self._host.path(seen.block.path)):
            return f"{seen.block.path} lies on a file system that is mounted read-only"
        return None


def _number(text: str | None) -> int | None:
    """A counter: -1 or a few digits; anything else does not count."""
    if text is None:
        return None
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdecimal() or len(digits) > 6:
        return None
    return int(text)


def _mark(seen: _Sight) -> tuple[Mark, str]:
    name = seen.runs.id if seen.runs is not None else "the running entry"
    counter = seen.counter
    if seen.fell_back:
        given_up = seen.default.id if seen.default is not None else "the default entry"
        mark = Mark.GOOD if seen.is_success else Mark.CLEAN
        return mark, f"{name} is the fallback: {given_up} was given up"
    if counter is None:
        if seen.is_success:
            return Mark.GOOD, f"{name} is good (boot_success=1), and nothing is counted"
        return Mark.CLEAN, f"{name} is not counted: boot_counter is not set"
    if counter <= GIVEN_UP:
        other = seen.fallback.id if seen.fallback is not None else "the fallback"
        return Mark.BAD, f"{name} is marked bad: the next boot takes {other}"
    if seen.is_success:
        return Mark.GOOD, f"{name} is good (boot_success=1)"
    return Mark.INDETERMINATE, f"{name} is on trial, {counter} tries left after this one"


def _entries(seen: _Sight) -> list[Entry]:
    """Each thing once, under the name that the fallback has where it is that."""
    counter = seen.counter
    marked_bad = counter == GIVEN_UP
    made = []
    for one in grub_menu.distinct(seen.menu):
        runs = grub_menu.same(one, seen.runs)
        is_default = grub_menu.same(one, seen.default)
        is_fallback = grub_menu.same(one, seen.fallback)
        id_ = seen.fallback.id if is_fallback and seen.fallback is not None else one.id
        bad = marked_bad and (is_default if seen.fell_back else runs)
        left = counter if is_default and counter is not None and counter >= 0 else None
        made.append(Entry(id_, one.title, one.kernel, left, is_current=runs, is_bad=bad))
    # The one that would be taken instead comes before the others.
    first = seen.fallback.id if seen.fallback is not None else ""
    return sorted(made, key=lambda entry: (not entry.is_current, entry.id != first))
