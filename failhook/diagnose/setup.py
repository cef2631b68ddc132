# SPDX-License-Identifier: MIT
"""What systemd sets up before a program runs, and could not: exit status 200 to 246, environment.

The codes are those of systemd.exec(5), "Process Exit Codes"; a program may use the same numbers, so
each is believed only with systemd's own word ("Failed at step …") or a look at the machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from failhook.diagnose.case import Case
from failhook.diagnose.facts import PathFact
from failhook.diagnose.finding import LIKELY, SAID, SEEN, Cause, Finding, fails, quote
from failhook.diagnose.subjects import commands
from failhook.incident import Proof
from failhook.systemd.history import Line

_AT_STEP = re.compile(r"Failed at step (?P<step>\w+) spawning (?P<program>.+?): (?P<why>.+)$")
_ERRNO_END = re.compile(r": (?P<why>[A-Z][^:]{3,60})$")
_ROOT_PREFIX = re.compile(r"/run/systemd/(?:unit-root|mount-rootfs)")
# step -> (exit status, the settings that it carries out)
_STEPS = {
    "CHDIR": ("200", ("WorkingDirectory",)), "NICE": ("201", ("Nice",)),
    "FDS": ("202", ("OpenFile", "StandardInput")), "EXEC": ("203", ("ExecStart",)),
    "MEMORY": ("204", ("MemoryMax",)),
    "LIMITS": ("205", ("LimitNOFILE", "LimitNPROC", "LimitAS")),
    "OOM_ADJUST": ("206", ("OOMScoreAdjust",)), "SIGNAL_MASK": ("207", ("IgnoreSIGPIPE",)),
    "STDIN": ("208", ("StandardInput",)), "STDOUT": ("209", ("StandardOutput",)),
    "CHROOT": ("210", ("RootDirectory", "RootImage")),
    "IOPRIO": ("211", ("IOSchedulingClass", "IOSchedulingPriority")),
    "TIMERSLACK": ("212", ("TimerSlackNSec",)), "SECUREBITS": ("213", ("SecureBits",)),
    "SETSCHEDULER": ("214", ("CPUSchedulingPolicy", "CPUSchedulingPriority")),
    "CPUAFFINITY": ("215", ("CPUAffinity",)),
    "GROUP": ("216", ("Group", "SupplementaryGroups")), "USER": ("217", ("User",)),
    "CAPABILITIES": ("218", ("AmbientCapabilities", "CapabilityBoundingSet")),
    "CGROUP": ("219", ("Slice",)), "SETSID": ("220", ("Type",)),
    "CONFIRM": ("221", ("systemd.confirm_spawn",)), "STDERR": ("222", ("StandardError",)),
    "PAM": ("224", ("PAMName",)),
    "NETWORK": ("225", ("PrivateNetwork", "NetworkNamespacePath")),
    "NAMESPACE": (
        "226",
        ("ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths",
         "BindPaths", "BindReadOnlyPaths", "RootDirectory", "RootImage"),
    ),
    "NO_NEW_PRIVILEGES": ("227", ("NoNewPrivileges",)), "SECCOMP": ("228", ("SystemCallFilter",)),
    "SELINUX_CONTEXT": ("229", ("SELinuxContext",)), "PERSONALITY": ("230", ("Personality",)),
    "APPARMOR": ("231", ("AppArmorProfile",)),
    "ADDRESS_FAMILIES": ("232", ("RestrictAddressFamilies",)),
    "RUNTIME_DIRECTORY": ("233", ("RuntimeDirectory",)), "CHOWN": ("235", ("SocketUser",)),
    "SMACK_PROCESS_LABEL": ("236", ("SmackProcessLabel",)), "KEYRING": ("237", ("KeyringMode",)),
    "STATE_DIRECTORY": ("238", ("StateDirectory",)),
    "CACHE_DIRECTORY": ("239", ("CacheDirectory",)), "LOGS_DIRECTORY": ("240", ("LogsDirectory",)),
    "CONFIGURATION_DIRECTORY": ("241", ("ConfigurationDirectory",)),
    "NUMA_POLICY": ("242", ("NUMAPolicy",)),
    "CREDENTIALS": (
        "243", ("LoadCredential", "LoadCredentialEncrypted", "SetCredential", "ImportCredential"),
    ),
    "BPF": ("244", ("RestrictFileSystems",)), "KSM": ("245", ("MemoryKSM",)),
    "MEMORY_THP": ("246", ("MemoryTHP",)),
}  # fmt: skip
_BASES = {
    "RuntimeDirectory": "/run", "StateDirectory": "/var/lib", "CacheDirectory": "/var/cache",
    "LogsDirectory": "/var/log", "ConfigurationDirectory": "/etc",
}  # fmt: skip
_HIDING = (
    ("ProtectHome", ("/home", "/root", "/run/user")),
    ("PrivateTmp", ("/tmp", "/var/tmp")),  # noqa: S108 - names, nothing is made there
)


def _step(case: Case) -> tuple[str, str, str, Line | None] | None:
    """(step, program, errno text, the line that says so) of the set-up that failed."""
    for line in case.setup:
        match = _AT_STEP.search(line.message)
        if match is not None and match["step"] in _STEPS:
            return match["step"], match["program"], match["why"], line
    status = case.incident.exit_status
    if case.incident.control is not None:
        status = case.incident.control.exit_status
    for step, (number, _) in _STEPS.items():
        if status == number and case.silent:
            program = next((path for _, path, _ in commands(case.unit)), "")
            return step, program, "", None
    return None


def _proof(case: Case, line: Line | None, *checked: str) -> tuple[Proof, ...]:
    of_line = [case.proof_of(line.message)] if line is not None else []
    return (*of_line, *(case.checked(text) for text in checked))


# -- 203/EXEC -------------------------------------------------------------------------------------


def _setting_of(case: Case, program: str) -> str:
    if case.incident.control is not None:
        return f"{case.incident.control.command}="
    for setting, path, _ in commands(case.unit):
        if path == program:
            return f"{setting}="
    return "ExecStart="


def _exec(case: Case) -> Iterator[Finding]:
    step = _step(case)
    if step is None or step[0] != "EXEC":
        return
    _, program, why, line = step
    setting = _setting_of(case, program)
    what, advice, seen = _why_not(case, program, why)
    root = (case.unit.get("RootDirectory") or "").rstrip("/")
    inside = f" (in RootDirectory={root})" if root and case.path(f"{root}{program}") else ""
    what = what.replace("{program}", f"{setting}{program}{inside}")
    yield Finding(
        "exec", fails(case, what), advice, SEEN if seen else SAID, _proof(case, line, *seen)
    )


def _why_not(case: Case, program: str, why: str) -> tuple[str, str, list[str]]:
    """(what is at fault, what to do, what was seen of it)."""
    root = (case.unit.get("RootDirectory") or "").rstrip("/")
    root = root if case.path(f"{root}{program}") is not None else ""
    program = f"{root}{program}"
    fact, user = case.path(program), case.facts.user(_run_uid(case))
    hidden = None if root else _hidden_by(case, program)
    if fact is not None and fact.exists and "No such file" in why and hidden:
        return (
            f"{{program}} is hidden from the unit by {hidden}",
            f"move the program out of there, or change {hidden}",
            [f"{program}: {fact.described}; {hidden}"],
        )
    for reason in (_missing, _kind, _blocked, _content, _mode):
        found = reason(case, program, fact, user)
        if found is not None:
            return found
    text = f": {why}" if why else ""
    return f"{{program}} cannot be executed{text}", f"try it by hand as {user}: {program}", []


def _run_uid(case: Case) -> int | None:
    user = case.unit.get("User")
    if user is None:
        return 0
    return case.facts.users.get(user, case.unit.number("UID"))


Reason = tuple[str, str, list[str]] | None


def _missing(case: Case, program: str, fact: PathFact | None, user: str) -> Reason:
    if fact is None or fact.kind != "missing":
        return None
    if fact.real is not None:
        what = f"{{program}} is a link that leads to {fact.real}, which does not exist"
        return what, f"point the link to a file that is there: ls -l {program}", [what[10:]]
    if fact.not_a_directory is not None:
        what = f"{{program}} cannot be there: {fact.not_a_directory} is a file, not a directory"
        return what, "correct the path in the unit file", [what[10:]]
    at = fact.missing_at
    more = f" (there is no {at} at all)" if at is not None and at != program else ""
    what = f"{{program}} does not exist{more}"
    return (
        what,
        "install the program, or correct its path in the unit file",
        [f"{program}: no such file{more}"],
    )


def _kind(case: Case, program: str, fact: PathFact | None, user: str) -> Reason:
    if fact is None or fact.kind in ("file", "unknown", "missing"):
        return None
    what = f"{{program}} is a {fact.kind}, not a program"
    return what, "name the program itself in the unit file", [f"{program} is a {fact.kind}"]


def _blocked(case: Case, program: str, fact: PathFact | None, user: str) -> Reason:
    access = fact.may(_run_uid(case)) if fact is not None else None
    if access is None or access.blocked_at is None:
        return None
    directory = case.path(access.blocked_at)
    mode = f" ({directory.described})" if directory is not None and directory.described else ""
    what = f"{{program}} cannot be reached by {user}, who may not enter {access.blocked_at}{mode}"
    return (
        what,
        f"let {user} pass: chmod o+x {access.blocked_at}, or move the program elsewhere",
        [f"{access.blocked_at} may not be entered by {user}{mode}"],
    )


def _mode(case: Case, program: str, fact: PathFact | None, user: str) -> Reason:
    if fact is None:
        return None
    access = fact.may(_run_uid(case))
    if access is not None and not access.execute:
        what = f"{{program}} is not executable for {user} ({fact.described})"
        return what, f"chmod +x {program}", [f"{program}: {fact.described}"]
    options = (fact.options or "").split(",")
    if "noexec" in options:
        what = f"{{program}} lies on {fact.mount}, which is mounted noexec"
        return (
            what,
            f"move the program, or: mount -o remount,exec {fact.mount}",
            [f"{fact.mount}: {fact.options}"],
        )
    return None


def _content(  # noqa: PLR0911 - one return for each way to be no program
    case: Case, program: str, fact: PathFact | None, user: str
) -> Reason:
    head = case.facts.programs.get(program)
    if head is None:
        return None
    if head.script and head.carriage_return:
        what = (
            f"the first line of {program} ends with a carriage return (Windows line ends), "
            f"so its interpreter {head.interpreter} is not found"
        )
        return what, f"take the carriage returns out: sed -i 's/\\r$//' {program}", [what]
    if head.interpreter is not None and head.interpreter_exists is False:
        kind = "asks for the interpreter" if head.script else "needs the dynamic loader"
        what = f"{{program}} {kind} {head.interpreter}, which does not exist"
        advice = "install it, or correct the script's first line"
        if not head.script:
            advice = "the program was built for another C library or machine: get one for this one"
        return what, advice, [what[10:]]
    if head.machine is not None:
        what = f"{{program}} is built for {head.machine}, and this machine is {case.facts.machine}"
        return what, f"install the program for {case.facts.machine}", [what[10:]]
    if head.empty:
        return "{program} is empty", "install the program again", [f"{program} has 0 bytes"]
    if not head.known:
        what = "{program} is neither a binary nor a script with an interpreter in a #! first line"
        return what, f"begin {program} with a line such as #!/bin/sh", [what[10:]]
    return None


def _hidden_by(case: Case, path: str) -> str | None:
    """The setting that takes ``path`` out of the unit's sight."""
    for setting, places in _HIDING:
        value = case.unit.get(setting) or "no"
        inside = any(path == place or path.startswith(f"{place}/") for place in places)
        if inside and value not in ("no", "read-only"):
            return f"{setting}={value}"
    for word in (case.unit.get("InaccessiblePaths") or "").split():
        place = word.lstrip("-+")
        if path == place or path.startswith(f"{place}/"):
            return f"InaccessiblePaths={place}"
    for setting in ("RootDirectory", "RootImage"):
        if case.unit.get(setting):
            return f"{setting}={case.unit.get(setting)}"
    return None


