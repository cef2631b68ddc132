# SPDX-License-Identifier: MIT
"""Reads what makes a boot a good one: ``[boot]`` and ``[boot.wanted]``.

Checks of several files add up: a package brings its own in conf.d and takes nobody else's away. One
with a mistake is left out; the boot check says so, and ``failhook check`` is the strict one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar
from urllib.parse import urlsplit

from failhook import values
from failhook.config.model import (
    Amount,
    Boot,
    BootChecks,
    Configuration,
    DiskCheck,
    HttpCheck,
    NetworkCheck,
)
from failhook.config.reader import Fields, File, Key
from failhook.values import Kind, Wrong

T = TypeVar("T")
# What failhook-boot-check.service has (TimeoutStartSec=15min), less the time of green.d and red.d.
MOST_S = 600.0
_UNIT = re.compile(
    r"[\w:.\\@-]{1,200}\.(?:service|mount|socket|target|timer|path|swap|automount|slice|device|scope)"
)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,252})")


def _units(value: object) -> tuple[str, ...]:
    found = values.texts(value)
    for one in found:
        if not _UNIT.fullmatch(one):
            raise Wrong(f'has {one!r}, which names no unit with its type; write "ssh.service"')
    return found


def _amount(value: object, read: Kind) -> Amount:
    if isinstance(value, str) and value.strip().endswith("%"):
        return Amount(percent=values.share(value))
    return Amount(count=read.read(value))


def _free(value: object) -> Amount:
    try:
        return _amount(value, values.SIZE)
    except Wrong:
        raise Wrong('is neither a share nor a size; write "5%" or "500M"') from None


def _inodes(value: object) -> Amount:
    try:
        return _amount(value, values.COUNT)
    except Wrong:
        raise Wrong('is neither a share nor a number; write "5%" or 10000') from None


def _names(value: object) -> tuple[str, ...]:
    found = values.texts(value)
    for one in found:
        if not _HOST.fullmatch(one):
            raise Wrong(f'has {one!r}, which is no name of a host; write "example.org"')
    return found


def _url(value: object) -> str:
    found = values.text(value)
    try:
        parts = urlsplit(found)
        port = parts.port
    except ValueError:
        raise Wrong("is no URL") from None
    odd = any(ord(char) <= 32 or ord(char) == 127 for char in found)
    if odd or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise Wrong('is no URL; write "http://127.0.0.1:8080/health"')
    return found


def _status(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 100 <= value <= 599:
        raise Wrong("is no status of HTTP; write 200")
    return value


def _limit(value: object) -> float:
    found = values.duration(value)
    if not 0 < found <= MOST_S:
        raise Wrong(f"has to be above 0 and up to {MOST_S / 60:g} min")
    return found


def _limits(value: object) -> tuple[tuple[str, float], ...]:
    if not isinstance(value, dict):
        raise Wrong('is no table of durations; write { "10-db.sh" = "2min" }')
    return tuple((values.text(name), _limit(one)) for name, one in value.items())


_DURATION = Kind("duration", _limit, values.DURATION.schema)
_LIMITS = Kind(
    "table of durations",
    _limits,
    {"type": "object", "additionalProperties": dict(values.DURATION.schema)},
)
SETTINGS: Fields = {
    "timeout": ("timeout_s", _DURATION),
    "timeouts": ("timeouts", _LIMITS),
    "deadline": ("deadline_s", _DURATION),
}
UNITS: Fields = {
    "active": ("active", Kind("list of units", _units, values.TEXTS.schema)),
    "not_failed": ("not_failed", values.TEXTS),
    "may_fail": ("may_fail", values.TEXTS),
}
DISK: Fields = {
    "path": ("path", values.PATH),
    "free": ("free", Kind("share or size", _free, values.SIZE.schema)),
    "inodes": ("inodes", Kind("share or number", _inodes, values.SIZE.schema)),
}
NETWORK: Fields = {
    "route": ("route", values.FLAG),
    "address": ("address", values.FLAG),
    "resolve": ("resolve", Kind("list of names", _names, values.TEXTS.schema)),
}
HTTP: Fields = {
    "url": ("url", Kind("URL", _url, {"type": "string", "pattern": "^https?://"})),
    "status": ("status", Kind("status", _status, {"type": "integer"})),
}
TABLES = ("disk", "network", "http")
_OF_CHECKS = (*UNITS, *TABLES)


def apply(before: Configuration, file: File, raw: Mapping[str, object]) -> Configuration:
    """``before`` with what this file says of the boot check; mistakes go to ``file``."""
    table = file.table(raw, ("boot",))
    known = (*SETTINGS, *_OF_CHECKS, "wanted")
    for key in table:
        if key not in known:
            file.unknown(("boot", key), known)
    settings = file.fields(
        {key: one for key, one in table.items() if key in SETTINGS}, ("boot",), SETTINGS
    )
    wanted = file.table(table, ("boot", "wanted"))
    for key in wanted:
        if key not in _OF_CHECKS:
            file.unknown(("boot", "wanted", key), _OF_CHECKS)
    own = {name for name, _ in settings.get("timeouts", ())}  # type: ignore[attr-defined]
    kept = tuple(one for one in before.boot.timeouts if one[0] not in own)
    boot: Boot = replace(before.boot, **settings)  # type: ignore[arg-type]
    return replace(
        before,
        boot=replace(
            boot,
            required=_added(boot.required, file, table, ("boot",)),
            wanted=_added(boot.wanted, file, wanted, ("boot", "wanted")),
            timeouts=kept + (boot.timeouts if own else ()),
        ),
    )


def _added(before: BootChecks, file: File, raw: Mapping[str, object], at: Key) -> BootChecks:
    """``before`` and the checks of one table."""
    units = file.fields({key: one for key, one in raw.items() if key in UNITS}, at, UNITS)
    network = file.fields(file.table(raw, (*at, "network")), (*at, "network"), NETWORK)
    more = NetworkCheck(**network)  # type: ignore[arg-type]
    found = BootChecks(**units)  # type: ignore[arg-type]
    return BootChecks(
        active=_together(before.active, found.active),
        not_failed=_together(before.not_failed, found.not_failed),
        may_fail=_together(before.may_fail, found.may_fail),
        disk=_together(before.disk, tuple(_disks(file, raw, (*at, "disk")))),
        network=NetworkCheck(
            before.network.route or more.route,
            before.network.address or more.address,
            _together(before.network.resolve, more.resolve),
        ),
        http=_together(before.http, tuple(_https(file, raw, (*at, "http")))),
    )


def _together(before: tuple[T, ...], more: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*before, *more)))


def _disks(file: File, raw: Mapping[str, object], at: Key) -> Iterator[DiskCheck]:
    hint = 'write disk = [{ path = "/var", free = "5%" }]'
    for here, table in _tables(file, raw.get("disk", []), at, hint):
        before = len(file.problems)
        fields = file.fields(table, here, DISK)
        if len(file.problems) > before:
            continue
        if "path" not in fields:
            file.problem(here, "path is missing", hint)
        elif len(fields) < 2:
            file.problem(here, "says not what has to be free", 'free = "5%" or inodes = "5%"')
        else:
            yield DiskCheck(**fields)  # type: ignore[arg-type]


def _https(file: File, raw: Mapping[str, object], at: Key) -> Iterator[HttpCheck]:
    hint = 'write http = ["http://127.0.0.1:8080/health"]'
    found = raw.get("http", [])
    if isinstance(found, list):
        found = [{"url": one} if isinstance(one, str) else one for one in found]
    for here, table in _tables(file, found, at, hint):
        before = len(file.problems)
        fields = file.fields(table, here, HTTP)
        if len(file.problems) > before:
            continue
        if "url" not in fields:
            file.problem(here, "url is missing", hint)
        else:
            yield HttpCheck(**fields)  # type: ignore[arg-type]


def _tables(
    file: File, found: object, at: Key, hint: str
) -> Iterator[tuple[Key, Mapping[str, object]]]:
    if not isinstance(found, list):
        file.problem(at, "is no list", hint)
        return
    for number, table in enumerate(found):
        if isinstance(table, dict):
            yield (*at, number), table
        else:
            file.problem((*at, number), "is no table", hint)
