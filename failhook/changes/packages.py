# SPDX-License-Identifier: MIT
"""Which package a file is of, in which version, since when: dpkg's own files, or a call of rpm.

dpkg is never started: its database is text, and reading it costs less than one of its processes.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from failhook import proc
from failhook.changes.fingerprint import Package

Run = Callable[..., proc.Completed]
MAX_PACKAGES = 400
_MAX_STATUS = 64 << 20
_MAX_LIST = 32 << 20
_LOG_TAIL = 512 << 10
RPM_S = 1.5
_MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")  # below / or below /usr (usrmerge)
# 2026-11-20 17:57:02 status installed grafana:amd64 11.2
_LOGGED = re.compile(
    rb"^(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) "
    rb"(?:status installed|status not-installed|upgrade|install|remove|purge) (?P<name>[^\s]+) ",
    re.MULTILINE,
)
_RPM_LINE = re.compile(r"(?P<name>\S+) (?P<version>\S+) (?P<at>\d+)")
_RPM_FORMAT = "%{NAME} %{EVR} %{INSTALLTIME}\\n"


class Packages:
    """A machine without a package manager that we know."""

    def stamp(self) -> str:
        """Something that changes whenever a package does."""
        return ""

    def owners(self, paths: Iterable[str]) -> dict[str, str]:
        """Path -> package."""
        del paths
        return {}

    def versions(self, names: Iterable[str]) -> dict[str, Package]:
        """Package -> what is installed of it now."""
        del names
        return {}

    def times(self, names: Iterable[str]) -> dict[str, float]:
        """Package -> when it was last installed, upgraded or removed, where that is known."""
        del names
        return {}


def manager(root: Path = Path("/"), run: Run = proc.run, limit_s: float = RPM_S) -> Packages:
    """The one that this machine has; ``limit_s`` is for each call of a program."""
    if (root / "var/lib/dpkg/status").exists():
        return Dpkg(root)
    if root == Path("/") and proc.find("rpm"):
        return Rpm(run, limit_s)
    return Packages()


def spellings(path: str) -> Iterator[str]:
    """``path``, and as it is called on the other side of /bin -> /usr/bin."""
    yield path
    parts = path.split("/")
    if len(parts) > 3 and parts[1] == "usr" and parts[2] in _MERGED:
        yield "/" + "/".join(parts[2:])
    elif len(parts) > 2 and parts[1] in _MERGED:
        yield "/usr" + path


class Dpkg(Packages):
    """Reads /var/lib/dpkg and /var/log/dpkg.log."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._base = root / "var/lib/dpkg"
        self._log = root / "var/log/dpkg.log"
        self._installed: dict[str, str] | None = None

    def stamp(self) -> str:
        with contextlib.suppress(OSError):
            state = (self._base / "status").stat()
            return f"{state.st_mtime_ns}:{state.st_size}:{state.st_ino}"
        return ""

    def owners(self, paths: Iterable[str]) -> dict[str, str]:
        wanted = {os.fsencode(form): path for path in paths for form in spellings(path)}
        found: dict[str, str] = {}
        if not wanted:
            return found
        with contextlib.suppress(OSError), os.scandir(self._base / "info") as entries:
            for entry in entries:
                if entry.name.endswith(".list"):
                    lines = _head(Path(entry.path), _MAX_LIST).split(b"\n")
                    for line in [line for line in lines if line in wanted]:
                        found.setdefault(wanted[line], entry.name.removesuffix(".list"))
        return found

    def versions(self, names: Iterable[str]) -> dict[str, Package]:
        if self._installed is None:
            self._installed = dict(_status(_head(self._base / "status", _MAX_STATUS)))
        known = self._installed
        return {name: Package("dpkg", known.get(name)) for name in names} if known else {}

    def times(self, names: Iterable[str]) -> dict[str, float]:
        wanted = set(names)
        found: dict[str, float] = {}
        if not wanted:
            return found
        for log in (self._log, self._log.with_name("dpkg.log.1")):
            for name, at in _logged(_tail(log, _LOG_TAIL)):
                for key in (name, name.partition(":")[0]):
                    if key in wanted:
                        found[key] = at
            wanted -= found.keys()
            if not wanted:
                break
        return found


