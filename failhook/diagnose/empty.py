# SPDX-License-Identifier: MIT
"""A file that a program is told to read and that has no content, or is cut off or damaged.

Of a full disk, mostly, or of a tool that died while it wrote it. Few programs say which file it is;
they speak of a format or of an end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from failhook.diagnose.case import Case
from failhook.diagnose.config_file import is_input
from failhook.diagnose.finding import LIKELY, SAID, Cause, Finding, fails, from_message, quote
from failhook.diagnose.general import telling
from failhook.diagnose.nearby import named_paths
from failhook.diagnose.place import MADE, OF_A_RUN, is_program_text, stands_at
from failhook.diagnose.subjects import paths_in, started
from failhook.diagnose.text import Message
from failhook.diagnose.tracebacks import crashes
from failhook.diagnose.wording import NAMES_A_THING

# Even where the line names something: what that is may be in the file that is empty.
_OF_NO_CONTENT = re.compile(
    r"\bempty\b|\bformat\b|\bEOF\b|end of (?:file|input|data)|pars(?:e|ing)|decod|corrupt|damaged|no (?:start )?(?:line|data|key|certificate|pem)|truncated|too short"
    r"|\b(?:key|cert\w*|pem|database|file)\b",
    re.IGNORECASE,
)
_OF_CONTENT = re.compile(rf"{_OF_NO_CONTENT.pattern}|invalid|bad ", re.IGNORECASE)
_DAMAGED = re.compile(
    r"(?:premature|unexpected) (?:end|eof)\b|\btruncated\b|not in (?:gzip|bzip2|xz|zstd|lz4) format"
    r"|\b(?:corrupt(?:ed)?|damaged) (?:input|data|file|archive|header|stream)|(?:input|data|file|archive|header|stream) (?:is |was )?(?:corrupt|damaged)"
    r"|\bnot a database\b|\bdatabase disk image is malformed|SQLITE_(?:NOTADB|CORRUPT)|\bbad magic|crc (?:error|mismatch|check failed)|checksum (?:error|mismatch)|(?:unrecogni[sz]ed|unknown) (?:(?:archive|file|image|data) )?format|not (?:a|an) \w{2,12} (?:file|archive)\b",
    re.IGNORECASE,
)
_NEAR = 3  # lines
_OF_A_RUN = (*OF_A_RUN, "/dev/", "/proc/", "/sys/")


def _look(case: Case) -> Iterator[Finding]:
    known = {**_of_command_line(case), **case.facts.empty}
    for message in case.messages:
        for path in named_paths(case, message):
            if path in known and _OF_CONTENT.search(message.text.replace(path, "")):
                yield from_message(
                    case, message, "file-empty",
                    what=f"{path} is empty: “{quote(message.text, 160)}”",
                    advice=f"restore {path} from a backup, or have it made again",
                    confidence=SAID + 0.12, more=[case.checked(f"{path}: 0 bytes")],
                )  # fmt: skip
    if len(known) != 1 or not case.ended_badly:
        return
    (path, place), *_ = known.items()
    best = next((one for _, one in telling(case, case.messages)), None)
    if (
        best is not None
        and NAMES_A_THING.search(best.text)
        and not _OF_NO_CONTENT.search(best.text)
    ):
        return
    last = next(reversed(case.messages), None) if best is None else best
    of_content = last is not None and _OF_CONTENT.search(last.text) is not None
    said = f": “{quote(last.text, 140)}”" if last is not None and (best or of_content) else ""
    yield Finding(
        "file-empty",
        fails(case, f"{path} ({stands_at(place)}) is empty{said}"),
        f"restore {path} from a backup, or have it made again",
        SAID + 0.05 if of_content else LIKELY + 0.04,
        (case.checked(f"{path}: 0 bytes"),),
    )


def _damaged(case: Case) -> Iterator[Finding]:
    """It speaks of a damaged input without a name, and its command line names one file alone."""
    files = inputs_of(case)
    for message in case.messages:
        if not _DAMAGED.search(message.text):
            continue
        if named := [one for one in named_paths(case, message) if _is_data(case, one)]:
            yield from_message(
                case, message, "file-damaged",
                what=f"{named[-1]} is cut off or damaged: “{quote(message.text, 160)}”",
                advice=f"restore {named[-1]} from a backup, or have it made again",
                confidence=SAID + 0.02,
            )  # fmt: skip
        if named or named_paths(case, message):
            continue
        path = files[0] if len(files) == 1 else _just_before(case, message)
        if path:
            yield from_message(
                case, message, "file-damaged",
                what=f"{path}, as it seems, is cut off or damaged: “{quote(message.text, 160)}”",
                advice=f"compare {path} with a copy, or have it made again",
                confidence=LIKELY + 0.06 if len(files) == 1 else SAID + 0.1,
            )  # fmt: skip


def _is_data(case: Case, path: str) -> bool:
    fact = case.path(path)
    return fact is not None and fact.kind == "file" and not is_program_text(path)


def _just_before(case: Case, message: Message) -> str:
    """The file that the same process spoke of last, before the steps of a traceback."""
    crash = next((one for one in crashes(case) if one.first <= message.number <= one.last), None)
    first = message.number if crash is None else crash.first
    for one in reversed(case.messages[max(0, first - _NEAR) : first]):
        for path in paths_in(one.raw) if one.pid == message.pid else ():
            fact = case.path(path)
            if fact is not None and fact.kind == "file" and not is_program_text(path):
                return path
    return ""


def inputs_of(case: Case) -> list[str]:
    """The files of the failed command line that are there, but for the program and its settings."""
    failed = case.failing
    paths = [
        path
        for setting, program, argv in started(case.unit)
        for path in (paths_in(argv) if setting == failed else ())
        if path != program
        and not path.startswith(("/etc/", *_OF_A_RUN))
        and not is_program_text(path)
    ]
    facts = {path: case.path(path) for path in dict.fromkeys(paths)}
    return [path for path, fact in facts.items() if fact is not None and fact.kind == "file"]


def _of_command_line(case: Case) -> dict[str, str]:
    """Files of the command line that are there, are only read, and have no content."""
    failed = case.failing
    found: dict[str, str] = {}
    for setting, program, argv in started(case.unit):
        for path in paths_in(argv) if setting in ("ExecStart", failed) else ():
            fact = case.path(path)
            if fact is None or fact.kind != "file" or fact.size != 0 or path == program:
                continue
            made = path.endswith(MADE) or path.startswith(_OF_A_RUN)
            if not made and (path.startswith("/etc/") or is_input(path)):
                found[path] = setting
    return found


CAUSES = (
    Cause("empty", "a file that has no content", _look),
    Cause("damaged", "an input that is cut off or damaged", _damaged),
)
