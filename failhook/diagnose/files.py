# SPDX-License-Identifier: MIT
"""Files that are missing or may not be used, file systems that are read-only, files of others.

A program names the file in its line, or the line before; the error is the text of strerror(3) in
most of them, which is the same in every language of the machine because failhook's units and most
daemons run in the C locale.
"""

from __future__ import annotations

import re

from failhook.diagnose import acts, read_only
from failhook.diagnose.case import Case
from failhook.diagnose.disks import full
from failhook.diagnose.facts import PathFact
from failhook.diagnose.finding import GUESS, SAID, SEEN, Cause, Finding, each, from_message, quote
from failhook.diagnose.nearby import ERRNO, PUTS, is_program, named_paths, told_paths
from failhook.diagnose.place import DATABASES, MADE, OF_A_RUN, SYSTEM_PLACES, place_in
from failhook.diagnose.rights import forbidden, unmakeable
from failhook.diagnose.sandbox import hidden_by, sandboxed, write_protected
from failhook.diagnose.subjects import commands, own_directories, paths_in
from failhook.diagnose.text import Message
from failhook.diagnose.together import together
from failhook.diagnose.wording import FAILURE, NAMES_A_THING, OF_BASH, without_advice
from failhook.incident import Proof

_MISSING = re.compile(
    r"no such file or directory|\bENOENT\b|(?:does not|doesn't|did not) exist|FileNotFoundError"
    r"|not found|cannot find|can't find|could not find|no such (?:file|directory)|is missing"
    r"|cannot stat|NoSuchFileException|FileNotFoundException|errno[ =:]*2\b|os error 2\b",
    re.IGNORECASE,
)
_NOT_EXECUTABLE = re.compile(r"\bnot (?:an? )?executable\b", re.IGNORECASE)
_NO_SUCH = re.compile(r"no such file or directory|\bENOENT\b", re.IGNORECASE)
_DENIED = re.compile(
    r"permission denied|\bEACCES\b|\bEPERM\b|operation not permitted|access (?:is )?denied"
    r"|PermissionError|AccessDeniedException|errno[ =:]*13\b|os error 13\b|not (?:readable|writ(?:e)?able)"
    r"|attempt to write a readonly database|is not writable|unable to write|cannot write|can't write|insufficient permissions?",
    re.IGNORECASE,
)
_OPEN_MODE = re.compile(
    r"\bglobally (?:readable|writ(?:e)?able)|(?:group|world|other)s?[ -](?:or (?:world|other)s?[ -])?(?:readable|writ(?:e)?able|access)"
    r"|too open|insecure permissions?|unsafe permissions?|bad permissions?|invalid permissions"
    r"|permissions? (?:should|must) be|(?:accessible|readable|writ(?:e)?able) (?:only )?by (?:only )?(?:the |its )?(?:owner|root)|insecure (?:mode|owner|file|directory|group|world|location)|has wrong (?:owner|mode|permissions)"
    r"|(?:wrong|bad|invalid|incorrect|unsafe|insecure|improper) owner(?:ship)?|not owned by|is owned by",
    re.IGNORECASE,
)
_LOCKED = re.compile(
    r"(?:lock|pid)[ -]?file.{0,80}(?:(?<!not )exists?\b|held|already|taken)|already (?:running|locked)"
    r"|(?:could not|cannot|can't|unable to|failed to) (?:get|obtain|acquire|take).{0,30}lock"
    r"|\block(?:ing)?\b.{0,160}resource temporarily unavailable"
    r"|\block ?file creation failed|\bnumber of lock attempts"
    r"|resource temporarily unavailable.{0,60}(?:lock|\banother\b)|is (?:already )?locked by|database is locked",
    re.IGNORECASE,
)
_GUESSES = re.compile(r"\b(?:probably|perhaps|maybe|possibly|either)\b|^\W{0,4}if\b", re.IGNORECASE)
_RUNS_ALREADY = re.compile(r"\balready running\b", re.IGNORECASE)
_OF_THE_WEB = re.compile(r"\b(?:GET|POST|PUT|HEAD|DELETE|PATCH) /|\b40[0-9]\b|https?://")
_WRITES = re.compile(
    r"writ|creat|mkdir|unlink|rename|remov|append|log|lock|pid|save|dump|touch|chown|chmod",
    re.IGNORECASE,
)
_COMPLAINS = re.compile(
    r"\b(?:can(?:no|')t|can not|couldn't|could not|unable to|fail(?:ed|ure)?|error)\b",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"[:;,(-] {0,3}[A-Za-z][\w'’]* ?[^:]{4,}$|\b(?:because|since|at line|line \d)\b"
)
# Made by a run and gone with it: that they are not there afterwards proves nothing.
_OUTPUT = re.compile(r"\boutput file\b|\b(?:for|to) (?:writ|output)\w*", re.IGNORECASE)
_MAKES = re.compile(r"creat|mak(?:e|ing)|bind|listen", re.IGNORECASE)


