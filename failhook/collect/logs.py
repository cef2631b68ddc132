# SPDX-License-Identifier: MIT
"""The end of log files that the program keeps itself: many say the reason nowhere else.

Where StandardOutput= sends its words to a file that one comes first. Others are looked for where
the unit, its program or LogsDirectory= point to below /var/log, and only files that were written
since the run began. A link is no log file: their directory often belongs to the user that the
service runs as, and he must not choose which file of root's is read.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path

from failhook.collect import output
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
_Entry = tuple[str, os.stat_result]
_COMPRESSED = (".gz", ".xz", ".bz2", ".zst", ".journal", ".lz4")


def collect(context: Context, sink: Sink) -> None:
    """The file of its output, then up to four others, the newest first: their last lines."""
    if not of_this_boot(context):
        raise Skipped("the run is of a former boot")
    incident = context.incident
    since = (incident.main.started or incident.first_seen - _START_S) - _SLACK_S
    outputs = output.files(context.unit)
    found = _of_its_instance(incident.unit, sorted(set(_files(context, since)), reverse=True))
    others = [path for _, path in found[:_MAX_FILES] if path not in outputs]
    kept = [_keep_output(sink, path, setting, since) for path, setting in outputs.items()]
    if not others and not any(kept):
        raise Skipped("the program keeps no log file below /var/log that it wrote in this run")
    for path in others:
        _keep(sink, path, f"logs/{Path(path).relative_to(LOG)}")


def _of_its_instance(unit: str, found: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Where some of the files bear the name of the unit's instance, those: the others are of its
    siblings (postgresql-15-main.log of postgresql@15-main.service)."""
    instance = unit.rpartition(".")[0].partition("@")[2]
    if len(instance) < 2:
        return found
    return [one for one in found if instance in one[1].removeprefix(str(LOG))] or found


def _keep_output(sink: Sink, path: str, setting: str, since: float) -> bool:
    """False where nothing was written to it in this run."""
    with contextlib.suppress(OSError):
        state = Path(path).stat()
        if stat.S_ISREG(state.st_mode) and state.st_size and state.st_mtime >= since:
            _keep(sink, path, f"output/{setting}.txt", only_text=True)
            return True
    return False


def _keep(sink: Sink, path: str, name: str, *, only_text: bool = False) -> None:
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
    lines = output.plain_lines(data) if only_text else data.decode("utf-8", "replace").split("\n")
    sink.put(name, "\n".join(visible(line) for line in lines), truncated=cut)


def _names(context: Context) -> list[str]:
    """What the program's log may be called."""
    prefix = context.incident.unit.rpartition(".")[0].partition("@")[0]
    names = [prefix, prefix.removesuffix("-server"), prefix.removesuffix("d")]
    programs = context.unit.programs("ExecStart", "ExecStartPre")
    names += [path.rpartition("/")[2] for path in programs]
    user = context.unit.get("User")
    names += [user] if user and user not in ("root", "nobody", "www-data") else []
    names += (context.unit.get("LogsDirectory") or "").split()
    sound = [name.partition(":")[0] for name in names]
    return [name for name in dict.fromkeys(sound) if name and not name.startswith((".", "/"))]


def _files(context: Context, since: float) -> Iterator[tuple[float, str]]:
    """(time of the last change, path) of what was written since."""
    names = _names(context)
    found = chain(
        (each for name in names for each in _of_name(name, context.incident.unit)),
        _of_suites(names, context.unit.number("UID") or 0),
    )
    for path, state in islice(found, _MAX_ENTRIES):
        fresh = stat.S_ISREG(state.st_mode) and state.st_mtime >= since
        if fresh and state.st_size and not path.endswith(_COMPRESSED):
            yield state.st_mtime, path


def _of_name(name: str, unit: str) -> Iterator[_Entry]:
    """What programs of that name keep: a file, a directory, that of an instance in it."""
    short = name.removesuffix("ctl") or name
    places = [LOG / name, LOG / f"{name}.log", LOG / short, LOG / "private" / name]
    instance = unit.rpartition(".")[0].partition("@")[2]
    if instance and "/" not in instance and not instance.startswith("."):
        places.append(LOG / name / instance)
    for place in places:
        yield from _below(place)


def _of_suites(names: Sequence[str], uid: int) -> Iterator[_Entry]:
    """Files of their name in the directory of the suite that they are of: glusterfs/glusterd.log.

    Only root's and the unit's own: in a directory of its own any other user could say something in
    the name of this one.
    """
    own = {0, uid}
    for directory, state in _below(LOG):
        if not stat.S_ISDIR(state.st_mode) or state.st_uid not in own:
            continue
        for name in names:
            yield from (
                (p, s) for p, s in _below(Path(directory, f"{name}.log")) if s.st_uid in own
            )


def _below(place: Path) -> Iterator[_Entry]:
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
