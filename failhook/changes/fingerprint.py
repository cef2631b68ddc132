# SPDX-License-Identifier: MIT
"""What a unit that runs well is made of, as pure data: marks of files, versions, mounts.

A fingerprint is of one run of the unit (its invocation): what the files were when that began is
what it runs well with, whatever became of them since. The content of a file is only there as a
digest with a key that stays on this machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

SCHEMA = 1
MAX_BYTES = 512 << 10
# Files of these places change while all is well: only that they are there, and whose they are.
_RESTLESS = ("/var/", "/srv/", "/home/", "/root/", "/mnt/", "/media/")
# Files of these come and go with the unit itself.
_PASSING = (
    "/run/", "/proc/", "/sys/", "/dev/", "/var/run/", "/var/lock/",
    "/tmp/", "/var/tmp/",  # noqa: S108 - never opened
)  # fmt: skip


class Kind(StrEnum):
    """Why a file is looked at."""

    UNIT = "unit"  # the unit's file and its drop-ins
    PROGRAM = "program"
    FILE = "file"


class Damaged(ValueError):
    """The text is not a fingerprint."""


@dataclass(frozen=True, slots=True)
class FileMark:
    """A file as it was. ``late``: changed after the run began, so not what that began with."""

    path: str
    kind: Kind = Kind.FILE
    missing: bool = False
    size: int | None = None  # None: may change at any time, as `modified` and `digest`
    modified: float | None = None
    changed: float | None = None  # st_ctime: a file that was put in place keeps an old st_mtime
    mode: int = 0
    owner: str = ""
    digest: str | None = None
    late: bool = False


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package; ``version`` None: it is not installed any more."""

    manager: str
    version: str | None


@dataclass(frozen=True, slots=True)
class Mounted:
    """A mount that paths of the unit lie on."""

    source: str
    type: str
    options: str

    def __str__(self) -> str:
        return f"{self.source} {self.type} {self.options}"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """One unit, seen at ``seen`` (Unix seconds) in a run that began at ``started``."""

    unit: str
    seen: float
    invocation: str | None = None
    started: float | None = None
    kernel: str = ""
    key: str = ""  # which key the digests were made with
    stamp: str = ""  # of the list of packages, to see quickly that nothing was installed
    files: Mapping[str, FileMark] = field(default_factory=dict)
    directories: tuple[str, ...] = ()  # those of which all files are here
    owned: Mapping[str, str] = field(default_factory=dict)  # path -> package, "" where of none
    packages: Mapping[str, Package] = field(default_factory=dict)
    mounts: Mapping[str, Mounted] = field(default_factory=dict)
    users: Mapping[str, int | None] = field(default_factory=dict)


def is_passing(path: str) -> bool:
    """Nothing is known by looking at such a file once: it is made anew with every run."""
    return path.startswith(_PASSING)


def is_restless(path: str) -> bool:
    """Data, logs, caches: their content changes while all is well."""
    return path.startswith(_RESTLESS)


def dump(one: Fingerprint) -> bytes:
    """The file's content."""
    raw = asdict(one) | {"schema": SCHEMA, "files": [_slim(mark) for mark in one.files.values()]}
    return json.dumps(raw, ensure_ascii=True, separators=(",", ":")).encode()


def _slim(mark: FileMark) -> dict[str, Any]:
    fields = asdict(mark).items()  # 0 is the size of an empty file, and equal to False
    return {name: value for name, value in fields if value not in (None, "") and value is not False}


def load(data: bytes) -> Fingerprint:
    """The reverse of `dump`. Raises Damaged."""
    try:
        raw = json.loads(data)
        if raw["schema"] != SCHEMA:
            raise Damaged(f"schema {raw['schema']}")
        return _fingerprint(raw)
    except Damaged:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"not a fingerprint: {type(error).__name__} {error}") from None


def _fingerprint(raw: Mapping[str, Any]) -> Fingerprint:
    marks = [_mark(entry) for entry in raw["files"]]
    packages = {
        str(name): Package(str(one["manager"]), _text(one["version"]))
        for name, one in raw["packages"].items()
    }
    mounts = {
        str(point): Mounted(str(one["source"]), str(one["type"]), str(one["options"]))
        for point, one in raw["mounts"].items()
    }
    return Fingerprint(
        unit=str(raw["unit"]),
        seen=float(raw["seen"]),
        invocation=_text(raw["invocation"]),
        started=_number(raw["started"]),
        kernel=str(raw["kernel"]),
        key=str(raw["key"]),
        stamp=str(raw["stamp"]),
        files={mark.path: mark for mark in marks},
        directories=tuple(str(one) for one in raw["directories"]),
        owned={str(path): str(name) for path, name in raw["owned"].items()},
        packages=packages,
        mounts=mounts,
        users={str(name): _whole(uid) for name, uid in raw["users"].items()},
    )


def _mark(raw: Mapping[str, Any]) -> FileMark:
    return FileMark(
        path=str(raw["path"]),
        kind=Kind(raw["kind"]),
        missing=bool(raw.get("missing")),
        size=_whole(raw.get("size")),
        modified=_number(raw.get("modified")),
        changed=_number(raw.get("changed")),
        mode=int(raw.get("mode", 0)),
        owner=str(raw.get("owner", "")),
        digest=_text(raw.get("digest")),
        late=bool(raw.get("late")),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