def _of_line(case: Case, message: Message) -> list[str]:
    """The paths in the line of a configuration that the message points to, as it was read."""
    place = place_in(message.text)
    line = case.facts.lines.get(f"{place.file}:{place.line}", "") if place is not None else ""
    return paths_in(line)


def _missing_above(case: Case, message: Message) -> str | None:
    """A path that the last few lines name and that is not there."""
    for one in reversed(case.messages[max(0, message.number - 6) : message.number]):
        for path in reversed(paths_in(one.raw)):
            fact = case.path(path)
            if fact is not None and fact.kind in ("missing", "loop") and path.count("/") > 1:
                return path
    return None


def _is_no_file(message: Message) -> bool:
    """A page of the web, or a word of a shell."""
    return bool(_OF_THE_WEB.search(message.text) or OF_BASH.search(message.raw))


def missing(case: Case, message: Message) -> Finding | None:
    """A file that is not there; where several are named, the one that is truly not there."""
    by_words = _MISSING.search(message.text) is not None
    if not (by_words or _NOT_EXECUTABLE.search(message.text)) or _is_no_file(message):
        return None
    by_system = _NO_SUCH.search(message.text) is not None
    paths = [*named_paths(case, message), *_of_line(case, message)]
    if not by_system:  # "address '10.0.0.5' is missing /prefixlength"
        paths = [path for path in paths if path.count("/") > 1]
    for path in reversed(paths):
        fact = case.path(path)
        hidden = hidden_by(case, path, fact)
        if hidden is not None:
            return sandboxed(case, message, path, hidden)
        gone_since = path.startswith(OF_A_RUN) and not by_system
        if fact is not None and fact.missing_at == path and _is_own_pid_file(message, path):
            continue
        if fact is not None and fact.kind in ("missing", "loop") and not gone_since:
            return _absent(case, message, path, fact)
    for path in reversed(paths):
        for uid in dict.fromkeys((message.uid, case.uid)):
            closed = _closed(case, message, path, uid)
            if closed is not None:
                return closed
    return _missing_by_its_words(case, message, paths) if by_words else None


def _missing_by_its_words(case: Case, message: Message, paths: list[str]) -> Finding | None:
    by_system = ERRNO.search(message.text) is not None
    above = _missing_above(case, message) if by_system else None
    if above is not None and (fact := case.path(above)) is not None:
        return _absent(case, message, above, fact)
    if not paths:
        return None
    fact = case.path(paths[-1])
    there = fact is not None and fact.exists
    if _is_own_pid_file(message, paths[-1]):
        return None
    if there and not by_system:
        return None  # what is not found is something else, perhaps in that file
    sure = SAID - 0.3 if there else SAID - 0.05
    if paths[-1].startswith(OF_A_RUN) and paths[-1].endswith(".cid"):
        sure -= 0.15  # gone with the container that could not be made
    named = "" if paths[-1] in message.text else f", as it seems {paths[-1]}"
    return from_message(
        case, message, "file-missing",
        what=f"a file is missing{named}: “{quote(message.text)}”",
        advice="make the file, or correct its path in the configuration", confidence=sure,
    )  # fmt: skip


def _is_own_pid_file(message: Message, path: str) -> bool:
    """Looked for by a program that wants to know whether it runs already: mostly it does not."""
    is_one = path.startswith(OF_A_RUN) and path.endswith(".pid")
    return is_one and not _WRITES.search(message.text.replace(path, ""))


def _closed(case: Case, message: Message, path: str, uid: int | None) -> Finding | None:
    """It is there, but behind a directory that its user may not enter: he is told it is not."""
    fact = case.path(path)
    access = fact.may(uid) if fact is not None else None
    if fact is None or access is None or access.blocked_at is None:
        return None
    return forbidden(case, message, path, fact, uid, writes=False)