# -- the other steps ------------------------------------------------------------------------------


def _other_step(case: Case) -> Iterator[Finding]:
    step = _step(case)
    if step is None or step[0] == "EXEC":
        return
    name, _, _, line = step
    number, settings = _STEPS[name]
    first = next((one for one in case.setup if _AT_STEP.search(one.message) is None), line)
    given = [
        f"{setting}={value}{_place_of(setting, value)}"
        for setting in settings
        if (value := _value(case, setting))
    ]
    found = _of_step(case, name, settings)
    if found is not None:
        what, advice, seen = found
        yield Finding("setup", fails(case, what), advice, SEEN, _proof(case, first, *seen))
        return
    said = _ROOT_PREFIX.sub("", quote(first.message.partition(": ")[2])) if first else ""
    shown = ", ".join(given[:3]) or f"{settings[0]}="
    what = f"{shown} cannot be set up ({number}/{name})" + (f": {said}" if said else "")
    yield Finding(
        "setup",
        fails(case, what),
        f"check {' and '.join(f'{setting}=' for setting in settings[:3])}: systemctl cat "
        f"{case.incident.unit}",
        SAID if line is not None else LIKELY,
        _proof(case, first),
    )


def _place_of(setting: str, value: str) -> str:
    base = _BASES.get(setting)
    return f" ({base}/{value.partition(':')[0]})" if base and " " not in value else ""


