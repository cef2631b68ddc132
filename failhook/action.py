# SPDX-License-Identifier: MIT
"""What an action is, for those who write one (see `failhook.plugin`).

An action is a module in `failhook.actions` (or of a plugin) that has one `Action` value named
``ACTION``: options that are read and checked before anything happens, and a function that does the
thing and says how it went. It runs in a process of its own as well.

    @dataclass(frozen=True)
    class Options:
        lamp: str = option(TEXT, "which lamp to switch on")
        seconds: float = option(DURATION, "for how long", default=10.0)

    def run(request: Request[Options]) -> Outcome:
        if request.dry_run:
            return done(f"would switch on {request.options.lamp}")
        ...
        return done("it shines")

    ACTION = Action("lamp", "switches a lamp on", Options, run)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from failhook.incident import Incident
from failhook.message import Message
from failhook.values import Kind

O = TypeVar("O")  # noqa: E741 - the options of an action


def option(kind: Kind, summary: str, *, default: Any = dataclasses.MISSING) -> Any:
    """One option of an action: a field of its options. Without ``default`` it has to be given.

    ``kind`` is one of `failhook.values`; the field's type is what its ``read`` returns. ``default``
    is such a value too, and has to be hashable.
    """
    return dataclasses.field(default=default, metadata={"kind": kind, "summary": summary})


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an action went. ``detail`` is one line for a person."""

    ok: bool
    detail: str
    helped: bool | None = None  # the unit is well now, and that was looked at; None: not looked at
    retry_after_s: float | None = None  # failed for now: somebody else said when to come again
    final: bool = False  # failed, and trying again makes no sense
    gone: bool = False  # the destination does not want anything any more (HTTP 410)
    data: Mapping[str, Any] = field(default_factory=dict)  # figures: bytes before and after, …


def done(detail: str, *, helped: bool | None = None, **data: Any) -> Outcome:
    """It is done."""
    return Outcome(True, detail, helped=helped, data=data)


def failed(detail: str, *, final: bool = False, retry_after_s: float | None = None) -> Outcome:
    """It is not done; tried again as the configuration says, unless that is ``final``."""
    return Outcome(False, detail, final=final, retry_after_s=retry_after_s)


@dataclass(frozen=True, slots=True)
class Request(Generic[O]):
    """What an action gets. ``id`` is the same at every try of the same step."""

    name: str  # of the action in the configuration
    options: O
    incident: Incident
    id: str
    attempt: int = 1
    dry_run: bool = False
    user: bool = False  # the user manager (``--user``) is meant
    deadline_s: float = 30.0  # it is killed after so long
    bundle: Path | None = None  # the evidence; read-only
    message: Message | None = None  # of one that delivers
    state: Path | None = None  # a private directory of this action that lasts

    @property
    def systemctl(self) -> list[str]:
        """``systemctl`` and the option that names the right manager."""
        return ["systemctl", "--user"] if self.user else ["systemctl"]


@dataclass(frozen=True, slots=True)
class Action(Generic[O]):
    """One type of action: what it is called, what it takes, and the function that does it.

    ``delivers``: it tells somebody; it goes through the outbox, is tried over days, at least once,
    gets a `Message`, and runs without any power over the machine but with the network.
    ``repeatable``: doing it twice is as good as once; where it is not, a step that was interrupted
    (a kill, a power cut) is not begun again but reported as such.
    ``counts_as``: the limit of ``[limits]`` that it uses up.
    """

    name: str
    summary: str
    options: type[O]
    run: Callable[[Request[O]], Outcome]
    delivers: bool = False
    repeatable: bool = False
    counts_as: str | None = None  # "restarts", "reboots"
    timeout_s: float = 30.0
    retries: int = 0
    # How options are read that are not all told by fields: an executable's, a plugin's that is not
    # loaded here. Gives them, or None and every mistake (`failhook.actions.table.Mistake`).
    bind: Callable[[Mapping[str, object]], tuple[O | None, list[Any]]] | None = None