def _status(data: bytes) -> Iterator[tuple[str, str]]:
    """Name, and name with architecture -> version; with its state where that is not installed."""
    for block in data.split(b"\n\n"):
        fields: dict[bytes, str] = {}
        for line in block.split(b"\n"):
            key, colon, value = line.partition(b": ")
            if colon and key in (b"Package", b"Status", b"Architecture", b"Version"):
                fields.setdefault(key, value.decode("utf-8", "replace").strip())
        name, version = fields.get(b"Package"), fields.get(b"Version")
        state = fields.get(b"Status", "").rpartition(" ")[2]
        if not name or not version or state in ("", "not-installed", "config-files"):
            continue
        shown = version if state == "installed" else f"{version} ({state})"
        yield name, shown
        yield f"{name}:{fields.get(b'Architecture', '')}", shown


def _logged(data: bytes) -> Iterator[tuple[str, float]]:
    for match in _LOGGED.finditer(data):
        with contextlib.suppress(ValueError, OverflowError):
            at = time.mktime(time.strptime(match["at"].decode(), "%Y-%m-%d %H:%M:%S"))
            yield match["name"].decode("utf-8", "replace"), at


class Rpm(Packages):
    """One bounded call for all paths; its database is no text."""

    def __init__(self, run: Run = proc.run, limit_s: float = RPM_S) -> None:
        self._run = run
        self._limit_s = limit_s
        self._times: dict[str, float] = {}

    def stamp(self) -> str:
        found: list[str] = []
        for name in ("rpmdb.sqlite", "rpmdb.sqlite-wal", "Packages.db", "Packages"):
            for base in ("/usr/lib/sysimage/rpm", "/var/lib/rpm"):
                with contextlib.suppress(OSError):
                    state = Path(base, name).stat()
                    found.append(f"{state.st_mtime_ns}:{state.st_size}")
        return " ".join(found)

    def owners(self, paths: Iterable[str]) -> dict[str, str]:
        asked = list(paths)[:MAX_PACKAGES]
        if not asked:
            return {}
        argv = ["rpm", "-qf", "--qf", _RPM_FORMAT, "--", *asked]
        lines = self._run(argv, timeout_s=self._limit_s, max_bytes=1 << 20).text.splitlines()
        known = [_RPM_LINE.fullmatch(line) for line in lines]
        if len(lines) == len(asked):
            pairs = zip(asked, known, strict=True)
            return {path: match["name"] for path, match in pairs if match}
        # A file of two packages has two lines: then nobody knows which path a line is for.
        return {f"?{match['name']}": match["name"] for match in known if match}

    def versions(self, names: Iterable[str]) -> dict[str, Package]:
        asked = list(names)[:MAX_PACKAGES]
        if not asked:
            return {}
        argv = ["rpm", "-q", "--qf", _RPM_FORMAT, "--", *asked]
        done = self._run(argv, timeout_s=self._limit_s, max_bytes=1 << 20)
        if done.returncode is None:
            return {}
        found: dict[str, list[str]] = {name: [] for name in asked}
        for line in done.text.splitlines():
            match = _RPM_LINE.fullmatch(line)
            if match and match["name"] in found:
                found[match["name"]].append(match["version"])
                last = self._times.get(match["name"], 0.0)
                self._times[match["name"]] = max(last, float(match["at"]))
        return {name: Package("rpm", ", ".join(sorted(has)) or None) for name, has in found.items()}

    def times(self, names: Iterable[str]) -> dict[str, float]:
        return {name: self._times[name] for name in names if name in self._times}


def _head(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(most)
    except OSError:
        return b""


def _tail(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - most))
            return stream.read(most)
    except OSError:
        return b""
