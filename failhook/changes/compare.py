# SPDX-License-Identifier: MIT
"""Two fingerprints side by side: what changed, newest first. Pure; words only, never a digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from failhook.changes.fingerprint import FileMark, Fingerprint, Kind
from failhook.incident import NOT_THERE, Change

MAX_CHANGES = 20
_CONFIGURATION = "/etc/"
_MAX_TEXT = 300


@dataclass(frozen=True, slots=True)
class Times:
    """When things happened that do not say so themselves."""

    packages: Mapping[str, float] = field(default_factory=dict)
    booted: float | None = None


def compare(before: Fingerprint, after: Fingerprint, times: Times) -> tuple[Change, ...]:
    """What is different in ``after``; what has no time comes last."""
    found = [
        *_packages(before, after, times),
        *_files(before, after),
        *_mounts(before, after),
        *_users(before, after),
        *_kernel(before, after, times),
    ]
    found.sort(key=lambda one: (one.at is None, -(one.at or 0.0), one.what))
    return tuple(found[:MAX_CHANGES])


def _change(what: str, before: str | None, after: str | None, at: float | None) -> Change:
    return Change(_short(what), _short(before), _short(after), at)


def _short(text: str | None) -> str:
    """A name may be as long as a path can be: 4096 bytes."""
    text = text or ""
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def _packages(before: Fingerprint, after: Fingerprint, times: Times) -> Iterator[Change]:
    for name, old in before.packages.items():
        new = after.packages.get(name)
        if new is not None and new != old:
            what = f"{name.partition(':')[0]} ({old.manager})"
            at = times.packages.get(name)
            yield _change(what, old.version or NOT_THERE, new.version or NOT_THERE, at)


def _files(before: Fingerprint, after: Fingerprint) -> Iterator[Change]:
    upgraded = {
        name for name, old in before.packages.items() if after.packages.get(name) not in (None, old)
    }
    for path, old in before.files.items():
        new = after.files.get(path)
        if new is None:
            continue
        of_package = before.owned.get(path) in upgraded and not path.startswith(_CONFIGURATION)
        if not of_package:
            yield from _file(before, old, new, same_key=before.key == after.key)
    for path, new in after.files.items():
        if path not in before.files and not new.missing and _would_have_been_seen(before, new):
            yield _change(path, NOT_THERE, _words(new), _when(new, before.seen))


def _would_have_been_seen(before: Fingerprint, mark: FileMark) -> bool:
    """A file that nobody looked for before is not new."""
    return mark.kind is Kind.UNIT or mark.path.startswith(
        tuple(f"{directory}/" for directory in before.directories)
    )


def _file(before: Fingerprint, old: FileMark, new: FileMark, *, same_key: bool) -> Iterator[Change]:
    if old.missing or new.missing:
        if not (old.missing and new.missing):
            at = _when(new, before.seen) if old.missing else None
            yield _change(old.path, _words(old), _words(new), at)
        return
    content = _content_differs(old, new, same_key=same_key)
    was, now = _differing(old, new, size=content)
    if content:
        now.append("content changed")
    if old.late:
        now.append("changed after the unit was started")
    if now:
        at = _when(new, None if old.late else before.seen)
        yield _change(old.path, ", ".join(was) or "unknown", ", ".join(now), at)


def _content_differs(old: FileMark, new: FileMark, *, same_key: bool) -> bool:
    if old.size is None or new.size is None:
        return False
    if old.size != new.size:
        return True
    if same_key and old.digest is not None and new.digest is not None:
        return old.digest != new.digest
    return old.modified != new.modified


def _when(mark: FileMark, since: float | None) -> float | None:
    """When the file was written; one that was put in place with an old date: when that was."""
    if mark.modified is None or (since is not None and mark.modified < since):
        return mark.changed
    return mark.modified


def _words(mark: FileMark) -> str:
    return NOT_THERE if mark.missing else ", ".join(_traits(mark))


def _traits(mark: FileMark) -> list[str]:
    size = [] if mark.size is None else [f"{mark.size} bytes"]
    return [f"mode {mark.mode:04o}", f"owner {mark.owner}", *size]


def _differing(old: FileMark, new: FileMark, *, size: bool) -> tuple[list[str], list[str]]:
    """Mode, owner and size, where they are not as they were; the size too where ``size``."""
    was, now = _traits(old), _traits(new)
    kept = [at for at in (0, 1) if was[at] != now[at]] + ([2] if size else [])
    return [was[at] for at in kept], [now[at] for at in kept]


def _mounts(before: Fingerprint, after: Fingerprint) -> Iterator[Change]:
    if not before.mounts or not after.mounts:  # the table could not be read
        return
    for point in {**before.mounts, **after.mounts}:
        old, new = before.mounts.get(point), after.mounts.get(point)
        if old != new:
            words = (str(old) if old else NOT_THERE, str(new) if new else NOT_THERE)
            yield _change(f"mount {point}", *words, None)


def _users(before: Fingerprint, after: Fingerprint) -> Iterator[Change]:
    for name, old in before.users.items():
        if name in after.users and after.users[name] != old:
            yield _change(f"user {name}", _uid(old), _uid(after.users[name]), None)


def _uid(uid: int | None) -> str:
    return NOT_THERE if uid is None else f"uid {uid}"


def _kernel(before: Fingerprint, after: Fingerprint, times: Times) -> Iterator[Change]:
    if before.kernel and after.kernel and before.kernel != after.kernel:
        yield _change("kernel", before.kernel, after.kernel, times.booted)
