# SPDX-License-Identifier: MIT
"""Cases for tests, made of the items that a bundle would have: the way that real ones go.

`case("line", …)` is a failed run of a.service, whose program /usr/sbin/a wrote these lines.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from failhook.diagnose import facts as facts_of
from failhook.diagnose.case import Case, make
from failhook.diagnose.engine import CAUSES, diagnose
from failhook.diagnose.facts import Access, Facts, PathFact
from failhook.diagnose.finding import Finding
from failhook.incident import Control, Process, Verdict
from tests.unit import samples

UID = 998
PROGRAM = "/usr/sbin/a"
STARTED = "Started a.service - A."
FAILED = (
    "a.service: Main process exited, code=exited, status=3/NOTIMPLEMENTED",
    "a.service: Failed with result 'exit-code'.",
)


def entry(message: str, number: int = 0, **fields: str) -> dict[str, str]:
    """A line of the program, as journald keeps it."""
    at = int((samples.AT + 3600 + number / 100) * 1e6)
    plain = {
        "__REALTIME_TIMESTAMP": str(at),
        "MESSAGE": message,
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "a",
        "_COMM": "a",
        "_PID": "100",
        "_UID": "0",
        "_SYSTEMD_UNIT": "a.service",
    }
    return plain | fields


def of_manager(message: str, number: int = 0, **fields: str) -> dict[str, str]:
    """A line of PID 1."""
    own = {"SYSLOG_IDENTIFIER": "systemd", "_COMM": "systemd", "_PID": "1"}
    return entry(message, number, **(own | {"_SYSTEMD_UNIT": "init.scope"} | fields))


def of_setup(message: str, number: int = 0, **fields: str) -> dict[str, str]:
    """A line of systemd's child on its way to the program."""
    own = {"SYSLOG_IDENTIFIER": "(a)", "_COMM": "(a)", "_EXE": "/usr/lib/systemd/systemd"}
    return entry(message, number, **(own | fields))


def command(path: str, *words: str, status: str = "3", code: str = "exited") -> str:
    """An Exec line as ``systemctl show`` gives it."""
    argv = " ".join((path, *words))
    return (
        f"{{ path={path} ; argv[]={argv} ; ignore_errors=no ; start_time=[n/a] ; "
        f"stop_time=[n/a] ; pid=100 ; code={code} ; status={status} }}"
    )


def case(
    *lines: str | Mapping[str, str],
    show: Mapping[str, str] | None = None,
    manager: Sequence[str] = (STARTED, *FAILED),
    setup: Sequence[str] = (),
    facts: Facts | None = None,
    system: Mapping[str, Any] | None = None,
    items: Mapping[str, bytes] | None = None,
    **incident: Any,
) -> Case:
    """The case of a run that wrote ``lines``."""
    before, *after = manager if manager else ("",)
    said = [
        *([of_manager(before)] if before else []),
        *(of_setup(text, 1) for text in setup),
        *(
            entry(one, number) if isinstance(one, str) else entry("", number) | dict(one)
            for number, one in enumerate(lines, 1)
        ),
        *(of_manager(text, len(lines) + 1) for text in after),
    ]
    properties = {"Id": "a.service", "Type": "exec", "ExecStart": command(PROGRAM)}
    made = {
        "journal/journal.json": b"".join(json.dumps(one).encode() + b"\n" for one in said),
        "journal/journal.txt": journal_text(said),
        "unit/show.txt": show_text(properties | dict(show or {})),
        "checks/facts.json": facts_of.dump(facts or Facts()),
        "system/system.json": json.dumps(system or {}).encode(),
    }
    return make(samples.incident(**incident), made | dict(items or {}))


def journal_text(entries: Iterable[Mapping[str, str]]) -> bytes:
    """``journalctl -o short``, more or less."""
    return "".join(
        f"2026-11-21T21:49:37+0000 h {one['SYSLOG_IDENTIFIER']}[{one['_PID']}]: {one['MESSAGE']}\n"
        for one in entries
    ).encode()


def show_text(properties: Mapping[str, str]) -> bytes:
    """``systemctl show``; a value of several lines is several properties of the same name."""
    return "".join(
        f"{key}={line}\n" for key, value in properties.items() for line in value.split("\n")
    ).encode()


def judge(one: Case) -> Verdict:
    """The verdict on it."""
    verdict = diagnose(one)
    assert verdict is not None
    return verdict


def what(one: Case, cause: str) -> str | None:
    """What the finding of that name says, without "a.service failed to start: "; None where there
    is no such finding."""
    finding = found(one).get(cause)
    if finding is None:
        return None
    assert finding.advice
    return finding.sentence.removeprefix("a.service failed to start: ")


def sentence(*lines: str | Mapping[str, str], **how: Any) -> str:
    """What the verdict says, without the unit and how it ended."""
    return judge(case(*lines, **how)).summary


def found(one: Case) -> dict[str, Finding]:
    """What was found, by the name of its cause: the surest of each."""
    best: dict[str, Finding] = {}
    for cause in CAUSES:
        for finding in cause.look(one):
            known = best.get(finding.cause)
            if known is None or finding.confidence > known.confidence:
                best[finding.cause] = finding
    return best


def there(mode: int = 0o644, owner: str = "root", *, kind: str = "file", **more: Any) -> PathFact:
    """A path that exists. ``read``, ``write``, ``execute``, ``blocked_at``: what `UID` may do."""
    rights = {name: more.pop(name, True) for name in ("read", "write", "execute")}
    access = Access(UID, **rights, blocked_at=more.pop("blocked_at", None))
    group = more.pop("group", owner)
    return PathFact(kind, mode, owner, group, size=10, access=(access,), **more)


def gone(at: str | None = None, **more: Any) -> PathFact:
    """A path that is not there; ``at`` is the first part of the way that is missing."""
    rights = Access(UID, read=False, write=False, execute=False)
    return PathFact("missing", missing_at=at, access=(rights,), **more)


def control(name: str, status: str = "1", code: str = "exited") -> Control:
    """A command beside the main process that ended badly."""
    return Control(name, code, status)


def process(pid: int = 100, lived: float = 0.1) -> Process:
    """The main process."""
    started = samples.AT + 3600
    return Process(pid, started, started + lived)
