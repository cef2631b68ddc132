# SPDX-License-Identifier: MIT
"""Which configuration does a program read, where its message gives a line number and no file?

The one that its command line names; else, where exactly one of the usual places has a file, that
one. Where there are several it is not said: a guess would send people to the wrong file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from failhook.diagnose.facts import Facts
from failhook.diagnose.place import (
    ANY_FILE,
    BEFORE_IT,
    CONFIGS,
    is_program_text,
    place_in,
)
from failhook.diagnose.subjects import Subjects, commands, paths_in
from failhook.diagnose.text import Message
from failhook.diagnose.wording import FAILURE
from failhook.systemd.unit import UnitState

OF_THE_SYSTEM = ("/etc/mtab", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/localtime")
_CONFIGS_OF_A_PATH = (".rules", ".local", ".config", ".list", ".zone", ".options", ".default")
LINE_ONLY = re.compile(
    r"(?:at |on |in )?\bline(?: number)?[ :#=]{1,3}\[?(?P<line>\d{1,7})\]?"
    r"(?:[,:]? (?:col(?:umn)?)[ :]{0,2}\d{1,6})?",
    re.IGNORECASE,
)
_LUA_CHUNK = re.compile(r'\[string "[^"]{0,80}"\]:(?P<line>\d{1,7}):')  # of a text without a name
_OPTION = re.compile(
    r"(?:^|\s)(?:-c|-f|-C|--?(?:config|conf|cfg|configuration|config[-_.]?file|conf[-_]?file|file))"
    r"[= ](?P<file>/[^\s;]{2,500})"
)
# "Using config: /etc/x.cfg", "loading configuration from '/etc/x.conf'"
_READS = re.compile(
    r"\b(?:us(?:ing|ed)|load(?:ing|ed)|read(?:ing)?|pars(?:ing|ed)|open(?:ing|ed))\b[^/\n]{0,20}"
    r"\bconf(?:ig(?:uration)?)?s?(?:[ _-]?files?)?\b[^/\n]{0,20}(?P<file>/etc/[^\s'\",;:()\[\]<>]{2,200})",
    re.IGNORECASE,
)
# What the libraries for YAML, TOML, JSON and INI say, mostly without the file.
_OF_A_LIBRARY = re.compile(
    r"\b(?:yaml|toml|json|hcl|ini|xml)\w*: (?:line|unmarshal|cannot|invalid|unknown|unexpected|syntax)"
    r"|(?:did not|could not) find expected|mapping values are not allowed|cannot start any token"
    r"|expecting (?:property name|value|'.' delimiter)|invalid character '.{1,4}' (?:looking|after|in)\b"
    r"|unexpected (?:end of JSON|token .{1,12} in JSON)|cannot unmarshal|(?:JSON|TOML)DecodeError"
    r"|\[string \"[^\"]{0,80}\"\]:\d"
    r"|(?:^|: )\d{1,6}:\d{1,6}: (?:expected|unexpected|unknown|invalid|trailing|unterminated|missing)\b"
    r"|contains no section headers|unclosed section"
    r"|not well-formed \(|no element found: line|mismatched tag: line|junk after document element|XMLSyntaxError"
    r"|\bcsv\.Error|line contains NUL|Error tokenizing data|pickle data was truncated|invalid load key|UnicodeDecodeError",
    re.IGNORECASE,
)
# ``ssl_enable=NO``, ``tls: false``, ``SSLEngine off``: its certificates need not be there.
_TLS_SWITCH = re.compile(
    r"^[ \t]{0,20}['\"]?(?:(?:enable|use)[._-]?(?:ssl|tls|https)|(?:ssl|tls|https)(?:[._-]?(?:enabled?|engine|active))?)"
    r"['\"]?[ \t]{0,20}[ \t=:][ \t]{0,20}['\"]?"
    r"(?:(?P<off>no|off|false|0|none|disabled?)|yes|on|true|1|enabled?|required)(?![\w-])",
    re.IGNORECASE | re.MULTILINE,
)
_REDIRECTED = re.compile(r"\d?>{1,2}\|?[ \t]{0,8}['\"]?/[^\s'\";|&()]{1,300}['\"]?")
_OF_TLS = (".pem", ".crt", ".cer", ".key", ".csr", ".p12")
_COMMENT = re.compile(r"\s*(?:[#;%!]|//|--|<!--|\*|$)")
_COMMENT_AFTER = re.compile(r"\s#.*$")
_INPUTS = (*CONFIGS, ".pem", ".crt", ".cer", ".key", ".csr", ".p12", ".so", ".lua", ".rules", ".txt",
           ".map", ".list", ".zone", ".sql", ".py", ".js")  # fmt: skip
_SQLITE = re.compile(r"\bsqlite(?:\+\w{1,20})?:///(?=/)")  # sqlite:////var/lib/x.db
# What a library reads, whatever program uses it.
_OF_LIBRARIES = (
    (
        re.compile(r"\bKDC\b|initial credentials|kerberos|\bGSSAPI\b", re.IGNORECASE),
        "/etc/krb5.conf",
    ),
)
_DIRECTORY = re.compile(r"\W{0,20}[\w.-]{0,40}dir(?:ectory)?\b", re.IGNORECASE)
_MAX_CONFIGURATION_LINES = 20_000
_MAX_SWITCHES = 200_000  # characters
_CALLED_SO = re.compile(r"CONF|CFG", re.IGNORECASE)
_INCLUDES = re.compile(
    r"^\s{0,20}[.@!$%]?[\[(<\"']?(?:include(?:[_-]?(?:dir|file|config|once)|s)?|import|source|[\w-]{1,20}[._-]?include[\w-]{0,10}|includes?dir|conf(?:ig)?[._-]?dir(?:ectory)?)\b",
    re.IGNORECASE | re.MULTILINE,
)
# ``user = acme``, ``"run-as-user": "acme",``, ``User acme;``
_USER = re.compile(
    r"\s{0,40}['\"]?(?:[\w.]{1,30}[-_.])?(?:user|username|run[-_]?as(?:[-_]?user)?|setuid)['\"]?"
    r"(?:\s{0,20}[:=]\s{0,20}|\s{1,20})['\"]?(?P<name>[a-z_][\w-]{0,30})['\"]?\s{0,20}[,;]?\s{0,20}$",
    re.IGNORECASE,
)
_NO_USERS = ("true", "false", "yes", "no", "on", "off", "none", "null", "default")
_OF_A_USER = 160  # characters
_ENDINGS = ("conf", "cfg", "cnf", "ini", "yml", "yaml", "toml", "json", "xml")
_DATA = ("/var/lib", "/var/log", "/var/cache", "/var/spool")  # hier(7), file-hierarchy(7)
_MAX = 60
_DAEMON = re.compile(r"(?:[_-](?:server|daemon|service)|(?<=\w\w)d)$")
_MESSAGES, _LINES = 200, 4


def lone_line(text: str) -> str | None:
    """The number of a line that a message gives."""
    match = _LUA_CHUNK.search(text) or LINE_ONLY.search(text)
    return match["line"] if match is not None else None


def file_in(text: str) -> str | None:
    """A file of the line that is a configuration by its name or its place."""
    for match in ANY_FILE.finditer(text):
        name = BEFORE_IT.sub("", match["file"])
        if name in OF_THE_SYSTEM:
            continue
        low = name.lower()
        named = low.endswith(CONFIGS) or ("/" in name and low.endswith(_CONFIGS_OF_A_PATH))
        if named or (name.startswith("/etc/") and not name.endswith("/")):
            return name
    return None


def on_command_line(unit: UnitState) -> list[str]:
    """Configurations that the unit's program is started with."""
    found: list[str] = []
    for setting, program, argv in commands(unit):
        if setting != "ExecStart":
            continue
        found += [match["file"] for match in _OPTION.finditer(argv)]
        found += [
            path
            for path in paths_in(argv)
            if path != program and (path.lower().endswith(CONFIGS) or path.startswith("/etc/"))
        ]
    return [path for path in dict.fromkeys(found) if not is_program_text(path)][:_MAX]


