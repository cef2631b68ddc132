# SPDX-License-Identifier: MIT
"""The output of a command that the administrator named; no shell, and killed with all it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from failhook import proc
from failhook.collector import Collector, Context, Sink

_GRACE_S = 1.0  # to hand over what a command printed that had to be stopped


@dataclass(frozen=True, slots=True)
class CommandOptions:
    """``argv`` is run as it stands; ``tail``: keep the end of a long output, not its start."""

    argv: tuple[str, ...]
    max_bytes: int = 1 << 20
    timeout_s: float = 10.0
    tail: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


def make(name: str, options: CommandOptions) -> Collector:
    """A collector called ``name``; the output is ``NAME/output.txt``, what it says of errors apart.

    The command finds the failure in ``FAILHOOK_UNIT``, ``FAILHOOK_ID``, ``FAILHOOK_INVOCATION_ID``.
    """

    def collect(context: Context, sink: Sink) -> None:
        done = proc.run(
            options.argv,
            timeout_s=options.timeout_s,
            max_bytes=options.max_bytes,
            keep="tail" if options.tail else "head",
            env={**_about(context), **options.env},
            own_group=False,
        )
        cut = done.truncated or done.timed_out
        stopped_full = done.truncated and not done.timed_out
        reason = None if done.ok or stopped_full else done.why()
        if done.stdout or done.ok:
            sink.put(f"{name}/output.txt", done.stdout, truncated=cut, reason=reason)
        if reason is not None:
            sink.problem(reason)
        if done.stderr:
            sink.put(f"{name}/errors.txt", done.stderr)

    summary = f"command: {' '.join(options.argv)}"
    return Collector(name, summary, collect, options.timeout_s + _GRACE_S, options.max_bytes)


def _about(context: Context) -> dict[str, str]:
    incident = context.incident
    about = {"FAILHOOK_UNIT": incident.unit, "FAILHOOK_ID": incident.id}
    about["FAILHOOK_INVOCATION_ID"] = incident.invocation_id or ""
    about["FAILHOOK_RESULT"] = incident.result or ""
    return about
