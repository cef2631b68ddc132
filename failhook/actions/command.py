# SPDX-License-Identifier: MIT
"""Runs a program of the administrator's: no shell, a sandbox, the incident at hand.

It finds the incident as JSON on standard input, the essentials as ``FAILHOOK_*`` variables and the
bundle at ``$FAILHOOK_BUNDLE``. Its exit status is the outcome; 75 (EX_TEMPFAIL of sysexits.h) means
that it wants to be tried again.

The bundle is root's alone. For a program that runs as somebody else a copy of it that belongs to
that user is mounted into the service, readable and nothing more. Not LoadCredential=: credentials
of a unit may be 1 MiB in all, and a bundle 16. Not BindReadOnlyPaths= of the bundle itself: a mount
changes nothing about whose file it is.

Where systemd or its bus does not answer, the program is run directly, as its user but without the
sandbox; the outcome says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from failhook import files, proc
from failhook.actions import transient, variables
from failhook.actions.transient import Ended, Service
from failhook.incident import SCHEMA
from failhook.plugin import (
    FLAG,
    PAIRS,
    PATH,
    PATHS,
    SIZE,
    TEXT,
    TEXTS,
    Action,
    Outcome,
    Request,
    Wrong,
    done,
    failed,
    option,
)
from failhook.redact import Redactor

TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
_PLACEHOLDERS = ("{unit}", "{id}", "{bundle}")
_SPARE_S = 6.0  # of the deadline: to start it, to end it, to say how it went
_SHOWN_LINES = 20
_SHOWN_CHARS = 4096
_DETAIL_CHARS = 300


@dataclass(frozen=True, slots=True)
class Options:
    """What is run, as whom, and what it may do."""

    argv: tuple[str, ...] = option(
        TEXTS, "the program and its arguments; {unit}, {id}, {bundle} stand for these"
    )
    user: str = option(TEXT, "runs as this user; root unless said", default="")
    environment: tuple[tuple[str, str], ...] = option(PAIRS, "further variables", default=())
    working_directory: str = option(PATH, "where it starts", default="")
    sandbox: bool = option(FLAG, "the file system is read only, and so on", default=True)
    writable: tuple[str, ...] = option(PATHS, "may be written in spite of that", default=())
    memory: int = option(SIZE, "takes no more memory than this", default=256 << 20)

    def __post_init__(self) -> None:
        if not self.argv or not self.argv[0] or self.argv[0] in _PLACEHOLDERS:
            raise Wrong("argv has no program")
        for name, _ in self.environment:
            if not name.isidentifier() or not name.isascii():
                raise Wrong(f"environment: {name!r} is no name of a variable")


def run(request: Request[Options]) -> Outcome:
    """Run it to its end, within the deadline."""
    options = request.options
    if request.user and options.user:
        return failed("a user's own manager runs nothing as somebody else", final=True)
    argv = tuple(_filled(word, request) for word in options.argv)
    if None in argv:
        return failed("it wants the bundle, and there is none", final=True)
    whom = options.user or "you" if request.user else options.user or "root"
    if request.dry_run:
        how = "in a sandbox" if options.sandbox else "without a sandbox"
        return done(f"would run {' '.join(options.argv)} as {whom}, {how}")
    account = None
    if options.user:
        try:
            account = _account(options.user)
        except KeyError:
            return failed(f"there is no user {options.user}", final=True)
    try:
        ended, note = _in_service(request, account)
        if ended.no_systemd:
            reason = ended.problem
            ended, note = _directly(request, account), f"without a sandbox: {reason}"
    except OSError as error:
        return failed(f"cannot be prepared: {error}")
    return _outcome(ended, note)


def _account(name: str) -> pwd.struct_passwd:
    """By name or number. Raises KeyError."""
    return pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)


def _filled(word: str, request: Request[Options], bundle: str | None = None) -> str | None:
    """A placeholder is a whole argument: nothing of an incident becomes a part of another word."""
    if word == "{unit}":
        return request.incident.unit
    if word == "{id}":
        return request.incident.id
    if word == "{bundle}":
        return bundle or (str(request.bundle) if request.bundle else None)
    return word


def _argv(request: Request[Options], bundle: str | None) -> tuple[str, ...]:
    words = (_filled(word, request, bundle) for word in request.options.argv)
    return tuple(word for word in words if word is not None)


def _variables(request: Request[Options], bundle: str | None) -> dict[str, str]:
    return variables.of_request(request, bundle=bundle) | dict(request.options.environment)


def _document(request: Request[Options], bundle: str | None) -> bytes:
    """As ``failhook show --json``, and what is wanted."""
    asked = {
        "id": request.id,
        "name": request.name,
        "attempt": request.attempt,
        "dry_run": False,
        "bundle": bundle,
    }
    document = {"schema": SCHEMA, "incident": request.incident.to_json(), "request": asked}
    return (json.dumps(document) + "\n").encode()


def _in_service(
    request: Request[Options], account: pwd.struct_passwd | None
) -> tuple[Ended, str | None]:
    options = request.options
    name = transient.unit_name(request.name, request.id, request.attempt)
    with _workplace(request) as place:
        inside = str(request.bundle) if request.bundle else None
        properties: tuple[str, ...] = ()
        if request.bundle is not None and account is not None and account.pw_uid != 0:
            copy = place / "bundle.tar.gz"
            _copy(request.bundle, copy, account)
            runtime = name.removesuffix(".service")
            inside = f"/run/{runtime}/bundle.tar.gz"
            properties = (f"RuntimeDirectory={runtime}", f"BindReadOnlyPaths={copy}:{inside}")
        transient.environment_file(place / "environment", _variables(request, inside))
        service = Service(
            name=name,
            argv=_argv(request, inside),
            description=f"failhook: {request.name} for {request.incident.unit}",
            run_as=options.user,
            directory=options.working_directory,
            sandbox=options.sandbox,
            writable=options.writable,
            memory=options.memory,
            limit_s=max(1.0, request.deadline_s - _SPARE_S),
            properties=properties,
            user=request.user,
        )
        return transient.run(service, place / "environment", _document(request, inside)), None


@contextlib.contextmanager
def _workplace(request: Request[Options]) -> Iterator[Path]:
    """A private directory that systemd sees where we do: /tmp may be one of our own."""
    base = str(request.state) if request.state is not None else None
    place = Path(tempfile.mkdtemp(prefix="call-", dir=base))
    try:
        yield place
    finally:
        with contextlib.suppress(OSError):
            files.remove_tree(place)


def _copy(source: Path, to: Path, account: pwd.struct_passwd) -> None:
    """Of the bundle, for one user to read. Raises OSError."""
    with source.open("rb") as content, files.replacing(to, mode=0o400) as stream:
        shutil.copyfileobj(content, stream)
        if os.geteuid() == 0:
            os.fchown(stream.fileno(), account.pw_uid, account.pw_gid)


def _directly(request: Request[Options], account: pwd.struct_passwd | None) -> Ended:
    """As a child of ours, with the user's rights and none of ours."""
    options = request.options
    with tempfile.TemporaryDirectory(prefix="failhook-action-") as made:
        place = Path(made)
        inside = str(request.bundle) if request.bundle else None
        prefix: list[str] = []
        if account is not None and account.pw_uid != os.geteuid():
            identity = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
            prefix += ["setpriv", *identity, "--inh-caps=-all", "--no-new-privs", "--"]
            if request.bundle is not None:
                _copy(request.bundle, place / "bundle.tar.gz", account)
                os.chown(place, account.pw_uid, account.pw_gid)
                inside = str(place / "bundle.tar.gz")
        if options.working_directory:
            prefix += ["env", f"--chdir={options.working_directory}"]
        done_ = proc.run(
            [*prefix, *_argv(request, inside)],
            timeout_s=max(1.0, request.deadline_s - _SPARE_S),
            max_bytes=64 << 10,
            keep="tail",
            stdin=_document(request, inside),
            env=_variables(request, inside),
        )
    said = (done_.text + "\n" + done_.stderr.decode("utf-8", "replace")).splitlines()
    lines = tuple(line for line in said if line.strip())
    if done_.timed_out:
        return Ended(None, lines, "it did not end in time")
    if done_.returncode is None:
        return Ended(None, (), done_.why())
    if done_.returncode < 0:
        return Ended(None, lines, "it was ended by a signal")
    return Ended(done_.returncode, lines)


def _outcome(ended: Ended, note: str | None) -> Outcome:
    lines = _shown(ended.said)
    words = [ended.problem] if ended.problem else [f"ended with status {ended.status}"]
    words += [lines[-1][:_DETAIL_CHARS]] if lines else []
    detail = ": ".join(words) + (f" ({note})" if note else "")
    data = {"status": ended.status, "output": lines, "sandbox": note is None}
    ok = ended.status == 0
    # Whatever it did, it did: only its own word makes it do that again.
    final = not ok and ended.started and ended.status != TRY_AGAIN
    return Outcome(ok, detail, final=final, data=data)


def _shown(said: tuple[str, ...]) -> list[str]:
    """The last lines that it printed, bounded, without secrets and control characters."""
    text = "\n".join(said[-_SHOWN_LINES:])[-_SHOWN_CHARS:]
    masked, _ = Redactor().mask(text.encode("utf-8", "replace"))
    return [variables.plain(line) for line in masked.decode("utf-8", "replace").split("\n") if line]


ACTION = Action(
    "command",
    "runs a program in a service of its own",
    Options,
    run,
    timeout_s=60.0,
)
