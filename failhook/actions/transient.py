# SPDX-License-Identifier: MIT
"""A program in a service of its own, made for one call (systemd-run(1)).

What systemd gives: a sandbox, a user, a memory limit, and that everything the program started ends
with it. Variables go into a file that systemd reads itself: what stands in a unit's properties may
be read by every user, and what stands on a command line as well. The name of the unit begins with
``failhook-action-``, so that its failure is never an incident.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from failhook import files, proc

PREFIX = "failhook-action-"
# What systemd-run says itself, among the lines of the program; systemd 261 lays it out as a table.
_OWN_WORDS = re.compile(
    r" *(Running as unit|Finished with result|Main processes terminated with|Service runtime"
    r"|CPU time consumed|Memory peak|Memory swap peak|IP traffic|IO bytes|Press \^\]).*"
)
_RESULT = re.compile(r"^ *Finished with result: ([\w-]+)$", re.MULTILINE)
_NO_BUS = re.compile(r"Failed to (connect to|create) .*bus|System has not been booted with systemd")
_NOT_STARTED = re.compile(
    r"^(Failed to .+|Unit .+ was already loaded.*|Job for .+ failed.*)$", re.M
)
_END_S = 2.0  # from SIGTERM to SIGKILL
# Least privilege where nothing else is said: reads the machine, writes nothing but its own /tmp.
# Not PrivateDevices=: for that systemd makes a directory in /tmp, and what frees a full disk has to
# start on one.
_SANDBOX = (
    *("ProtectSystem=strict", "ProtectHome=read-only", "PrivateTmp=yes", "DevicePolicy=closed"),
    *("ProtectKernelTunables=yes", "ProtectKernelModules=yes", "ProtectControlGroups=yes"),
    *("ProtectClock=yes", "ProtectHostname=yes", "RestrictSUIDSGID=yes", "RestrictNamespaces=yes"),
    *("RestrictRealtime=yes", "LockPersonality=yes", "NoNewPrivileges=yes"),
    *("SystemCallArchitectures=native", "KeyringMode=private", "UMask=0077"),
)
# What the manager of an ordinary user can set up without more rights.
_SANDBOX_OF_USER = (
    *("RestrictRealtime=yes", "LockPersonality=yes", "NoNewPrivileges=yes"),
    *("SystemCallArchitectures=native", "UMask=0077"),
)


@dataclass(frozen=True, slots=True)
class Service:
    """What is run, and how."""

    name: str  # of the unit
    argv: tuple[str, ...]
    description: str
    run_as: str = ""
    directory: str = ""
    sandbox: bool = True
    writable: tuple[str, ...] = ()
    memory: int = 256 << 20
    limit_s: float = 25.0
    properties: tuple[str, ...] = ()
    user: bool = False  # of the user manager


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended. ``status`` is None where nothing was started or it did not exit by itself."""

    status: int | None
    said: tuple[str, ...]  # its own lines, standard output first
    problem: str | None = None  # instead of an end: why there was none
    no_systemd: bool = False
    started: bool = True


def unit_name(action: str, request: str, attempt: int) -> str:
    """The same step always has the same name; every try has its own."""
    slug = re.sub(r"[^A-Za-z0-9_-]", "-", action)[:64]
    digest = hashlib.sha256(request.encode()).hexdigest()[:12]
    return f"{PREFIX}{slug}-{digest}-{attempt}.service"


def environment_file(path: Path, variables: Mapping[str, str]) -> None:
    """Write variables as ``EnvironmentFile=`` reads them (systemd.exec(5)). Raises OSError."""
    lines = []
    for name, value in variables.items():
        escaped = re.sub(r'(["\\$`])', r"\\\1", value.replace("\0", ""))
        lines.append(f'{name}="{escaped}"\n')
    files.write(path, "".join(lines).encode("utf-8", "replace"))


def run(service: Service, variables: Path, stdin: bytes) -> Ended:
    """Start it, wait until it has ended, and let nothing of it live on."""
    done = proc.run(
        command(service, variables),
        timeout_s=service.limit_s + 2 * _END_S,
        max_bytes=64 << 10,
        keep="tail",
        stdin=stdin,
    )
    if done.timed_out:
        scope = ["--user"] if service.user else []
        kill = ["systemctl", *scope, "kill", "--signal=KILL", "--", service.name]
        proc.run(kill, timeout_s=5.0)
    return ended_of(done)


def command(service: Service, variables: Path) -> list[str]:
    """The call of systemd-run."""
    properties = [
        f"EnvironmentFile={variables}",
        f"RuntimeMaxSec={service.limit_s:.3f}s",
        f"TimeoutStopSec={_END_S:g}s",
        f"MemoryMax={service.memory}",
        "TasksMax=128",
        "OOMPolicy=kill",
        *service.properties,
    ]
    if service.sandbox:
        properties += _SANDBOX_OF_USER if service.user else _SANDBOX
        properties += [f"ReadWritePaths={_word(path)}" for path in service.writable]
    if service.run_as:
        properties.append(f"User={service.run_as}")
    if service.directory:
        properties.append(f"WorkingDirectory={service.directory}")
    argv = ["systemd-run", *(["--user"] if service.user else []), "--wait", "--pipe", "--collect"]
    argv += ["--no-ask-password", "--service-type=exec", f"--unit={service.name}"]
    argv += [f"--description={service.description}"]
    argv += [f"--property={one}" for one in properties]
    # systemd would put variables in the place of $NAME, in the name of the program as well.
    return [*argv, "--", service.argv[0], *(one.replace("$", "$$") for one in service.argv[1:])]


def _word(path: str) -> str:
    """A path in a list of paths: quoted, with specifiers taken as they stand."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def ended_of(done: proc.Completed) -> Ended:
    """What systemd-run's end says of the program's."""
    errors = done.stderr.decode("utf-8", "replace")
    said = [*done.text.splitlines(), *errors.splitlines()]
    own = tuple(line for line in said if line.strip() and not _OWN_WORDS.fullmatch(line))
    results = _RESULT.findall(errors)
    if done.timed_out:
        return Ended(None, own, "it did not end in time")
    if done.returncode is None:
        return Ended(None, own, done.why(), no_systemd=True, started=False)
    if not results:
        if _NO_BUS.search(errors):
            said_ = errors.strip().splitlines()[0][:300]
            return Ended(None, (), said_, no_systemd=True, started=False)
        problem = _NOT_STARTED.search(errors)
        return Ended(None, (), problem[0][:300] if problem else done.why(), started=False)
    if results[-1] in ("success", "exit-code"):
        return Ended(done.returncode, own)
    return Ended(None, own, _ENDINGS.get(results[-1], f"it ended with {results[-1]}"))


_ENDINGS = {
    "timeout": "it did not end in time",
    "oom-kill": "it needed more memory than it may have",
    "signal": "it was ended by a signal",
    "core-dump": "it crashed",
    "resources": "systemd could not set it up",
}
