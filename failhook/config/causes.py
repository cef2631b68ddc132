# SPDX-License-Identifier: MIT
"""Causes as data: ``causes.d/*.toml`` beside the configuration, vendor's first.

    [[cause]]
    name = "acme-licence"
    pattern = 'licence (?P<file>/\\S{1,200}) expired on (?P<day>\\S{1,20})'
    sentence = "the licence {file} expired on {day}"
    advice = "renew it in the customer portal"
    runbook = "https://wiki.example/acme#licence"
    example = ["licence /etc/acme/key expired on 2026-01-01"]

A cause is only used if it finds each of its own examples and none of its near misses.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from failhook import pattern
from failhook.config.custom_cause import FIELD, CustomCause
from failhook.config.locate import line_of
from failhook.config.model import Problem
from failhook.places import Places

_NAME = re.compile(r"[a-z][a-z0-9-]{1,60}")
_MAX_FILE = 1 << 20
_MAX_CAUSES = 1000
_TEXTS = ("name", "pattern", "sentence", "advice", "runbook")
_LISTS = ("unit", "result", "example", "near_miss")
_KNOWN = (*_TEXTS, *_LISTS, "confidence")
_NEEDED = ("name", "pattern", "sentence", "example")


def load(places: Places) -> tuple[tuple[CustomCause, ...], tuple[Problem, ...], tuple[Path, ...]]:
    """All causes of all files, what is wrong with the others, and which files were read."""
    causes: dict[str, CustomCause] = {}
    problems: list[Problem] = []
    files: list[Path] = []
    for directory in places.configuration:
        for path in sorted((directory / "causes.d").glob("*.toml")):
            files.append(path)
            found, wrong = load_file(path, trusted_uid=None if places.user else 0)
            causes |= {one.name: one for one in found}
            problems += wrong
    return tuple(causes.values())[:_MAX_CAUSES], tuple(problems), tuple(files)


def load_file(
    path: Path, *, trusted_uid: int | None = None
) -> tuple[list[CustomCause], list[Problem]]:
    """The causes of one file that can be used, and every mistake in the others."""
    import tomllib  # here: who configures nothing does not pay for it

    try:
        text = read_trusted(path, trusted_uid)
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"at line (\d+)", str(error))
        line = int(match[1]) if match else None
        return [], [Problem(path, line, "", str(error), "fix the syntax")]
    except (OSError, ValueError, RecursionError) as error:
        return [], [Problem(path, None, "", str(error), "nothing of it is used")]
    tables = raw.get("cause")
    problems = [
        Problem(path, line_of(text, (key,)), key, "is not known", "write [[cause]]")
        for key in raw
        if key != "cause"
    ]
    if not isinstance(tables, list):
        return [], [*problems, Problem(path, None, "cause", "is missing", "write [[cause]]")]
    found: list[CustomCause] = []
    for number, table in enumerate(tables):
        reader = _Reader(path, text, number, table if isinstance(table, dict) else {})
        cause = reader.cause()
        problems += reader.problems
        found += [cause] if cause is not None else []
    return found, problems


def read_trusted(path: Path, trusted_uid: int | None) -> str:
    """The text of a file that nobody but its trusted owner could have written (anchors T29).

    Raises OSError, and ValueError with what to do.
    """
    for place in (path, path.parent):
        state = place.stat()
        if trusted_uid is not None and state.st_uid != trusted_uid:
            raise ValueError(f"{place} belongs to uid {state.st_uid}; chown root {place}")
        if trusted_uid is not None and state.st_mode & 0o022:
            raise ValueError(f"{place} may be written by others: chmod go-w {place}")
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("is not a regular file")
    with path.open("rb") as stream:
        data = stream.read(_MAX_FILE + 1)
    if len(data) > _MAX_FILE:
        raise ValueError(f"is larger than {_MAX_FILE} bytes")
    return data.decode()


class _Reader:
    """One table: its cause if nothing is wrong with it, else its problems."""

    def __init__(self, path: Path, text: str, number: int, table: Mapping[str, object]) -> None:
        self._path, self._text, self._number, self._table = path, text, number, table
        self.problems: list[Problem] = []

    def cause(self) -> CustomCause | None:
        """The cause, tried on its own examples."""
        self._check_keys()
        compiled = self._pattern()
        if self.problems or compiled is None:
            return None
        cause = CustomCause(
            name=self._of("name"),
            pattern=compiled,
            sentence=self._of("sentence"),
            advice=self._of("advice"),
            runbook=self._of("runbook"),
            units=self._list("unit") or ("*",),
            results=self._list("result"),
            confidence=self._confidence(),
            examples=self._list("example"),
            near_misses=self._list("near_miss"),
        )
        self._try(cause)
        return None if self.problems else cause

    def _problem(self, key: str, message: str, hint: str = "") -> None:
        line = line_of(self._text, ("cause", self._number, key))
        name = self._table.get("name")
        label = f"cause {name}" if isinstance(name, str) else f"cause number {self._number + 1}"
        self.problems.append(Problem(self._path, line, f"{label}: {key}", message, hint))

    def _check_keys(self) -> None:
        for key, value in self._table.items():
            if key not in _KNOWN:
                self._problem(key, "is not known", f"known here: {', '.join(_KNOWN)}")
            elif key in _TEXTS and not (isinstance(value, str) and value.strip()):
                self._problem(key, "is no text", 'write "…"')
            elif key in _LISTS and not _is_list(value):
                self._problem(key, "is no list of texts", 'write ["…"]')
        for key in _NEEDED:
            if not self._table.get(key):
                self._problem(key, "is missing", "a cause has to have it")
        if not self.problems and not _NAME.fullmatch(self._of("name")):
            self._problem("name", "is no name", "small letters, digits and '-'")

    def _pattern(self) -> re.Pattern[bytes] | None:
        if self.problems:
            return None
        try:
            compiled = pattern.checked(self._of("name"), self._of("pattern"))
        except ValueError as error:
            self._problem("pattern", str(error))
            return None
        for field in FIELD.findall(self._of("sentence")):
            if field not in compiled.groupindex:
                there = ", ".join(compiled.groupindex) or "none"
                self._problem(
                    "sentence", f"{{{field}}} is no group of the pattern", f"has: {there}"
                )
        return compiled

    def _confidence(self) -> float:
        value = self._table.get("confidence", 0.9)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
            return float(value)
        self._problem("confidence", "is no number above 0 and up to 1")
        return 0.9

    def _try(self, cause: CustomCause) -> None:
        for text in cause.examples:
            if cause.found_in(text) is None:
                self._problem("example", f"the pattern does not find {text!r}")
        for text in cause.near_misses:
            if cause.found_in(text) is not None:
                self._problem("near_miss", f"the pattern finds {text!r} as well")

    def _of(self, key: str) -> str:
        value = self._table.get(key, "")
        return value if isinstance(value, str) else ""

    def _list(self, key: str) -> tuple[str, ...]:
        value = self._table.get(key, [])
        return tuple(value) if _is_list(value) else ()  # type: ignore[arg-type]


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def plugins(places: Places) -> Iterator[tuple[Path, Problem | None]]:
    """The Python files of ``plugins/``, and why one of them is not used."""
    for directory in places.configuration:
        for path in sorted((directory / "plugins").glob("*.py")):
            try:
                read_trusted(path, None if places.user else 0)
            except (OSError, ValueError) as error:
                yield path, Problem(path, None, "", str(error), "it is not loaded")
            else:
                yield path, None