def _value(case: Case, setting: str) -> str | None:
    value = case.unit.get(setting)
    return None if value in (None, "no", "inherit", "journal", "null", "[not set]") else value


def _of_step(case: Case, name: str, settings: tuple[str, ...]) -> Reason:
    if name in ("USER", "GROUP"):
        return _unknown_account(case, settings)
    if name == "PAM":
        return _pam(case)
    if name.endswith("_DIRECTORY"):
        return _directory(case, settings[0])
    if name == "CHDIR":
        return _working_directory(case)
    if name in ("STDIN", "STDOUT", "STDERR"):
        return _standard_stream(case, settings[0])
    return _named_path(case, settings)


def _unknown_account(case: Case, settings: tuple[str, ...]) -> Reason:
    kind = "user" if settings[0] == "User" else "group"
    known = case.facts.users if kind == "user" else case.facts.groups
    for setting in settings:
        for name in (case.unit.get(setting) or "").split():
            if name in known and known[name] is None:
                what = f"the {kind} '{name}' of {setting}= does not exist"
                add = "useradd --system" if kind == "user" else "groupadd --system"
                return (
                    what,
                    f"{add} {name}, or correct {setting}=",
                    [f"no {kind} {name!r} is known"],
                )
    return None


def _pam(case: Case) -> Reason:
    name = case.unit.get("PAMName") or ""
    for line in case.setup:
        match = re.search(r"unable to dlopen\((?P<module>[^)]+)\)", line.message)
        if match is not None:
            what = f"PAMName={name}: the module {match['module']} of /etc/pam.d/{name} is missing"
            return what, f"install the module, or take it out of /etc/pam.d/{name}", []
    fact = case.path(f"/etc/pam.d/{name}")
    if fact is not None and not fact.exists:
        what = f"PAMName={name}: /etc/pam.d/{name} does not exist"
        return what, f"install the file /etc/pam.d/{name}, or correct PAMName=", [what]
    return None


