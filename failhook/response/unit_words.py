# SPDX-License-Identifier: MIT
"""What a unit says for itself: the section ``[X-Failhook]`` of its file and drop-ins.

systemd leaves sections whose names begin with ``X-`` to others (systemd.unit(5)). Keys:

    Rule=NAME …            these rules speak of this unit, whatever else they match
    Do=[COUNT] ACTION …    a step of the unit's own ladder: Do=1 tell-ops, Do=2..3 gently
    Collect=NAME …         [collector.NAME] tables that are run for this unit as well

Only what the configuration declares can be named, so a unit grants nobody anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from failhook import safe_open
from failhook.config.model import Step
from failhook.systemd.unit import UnitState

SECTION = "[X-Failhook]"
_MAX_BYTES = 1 << 20
_COUNT = re.compile(r"([1-9][0-9]{0,5})(\.\.)?([1-9][0-9]{0,5})?")


@dataclass(frozen=True, slots=True)
class UnitWords:
    """All of it; ``problems`` are lines that say nothing we know."""

    rules: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    collect: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def read(state: UnitState) -> UnitWords:
    """From the unit's files, drop-ins last. What cannot be read says nothing."""
    texts = []
    for path in state.unit_files:
        try:
            with safe_open.open_regular(path) as stream:
                texts.append(stream.read(_MAX_BYTES).decode("utf-8", "replace"))
        except OSError:
            continue
    return parse(texts)


def parse(texts: Iterable[str]) -> UnitWords:
    """The words in some unit files; an empty value resets its key, as in systemd's own lists."""
    rules: list[str] = []
    steps: list[Step] = []
    collect: list[str] = []
    problems: list[str] = []
    for key, value in (pair for text in texts for pair in _assignments(text)):
        lists = {"Rule": rules, "Collect": collect}
        if key in lists:
            lists[key][:] = [*lists[key], *value.split()] if value else []
        elif key == "Do":
            step = _step(value)
            if not value:
                steps.clear()
            elif step is None:
                problems.append(f"Do={value}: write Do=COUNT ACTION …, such as: Do=2..3 gently")
            else:
                steps.append(step)
        else:
            problems.append(f"{key}= is not known in {SECTION}: there are Rule=, Do=, Collect=")
    steps.sort(key=lambda one: one.first)
    return UnitWords(tuple(rules), tuple(steps), tuple(collect), tuple(problems))


def _step(value: str) -> Step | None:
    words = value.split()
    match = _COUNT.fullmatch(words[0]) if words else None
    if match is None:
        return Step(1, None, tuple(words)) if words else None
    first, last = int(match[1]), int(match[3]) if match[3] else None
    if (match[3] and not match[2]) or (last is not None and last < first) or len(words) < 2:
        return None
    return Step(first, last, tuple(words[1:]))


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    """Key and value of our section; lines that end in a backslash go on (systemd.syntax(7))."""
    ours = False
    for line in text.replace("\\\n", " ").splitlines():
        bare = line.strip()
        if bare.startswith("["):
            ours = bare == SECTION
        elif ours and bare and bare[0] not in "#;":
            key, equals, value = bare.partition("=")
            if equals:
                yield key.strip(), value.strip()