def candidates(unit: UnitState) -> list[str]:
    """Where its configuration may lie: what the command line says, else the usual places."""
    return on_command_line(unit) or list(dict.fromkeys(_usual(unit)))[:_MAX]


def _usual(unit: UnitState) -> Iterator[str]:
    names = _names(unit)
    for name in names:
        yield f"/etc/{name}.conf"
        yield f"/etc/{name}/config"
    for directory, name in product(names, names):
        for ending in _ENDINGS:
            yield f"/etc/{directory}/{name}.{ending}"


def _names(unit: UnitState) -> list[str]:
    programs = [path for setting, path, _ in commands(unit) if setting == "ExecStart"]
    whole = [path.rpartition("/")[2] for path in programs] + [_stem(unit)]
    short = [_DAEMON.sub("", name) for name in whole]
    names = dict.fromkeys(one for one in (*whole, *short) if re.fullmatch(r"[\w.+-]{1,40}", one))
    return list(names)[:3]


def _stem(unit: UnitState) -> str:
    return unit.name.partition(".")[0].partition("@")[0]


def with_configuration(
    subjects: Subjects, unit: UnitState, messages: Sequence[Message]
) -> Subjects:
    """``subjects`` and where its configuration may lie, if a message gives a line and no file."""
    numbers = [
        number
        for message in messages[-_MESSAGES:]
        if (number := lone_line(message.text[:600])) and place_in(message.text[:600]) is None
    ]
    lines = tuple(dict.fromkeys(numbers))[-_LINES:]
    libraries = [
        file for words, file in _OF_LIBRARIES if any(words.search(m.text) for m in messages)
    ]
    return replace(
        subjects,
        configurations=(*candidates(unit), *libraries),
        usual=not on_command_line(unit),
        called=tuple(_names(unit)),
        read=() if on_command_line(unit) else tuple(_read(messages)),
        data=tuple(f"{base}/{name}" for base in _DATA for name in _names(unit)),
        lone_lines=lines,
    )