def _directory(case: Case, setting: str) -> Reason:
    for word in (case.unit.get(setting) or "").split():
        path = f"{_BASES[setting]}/{word.partition(':')[0]}"
        fact = case.path(path)
        if fact is None:
            continue
        obstacle = fact.not_a_directory or (path if fact.kind == "file" else None)
        if obstacle is not None:
            what = f"{setting}={word} cannot be made: {obstacle} is a file, not a directory"
            return what, f"move {obstacle} out of the way", [f"{obstacle} is a file"]
        if "ro" in (fact.options or "").split(","):
            what = f"{setting}={word} cannot be made: {fact.mount} is mounted read-only"
            return what, f"mount -o remount,rw {fact.mount}", [f"{fact.mount}: {fact.options}"]
        mount = case.mount(path)
        if mount is not None and mount.full:
            what = f"{setting}={word} cannot be made: {mount.point} has no {mount.full} left"
            return what, f"free {mount.full} on {mount.point}", [what]
    return None


def _working_directory(case: Case) -> Reason:
    path = (case.unit.get("WorkingDirectory") or "").lstrip("!-")
    return _path_at_fault(case, "WorkingDirectory", path, directory=True)


def _standard_stream(case: Case, setting: str) -> Reason:
    kind, _, path = (case.unit.get(setting) or "").partition(":")
    if not path.startswith("/"):
        return None
    fact = case.path(path)
    if fact is not None and fact.kind == "missing" and fact.missing_at != path:
        what = f"{setting}={kind}:{path}: the directory {fact.missing_at} does not exist"
        return what, f"mkdir -p {path.rpartition('/')[0]}", [f"{fact.missing_at} is missing"]
    return _path_at_fault(case, setting, path, directory=False)


