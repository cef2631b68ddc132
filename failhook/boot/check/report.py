# SPDX-License-Identifier: MIT
"""What the boot check found: one value, as JSON for programs and as lines for the journal.

The line with the verdict is read back from the journal by `failhook.diagnose.boot_check`: what a
script printed always stands behind a bar and is never taken for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from failhook import files
from failhook.incident import Json, JsonObject, rfc3339, unix_time
from failhook.journal_lines import RED, REQUIRED_FAILED
from failhook.places import Places

SCHEMA = 1
NAME = "boot-check.json"
GREEN = "the boot check is green: "
WANTED_FAILED = "wanted check failed: "
_ERROR, _WARNING, _NOTICE, _INFO = 3, 4, 5, 6  # sd-daemon(3)
_MOST = 4 << 20


@dataclass(frozen=True, slots=True)
class Check:
    """One check and how it went. ``detail`` is a clause for a person that names the thing."""

    name: str
    kind: str  # script, active, not-failed, disk, network, http, configuration
    required: bool
    ok: bool
    detail: str
    took_ms: int = 0
    output: str = ""  # the end of what it printed, masked; of one that failed


@dataclass(frozen=True, slots=True)
class Report:
    """All of them. ``procedures`` are the scripts of green.d or red.d that were run afterwards."""

    at: float  # Unix seconds
    boot_id: str
    checks: tuple[Check, ...]
    took_ms: int = 0
    notes: tuple[str, ...] = ()
    procedures: tuple[Check, ...] = ()

    @property
    def green(self) -> bool:
        """No required check failed."""
        return all(one.ok for one in self.checks if one.required)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The required ones that failed, in their order: the first is the reason."""
        return tuple(one for one in self.checks if one.required and not one.ok)

    @property
    def complaints(self) -> tuple[Check, ...]:
        """The wanted ones that failed: said, and nothing follows."""
        return tuple(one for one in self.checks if not one.required and not one.ok)

    @property
    def summary(self) -> str:
        """One sentence: the first required check that failed, and how many did."""
        required = sum(one.required for one in self.checks)
        if self.green:
            return f"{GREEN}{self._passed(required)}"
        failed = self.failed
        of = f"{len(failed)} of {required} required check{'' if required == 1 else 's'} failed"
        return f"{RED}{failed[0].detail}; {of}"

    def _passed(self, required: int) -> str:
        passed = "nothing is required"
        if required:
            passed = f"{required} required check{'' if required == 1 else 's'} passed"
        wanted = len(self.complaints)
        if wanted:
            passed += f", {wanted} wanted check{'' if wanted == 1 else 's'} failed"
        return passed

    def to_json(self) -> JsonObject:
        """As the JSON contract has it."""
        return {
            "state": "green" if self.green else "red",
            "summary": self.summary,
            "at": rfc3339(self.at),
            "boot_id": self.boot_id,
            "took_ms": self.took_ms,
            "checks": [_plain(one) for one in self.checks],
            "procedures": [_plain(one) for one in self.procedures],
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Report:
        """The reverse of `to_json`. Raises KeyError, TypeError, ValueError."""
        return cls(
            at=unix_time(raw["at"]),
            boot_id=str(raw["boot_id"]),
            checks=tuple(Check(**one) for one in raw["checks"]),
            took_ms=int(raw["took_ms"]),
            notes=tuple(map(str, raw["notes"])),
            procedures=tuple(Check(**one) for one in raw["procedures"]),
        )

    def journal_lines(self) -> Iterator[str]:
        """For standard error of the unit, with sd-daemon(3) priorities; the verdict last."""
        for note in self.notes:
            yield f"<{_NOTICE}>{note}"
        for one in self.checks:
            if not one.ok:
                level, words = (
                    (_ERROR, REQUIRED_FAILED) if one.required else (_WARNING, WANTED_FAILED)
                )
                yield from _lines(level, words, one)
        for one in self.procedures:
            if not one.ok:
                yield from _lines(_WARNING, "", one)
        yield f"<{_INFO if self.green else _ERROR}>{self.summary}"


def _lines(level: int, words: str, one: Check) -> Iterator[str]:
    """The check, then the end of its output: each line behind a bar."""
    for line in one.output.splitlines():
        yield f"<{_NOTICE}>| {one.name}: {line}"
    yield f"<{level}>{words}{one.detail} ({one.took_ms} ms)"


def _plain(one: Check) -> dict[str, Json]:
    return asdict(one)


def save(report: Report, places: Places) -> None:
    """Keep it as the report of this boot. Raises OSError."""
    places.run.mkdir(mode=0o755, parents=True, exist_ok=True)
    text = json.dumps({"schema": SCHEMA, "boot_check": report.to_json()})
    files.write(path_of(places), text)


def last(places: Places) -> Report | None:
    """The report of this boot's check; None where there is none. Raises OSError, ValueError."""
    try:
        data = files.read_bounded(path_of(places), _MOST)
    except FileNotFoundError:
        return None
    try:
        return Report.from_json(json.loads(data)["boot_check"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path_of(places)} is no report of a boot check: {error}") from None


def path_of(places: Places) -> Path:
    """Where the report of this boot's check is kept; gone with the boot."""
    return places.run / NAME
