# SPDX-License-Identifier: MIT
"""The other units that are in trouble, and what systemd is waiting for."""

from __future__ import annotations

import json

from failhook import proc
from failhook.collect.columns import table
from failhook.collect.later import Later
from failhook.collect.now import need_this_boot
from failhook.collector import Collector, Context, Sink

# activating includes auto-restart; a state that a systemd does not know is an error there.
_STATES = "--state=failed,activating,deactivating,reloading"
_ASK_S = 5.0


def collect(context: Context, sink: Sink) -> None:
    """Failed, starting and stopping units; the job queue."""
    need_this_boot(context)
    jobs = Later(context, lambda: _ask(context, "list-jobs"))
    units = _ask(context, "list-units", "--all", _STATES)
    _put(sink, "failed/units", units, ("unit", "load", "active", "sub", "description"))
    _put(sink, "failed/jobs", jobs.result(), ("job", "unit", "type", "state"))


def _ask(context: Context, *verb: str) -> proc.Completed:
    argv = [*context.systemctl, *verb, "--no-pager", "--output=json"]
    return proc.run(argv, timeout_s=_ASK_S, max_bytes=2 << 20, own_group=False)


def _put(sink: Sink, name: str, done: proc.Completed, columns: tuple[str, ...]) -> None:
    if not done.ok:
        sink.problem(done.why())
        return
    rows = _rows(done.text, columns)
    if not done.stdout.strip():  # what list-jobs prints where there is none
        sink.put(f"{name}.txt", "none\n")
        return
    if rows is None:  # older systemd prints list-jobs as text whatever was asked for
        sink.put(f"{name}.txt", done.stdout)
        return
    rows.sort(key=lambda row: "failed" not in row)
    sink.put(f"{name}.txt", table([column.upper() for column in columns], rows))
    sink.put(f"{name}.json", done.stdout)


def _rows(text: str, columns: tuple[str, ...]) -> list[list[str]] | None:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(read, list):
        return None
    return [
        [str(each.get(name, "")) for name in columns] for each in read if isinstance(each, dict)
    ]


COLLECTOR = Collector(
    "failed", "other units that failed or wait, and systemd's job queue", collect, max_bytes=1 << 19
)
