# SPDX-License-Identifier: MIT
"""The end of log files that the program keeps itself: many say the reason nowhere else.

Looked for where the unit, its program or LogsDirectory= point to below /var/log, and only files
that were written since the run began. A link is no log file: their directory often belongs to the
user that the service runs as, and he must not choose which file of root's is read.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from failhook.collect.now import of_this_boot
from failhook.collector import Collector, Context, Sink, Skipped
from failhook.safe_open import open_regular
from failhook.systemd.journal import visible

LOG = Path("/var/log")
_MAX_FILES = 4
_MAX_ENTRIES = 2000
_TAIL_BYTES = 32 << 10
_SLACK_S = 1.0
_START_S = 90.0  # how long before its failure a run began, where nobody knows
_PATH = re.compile(r"\{ path=(\S+) ;")
_COMPRESSED = (".gz", ".xz", ".bz2", ".zst", ".journal", ".lz4")


def collect(context: Context, sink: Sink) -> None:
    """Up to four files, the newest first, their last lines."""
    if not of_this_boot(context):
        raise Skipped("the run is of a former boot")
    incident = context.incident
    since = (incident.main.started or incident.first_seen - _START_S) - _SLACK_S
    found = sorted(set(_files(context, since)), reverse=True)
    if not found:
        raise Skipped("the program keeps no log file below /var/log that it wrote in this run")
    for _, path in found[:_MAX_FILES]:
        _keep(sink, path)


def _keep(sink: Sink, path: str) -> None:
    name = f"logs/{Path(path).relative_to(LOG)}"
    try:
        with open_regular(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - _TAIL_BYTES))
            data = stream.read(_TAIL_BYTES)
    except OSError as error:
        sink.problem(f"{path}: {error.strerror or error}")
        return
    cut = size > _TAIL_BYTES
    if cut:
        data = data.partition(b"\n")[2]
    lines = data.decode("utf-8", "replace").split("\n")
    sink.put(name, "\n".join(visible(line) for line in lines), truncated=cut)


def _names(context: Context) -> list[str]:
    """What the program's log may be called."""
    prefix = context.incident.unit.rpartition(".")[0].partition("@")[0]
    names = [prefix, prefix.removesuffix("-server"), prefix.removesuffix("d")]
    for setting in ("ExecStart", "ExecStartPre"):
        for path in _PATH.findall(context.unit.get(setting) or ""):
            names.append(path.rpartition("/")[2])  # noqa: PERF401 - two loops read better
    user = context.unit.get("User")
    names += [user] if user and user not in ("root", "nobody", "www-data") else []
    names += (context.unit.get("LogsDirectory") or "").split()
    sound = [name.partition(":")[0] for name in names]
    return [name for name in dict.fromkeys(sound) if name and not name.startswith((".", "/"))]


def _files(context: Context, since: float) -> Iterator[tuple[float, str]]:
    """(time of the last change, path) of what was written since."""
    seen = 0
    for name in _names(context):
        for place in _places(name, context.incident.unit):
            for path, state in _below(place):
                seen += 1
                if seen > _MAX_ENTRIES:
                    return
                fresh = stat.S_ISREG(state.st_mode) and state.st_mtime >= since
                if fresh and state.st_size and not path.endswith(_COMPRESSED):
                    yield state.st_mtime, path


def _places(name: str, unit: str) -> Iterator[Path]:
    """Where programs of that name keep theirs: their own directory, that of an instance in it, a
    file of their name there or in the directory of the suite that they are of."""
    short = name.removesuffix("ctl") or name
    yield from (LOG / name, LOG / f"{name}.log", LOG / short, LOG / "private" / name)
    instance = unit.rpartition(".")[0].partition("@")[2]
    if instance and "/" not in instance and not instance.startswith("."):
        yield LOG / name / instance
    for path, state in _below(LOG):
        if stat.S_ISDIR(state.st_mode) and path != str(LOG / name):
            yield Path(path) / f"{name}.log"


def _below(place: Path) -> Iterator[tuple[str, os.stat_result]]:
    """A file itself, or the entries of a directory; never through a link."""
    try:
        state = place.lstat()
        if not stat.S_ISDIR(state.st_mode):
            yield str(place), state
            return
        with os.scandir(place) as entries:
            for entry in entries:
                yield entry.path, entry.stat(follow_symlinks=False)
    except OSError:
        return


COLLECTOR = Collector(
    "logs",
    "the last lines of log files that the program keeps itself",
    collect,
    timeout_s=4.0,
    max_bytes=256 << 10,
)
