# SPDX-License-Identifier: MIT
"""An executable as an action or a collector: any language, nothing to import.

It gets the incident as JSON on standard input and what matters of it as ``FAILHOOK_*`` variables,
in an environment that is built, not inherited. Of an action the exit status is the outcome and the
last line that it prints the detail; of a collector what it prints is the evidence.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from failhook import proc
from failhook.action import Action, Outcome, Request, done, failed
from failhook.actions import variables
from failhook.actions.table import Mistake
from failhook.actions.variables import DRY_RUN
from failhook.collector import Collector, Context, Sink
from failhook.incident import SCHEMA, JsonObject
from failhook.secret import Secret
from failhook.values import Wrong, secret

TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
COLLECTOR_S = 10.0
COLLECTOR_BYTES = 1 << 20
_GRACE_S = 1.0  # to hand over what a collector printed that had to be stopped
_TERM_S = 0.6  # within what `failhook.isolate` leaves between SIGTERM and SIGKILL
_LINGER_S = 0.3  # what it leaves running may hold its output
_MAX_OUTPUT = 64 << 10
_MAX_HEAD = 4 << 10
_MAX_SEARCHED = 8 << 20
_OPTION = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,60}")


@dataclass(frozen=True, slots=True)
class Texts:
    """The options of an executable: whatever the configuration says, in its order, as texts."""

    texts: tuple[tuple[str, str], ...] = ()
    secrets: tuple[tuple[str, Secret], ...] = ()


def action(name: str, path: Path) -> Action[Any]:
    """The action that the executable ``path`` is."""
    summary = _summary(path)
    return Action(name, summary, Texts, partial(_act, path), bind=bind)


def collector(name: str, path: Path) -> Collector:
    """The collector that the executable ``path`` is; its evidence is ``NAME/output.txt``."""
    collect = partial(_collect, name, path)
    return Collector(name, _summary(path), collect, COLLECTOR_S + _GRACE_S, COLLECTOR_BYTES)


def bind(raw: Mapping[str, object]) -> tuple[Texts | None, list[Any]]:
    """Any option that is a text, a number, true or false, a list of those, or a secret by
    reference; or every mistake."""
    texts: dict[str, str] = {}
    secrets: dict[str, Secret] = {}
    mistakes: list[Any] = []
    taken: dict[str, str] = {}
    for key, value in raw.items():
        if not _OPTION.fullmatch(key):
            mistakes.append(Mistake(key, "is no name for an option", "letters, digits, - _"))
            continue
        if (other := taken.setdefault(_variable(key), key)) != key:
            hint = f"both would be {_variable(key)}"
            mistakes.append(Mistake(key, f"is the same as {other}", hint))
        elif isinstance(value, dict):
            try:
                secrets[key] = secret(value)
            except Wrong as wrong:
                mistakes.append(Mistake(key, str(wrong)))
        elif (text := _text(value)) is not None:
            texts[key] = text
        else:
            mistakes.append(Mistake(key, "is no text", "an executable gets its options as texts"))
    if mistakes:
        return None, mistakes
    return Texts(tuple(texts.items()), tuple(secrets.items())), []


def _text(value: object) -> str | None:
    """A value of TOML as the text that a program would want; lists have one entry a line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        lines = [_text(one) for one in value]
        return "\n".join(line for line in lines if line is not None) if None not in lines else None
    if isinstance(value, int | float | str):
        text = str(value)
        return None if "\0" in text or len(text) > 32 << 10 else text
    return None


def _variable(option: str) -> str:
    return f"FAILHOOK_OPTION_{option.upper().replace('-', '_')}"


def _summary(path: Path) -> str:
    """The first comment of a script that says something, or what it is."""
    try:
        with path.open("rb") as stream:
            head = stream.read(_MAX_HEAD)
    except OSError:
        return "an executable"
    if not head.startswith(b"#!"):
        return "an executable"
    for line in head.decode("utf-8", "replace").splitlines()[1:]:
        text = line.lstrip("#").strip()
        if not line.startswith("#"):
            break
        if text and not text.startswith(("SPDX", "shellcheck", "-*-", "vim:")):
            return text[:200]
    return "an executable"


# -- an action ----------------------------------------------------------------------------------


def _act(path: Path, request: Request[Texts]) -> Outcome:
    if request.dry_run and not _knows_dry_run(path):
        return done(f"would run {path}; not started, because it does not know {DRY_RUN}")
    # Our group, and so the program too, gets SIGTERM when the time is over; what it says then is
    # still heard. A handler, not SIG_IGN: that would be inherited.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        ended = proc.run(
            [str(path)],
            timeout_s=request.deadline_s + _TERM_S,
            max_bytes=_MAX_OUTPUT,
            keep="tail",
            stdin=_document(request),
            env=_variables(request),
            own_group=False,
            linger_s=_LINGER_S,
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    said = _last_line(ended.stdout) or _last_line(ended.stderr)
    if ended.ok:
        return done(said or "done")
    if ended.timed_out:
        return failed(said or "it ignored SIGTERM")
    if ended.returncode is None:
        return failed(said or ended.why())
    if ended.returncode < 0:
        return failed(f"ended by {_signal(-ended.returncode)}{f': {said}' if said else ''}")
    detail = said or f"status {ended.returncode}"
    return failed(detail, final=ended.returncode != TRY_AGAIN)


def _knows_dry_run(path: Path) -> bool:
    """Whether it speaks of the variable at all: one that does not would do what it does."""
    try:
        with path.open("rb") as stream:
            return DRY_RUN.encode() in stream.read(_MAX_SEARCHED)
    except OSError:
        return False


def _document(request: Request[Texts]) -> bytes:
    """As ``failhook show --json``, and what is wanted."""
    asked: JsonObject = {
        "id": request.id,
        "name": request.name,
        "attempt": request.attempt,
        "dry_run": request.dry_run,
        "options": dict(request.options.texts),
        "bundle": str(request.bundle) if request.bundle else None,
        "state": str(request.state) if request.state else None,
        "message": request.message.to_json() if request.message else None,
    }
    return _json({"schema": SCHEMA, "incident": request.incident.to_json(), "request": asked})


def _json(document: JsonObject) -> bytes:
    return (json.dumps(document) + "\n").encode()


def _variables(request: Request[Texts]) -> dict[str, str]:
    about = variables.of_request(request, bundle=request.bundle, state=request.state)
    about |= {_variable(name): text for name, text in request.options.texts}
    return about | {_variable(name): one.read() for name, one in request.options.secrets}


def _last_line(printed: bytes) -> str:
    lines = [line for line in printed.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# -- a collector --------------------------------------------------------------------------------


def _collect(name: str, path: Path, context: Context, sink: Sink) -> None:
    ended = proc.run(
        [str(path)],
        timeout_s=COLLECTOR_S,
        max_bytes=COLLECTOR_BYTES,
        stdin=_json({"schema": SCHEMA, "incident": context.incident.to_json()}),
        env=variables.of(context.incident),
        own_group=False,
        linger_s=_LINGER_S,
    )
    cut = ended.truncated or ended.timed_out
    stopped_full = ended.truncated and not ended.timed_out
    reason = None if ended.ok or stopped_full else ended.why()
    if ended.stdout or ended.ok:
        sink.put(f"{name}/output.txt", ended.stdout, truncated=cut, reason=reason)
    if reason is not None:
        sink.problem(reason)
    if ended.stderr and (ended.stdout or ended.ok):  # else it is a failure, and that says why
        sink.put(f"{name}/errors.txt", ended.stderr)
