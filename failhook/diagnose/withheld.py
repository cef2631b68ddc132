# SPDX-License-Identifier: MIT
"""What a program needs and its user may not use, where the program does not say which it is.

"Unable to access datadir", "Error loading config file": the path stands in its configuration, and
the look at the machine has seen that it is not for this user; or his own home is closed to him.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from failhook.diagnose.case import Case
from failhook.diagnose.config_file import file_in, on_command_line, the_one
from failhook.diagnose.facts import HOME, USUAL, PathFact
from failhook.diagnose.finding import LIKELY, SAID, Cause, Finding, fails, from_message, quote
from failhook.diagnose.general import telling
from failhook.diagnose.level import Level
from failhook.diagnose.nearby import named_paths
from failhook.diagnose.place import OF_A_RUN, is_program_text, stands_at
from failhook.diagnose.rights import forbidden
from failhook.diagnose.subjects import commands, paths_in
from failhook.diagnose.text import Message
from failhook.diagnose.wording import FAILURE

_CANNOT = re.compile(
    r"\b(?:can(?:not|'t| not)|could(?: not|n't)|unable to|failed to|failure|error)\b.{0,20}"
    r"\b(?:open|read|access|writ|creat|load|enter|find|use|initiali[sz]|sav|stor|lock)(?:e|ed|ing)?\b"
    r"|\bread-?only database\b",
    re.IGNORECASE,
)
_NOT_OPENED = re.compile(r"\(\) on (?:closed|unopened) filehandle\b")  # what perldiag(1) warns of
_WRITES = re.compile(
    r"writ|creat|access|data|dir\b|director|\blog|cache|stor|lock|sav|spool|journal|persist|state",
    re.IGNORECASE,
)
_OF_CONFIGURATION = re.compile(
    r"\b(?:open|read|access|load|find|locate|pars)(?:e|ing)?\b.{0,40}\bconfig", re.IGNORECASE
)
_OF_KEY = re.compile(
    r"\b(?:private|secret|host|ssl|tls)?[_ ]?key(?:[_ ]?file)?\b|key_file|\bcert(?:ificate)?s?\b|_cert",
    re.IGNORECASE,
)
_OF_A_RUN = (*OF_A_RUN, "/dev/")
_CODE = 4  # lines: of code, what it points at, and a place
_NEAR = 3  # lines: "We looked for: /etc/x.conf"


def _look(case: Case) -> Iterator[Finding]:
    known = _without_those_around(
        {path: at for path, at in case.facts.withheld.items() if not path.startswith(_OF_A_RUN)}
    )
    if len(known) == 1 and case.silent and case.ended_badly and not _is_to_write(case, known):
        (path, place), *_ = known.items()
        what, advice = _sentence(case, path, place)
        proof = (case.checked(f"{path}: {_seen(case, path)}"),)
        yield Finding("permission", fails(case, what), advice, LIKELY - 0.03, proof)
    if case.ended_badly and not telling(case, case.messages):
        yield from _without_a_word(case)
    for message in case.messages:
        unopened = _NOT_OPENED.search(message.text) is not None
        if named_paths(case, message) and not unopened:
            continue
        if not (unopened or _CANNOT.search(message.text) or _is_of_key(message, known)):
            continue
        yield from _configuration(case, message)
        yield from _in_its_code(case, message)
        yield from _of_its_command_line(case, message)
        fits = unopened or not _is_to_write(case, known) or _WRITES.search(message.text)
        if len(known) == 1 and fits:
            (path, place), *_ = known.items()
            what, advice = _sentence(case, path, place)
            yield from_message(
                case, message, "permission",
                what=f"{what}: “{quote(message.text, 140)}”", advice=advice,
                confidence=SAID + 0.02 if unopened else _how_sure(case, path, place), more=[case.checked(f"{path}: {_seen(case, path)}")],
            )  # fmt: skip


def _how_sure(case: Case, path: str, place: str) -> float:
    """Of what it was told to use, and is shut out of, more than of what its user merely owns not."""
    fact = case.path(path)
    access = fact.may(case.uid) if fact is not None else None
    shut_out = access is not None and access.blocked_at is not None
    return SAID + 0.04 if shut_out and place not in (HOME, USUAL) else LIKELY + 0.06


def _without_those_around(known: Mapping[str, str]) -> Mapping[str, str]:
    """Of a home, and of the usual place of data, that are around a file which it was told to use,
    that file: it is all one."""
    told = [path for path, place in known.items() if place not in (HOME, USUAL)]
    return {
        path: place
        for path, place in known.items()
        if path in told or not any(one.startswith(f"{path.rstrip('/')}/") for one in told)
    }


def _is_of_key(message: Message, known: Mapping[str, str]) -> bool:
    """It is an error of a key or a certificate, and the one thing that is withheld is such a file."""
    is_key = len(known) == 1 and next(iter(known)).endswith((".key", ".pem", ".crt", ".p12"))
    grave = message.level >= Level.ERROR or FAILURE.search(message.text) is not None
    return is_key and grave and _OF_KEY.search(message.text) is not None


def _is_to_write(case: Case, known: Mapping[str, str]) -> bool:
    """He may read it: that he may not write it is as it should be for what is only served."""
    return any(
        place != HOME and access.read and access.blocked_at is None
        for path, place in known.items()
        if (fact := case.path(path)) is not None and (access := fact.may(case.uid)) is not None
    )


def _configuration(case: Case, message: Message) -> Iterator[Finding]:
    """The configuration that it cannot find is there, and not for its user to read."""
    if not _OF_CONFIGURATION.search(message.text):
        return
    near = case.messages[max(0, message.number - 1) : message.number + _NEAR]
    named = [file for one in near if (file := file_in(one.text)) is not None]
    usual = the_one(case.unit, case.facts)
    uid = message.uid if message.uid is not None else case.uid
    for path in dict.fromkeys([*named, *on_command_line(case.unit), *([usual] if usual else [])]):
        fact = case.path(path)
        access = fact.may(uid) if fact is not None else None
        if fact is None or access is None or (access.read and access.blocked_at is None):
            continue
        found = forbidden(case, message, path, fact, uid, writes=False)
        if found is not None:
            yield found
            return


def _in_its_code(case: Case, message: Message) -> Iterator[Finding]:
    """The path stands in the line of code that a traceback shows above its exception."""
    uid = message.uid if message.uid is not None else case.uid
    for one in reversed(case.messages[max(0, message.number - _CODE) : message.number]):
        if one.pid != message.pid:
            return
        for path in paths_in(one.raw) if one.raw.startswith((" ", "\t")) else ():
            fact = case.path(path)
            if fact is None or is_program_text(path):
                continue
            found = forbidden(case, message, path, fact, uid, writes=True)
            if found is not None:
                yield found
                return


def _without_a_word(case: Case) -> Iterator[Finding]:
    """It was given one file that its user may not read, and complains of nothing at all."""
    closed = _closed_of_its_command_line(case, case.uid)
    if len(closed) == 1:
        ((path, _),) = closed
        what, advice = _sentence(case, path, "ExecStart")
        proof = (case.checked(f"{path}: {_seen(case, path)}"),)
        yield Finding("permission", fails(case, what), advice, LIKELY + 0.03, proof)


def _closed_of_its_command_line(case: Case, uid: int | None) -> list[tuple[str, PathFact]]:
    return [
        (path, fact)
        for setting, program, argv in commands(case.unit)
        for path in (paths_in(argv) if setting == "ExecStart" else ())
        if path != program and (fact := case.path(path)) is not None and fact.exists
        and (access := fact.may(uid)) is not None and not access.read
    ]  # fmt: skip


def _of_its_command_line(case: Case, message: Message) -> Iterator[Finding]:
    """The one file that it was given and its user may not read."""
    uid = message.uid if message.uid is not None else case.uid
    closed = _closed_of_its_command_line(case, uid)
    if len(closed) == 1:
        (path, fact), *_ = closed
        found = forbidden(case, message, path, fact, uid, writes=False)
        yield from [found] if found is not None else []


def _seen(case: Case, path: str) -> str:
    fact = case.path(path)
    return fact.described if fact is not None and fact.described else "is not there"


def _sentence(case: Case, path: str, place: str) -> tuple[str, str]:
    """What is not for whom, and what to do."""
    user = case.facts.user(case.uid)
    fact = case.path(path)
    access = fact.may(case.uid) if fact is not None else None
    where = {HOME: f"its home directory {path}", USUAL: path}.get(
        place, f"{path} ({stands_at(place)})"
    )
    if access is not None and access.blocked_at is not None:
        return (
            f"{user} may not enter {access.blocked_at} on the way to {where}",
            f"let {user} pass: chmod o+x {access.blocked_at}, or set its group",
        )
    if fact is not None and not fact.exists:
        parent = path.rpartition("/")[0] or "/"
        return f"{user} may not make {where} in {parent}", f"chown {user} {parent}"
    mode = f", {fact.described}" if fact is not None and fact.described else ""
    may = "write" if access is not None and access.read else "read"
    return f"{user} may not {may} {where}{mode}", f"chown {user} {path}"


CAUSES = (Cause("withheld", "what its user may not use of what it is told to use", _look),)
