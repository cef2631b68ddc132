# SPDX-License-Identifier: MIT
"""Which files, users, libraries and hosts does the evidence speak of?

What the unit's own settings name comes first: that is the administrator's word. What log lines name
is anybody's: it is only ever asked for its kind, mode and owner, never read, and bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from failhook.diagnose.place import Place, place_in
from failhook.diagnose.text import Message
from failhook.systemd.unit import UnitState

MAX_PATHS = 80
_MAX_WORDS = 60  # of a setting
_MAX_OF_LINE = 40
_MAX_MESSAGES = 400
_MAX_PATH = 1024
_QUOTED = re.compile(
    r"(?P<q>['\"`])(?P<path>/[^'\"`\n]{1,500})['\"`]|\[(?P<boxed>/[^\[\]\s]{1,500})\]"
)
_PLAIN = re.compile(
    r"(?:(?<![\w.:/~*\])}-])|(?<=\bunix:)|(?<=\bfile:)|(?<=\blocal:)|(?<=\bunix://)|(?<=\bfile://))(?!//)/[\w.+@%~=,:-][\w.+@%~=,:/-]{0,500}"
)
_TRAILING = re.compile(r"(?::\d{1,7}){1,2}:?$|[.,:;=\\]{1,60}$")
_EXEC_PATH = re.compile(r"^\{ path=(?P<path>\S+) ; argv\[\]=(?P<argv>.*?) ; ", re.MULTILINE)
_NEVER_STARTED = "start_time=[n/a] ;"
_LIBRARY = re.compile(r"(?P<name>lib[\w.+-]{1,80}\.so(?:\.\d{1,6}){0,4})")
_USER = re.compile(
    r"(?:user|group|account|getpwnam(?:_r)?|getgrnam(?:_r)?|owner|chown)\b[^'\"\w]{0,4}(?:name\b[^'\"\w]{0,4})?"
    r"(?P<q>['\"(]?)(?P<name>[a-z_][\w.-]{0,30}\$?)['\")]?",
    re.IGNORECASE,
)
_BEFORE_USER = re.compile(r"\bno (?P<name>[a-z_][\w.-]{1,30}) (?:user|group)\b", re.IGNORECASE)
_HOST = re.compile(
    r"(?<![\w.@/-])(?P<host>[a-z0-9][a-z0-9-]{0,62}(?:\.[a-z0-9-]{1,63}){1,8})(?![\w/-])"
)
_DIRECTORIES = {
    "RuntimeDirectory": "/run",
    "StateDirectory": "/var/lib",
    "CacheDirectory": "/var/cache",
    "LogsDirectory": "/var/log",
    "ConfigurationDirectory": "/etc",
}
_PATH_SETTINGS = (
    "WorkingDirectory", "RootDirectory", "RootImage", "EnvironmentFiles", "PIDFile",
    "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "ExecPaths", "BindPaths",
    "BindReadOnlyPaths", "NetworkNamespacePath", "StandardInput", "StandardOutput",
    "StandardError", "LoadCredential", "LoadCredentialEncrypted", "What", "Where", "SourcePath",
)  # fmt: skip
_COMMANDS = ("ExecCondition", "ExecStartPre", "ExecStart", "ExecStartPost", "ExecReload",
             "ExecStop", "ExecStopPost")  # fmt: skip
# What follows is the path of a request, not of a file.
_OF_URL = re.compile(
    r"\b(?:(?i:ur[li]|route|endpoint)|GET|POST|PUT|HEAD|DELETE|PATCH)['\"]?[:=]? ?['\"]?$"
)
# Its name says nothing of what it runs.
INTERPRETER = re.compile(
    r"(?:^|/)(?:(?:ba|da|z|k)?sh|env|(?:python|perl|ruby|php|node|lua)[\d.]{0,6}|java|tclsh)$"
)
_VARIABLE = re.compile(r"(?<!\$)\$\{?([A-Za-z_]\w{0,60})")
_CLOSES = re.compile(r"</[\w:.-]{1,80}>")  # a tag of XML or HTML
_WITH_COLONS = ("/dev/", "/sys/", "/run/udev/")
SCRIPTS = (".py", ".sh", ".pl", ".rb", ".js", ".php", ".lua", ".tcl", ".R", ".bash")
_OF_PACKAGES = (
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/lib/",
    "/bin/",
    "/sbin/",
    "/lib/",
    "/usr/share/",
    "/etc/init.d/",
)
_MAXSCRIPTS = 6
EXECUTES = re.compile(
    r"\b(?:exec\w{0,4}|spawn|run|start|launch)\b.{0,200}\bno such file or directory", re.IGNORECASE
)
_MOST_EXECUTED = 4
_NEVER = ("/proc/", "/sys/", "/dev/null")


@dataclass(frozen=True, slots=True)
class Subjects:
    """What is worth a look. ``programs`` and ``certificates`` are opened, the rest is not."""

    paths: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    root: str = ""  # RootDirectory=, in which its programs are looked for
    executed: tuple[str, ...] = ()  # what lines say could not be executed; opened if it is root's
    certificates: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    uids: tuple[int, ...] = ()
    runs_as: str = "root"
    places: tuple[Place, ...] = ()  # lines of configurations
    directories: tuple[str, ...] = ()  # the unit's own
    libraries: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    configurations: tuple[str, ...] = ()  # where the program's own may lie
    usual: bool = False  # `configurations` are the usual places, no word of the unit's
    read: tuple[str, ...] = ()  # configurations that lines say are read, where the unit names none
    called: tuple[str, ...] = ()  # what the program, and perhaps its package, is called
    lone_lines: tuple[str, ...] = ()  # numbers of lines that a message gave without a file
    environment_files: tuple[str, ...] = ()
    unit_files: tuple[str, ...] = ()  # its own and its drop-ins
    data: tuple[str, ...] = ()  # where programs of its name keep theirs
    scripts: tuple[str, ...] = ()  # that it runs, or that may be one
    words: Mapping[str, str] = field(default_factory=dict)  # as in `Facts`, which they become
    variables: tuple[str, ...] = ()  # those that the unit's command lines use
    variables_set: tuple[str, ...] = ()  # by the unit's own settings


_SEARCHED = re.compile(r"\(@INC (?:contains|entries checked): [^()]{1,3000}\)?")


def paths_in(text: str) -> list[str]:
    """The absolute paths that a line names, in its order, without what is only punctuation, and
    without the many in which Perl has looked for a module."""
    if "@INC" in text:
        text = _SEARCHED.sub(" ", text)
    found = [
        (match.start(), (match["path"] or match["boxed"]).partition(": ")[0])
        for match in islice(_QUOTED.finditer(text), _MAX_OF_LINE)
    ]
    quoted = [(at, at + len(path) + 1) for at, path in found]
    found += [
        (match.start(), _before_colon(match.group()))
        for match in islice(_PLAIN.finditer(text), 2 * _MAX_OF_LINE)
        if not any(start <= match.start() <= end for start, end in quoted)
        and not _OF_URL.search(text[max(0, match.start() - 16) : match.start()])
        and not _CLOSES.match(text, max(0, match.start() - 1))
    ]
    cleaned = [_TRAILING.sub("", path) for _, path in sorted(found)[:_MAX_OF_LINE]]
    return [path for path in dict.fromkeys(cleaned) if 1 < len(path) <= _MAX_PATH]


def _before_colon(path: str) -> str:
    """What follows a colon is a line, a reason or the next path; but for names of devices."""
    return path if path.startswith(_WITH_COLONS) else path.partition(":")[0]


def commands(state: UnitState) -> Iterator[tuple[str, str, str]]:
    """(setting, program, whole command line) of each Exec line."""
    for setting in _COMMANDS:
        for match in _EXEC_PATH.finditer(state.get(setting) or ""):
            yield setting, match["path"], match["argv"]


def started(state: UnitState) -> Iterator[tuple[str, str, str]]:
    """As `commands`, without those that were never reached because one before them failed."""
    for setting in _COMMANDS:
        text = state.get(setting) or ""
        entries = [(one, text[one.end() :].partition("\n")[0]) for one in _EXEC_PATH.finditer(text)]
        reached = [one for one, rest in entries if _NEVER_STARTED not in rest]
        for match in reached or [one for one, _ in entries]:
            yield setting, match["path"], match["argv"]


def find(state: UnitState, messages: Sequence[Message], uids: Iterable[int]) -> Subjects:
    """The subjects of one incident, what the unit names first."""
    near = [*messages[:20], *messages[-_MAX_MESSAGES:]]
    of_unit = list(_unit_paths(state))
    of_lines: list[str] = []
    hosts: list[str] = []
    users: list[str] = []
    libraries: list[str] = []
    places: list[Place] = []
    for message in reversed(near):
        place = place_in(message.text[:2000])
        places += [place] if place is not None and place.line else []
        of_lines += paths_in(message.raw[:2000])
        text = message.text[:2000]
        libraries += [match["name"] for match in _LIBRARY.finditer(text)]
        hosts += [match["host"] for match in _HOST.finditer(text.lower())]
        users += [match["name"] for match in _USER.finditer(text)]
        users += [match["name"] for match in _BEFORE_USER.finditer(text)]
    named = [path for path in dict.fromkeys([*of_unit, *of_lines]) if not path.startswith(_NEVER)]
    root = (state.get("RootDirectory") or "").rstrip("/")
    programs = [f"{root}{path}" for _, path, _ in commands(state) if path.startswith("/")]
    executed = [
        path
        for message in near
        if EXECUTES.search(message.text[:600])
        for path in paths_in(message.raw[:600])
    ]
    own_users = [name for name in (state.get("User"),) if name]
    own_groups = [
        name
        for setting in ("Group", "SupplementaryGroups")
        for name in (state.get(setting) or "").split()
    ]
    return Subjects(
        paths=tuple(named[:MAX_PATHS]),
        programs=tuple(dict.fromkeys(programs))[:20],
        root=root,
        executed=tuple(dict.fromkeys(executed))[-_MOST_EXECUTED:],
        certificates=tuple(p for p in named if p.endswith((".pem", ".crt", ".cer", ".cert")))[:8],
        users=tuple(dict.fromkeys([*own_users, *users]))[:20],
        groups=tuple(dict.fromkeys([*own_groups, *users]))[:20],
        uids=tuple(dict.fromkeys(uids))[:4],
        runs_as=state.get("User") or "root",
        places=tuple(dict.fromkeys(places))[:12],
        directories=tuple(own_directories(state)),
        libraries=tuple(dict.fromkeys(libraries))[:8],
        hosts=tuple(dict.fromkeys(hosts))[:12],
        scripts=tuple(_scripts(state)),
        environment_files=tuple(environment_files(state)),
        unit_files=tuple(_unit_files(state)),
        variables=tuple(dict.fromkeys(_variables(state))),
    )


def _scripts(state: UnitState) -> Iterator[str]:
    """Of the administrator's own, mostly: not what packages bring. What is given to another program
    (chronic, flock, timeout) may be one as well, whatever it is called."""
    words = [
        (path, path == program or path.endswith(SCRIPTS))
        for _, program, argv in commands(state)
        for path in (program, *argv.split())
        if path.startswith("/") and not path.startswith(_OF_PACKAGES)
    ]
    found = [path for path, is_likely in words if is_likely]
    found += [path for path, _ in words if "." not in path.rpartition("/")[2]]
    yield from list(dict.fromkeys(found))[:_MAXSCRIPTS]


def environment_files(state: UnitState) -> Iterator[str]:
    """Those that the unit names, and the one that an init script reads (Debian Policy 9.3.2)."""
    for _, program, _ in commands(state):
        if program.startswith("/etc/init.d/"):
            yield f"/etc/default/{program.rpartition('/')[2]}"
    for line in (state.get("EnvironmentFiles") or "").splitlines()[:8]:
        path = line.partition(" (")[0].strip()
        if path.startswith("/") and "*" not in path:
            yield path


def _unit_files(state: UnitState) -> Iterator[str]:
    for setting in ("FragmentPath", "DropInPaths"):
        yield from (state.get(setting) or "").split()[:8]


def variables_in(argv: str) -> list[str]:
    """The names of the variables that a command line uses."""
    return _VARIABLE.findall(argv)[:20]


def _variables(state: UnitState) -> Iterator[str]:
    """``$NAME`` and ``${NAME}`` of the command lines (systemd.service(5))."""
    for _, _, argv in commands(state):
        yield from variables_in(argv)


def own_directories(state: UnitState) -> Iterator[str]:
    """What systemd makes for the unit, and what it may write of its own (systemd.exec(5))."""
    for setting, base in _DIRECTORIES.items():
        for name in (state.get(setting) or "").split():
            yield f"{base}/{name.partition(':')[0]}"
    for word in (state.get("ReadWritePaths") or "").split():
        path = word.lstrip("-+")
        if path.startswith(("/var/lib/", "/var/log/", "/var/cache/", "/srv/")):
            yield path


def _unit_paths(state: UnitState) -> Iterator[str]:
    for _, program, argv in commands(state):
        if program.startswith("/"):
            yield program
        yield from paths_in(argv)
    for setting in (*_PATH_SETTINGS, "Environment"):
        for word in (state.get(setting) or "").split()[:_MAX_WORDS]:
            at = word.find("/")
            if at >= 0:
                yield from word[at:].rstrip(")").split(":")[:1]
    yield from own_directories(state)
    pam = state.get("PAMName")
    if pam and "/" not in pam:
        yield f"/etc/pam.d/{pam}"
