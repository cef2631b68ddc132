# SPDX-License-Identifier: MIT
"""What is found, as values: an action or a collector, which way it came, and what was refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from failhook.action import Action
from failhook.collector import Collector
from failhook.config.model import Problem

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
T = TypeVar("T")


class Way(StrEnum):
    """The way in which one came here."""

    BUILT_IN = "built in"
    CONFIGURED = "configured"  # a [collector.NAME] table
    EXECUTABLE = "executable"
    FILE = "file"
    PACKAGE = "package"


@dataclass(frozen=True, slots=True)
class FoundAction:
    """One type of action. ``source`` is the file or the package that it is in."""

    action: Action[Any]
    way: Way
    source: str


@dataclass(frozen=True, slots=True)
class FoundCollector:
    """One collector. ``off``: the configuration skips it."""

    collector: Collector
    way: Way
    source: str
    off: bool = False


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """All that were found, and why others are not used."""

    found: tuple[T, ...]
    problems: tuple[Problem, ...] = ()
