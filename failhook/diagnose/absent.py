# SPDX-License-Identifier: MIT
"""What a configuration names and is not there, where the program does not say so itself.

Many a program dies of a missing file with "No such file or directory" and no name, and some say
nothing at all. Its configuration names the file, and the look at the machine has not found it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from failhook.diagnose.case import Case
from failhook.diagnose.finding import LIKELY, SAID, Cause, Finding, fails, from_message, quote
from failhook.diagnose.level import Level
from failhook.diagnose.nearby import named_paths, told_paths
from failhook.diagnose.place import MADE, OF_A_RUN, stands_at
from failhook.diagnose.subjects import paths_in, started
from failhook.diagnose.text import Message
from failhook.diagnose.wording import FAILURE
from failhook.incident import Proof
from failhook.systemd.exit_status import status_name

_NO_SUCH_FILE = re.compile(r"no such file or directory|\bENOENT\b|cannot stat", re.IGNORECASE)
_BINDS = re.compile(r"\bbind|\blisten", re.IGNORECASE)
_UNIX = re.compile(r"\bunix\b.{0,30}\b(?:acceptor|socket|listener|server)\b", re.IGNORECASE)
_WORD = re.compile(r"\b[A-Za-z]{2,8}\b")
_CANNOT_OPEN = re.compile(
    r"\b(?:can(?:not|'t| not)|could(?: not|n't)|unable to|failed to|error)\b.{0,20}"
    r"\b(?:open|read|access|stat|load|enter|find|chdir|change)(?:ing)?\b",
    re.IGNORECASE,
)
# "no targets in the config file", after which it may not even say that there is none.
_NOT_CONFIGURED = re.compile(
    r"\b(?:no|not|without|missing|empty|none)\b.{0,60}\bconfig(?:uration)?\b|\bconfig(?:uration)?\b.{0,30}\b(?:missing|empty)\b",
    re.IGNORECASE,
)
# What a command after the start says of a program that it waits for.
_NOT_THERE = re.compile(
    r"\b(?:no|not|never|isn't|doesn't|didn't)\b.{0,40}\b(?:respond|runn|ready|up\b|listen|answer|reach|start)"
    r"|connection refused|\b(?:failed|could not|couldn't|unable|can't|cannot) (?:to )?connect\b|timed? ?out",
    re.IGNORECASE,
)
_KINDS = (
    (re.compile(r"\bkey ?file|\b(?:private|secret) key", re.IGNORECASE), (".key", "key.pem")),
    (re.compile(r"\bcert", re.IGNORECASE), (".crt", ".cer", "cert.pem", "chain.pem", ".pem")),
)
# Or made by the kernel for whoever asks, or only a word of bash (/dev/tcp/HOST/PORT); any other device
# that is named is there, or it is not.
_OF_A_RUN = (*OF_A_RUN, "/dev/log", "/dev/pts/", "/dev/tcp/", "/dev/udp/", "/dev/fd/")
# Made by the syslog daemon of Debian and Red Hat, for others to read.
_OF_SYSLOG = tuple(
    f"/var/log/{name}"
    for name in (
        "syslog", "messages", "auth.log", "secure", "mail.log", "maillog", "kern.log", "daemon.log",
        "user.log", "cron.log",
    )
)  # fmt: skip
_MOST = 3


def _look(case: Case) -> Iterator[Finding]:
    known = {
        _what(case, path): place
        for path, place in case.facts.absent.items()
        if not path.startswith(_OF_A_RUN) and not (path.endswith(MADE) and _can_make(case, path))
    }
    yield from _no_place_for_a_socket(case)
    every = {**known, **_of_command_line(case)}
    if case.silent and case.ended_badly and 0 < len(every) <= _MOST:
        what, advice = _sentence(every)
        named = status_name("exited", case.status)
        ended = f"{case.status}/{named}" if named else case.status
        what = f"{what}; it wrote nothing and ended with status {ended}"
        yield Finding("file-missing", fails(case, what), advice, LIKELY - 0.02, _seen(case, every))
    if not every:
        yield from _of_its_script(case)
    if not 0 < len(every) <= _MOST:
        return
    for message in case.messages:
        meant = _of_its_kind(message, every)
        sure = _how_sure(message, len(meant))
        if sure is None and len(meant) == 1 and _waited_in_vain(case, message):
            sure = LIKELY + 0.06
        if (
            sure is not None
            and not named_paths(case, message)
            and not _is_of_another(case, message, meant)
        ):
            what, advice = _sentence(meant)
            yield from_message(
                case, message, "file-missing", what=f"{what}: “{quote(message.text, 140)}”",
                advice=advice, confidence=sure, more=_seen(case, meant),
            )  # fmt: skip


def _of_its_script(case: Case) -> Iterator[Finding]:
    """``FileNotFoundError: [Errno 2] No such file or directory``, of a call that names no file, and
    the script names one thing that is not there."""
    unmade = {
        path: place
        for path, place in case.facts.unmade.items()
        if not path.startswith(_OF_A_RUN) and not path.endswith(MADE)
    }
    for message in case.messages if len(unmade) == 1 else ():
        if _NO_SUCH_FILE.search(message.text) and not named_paths(case, message):
            what, advice = _sentence(unmade)
            yield from_message(
                case, message, "file-missing", what=f"{what}: “{quote(message.text, 140)}”",
                advice=advice, confidence=SAID + 0.03, more=_seen(case, unmade),
            )  # fmt: skip


def _no_place_for_a_socket(case: Case) -> Iterator[Finding]:
    """``Failed to bind: No such file or directory``, ``no unix-domain acceptor``: bind(2) makes the
    socket, not its directory."""
    told = dict.fromkeys(told_paths(case), f"{case.failing}=")
    named = told | {path: stands_at(place) for path, place in case.facts.absent.items()}
    sockets = {path: named[path] for path in named if path.endswith((".sock", ".socket"))}
    for message in case.messages:
        if _BINDS.search(message.text) and _NO_SUCH_FILE.search(message.text):
            meant = told | sockets
        elif _UNIX.search(message.text) and FAILURE.search(message.text):
            meant = sockets
        else:
            continue
        for path, place in meant.items():
            fact = case.path(path)
            at = fact.missing_at if fact is not None else None
            if at is not None and at != path:
                yield from_message(
                    case, message, "file-missing",
                    what=f"the directory {at} does not exist, so that the socket {path} "
                    f"({place}) cannot be made: “{quote(message.text, 140)}”",
                    advice=f"make {at} (for its user), or RuntimeDirectory=",
                    confidence=SAID + 0.1, more=[case.checked(f"{at} is missing")],
                )  # fmt: skip


def _can_make(case: Case, path: str) -> bool:
    """Only the file is missing, and the program is who makes it."""
    fact = case.path(path)
    return fact is None or fact.missing_at == path


def _what(case: Case, path: str) -> str:
    """What is to be made: of a log whose directory is missing, that."""
    return path.rpartition("/")[0] if path.endswith(MADE) and not _can_make(case, path) else path


def _is_of_another(case: Case, message: Message, missing: Iterable[str]) -> bool:
    """``cannot read the WIM file``, and the command line names one that ends so and is there. What is
    ``missing`` and ends so as well is meant where the error says so; else it is to be made of it."""
    words = {word.lower() for word in _WORD.findall(message.text[:300])}
    meant = words.intersection(_ending(path) for path in told_paths(case) if _is_file(case, path))
    if _NO_SUCH_FILE.search(message.text):
        meant.difference_update(map(_ending, missing))
    return bool(meant)


def _is_file(case: Case, path: str) -> bool:
    fact = case.path(path)
    return fact is not None and fact.kind == "file"


def _ending(path: str) -> str:
    """``wim`` of /srv/a.WIM; empty where there is none."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""


