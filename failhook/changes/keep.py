# SPDX-License-Identifier: MIT
"""The fingerprints on disk: one small file per unit, private, replaced by rename, never many.

What is damaged counts as not there and is replaced by the next one. Imports little: every failure
asks whether there is one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from failhook import files
from failhook.places import Places

if TYPE_CHECKING:
    from failhook.changes.fingerprint import Fingerprint

KEY = "key"
MAX_UNITS = 500
_KEY_BYTES = 32
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9:_.@-]")


class Keep:
    """The directory of fingerprints. Nothing is made before there is something to keep."""

    def __init__(self, places: Places) -> None:
        self._directory = places.units

    def path(self, unit: str) -> Path:
        """A name that any file system takes, for whatever a unit is called."""
        name = _NOT_IN_NAMES.sub("_", unit)[:150].lstrip(".")
        key = hashlib.sha256(unit.encode("utf-8", "surrogateescape")).hexdigest()[:12]
        return self._directory / f"{name}-{key}.json"

    def load(self, unit: str) -> Fingerprint | None:
        """The one of ``unit``; None where there is none or it is damaged."""
        from failhook.changes import fingerprint

        with contextlib.suppress(OSError, fingerprint.Damaged):
            data = files.read_bounded(self.path(unit), fingerprint.MAX_BYTES + 1)
            found = fingerprint.load(data)
            return found if found.unit == unit else None
        return None

    def save(self, one: Fingerprint) -> bool:
        """Keep it; False where it is too large for that. Raises OSError."""
        from failhook.changes import fingerprint

        data = fingerprint.dump(one)
        if len(data) > fingerprint.MAX_BYTES:
            return False
        files.make_private(self._directory)
        files.write(self.path(one.unit), data)
        return True

    def seen(self, unit: str) -> float:
        """When its file was last written, 0 where there is none."""
        try:
            return self.path(unit).lstat().st_mtime
        except OSError:
            return 0.0

    def key(self) -> bytes:
        """The key of this machine's digests, made once. Raises OSError."""
        path = self._directory / KEY
        with contextlib.suppress(OSError):
            found = files.read_bounded(path, _KEY_BYTES + 1)
            if len(found) == _KEY_BYTES:
                return found
        files.make_private(self._directory)
        fresh = os.urandom(_KEY_BYTES)
        files.write(path, fresh)
        return fresh

    def sweep(self, units: Collection[str], age_s: float, *, now: float | None = None) -> int:
        """Forget units that nobody watches any more, what is too old, and what is too much."""
        wanted = {self.path(unit).name for unit in units}
        oldest = (time.time() if now is None else now) - age_s
        files.sweep_temporaries(self._directory)
        kept: list[tuple[float, Path]] = []
        gone: list[Path] = []
        with contextlib.suppress(OSError):
            for path in self._directory.glob("*.json"):
                at = path.lstat().st_mtime
                if path.name in wanted and at >= oldest:
                    kept.append((at, path))
                else:
                    gone.append(path)
        gone += [path for _, path in sorted(kept, reverse=True)[MAX_UNITS:]]
        for path in gone:
            with contextlib.suppress(OSError):
                path.unlink()
        return len(gone)
