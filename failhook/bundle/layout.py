# SPDX-License-Identifier: MIT
"""What a bundle looks like inside: names, limits, the manifest's place, for writer and reader.

A bundle is one gzip member holding one POSIX tar: below one top directory regular files and nothing
else, ``manifest.json`` last. Names are such that they unpack anywhere, on any system.
"""

from __future__ import annotations

import re
import unicodedata

SCHEMA = 1
MANIFEST = "manifest.json"
MAX_LEVELS = 4  # of an item's path, below the top directory
MAX_COMPONENT = 200  # bytes; file systems allow 255, a suffix must still fit
MAX_PATH = 1024
BLOCK = 512
MAX_PAX = 4096  # bytes of extended header: one long path

_UNSAFE = re.compile(r"[^\w.@%+=,~-]")  # \w: letters and digits of any script, no controls
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


class BundleError(Exception):
    """A bundle could not be written, or is not one that may be opened.

    ``reason`` is a sentence for people; ``errno`` that of the disk where it was the disk.
    """

    def __init__(self, reason: str, errno: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.errno = errno


def top_directory(unit: str, incident_id: str) -> str:
    """The name of the one directory at the top: ``nginx.service-7f3a0c21b5de``."""
    return f"{safe_component(unit, 180)}-{safe_component(incident_id, 40)}"


def safe_component(name: str, max_bytes: int = MAX_COMPONENT) -> str:
    """One file's name: never hidden, an option, a device of Windows, ``..``, or too long."""
    text = name.encode("utf-8", "replace").decode()  # lone surrogates
    text = unicodedata.normalize("NFC", text)
    text = _UNSAFE.sub("_", text)
    if not text or text[0] in ".-~" or _RESERVED.fullmatch(text) or text.endswith("."):
        text = f"_{text.rstrip('.')}"
    while len(text.encode()) > max_bytes:
        text = text[: max(1, len(text) - max(1, (len(text.encode()) - max_bytes) // 4))]
    return text


def safe_path(path: str) -> str:
    """An item's path made harmless: relative, at most four levels, only `safe_component` names."""
    parts = [part for part in path.split("/") if part not in ("", ".", "..")] or ["item"]
    if len(parts) > MAX_LEVELS:
        parts = [*parts[: MAX_LEVELS - 1], "_".join(parts[MAX_LEVELS - 1 :])]
    return "/".join(map(safe_component, parts))


def folded(path: str) -> str:
    """Equal for paths that are one file where case or the form of accents does not count."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())


class Names:
    """The names already taken in a bundle that is being written."""

    def __init__(self) -> None:
        self._files = {folded(MANIFEST)}
        self._directories: dict[str, str] = {}  # folded -> as it was written first

    def free(self, path: str) -> str:
        """A safe path for ``path`` that is not taken: doubled names get ``~2`` before the dot."""
        *parents, name = safe_path(path).split("/")
        place = ""
        for parent in parents:
            place = self._directory(f"{place}{parent}") + "/"
        stem, dot, extension = name.partition(".")
        wanted, number = f"{place}{name}", 1
        while folded(wanted) in self._files or folded(wanted) in self._directories:
            number += 1
            wanted = f"{place}{stem}~{number}{dot}{extension}"
        return wanted

    def _directory(self, path: str) -> str:
        wanted, number = path, 1
        while folded(wanted) in self._files:
            number += 1
            wanted = f"{path}~{number}"
        return self._directories.get(folded(wanted), wanted)

    def new_directories(self, path: str) -> list[str]:
        """Those above ``path`` that do not exist yet, the highest first."""
        parts = path.split("/")[:-1]
        above = ["/".join(parts[: level + 1]) for level in range(len(parts))]
        return [each for each in above if folded(each) not in self._directories]

    def take(self, path: str) -> None:
        """From now on ``path`` and the directories above it are taken."""
        for directory in self.new_directories(path):
            self._directories[folded(directory)] = directory
        self._files.add(folded(path))