def _absent(case: Case, message: Message, path: str, fact: PathFact) -> Finding:
    if (found := unmakeable(case, message, path, fact)) is not None:
        return found
    if fact.missing_at == path and _is_to_be_made(message, path):
        setting = write_protected(case, path)
        if setting is not None:
            return sandboxed(case, message, path, setting)
    at = fact.missing_at or path
    directory = path.rpartition("/")[0]
    if fact.not_a_directory is not None:
        what = f"{path} cannot be there, {fact.not_a_directory} is a file and no directory"
        advice = f"move {fact.not_a_directory} out of the way"
    elif fact.real is not None:
        what = f"{path} is a link that leads to {fact.real}, which does not exist"
        advice = f"restore {fact.real}, or point the link elsewhere"
    elif at != path and at is not None:
        what = f"the directory {at} does not exist, so that {path} cannot be used"
        if _WRITES.search(message.text):
            advice = f"mkdir -p {directory} (for its user), or StateDirectory=, LogsDirectory= …"
        else:
            advice = f"restore {at}, or correct the path in the configuration"
    else:
        what = f"{path} does not exist"
        advice = f"restore {path}, or correct the path in the configuration"
    return from_message(
        case, message, "file-missing",
        what=f"{what}: “{quote(message.text, 160)}”", advice=advice, confidence=SEEN,
        more=[case.checked(f"{at} is missing")],
    )  # fmt: skip


def _is_to_be_made(message: Message, path: str) -> bool:
    """A file that programs make: that it is not there yet is no reason to fail."""
    made = path.endswith((*MADE, *DATABASES))
    said = message.text.replace(path, "")
    if _OUTPUT.search(said):
        return not path.startswith(SYSTEM_PLACES)
    return path.startswith("/var/") and (made or PUTS.search(said) is not None)


def denied(case: Case, message: Message) -> Finding | None:
    """A file that its user may not read, write or reach."""
    if not _DENIED.search(message.text) or _is_act(message.text):
        return None
    place = place_in(message.text)
    stands_in = place.file if place is not None and place.line is not None else None
    paths = [path for path in named_paths(case, message) if path != stands_in]
    paths += _of_line(case, message)
    if not paths and not _OF_NO_FILE.search(message.text):
        paths = _foreign(case, message)
    uid = message.uid if message.uid is not None else case.uid
    writes = _WRITES.search(message.text) is not None
    for path in paths:
        fact = case.path(path)
        if fact is None:
            continue
        for one in dict.fromkeys((uid, case.uid, *_other_uids(case))):
            found = forbidden(case, message, path, fact, one, writes=writes)
            if found is not None:
                return found
    for path in paths:
        hidden = hidden_by(case, path, case.path(path)) or write_protected(case, path)
        if hidden is not None:
            return sandboxed(case, message, path, hidden)
    paths = [path for path in paths if not _may_read(case, path, uid) or writes]
    if not paths:
        return None if _OF_NO_FILE.search(message.text) else _of_command_line(case, message, uid)
    fact = case.path(paths[0])
    seen = f" ({fact.described})" if fact is not None and fact.described else ""
    user = case.facts.user(uid)
    return from_message(
        case, message, "permission",
        what=f"{user} may not use {paths[0]}{seen}: “{quote(message.text, 160)}”",
        advice=f"look at its owner and mode, and those of the directories above: namei -l {paths[0]}",
        confidence=SAID + 0.02,
    )  # fmt: skip


def _is_act(text: str) -> bool:
    return bool(_NOT_PERMITTED.search(text) and _ACTS.search(text))


def _may_read(case: Case, path: str, uid: int | None) -> bool:
    """A file that was seen to be open to this user: of a traceback, say."""
    fact = case.path(path)
    access = fact.may(uid) if fact is not None and fact.kind == "file" else None
    return access is not None and access.read and access.blocked_at is None


def _of_command_line(case: Case, message: Message, uid: int | None) -> Finding | None:
    """What the command line names and is not for this user, where the message names nothing."""
    for setting, program, argv in commands(case.unit):
        for path in paths_in(argv) if setting == "ExecStart" else ():
            fact = case.path(path)
            if fact is not None and fact.exists and path != program:
                found = forbidden(case, message, path, fact, uid, writes=False)
                if found is not None:
                    return found
    return None


# What the mode of a file does not decide: errno 1 of these is a capability's or the sandbox's.
_NOT_PERMITTED = re.compile(r"operation not permitted|\bEPERM\b", re.IGNORECASE)
_ACTS = re.compile(
    r"\b(?:chroot|set[ug]id|setgroups|u?mount|mknod|pivot_root|unshare)\b", re.IGNORECASE
)
# EPERM is of something that only root may do, and much that is denied is no file.
_OF_NO_FILE = re.compile(
    r"operation not permitted|\bEPERM\b|\b(?:bind(?:ing)?|listen(?:ing)?|connect(?:ing|ion)?|sockets?|ports?|netlink"
    r"|r?limits?|setrlimit|sched\w*|nice|affinity|capabilit\w+|set[ug]id|setgroups|chroot|mount|ioctl|exec\w*|iptables"
    r"|nft\w*|interface|query|table|database|role|login)\b",
    re.IGNORECASE,
)


