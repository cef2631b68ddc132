# SPDX-License-Identifier: MIT
"""What systemd told us, parsed once: a spool file becomes a `Trigger`, or a `TriggerError`.

Two ways lead here (systemd.exec(5), environment): ExecStopPost= with SERVICE_RESULT, EXIT_CODE,
EXIT_STATUS and INVOCATION_ID of this very run, and OnFailure= with the same as MONITOR_*, for
services only and only where exactly one unit names the handler. The file may come from an
unprivileged process by way of the socket: every field is checked here and nowhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from failhook import hook

MAX_BYTES = 2 << 20
# unit-name.c:VALID_CHARS_WITH_AT, UNIT_NAME_MAX; the type suffix is one that systemd has.
_UNIT = re.compile(
    r"(?!\.)[A-Za-z0-9:_.\\@-]{1,247}"
    r"\.(service|mount|socket|swap|timer|path|automount|scope|target|slice|device)"
)
_HEX_ID = re.compile(r"[0-9a-f]{32}")
_WORD = re.compile(r"[A-Za-z0-9+_-]{1,64}")


class TriggerError(ValueError):
    """The record is not one of ours: says which field is wrong."""


class Kind(StrEnum):
    """Which way the news came."""

    STOP_POST = "stop-post"
    ON_FAILURE = "on-failure"
    CLEAN_STOP = "clean-stop"  # a unit that somebody waits for ended well
    JOURNAL = "journal"  # a failed run that no trigger told of, found in the journal
    MANUAL = "manual"  # failhook run UNIT


@dataclass(frozen=True, slots=True)
class Trigger:
    """One call by systemd. ``realtime`` is in Unix seconds; unknown is None."""

    id: str
    kind: Kind
    unit: str
    boot_id: str
    realtime: float
    manager: str = "system"
    invocation_id: str | None = None
    result: str | None = None
    exit_code: str | None = None
    exit_status: str | None = None
    trigger_unit: str | None = None
    uid: int = 0
    unproven: bool = False  # whoever sent it had gone when he was looked at
    during_shutdown: bool = False
    waits: bool = False  # the hook holds the unit until the steps before its restart are done
    cgroup_path: str | None = None
    cgroup: Mapping[str, str] = field(default_factory=dict)
    processes: tuple[Mapping[str, str], ...] = ()

    @property
    def user(self) -> bool:
        """It is the user manager's unit."""
        return self.manager == "user"


def is_unit_name(name: str) -> bool:
    """A full unit name as systemd takes it (systemd.unit(5)), with its type."""
    return len(name) <= 255 and _UNIT.fullmatch(name) is not None


def parse(trigger_id: str, data: bytes) -> Trigger:
    """A spool file's content. Raises TriggerError for anything but a well-formed record."""
    if len(data) > MAX_BYTES:
        raise TriggerError(f"{len(data)} bytes, at most {MAX_BYTES} are taken")
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise TriggerError(f"not JSON: {error}") from None
    if not isinstance(record, dict) or record.get("schema") != 1:
        raise TriggerError("not a record of schema 1")
    environ = _texts(record, "env")
    kind = _kind(record)
    prefix = "MONITOR_" if kind is Kind.ON_FAILURE else ""
    result = environ.get("MONITOR_SERVICE_RESULT" if prefix else "SERVICE_RESULT")
    return Trigger(
        id=trigger_id,
        kind=kind,
        unit=_unit(record),
        boot_id=_matching(record.get("boot_id"), _HEX_ID) or "",
        realtime=_number(record, "realtime"),
        manager="user" if record.get("manager") == "user" else "system",
        invocation_id=_matching(environ.get(f"{prefix}INVOCATION_ID"), _HEX_ID),
        result=_matching(result, _WORD),
        exit_code=_matching(environ.get(f"{prefix}EXIT_CODE"), _WORD),
        exit_status=_matching(environ.get(f"{prefix}EXIT_STATUS"), _WORD),
        trigger_unit=_matching(environ.get("TRIGGER_UNIT"), _UNIT),
        uid=int(_number(record, "uid")),
        unproven=record.get("unproven") is True,
        waits=record.get("wait") is True,
        cgroup_path=str(record["cgroup_path"])[:4096] if record.get("cgroup_path") else None,
        cgroup=_texts(record, "cgroup"),
        processes=_processes(record.get("processes")),
    )


def _kind(record: Mapping[str, object]) -> Kind:
    try:
        return Kind(str(record.get("kind")))
    except ValueError:
        raise TriggerError(f"unknown kind {str(record.get('kind'))[:40]!r}") from None


def _unit(record: Mapping[str, object]) -> str:
    unit = record.get("unit")
    if not isinstance(unit, str) or not is_unit_name(unit):
        raise TriggerError(f"{str(unit)[:80]!r} is not a unit name")
    if hook.is_ours(unit):
        raise TriggerError(f"{unit} is failhook's own: its failure is no incident")
    return unit


def _number(record: Mapping[str, object], name: str) -> float:
    value = record.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e11:
        raise TriggerError(f"{name} is not a number in its range")
    return float(value)


def _matching(value: object, pattern: re.Pattern[str]) -> str | None:
    """The text if it is well-formed; an odd value of a hostile environment counts as unknown."""
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _texts(record: Mapping[str, object], name: str) -> dict[str, str]:
    found = record.get(name, {})
    if not isinstance(found, dict):
        raise TriggerError(f"{name} is not an object")
    return {
        str(key)[:64]: _clean(value)
        for key, value in list(found.items())[:64]
        if isinstance(value, str)
    }


def _processes(found: object) -> tuple[Mapping[str, str], ...]:
    if not isinstance(found, list):
        return ()
    return tuple(
        {str(key)[:32]: _clean(value)[:256] for key, value in list(entry.items())[:16]}
        for entry in found[:256]
        if isinstance(entry, dict)
    )


def _clean(value: object) -> str:
    """No lone surrogates: what follows writes UTF-8."""
    return str(value)[:65536].encode("utf-8", "backslashreplace").decode()