def _of_its_kind(message: Message, known: Mapping[str, str]) -> Mapping[str, str]:
    """Those that the line can mean, where it says that it is about a certificate or a key."""
    for words, endings in _KINDS:
        if words.search(message.text):
            fitting = {path: place for path, place in known.items() if path.endswith(endings)}
            return fitting or known
    return known


def _how_sure(message: Message, count: int) -> float | None:
    """Of the line's being about what is missing; None where it is about something else."""
    if _NO_SUCH_FILE.search(message.text):
        return SAID + 0.05
    if count == 1 and _CANNOT_OPEN.search(message.text):
        return LIKELY + 0.06
    if count == 1 and _NOT_CONFIGURED.search(message.text) and message.level is not Level.TALK:
        return LIKELY + 0.06
    return None


def _waited_in_vain(case: Case, message: Message) -> bool:
    """``ExecStartPost=`` says that the program does not answer, and the program says nothing."""
    spoke = {one.pid for one in case.messages}
    alone = len(spoke) == 1 and str(case.incident.main.pid) not in spoke
    waited = case.failing == "ExecStartPost" and case.ended_badly and alone
    return waited and _NOT_THERE.search(message.text) is not None


def _of_command_line(case: Case) -> dict[str, str]:
    """What the command line names and is not there, though the program does not make it."""
    failed = case.failing
    found = {
        path: "EnvironmentFile"
        for path in case.facts.configurations
        if (fact := case.path(path)) is not None and fact.kind == "missing"
    }
    for setting, program, argv in started(case.unit):
        for path in paths_in(argv) if setting in ("ExecStart", failed) else ():
            fact = case.path(path)
            if path == program or fact is None or fact.kind != "missing":
                continue
            made = path.endswith(MADE) and fact.missing_at == path and path not in _OF_SYSLOG
            if not path.startswith(_OF_A_RUN) and not made:
                found[path] = setting
    return found


def _seen(case: Case, known: Mapping[str, str]) -> tuple[Proof, ...]:
    return tuple(case.checked(f"{path} is missing ({place})") for path, place in known.items())


def _sentence(known: Mapping[str, str]) -> tuple[str, str]:
    """What is missing, and what to do."""
    named = [f"{path} ({stands_at(place)})" for path, place in known.items()]
    if len(named) == 1:
        return f"{named[0]} does not exist", "make it, or correct where it is named"
    return f"of what it is told to use, these do not exist: {', '.join(named)}", (
        "make them, or correct where they are named"
    )


CAUSES = (Cause("absent", "what a configuration names and is not there", _look),)