def _named_path(case: Case, settings: tuple[str, ...]) -> Reason:
    for setting in settings:
        for word in (case.unit.get(setting) or "").split():
            start = word.find("/")
            path = word[start:].partition(":")[0] if start >= 0 else ""
            path = path.rstrip(")")
            optional = word.startswith("-") and start > 0
            fact = case.path(path)
            if fact is not None and not fact.exists and fact.kind != "unknown" and not optional:
                what = f"{setting}={path} does not exist"
                return what, f"make {path}, or take it out of {setting}=", [f"{path} is missing"]
    return None


def _path_at_fault(case: Case, setting: str, path: str, *, directory: bool) -> Reason:
    fact, user = case.path(path), case.facts.user(_run_uid(case))
    if fact is None:
        return None
    if fact.kind == "missing":
        where = f" (a link that leads to {fact.real})" if fact.real else ""
        what = f"{setting}={path}{where} does not exist"
        return what, f"make {path}, or correct {setting}=", [f"{path} is missing{where}"]
    if directory and fact.kind != "directory":
        return f"{setting}={path} is a {fact.kind}, not a directory", f"correct {setting}=", []
    access = fact.may(_run_uid(case))
    if access is not None and (access.blocked_at or (directory and not access.execute)):
        at = access.blocked_at or path
        seen = case.path(at)
        mode = f" ({seen.described})" if seen is not None and seen.described else ""
        what = f"{setting}={path}: {user} may not enter {at}{mode}"
        return what, f"chmod o+x {at}, or another {setting}=", [f"{at}: {user} may not enter{mode}"]
    return None


# -- EnvironmentFile= -----------------------------------------------------------------------------


def _environment_file(case: Case) -> Iterator[Finding]:
    line = case.said("Failed to load environment files")
    if line is None:
        return
    match = _ERRNO_END.search(line.message)
    why = match["why"] if match is not None else "cannot be read"
    for name in re.findall(r"(/\S+) \(ignore_errors=no\)", case.unit.get("EnvironmentFiles") or ""):
        fact = case.path(name)
        if fact is not None and not fact.exists:
            what = f"EnvironmentFile={name} does not exist"
            advice = f"make {name}, or write EnvironmentFile=-{name} where it is optional"
            yield Finding(
                "environment-file", fails(case, what), advice, SEEN,
                _proof(case, line, f"{name} is missing"),
            )  # fmt: skip
            return
    what = f"an EnvironmentFile= cannot be read: {why}"
    yield Finding("environment-file", fails(case, what), "check them", SAID, _proof(case, line))


CAUSES = (
    Cause("exec", "the program of the unit cannot be executed", _exec),
    Cause("setup", "a setting of the unit cannot be carried out", _other_step),
    Cause("environment-file", "an EnvironmentFile= is missing", _environment_file),
)