def _read(messages: Sequence[Message]) -> list[str]:
    """The configurations that the program says it reads."""
    found = [
        match["file"].rstrip(".")
        for message in messages[-_MESSAGES:]
        if (match := _READS.search(message.text[:600])) is not None
        and not FAILURE.search(message.text[:600])
    ]
    return [path for path in dict.fromkeys(found) if not is_program_text(path)][:_LINES]


def the_one(unit: UnitState, facts: Facts) -> str | None:
    """The configuration that it reads; None where that is not certain."""
    if named := list(dict.fromkeys([*on_command_line(unit), *facts.configurations])):
        files = [path for path in named if _may_be_file(facts, path)]
        return files[0] if len(files) == 1 else None
    usual = [path for path in candidates(unit) if _is_file(facts, path)]
    real = {facts.paths[path].real or path for path in usual}
    return usual[0] if len(real) == 1 else None


def configurations_of(text: str, variables: Sequence[str]) -> list[str]:
    """The configurations that an environment file (systemd.exec(5)) names: in the variables that
    the command line uses, or in one that is called so."""
    found: list[str] = []
    for line in text.replace("\\\n", " ").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or not (name in variables or _CALLED_SO.search(name)):
            continue
        value = value.strip().strip("'\"")
        found += [match["file"].rstrip("'\"") for match in _OPTION.finditer(f" {value}")]
        found += [
            path
            for path in paths_in(value)
            if path.lower().endswith(CONFIGS) or path.startswith("/etc/")
        ]
    return [path for path in dict.fromkeys(found) if not is_program_text(path)][:_MAX]


def paths_of(text: str) -> Iterator[tuple[int, str, bool]]:
    """The absolute paths that a configuration names outside of its comments: the line, the path,
    and whether it has to be there when the program starts."""
    unused = _OF_TLS if _without_tls(text) else ()
    is_script = text.startswith("#!")
    for number, line in content_lines(text):
        if is_script:  # what it writes is made by the shell, and is empty where the command failed
            line = _REDIRECTED.sub(" ", line)  # noqa: PLW2901
        for found in paths_in(_SQLITE.sub(" ", line)):
            path = found.rstrip(");,>*")
            needed = is_input(path) and not path.lower().endswith(unused)
            yield number, path, needed or _DIRECTORY.match(line) is not None


def _without_tls(text: str) -> bool:
    """It has switches for TLS, and all of them are off."""
    found = [match["off"] for match in _TLS_SWITCH.finditer(text[:_MAX_SWITCHES])]
    return bool(found) and all(found)


def content_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a configuration that are more than a comment, with their numbers."""
    for number, line in enumerate(text.splitlines()[:_MAX_CONFIGURATION_LINES], 1):
        if not _COMMENT.match(line):
            yield number, _COMMENT_AFTER.sub("", line)[:1000]


def users_of(text: str) -> Iterator[tuple[int, str]]:
    """(line, name) of the users that a configuration tells its program to become."""
    for number, line in content_lines(text):
        match = _USER.match(line[:_OF_A_USER])
        if match is not None and match["name"] not in _NO_USERS:
            yield number, match["name"]


def is_input(path: str) -> bool:
    """A file that a program reads and does not make: its absence is a mistake."""
    return path.lower().endswith(_INPUTS) and not path.startswith(("/run/", "/tmp/", "/proc/"))  # noqa: S108


def includes_others(text: str) -> bool:
    """It is a configuration that reads further files."""
    return _INCLUDES.search(text) is not None


def is_data_error(text: str) -> bool:
    """Data that a library could not read."""
    return _OF_A_LIBRARY.search(text) is not None


def _is_file(facts: Facts, path: str) -> bool:
    fact = facts.paths.get(path)
    return fact is not None and fact.kind == "file"


def _may_be_file(facts: Facts, path: str) -> bool:
    fact = facts.paths.get(path)
    return fact is None or fact.kind in ("file", "unknown")
