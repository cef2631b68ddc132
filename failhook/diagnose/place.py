# SPDX-License-Identifier: MIT
"""File and line, out of the many ways in which programs say where in a configuration something is."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Starts where no such word is under way: else a long word would be tried from each of its letters.
_FILE = r"(?<![\w./@%+~-])(?P<{name}>(?:\.{{0,2}}/)?[\w@%+=~-][\w./@%+=~-]{{0,300}}\.[A-Za-z][\w-]{{0,14}}|/[\w./@%+=~-]{{2,300}})"


def file_pattern(name: str) -> str:
    """The pattern of a file's name in a line, as the group ``name``."""
    return _FILE.format(name=name)


ANY_FILE = re.compile(file_pattern("file"))
# Every way is: a file and a line number, in some order, with some words between them.
_PLACES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        file_pattern("file")
        + r"['\"\])]{0,2}(?!: \d{1,7}\))[:(] ?(?:line:? ?)?(?P<line>\d{1,7})(?![\d.]*[.:]\d{1,3}\.)",
        file_pattern("file") + r"\[(?P<line>\d{1,7})\]",
        file_pattern("file")
        + r"['\"\])]{0,2},? {0,2}(?:at |on |in )?\(?line(?: ?number|no)?[ :#=]{1,3}\[?(?P<line>\d{1,7})",
        r"line[ :#=]{1,3}(?P<line>\d{1,7})(?:,? (?:col(?:umn)?|char(?:acter)?|pos(?:ition)?)[ :]{0,2}\d{1,6})?"
        r"\)?,? {0,2}(?:of|in|from|\(|:|,)[ :]{0,2}(?:the )?(?:config(?:uration)?(?: file)? ?)?(?:file ?:? ?)?"
        r"['\"\[(]{0,2}" + file_pattern("file"),
        file_pattern("file") + r"['\"\])]{0,2}[:,]? {0,2}(?:At |\()(?P<line>\d{1,7})[:,] ?\d{1,6}",
        r"file:/{0,3}(?P<file>/[\w./@%+=~-]{2,300}); lineNumber: (?P<line>\d{1,7})",
        r"['\"\[(]"
        + file_pattern("file")
        + r"['\"\])]{1,2}[,:]? {0,2}line[ :]{1,2}(?P<line>\d{1,7})",
    )
)
BEFORE_IT = re.compile(r"^//(?=/)|^/(?=/)|^--?[\w.-]{1,40}=(?=/)")  # of a file:// URL; an option
_PROGRAM_PLACES = (
    "http:",
    "https:",
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/lib/",
    "/usr/share/",
    "/bin/",
)
_PROGRAM_TEXT = (
    ".py", ".js", ".mjs", ".cjs", ".ts", ".go", ".rb", ".pl", ".pm", ".c", ".cc", ".cpp", ".cxx",
    ".h", ".hpp", ".java", ".kt", ".scala", ".rs", ".php", ".lua", ".erl", ".ex", ".exs", ".sh",
    ".cs", ".ml", ".hs", ".tcl", ".vala", ".swift", ".jl", ".psgi", ".cgi", ".ru", ".vb", ".fs",
    ".dart", ".zig", ".nim", ".cr", ".clj", ".groovy", ".hrl", ".scm", ".s", ".service", ".socket",
)  # fmt: skip
# A user other than root has nothing to make there: that a file is missing is what is wrong.
SYSTEM_PLACES = ("/etc/", "/usr/", "/lib", "/bin/", "/sbin/", "/boot/", "/proc/", "/sys/", "/dev/")
# What a program makes for a run, and takes away again or leaves behind: that it is missing is nothing.
OF_A_RUN = ("/run/", "/var/run/", "/tmp/", "/var/tmp/", "/dev/shm/")  # noqa: S108
DATABASES = (".sqlite", ".sqlite3", ".db", ".db3", ".rrd")  # of libraries, in the program itself
MADE = (".pid", ".sock", ".socket", ".log", ".lock", ".lck", ".state")
CONFIGS = (
    ".conf", ".cnf", ".cfg", ".ini", ".yml", ".yaml", ".json", ".toml", ".xml", ".properties",
    ".hcl", ".vcl", ".cf", ".rc",
)  # fmt: skip
# db.example.org:5432 is a host and a port: what has no directory is a file by its ending only.
_FILES = (*CONFIGS, ".zone", ".rules", ".list", ".options", ".tmpl", ".tpl", ".sql", ".txt", ".csv",
          ".env", ".map", ".inc", ".acl", ".def", ".j2")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a configuration."""

    file: str
    line: str | None

    def __str__(self) -> str:
        return f"{self.file} line {self.line}" if self.line else self.file


def place_in(text: str) -> Place | None:
    """The innermost place that a line tells: of several (includes), the last one."""
    found: list[tuple[int, Place]] = []
    for pattern in _PLACES:
        found += [
            (match.start(), Place(BEFORE_IT.sub("", match["file"]), match["line"]))
            for match in pattern.finditer(text)
            if _is_file(match) and not is_program_text(match["file"])
        ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _is_file(match: re.Match[str]) -> bool:
    """And no host of a URL, nor one with a port."""
    name = match["file"]
    if not int(match["line"]):  # lines begin with 1
        return False
    if name.startswith("//"):
        return name.startswith("///")
    return "/" in name or "line" in match.group().lower() or name.lower().endswith(_FILES)


def is_program_text(name: str) -> bool:
    """A source file or a program, no configuration."""
    if name.startswith("/etc/"):
        return False  # a configuration may be written in any language
    if "/bin/" in name or "/sbin/" in name:
        return True
    return name.lower().endswith(_PROGRAM_TEXT) or name.startswith(_PROGRAM_PLACES)


def stands_at(place: str) -> str:
    """``/etc/x.conf:3`` of `Facts` as ``/etc/x.conf line 3``; a setting of the unit as ``ExecStart=``."""
    file, _, number = place.rpartition(":")
    return f"{file} line {number}" if file else f"{place}="
