# SPDX-License-Identifier: MIT
"""Triggers on their way to the runner: read, set aside, moved to disk, and noticed at once.

A file appears by rename and is complete then; it leaves only when its incident is on disk.
"""

from __future__ import annotations

import json
import logging
import os
import stat
from dataclasses import replace
from pathlib import Path

from failhook import files
from failhook.places import Places
from failhook.systemd.boot import boot_id
from failhook.trigger import MAX_BYTES, Trigger, TriggerError, parse

logger = logging.getLogger(__name__)
_SHUTDOWN = "-shutdown"


class Spool:
    """The spool directories of one failhook: the tmpfs one, and the one that outlives a boot."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._is_any_kept = True  # of a former boot, on disk; not known yet

    def make(self) -> None:
        """Create what is missing. Raises OSError."""
        self._places.run.mkdir(mode=0o755, parents=True, exist_ok=True)
        for directory in (self._places.spool, self._places.incoming):
            files.make_private(directory)

    def waiting(self) -> list[Path]:
        """All triggers that nobody has recorded yet, oldest first (names begin with the time).

        What a former boot left is looked for until nothing of it is there: only a machine that goes
        down adds to it, and on some file systems that look takes as long as all until then.
        """
        kept = _triggers_in(self._places.kept_spool) if self._is_any_kept else []
        self._is_any_kept = bool(kept)
        found = [*kept, *_triggers_in(self._places.spool)]
        return sorted(found, key=lambda path: path.name)

    def read(self, path: Path) -> tuple[Trigger, bytes] | None:
        """The trigger in a file and the file's bytes; an unreadable one is set aside.

        Raises OSError where it cannot be set aside.
        """
        try:
            data = files.read_bounded(path, MAX_BYTES + 1)
            trigger = parse(path.stem, data)
        except FileNotFoundError:
            return None
        except (OSError, TriggerError) as error:
            self.set_aside(path, str(error))
            return None
        if path.parent != self._places.kept_spool:
            return replace(trigger, boot_id=boot_id()), data
        return replace(trigger, during_shutdown=path.stem.endswith(_SHUTDOWN)), data

    def done(self, path: Path) -> None:
        """The trigger is recorded: the file goes."""
        path.unlink(missing_ok=True)

    def set_aside(self, path: Path, reason: str) -> None:
        """Not retried for ever, not lost either: moved to where a person finds it.

        Raises OSError (a full disk): it stays where it is then.
        """
        where = "removed, there is nothing in it to keep"
        if stat.S_ISREG(path.lstat().st_mode):
            files.make_private(self._places.set_aside)
            target = self._places.set_aside / path.name
            files.write(target, files.read_bounded(path, MAX_BYTES))
            where = f"set aside as {target}"
        files.remove_tree(path)
        logger.error("%s is no trigger to work with (%s); %s", path.name, reason, where)

    def keep_for_next_boot(self) -> int:
        """Move what waits from the tmpfs to disk while the machine goes down; returns how many."""
        waiting = [path for path in self.waiting() if path.parent == self._places.spool]
        kept = 0
        for path in waiting:
            try:
                data = _with_boot(files.read_bounded(path, MAX_BYTES))
                files.make_private(self._places.kept_spool)
                files.write(self._places.kept_spool / f"{path.stem}{_SHUTDOWN}.json", data)
                path.unlink()
                kept += 1
            except OSError as error:  # the others can still be kept
                logger.error("%s is lost with this boot: %s", path, error)
        return kept


def _triggers_in(directory: Path) -> list[Path]:
    """None where it is not there, or not ours to read."""
    try:
        with os.scandir(directory) as entries:
            return [Path(entry.path) for entry in entries if entry.name.endswith(".json")]
    except OSError:
        return []


def _with_boot(data: bytes) -> bytes:
    """The record with this boot's id as the manager has it; unchanged where it is no record."""
    try:
        record = json.loads(data)
        return json.dumps(record | {"boot_id": boot_id()}).encode()
    except (ValueError, TypeError, RecursionError):
        return data