def _foreign(case: Case, message: Message) -> list[str]:
    """Files in the unit's own directories that its user may not use: left there by root, mostly."""
    return [
        path
        for path in case.facts.foreign
        if not path.startswith("/etc/")  # is as a rule root's, to be read
        if "log" not in message.lower or "log" in path.rpartition("/")[2].lower()
    ]


def _other_uids(case: Case) -> list[int]:
    """Daemons that start as root and go on as somebody else: every uid that was looked at."""
    return [uid for uid in case.facts.names if uid != 0]


def wrong_mode(case: Case, message: Message) -> Finding | None:
    """A file that its program refuses for its owner or mode."""
    if not _OPEN_MODE.search(message.text):
        return None
    paths = [path for path in named_paths(case, message) if case.path(path) is not None]
    if not paths:
        return None
    fact = case.path(paths[0])
    mode = f" ({fact.described})" if fact is not None and fact.described else ""
    more: list[Proof] = [case.checked(f"{paths[0]}: {fact.described}")] if fact and mode else []
    return from_message(
        case, message, "wrong-mode",
        what=f"it refuses {paths[0]} for its owner or permissions{mode}: “{quote(message.text, 150)}”",
        advice=f"chmod and chown {paths[0]} as its documentation asks for",
        confidence=SAID + 0.05, more=more,
    )  # fmt: skip


def _is_a_guess(case: Case, message: Message) -> bool:
    """``This probably means`` / ``that it is already running``: the program's own guess."""
    above = case.messages[message.number - 1 : message.number] if message.text[:1].islower() else ()
    return any(_GUESSES.search(one.text[:300]) for one in (*above, message))


def locked(case: Case, message: Message) -> Finding | None:
    """Another instance holds the lock, or left it behind."""
    if not _LOCKED.search(message.text):
        return None
    return from_message(
        case, message, "locked",
        what=f"another instance runs, or left its lock behind: “{quote(together(case, message), 200)}”",
        advice="end the other instance; if there is none, remove the lock or pid file",
        confidence=GUESS + 0.05 if _is_a_guess(case, message) else SAID - (0.05 if NAMES_A_THING.search(message.text) else 0.09)
        + (0.1 if _RUNS_ALREADY.search(message.text) else 0.0),
    )  # fmt: skip


def explained(case: Case, message: Message) -> Finding | None:
    """A line that complains of a path without saying why; the look at the machine does."""
    if not _COMPLAINS.search(message.text):
        return None
    for path in paths_in(without_advice(message.raw)):
        fact = case.path(path)
        if fact is None or is_program(case, path):
            continue
        if path.startswith(OF_A_RUN):
            if _has_no_place(case, path, fact) and _MAKES.search(message.text):
                return _absent(case, message, path, fact)
            continue
        hidden = hidden_by(case, path, fact)
        if hidden is not None:
            return sandboxed(case, message, path, hidden)
        if fact.kind in ("missing", "loop") and not _MAKES.search(message.text):
            return _absent(case, message, path, fact)
        own = message.uid if message.uid is not None else case.uid
        others = [] if _gives_a_reason(message.text, path) else [case.uid, *_other_uids(case)]
        for uid in dict.fromkeys((own, *others)):
            found = forbidden(case, message, path, fact, uid, writes=False)
            if found is not None:
                return found
    return None


def _has_no_place(case: Case, path: str, fact: PathFact) -> bool:
    """Its directory is missing, and is none that systemd made for the run and removed after it."""
    at = fact.missing_at if fact.kind == "missing" else None
    return at is not None and at != path and at not in own_directories(case.unit)


def _gives_a_reason(text: str, path: str) -> bool:
    """After the path it says what is wrong: then another user's rights are beside the point."""
    return _REASON.search(text.rpartition(path)[2]) is not None


def not_there(case: Case, message: Message) -> Finding | None:
    """A complaint about a file that it was told to read and that is not there, in other words:
    ``Invalid xlsx file: /srv/prices.xlsx``."""
    text = message.text[:600]
    if not FAILURE.search(text) or _MISSING.search(text) or _DENIED.search(text):
        return None
    told = told_paths(case)
    for path in paths_in(message.raw):
        fact = case.path(path)
        if path not in told or fact is None or fact.kind != "missing":
            continue
        if not path.startswith(OF_A_RUN) and not _WRITES.search(text.replace(path, "")):
            return _absent(case, message, path, fact)
    return None


def _said(case: Case) -> list[Finding]:
    return list(
        each(
            case,
            full,
            read_only.read_only,
            wrong_mode,
            *acts.REFUSED,
            denied,
            locked,
            missing,
            explained,
            not_there,
        )
    )


CAUSES = (Cause("files", "files, permissions, disks, quotas and locks", _said),)
